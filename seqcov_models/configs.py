"""What is known of a network without its weights: widths, depths, window, bins.

Kept apart from `networks` because planning a run needs the geometry and must not pay for importing
torch. Field names follow the models' cards; defaults are the published networks.
"""

import dataclasses
import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, get_args, get_origin

import numpy as np

from .errors import SeqcovError
from .sequence import N_ENCODINGS

ACTIVATIONS = ("gelu_new", "quick_gelu", "gelu", "relu", "softplus", "linear")
ATTENTIONS = ("relative", "rotary")

MOST = 2**31 - 1
"""The largest whole number of any field: products of two are still numbers that torch can count."""
MOST_TRACKS = 100_000
"""Tracks of all heads together; the largest published network has 7,611."""
MOST_LAYERS = 1_000
DERIVED: Any = None
"""The default of a field that follows from the others where it is not given."""


@dataclass(frozen=True)
class Geometry:
    """How a network's window, core and bins lie; everything in bp but `bins` and `crop`.

    window: bases one forward pass reads. bin: bases one output position stands for.
    bins: output positions kept. crop: output positions cut off at each side.
    """

    window: int
    bin: int
    bins: int
    crop: int

    @property
    def core(self) -> int:
        """Bases whose bins a window keeps."""
        return self.bins * self.bin

    @property
    def context(self) -> int:
        """Bases between a window's start and the start of its core."""
        return self.crop * self.bin


class _Derived(int):
    """A number that followed from other fields; `dataclasses.replace` lets it follow anew."""


@dataclass(frozen=True)
class Checked:
    """Plain values that say what is wrong with them. Every mistake is a SeqcovError."""

    MAY_BE_ZERO: ClassVar[frozenset[str]] = frozenset()
    """Whole numbers that may be 0; all others count something there must be."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value, kind = _plain(getattr(self, item.name)), item.type
            if item.default is DERIVED and (value is None or isinstance(value, _Derived)):
                self._set(item.name, None)
                continue
            if isinstance(value, Mapping) and isinstance(kind, type) and issubclass(kind, Checked):
                value = kind.from_dict(value)
            if (wanted := self._wanted(item.name, kind, value)) is not None:
                raise self.refusal(item.name, f"{reprlib.repr(value)} is not {wanted}")
            self._set(item.name, float(value) if kind is float else value)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # frozen for everybody else

    def _wanted(self, name: str, kind: Any, value: object) -> str | None:
        """What a field of type `kind` should have held; None where `value` is fine."""
        if kind is bool:
            return None if isinstance(value, bool) else "true or false"
        if kind is int:
            least, most = 0 if name in self.MAY_BE_ZERO else 1, _most(name)
            all_of_them = name == "target_length" and _is_whole(value, -1, -1)
            right = all_of_them or _is_whole(value, least, most)
            return None if right else f"a whole number from {least} to {most:,}"
        if kind is float:
            unit = name.endswith(("dropout", "_momentum", "_eps"))
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and 0 <= value <= (1 if unit else 1e9):  # type: ignore[operator]
                return None
            return f"a number from 0 to {'1' if unit else '1e9'}"
        if kind is str:
            choices: tuple[str, ...] = ACTIVATIONS if name.endswith("_act") else ()
            choices = ATTENTIONS if name == "attention_type" else choices
            choices = tuple(N_ENCODINGS) if name == "n_encoding" else choices
            if isinstance(value, str) and (not choices or value in choices):
                return None
            return f"one of {', '.join(choices)}" if choices else "a text"
        if get_origin(kind) is tuple and get_args(kind)[0] is int:
            right = isinstance(value, tuple) and len(value) <= MOST_LAYERS
            if right and all(_is_whole(one, 1, MOST) for one in value):  # type: ignore[attr-defined]
                return None
            return f"a list of at most {MOST_LAYERS:,} whole numbers from 1 to {MOST:,}"
        if get_origin(kind) is tuple:
            right = isinstance(value, tuple) and len(value) <= MOST_TRACKS
            if right and all(_is_name(one) for one in value):  # type: ignore[attr-defined]
                return None
            return f"a list of at most {MOST_TRACKS:,} names, without tabs and line ends"
        if get_origin(kind) is Mapping:
            right = isinstance(value, Mapping) and all(
                isinstance(key, str) and _is_whole(one, 1, MOST_TRACKS)
                for key, one in value.items()
            )
            return (
                None if right else f"a table of names and whole numbers from 1 to {MOST_TRACKS:,}"
            )
        return None if isinstance(value, kind) else f"a {kind.__name__}"

    def refusal(self, name: str, why: str) -> SeqcovError:
        """The error for a value from which nothing can be built."""
        return SeqcovError(f"{type(self).__name__}.{name}: {why}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """From `dataclasses.asdict`'s or JSON's values. Raises SeqcovError for unknown fields."""
        given = {key: value for key, value in values.items() if key != "architecture"}
        if unknown := sorted({*map(str, given)} - {item.name for item in dataclasses.fields(cls)}):
            raise SeqcovError(f"{cls.__name__} has no field {', '.join(unknown)}")
        return cls(**given)


def _plain(value: Any) -> Any:
    """What lists, NumPy and JSON have, as it is kept: plain numbers, tuples, dicts."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_name(value: object) -> bool:
    """Whether tables and file names can hold it."""
    return isinstance(value, str) and value != "" and value.isprintable()


def _most(name: str) -> int:
    """The largest sensible number of what a field counts."""
    if name == "num_labels":
        return MOST_TRACKS
    deep = name.startswith("num_") and not name.endswith(("features", "strands"))
    return MOST_LAYERS if deep else MOST


@dataclass(frozen=True, kw_only=True)
class Config(Checked):
    """What every network's config has: its input, its activations, its geometry."""

    sequence_length: int
    """Bases of a window."""
    vocab_size: int = DERIVED
    """Channels of the stem's input, which follow from `n_encoding`: 4, and 5 where that is
    'multimolecule'. The models' cards say 5 because they are of weights with that fifth one."""
    n_encoding: str = "zeros"
    """What an unknown base is: 'zeros', 'uniform' (0.25 of each letter) or 'multimolecule' (a fifth
    channel, as the weights converted by that project have it)."""
    hidden_act: str
    output_act: str = "softplus"
    output_contexts: bool = False
    """Whether `forward` gives the contexts where its caller does not say."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vocab_size is None:
            self._set("vocab_size", _Derived(len(N_ENCODINGS[self.n_encoding])))
        if self.vocab_size != len(N_ENCODINGS[self.n_encoding]):
            raise self.refusal(
                "vocab_size",
                f"{self.vocab_size}, but n_encoding {self.n_encoding!r} makes"
                f" {len(N_ENCODINGS[self.n_encoding])} channels",
            )
        for item in dataclasses.fields(self):
            if item.name.endswith("kernel_size") and getattr(self, item.name) % 2 == 0:
                raise self.refusal(item.name, f"{getattr(self, item.name)} is not odd")

    @property
    def geometry(self) -> Geometry:
        """Window, core and bins."""
        raise NotImplementedError

    def check_length(self, length: int) -> None:
        """Raise SeqcovError where a window of `length` bp leaves no bin, or part of one.

        Other lengths than `sequence_length` lose as many bins at each side.
        """
        if (least := 2 * self.geometry.context) >= length:
            raise SeqcovError(
                f"{length:,} bp: too short; {least // 2:,} bp at each side are cropped"
            )

    def with_tracks(self, count: int) -> Self:
        """The same network with a head of `count` tracks, where the config says how many."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `config.json` holds them, with the architecture's name."""
        values = dataclasses.asdict(self)
        plain = {k: int(v) if isinstance(v, _Derived) else v for k, v in values.items()}
        return {"architecture": architecture_of(self), **plain}


@dataclass(frozen=True, kw_only=True)
class BinnedConfig(Config):
    """What Basenji2, Enformer and Borzoi share: a tower of convolutions and poolings."""

    MAY_BE_ZERO = frozenset({"crop_bins", "head_hidden_size", "num_hidden_layers", "num_upsamples"})

    HEADS: ClassVar[Mapping[str, int]]
    """Tracks of the published heads by species: calico's targets tables."""

    species: str = "human"
    num_labels: int = DERIVED
    """Tracks of the head; where not given, those of the published one of `species`."""
    stem_channels: int
    stem_kernel_size: int = 15
    conv_tower_channels: tuple[int, ...]
    """Width after each stage of the tower."""
    conv_tower_kernel_size: int = 5
    head_hidden_size: int
    """Width of the pointwise block before the head; 0 builds none."""
    hidden_dropout: float
    batch_norm_eps: float
    batch_norm_momentum: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_labels is None:
            if self.species not in self.HEADS:
                known = ", ".join(self.HEADS)
                why = f"must be given for {self.species!r}; published are heads for {known}"
                raise self.refusal("num_labels", why)
            self._set("num_labels", _Derived(self.HEADS[self.species]))
        if self.sequence_length % self.pool_factor:
            raise self.refusal(
                "sequence_length",
                f"{self.sequence_length:,} is not a multiple of {self._pool_size} to the power of"
                f" {self.num_pool_layers} (the product of all poolings)",
            )
        self._check_crop()

    def with_tracks(self, count: int) -> Self:
        return dataclasses.replace(self, num_labels=count)

    def _check_crop(self) -> None:
        if self.num_bins < 1:
            raise self.refusal(
                "crop_bins",
                f"{self._crop:,} from each side leave nothing of"
                f" {self.sequence_length // self.bin_size:,} bins",
            )

    def check_length(self, length: int) -> None:
        super().check_length(length)
        if length % self.pool_factor:
            raise SeqcovError(
                f"{length:,} bp: not a multiple of {self.pool_factor} (the product of all poolings)"
            )

    @property
    def _crop(self) -> int:
        """Bins cut off at each side."""
        crop: int = getattr(self, "crop_bins")
        return crop

    @property
    def hidden_size(self) -> int:
        """Width of the trunk: that of the last convolution."""
        return self.conv_tower_channels[-1] if self.conv_tower_channels else self.stem_channels

    @property
    def last_hidden_size(self) -> int:
        """Width of what the head reads."""
        return self.head_hidden_size or self.hidden_size

    @property
    def _pool_size(self) -> int:
        """Positions that each pooling makes one of."""
        return 2

    @property
    def num_pool_layers(self) -> int:
        """Poolings: one after the stem, one after each tower stage."""
        return 1 + len(self.conv_tower_channels)

    @property
    def num_downsamples(self) -> int:
        """`num_pool_layers`, as the cards of Enformer and Borzoi call it."""
        return self.num_pool_layers

    @property
    def pool_factor(self) -> int:
        """Bases a position of the trunk stands for."""
        return int(self._pool_size**self.num_pool_layers)

    @property
    def tower_reach(self) -> int:
        """Bases beyond its own that a position of the trunk is made from, at each side."""
        tower = sum(int(self._pool_size**stage) for stage in range(1, self.num_pool_layers))
        return self.stem_kernel_size // 2 + self.conv_tower_kernel_size // 2 * tower

    @property
    def num_positions(self) -> int:
        """Positions of the trunk in a window of `sequence_length`."""
        return self.sequence_length // self.pool_factor

    @property
    def bin_size(self) -> int:
        """Bases an output bin stands for."""
        return self.pool_factor

    @property
    def num_bins(self) -> int:
        """Bins kept after the crop."""
        return self.sequence_length // self.bin_size - 2 * self._crop

    @property
    def geometry(self) -> Geometry:
        return Geometry(self.sequence_length, self.bin_size, self.num_bins, self._crop)


@dataclass(frozen=True)
class BasenjiBlockConfig(Checked):
    """Basenji2's dilated blocks: each looks 1.5 times as far as the one before it."""

    num_blocks: int = 11
    kernel_size: int = 3
    bottleneck_size: int = 384
    dilation: int = 1
    """Of the first block."""
    dilation_rate: float = 1.5
    round_dilation: bool = True
    """Whether the rounded dilation is what the next one is made from (calico's `round`)."""
    dropout: float = 0.3

    MAY_BE_ZERO = frozenset({"num_blocks"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size % 2 == 0:
            raise self.refusal("kernel_size", f"{self.kernel_size} is not odd")
        if self.dilation_rate < 1:
            raise self.refusal("dilation_rate", f"{self.dilation_rate} is below 1")
        if max(self.dilations, default=1) > MOST:
            raise self.refusal("dilation_rate", f"{self.dilation_rate}: dilations beyond {MOST:,}")

    @property
    def dilations(self) -> tuple[int, ...]:
        """One a block: 1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72 (halves rounded to even)."""
        dilation, all_of_them = float(self.dilation), []
        for _ in range(self.num_blocks):
            all_of_them.append(round(dilation))
            dilation = min(dilation * self.dilation_rate, MOST + 1.0)
            dilation = float(round(dilation)) if self.round_dilation else dilation
        return tuple(all_of_them)


@dataclass(frozen=True, kw_only=True)
class BasenjiConfig(BinnedConfig):
    """Basenji2 (Kelley 2020): 131,072 bp to 896 bins of 128 bp by default.

    Numbers: calico/basenji `manuscripts/cross2020/params_human.json` and `params_mouse.json`.
    Raises SeqcovError (a ValueError) for values from which no network can be built.
    """

    HEADS: ClassVar = {"human": 5_313, "mouse": 1_643}

    sequence_length: int = 131_072
    stem_channels: int = 288
    stem_pool_size: int = 2
    """Positions that a pooling makes one of: the stem's, and as in the card each tower stage's."""
    conv_tower_channels: tuple[int, ...] = (339, 399, 470, 554, 652, 768)
    blocks: BasenjiBlockConfig = field(default_factory=BasenjiBlockConfig)
    crop_bins: int = 64
    head_hidden_size: int = 1_536
    hidden_act: str = "gelu_new"
    """Open: the weights of 2020 were trained when calico's code meant 'quick_gelu' by 'gelu'; since
    April 2022 the same code evaluates them as 'gelu_new'. The default is what current calico code
    and the model card compute, because no published prediction has decided it; files that tell
    (`model_config` of an .h5) should set it."""
    hidden_dropout: float = 0.05
    """Before the head; that of the dilated blocks is in `blocks`."""
    batch_norm_eps: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head_hidden_size == 0:
            raise self.refusal("head_hidden_size", "this network always has one")

    @property
    def _pool_size(self) -> int:
        return self.stem_pool_size


@dataclass(frozen=True, kw_only=True)
class AttentionConfig(BinnedConfig):
    """What Enformer and Borzoi share beyond the tower: a transformer."""

    num_hidden_layers: int
    num_attention_heads: int = 8
    attention_head_size: int = 64
    attention_value_size: int = 192
    num_rel_pos_features: int
    position_length: int
    """Positions of the trunk in the window of the training."""
    intermediate_size: int = 3_072
    attention_dropout: float = 0.05
    position_dropout: float = 0.01
    layer_norm_eps: float
    target_length: int
    """Bins kept in the middle of `sequence_length`; −1 keeps all."""

    def _cropped(self) -> int:
        """Bins that `target_length` cuts off at each side."""
        bins = self.sequence_length // self.bin_size
        kept = bins if self.target_length == -1 else self.target_length
        if kept > bins or (bins - kept) % 2:
            why = f"{kept:,} bins do not lie in the middle of {bins:,}"
            raise self.refusal("target_length", why)
        return (bins - kept) // 2


@dataclass(frozen=True, kw_only=True)
class EnformerConfig(AttentionConfig):
    """Enformer (Avsec et al. 2021): 196,608 bp to 896 bins of 128 bp by default.

    Numbers: deepmind-research `enformer/enformer.py`.
    Raises SeqcovError (a ValueError) for values from which no network can be built.
    """

    HEADS: ClassVar = {"human": 5_313, "mouse": 1_643}

    sequence_length: int = 196_608
    other_heads: Mapping[str, int] = field(default_factory=dict)
    """Tracks of further species' heads on the same trunk, as {'mouse': 1643}."""
    stem_channels: int = 768
    conv_tower_channels: tuple[int, ...] = (768, 896, 1024, 1152, 1280, 1536)
    num_hidden_layers: int = 11
    num_rel_pos_features: int = 192
    position_length: int = 1_536
    """Rows of a stored gamma table: 2 · this − 1. The formulas take the window's own length."""
    use_precomputed_gamma_basis: bool = False
    """Whether the gamma features of `position_length` are a table that comes with the weights."""
    target_length: int = 896
    head_hidden_size: int = 3_072
    hidden_act: str = "quick_gelu"
    hidden_dropout: float = 0.4
    """In the transformer."""
    head_dropout: float = 0.05
    """Before the head; the card has an eighth of `hidden_dropout`, as the original does."""
    batch_norm_eps: float = 1e-5
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head_hidden_size == 0:
            raise self.refusal("head_hidden_size", "this network always has one")
        if self.num_rel_pos_features % 6:
            raise self.refusal(
                "num_rel_pos_features", f"{self.num_rel_pos_features} is not a multiple of 6"
            )
        if self.species in self.other_heads:
            raise self.refusal("other_heads", f"{self.species!r} is the species already selected")
        for name in self.other_heads and (self.species, *self.other_heads):
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):  # they become names of files
                raise self.refusal("other_heads", f"{name!r}: only letters, digits, - and _")
        if (total := sum((self.num_labels, *self.other_heads.values()))) > MOST_TRACKS:
            raise self.refusal("other_heads", f"{total:,} tracks in all; at most {MOST_TRACKS:,}")

    def with_species(self, species: str) -> Self:
        """The same trunk with the head of another species selected."""
        heads = {self.species: self.num_labels, **self.other_heads}
        count = heads.pop(species)
        return dataclasses.replace(self, species=species, num_labels=count, other_heads=heads)

    @property
    def crop_bins(self) -> int:
        """Bins cut off at each side."""
        return self._cropped()


@dataclass(frozen=True, kw_only=True)
class BorzoiConfig(AttentionConfig):
    """Borzoi (Linder et al. 2025): 524,288 bp to 6,144 bins of 32 bp by default.

    Numbers: calico/borzoi `examples/params.json`; layers: calico/baskerville `blocks.py`. The
    bottleneck convolution before the transformer is the last entry of `conv_tower_channels`.
    Flashzoi (johahi/borzoi-pytorch) is `attention_type` 'rotary' with `attention_head_size` 192
    and `num_key_value_heads` 4.
    Raises SeqcovError (a ValueError) for values from which no network can be built.
    """

    HEADS: ClassVar = {"human": 7_611, "mouse": 2_608}

    sequence_length: int = 524_288
    stem_channels: int = 512
    conv_tower_channels: tuple[int, ...] = (608, 736, 896, 1056, 1280, 1536)
    num_hidden_layers: int = 8
    attention_type: str = "relative"
    """'relative' (features of the distance, as published) or 'rotary' (Flashzoi)."""
    num_rel_pos_features: int = 32
    position_length: int = 4_096
    """Trunk positions of the training window: the masks of the relative positions are made from it,
    also when a shorter or longer window is predicted (baskerville's `seqlen_train`)."""
    num_key_value_heads: int = 8
    """Rotary only: heads of keys and values, each read by as many consecutive heads of queries."""
    rotary_size: int = 128
    """Rotary only: channels of each head that are turned; the rest is left as it is."""
    rotary_base: float = 20_000.0
    num_upsamples: int = 2
    upsample_kernel_size: int = 3
    upsample_conv: bool = True
    target_length: int = DERIVED
    """Bins kept in the middle of `sequence_length`, −1 for all; 6,144 if `crop_bins` says nothing
    else."""
    crop_bins: int = DERIVED
    """Bins cut off at each side: calico's word for the same. One of the two is enough."""
    head_hidden_size: int = 1_920
    hidden_act: str = "gelu_new"
    hidden_dropout: float = 0.1
    """Before the head."""
    intermediate_dropout: float = 0.2
    """In the transformer."""
    batch_norm_eps: float = 1e-3
    layer_norm_eps: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rotary_base <= 1:
            raise self.refusal("rotary_base", f"{self.rotary_base} is not above 1")
        if self.num_hidden_layers and self.num_rel_pos_features % 2:
            raise self.refusal("num_rel_pos_features", "must be even")
        if self.attention_type == "rotary":
            self._check_rotary()

    def _check_crop(self) -> None:
        if self.num_upsamples >= self.num_downsamples:
            raise self.refusal(
                "num_upsamples",
                f"{self.num_upsamples} of them need more than"
                f" {len(self.conv_tower_channels)} conv_tower_channels to take up again",
            )
        if self.crop_bins is None:
            if self.target_length is None:
                self._set("target_length", _Derived(6_144))
            self._set("crop_bins", _Derived(self._cropped()))
        super()._check_crop()
        if self.target_length is None:
            self._set("target_length", _Derived(self.num_bins))
        if self.target_length not in (self.num_bins, -1 if self.crop_bins == 0 else None):
            why = f"{self.crop_bins:,} leave {self.num_bins:,} bins, target_length says"
            why += f" {self.target_length:,}; one of the two is enough"
            raise self.refusal("crop_bins", why)

    def _check_rotary(self) -> None:
        if self.num_attention_heads % self.num_key_value_heads:
            raise self.refusal(
                "num_key_value_heads",
                f"{self.num_key_value_heads} do not divide {self.num_attention_heads} heads",
            )
        if self.attention_head_size != self.attention_value_size:
            raise self.refusal(
                "attention_head_size",
                f"{self.attention_head_size}; rotary attention has keys and values of one size"
                f" ({self.attention_value_size})",
            )
        if self.rotary_size % 2 or self.rotary_size > self.attention_head_size:
            raise self.refusal(
                "rotary_size",
                f"{self.rotary_size} is not even and at most {self.attention_head_size}",
            )

    @property
    def bin_size(self) -> int:
        return int(2 ** (self.num_downsamples - self.num_upsamples))


@dataclass(frozen=True, kw_only=True)
class BPNetConfig(Config):
    """BPNet (Avsec et al. 2021): 1,000 bp to the profile and the counts of each strand and task.

    Numbers: the published BPNet-OSKN, kundajelab/bpnet at commit 0cb7277.
    Raises SeqcovError (a ValueError) for values from which no network can be built.
    """

    MAY_BE_ZERO = frozenset({"num_dilated_layers", "num_control_tracks"})

    sequence_length: int = 1_000
    target_length: int = 1_000
    """Positions of the profile, in the middle of the window; −1 keeps all."""
    n_encoding: str = "uniform"
    tasks: tuple[str, ...] = ("Oct4", "Sox2", "Nanog", "Klf4")
    num_strands: int = 2
    """Profiles of a task: forward, and reverse where there are two."""
    hidden_size: int = 64
    stem_kernel_size: int = 25
    num_dilated_layers: int = 9
    dilated_kernel_size: int = 3
    profile_kernel_size: int = 25
    joint_strands: bool = False
    """Whether a task's strands share one count and one softmax over positions (bpnet-lite), or
    each strand has its own."""
    num_control_tracks: int = 0
    """Measured controls that the heads can read beside the sequence; predicted without them."""
    count_loss_weight: float = 10.0
    hidden_act: str = "relu"

    def __post_init__(self) -> None:
        super().__post_init__()
        lost = self.sequence_length - self.target_length
        if self.target_length != -1 and (lost < 0 or lost % 2):
            raise self.refusal(
                "target_length",
                f"{self.target_length:,} bp do not lie in the middle of {self.sequence_length:,}",
            )
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise self.refusal("tasks", f"{self.tasks!r}: at least one, and no name twice")
        if 2**self.num_dilated_layers > MOST:
            raise self.refusal("num_dilated_layers", f"{self.num_dilated_layers}: at most 30")
        if self.num_strands > 2:
            raise self.refusal("num_strands", f"{self.num_strands}; a base has two strands")

    @property
    def num_labels(self) -> int:
        """Output channels: strands within tasks."""
        return len(self.tasks) * self.num_strands

    @property
    def num_counts(self) -> int:
        """Counts of a task."""
        return 1 if self.joint_strands else self.num_strands

    @property
    def crop_bins(self) -> int:
        """Bases cut off at each side."""
        return 0 if self.target_length == -1 else (self.sequence_length - self.target_length) // 2

    @property
    def geometry(self) -> Geometry:
        kept = self.sequence_length - 2 * self.crop_bins
        return Geometry(self.sequence_length, 1, kept, self.crop_bins)


@dataclass(frozen=True, kw_only=True)
class BPNetLiteConfig(BPNetConfig):
    """BPNet as bpnet-lite trains it: 2,114 bp to 1,000 bp, both strands in one softmax.

    Numbers: bpnet-lite's defaults (`bpnetlite/bpnet.py`); tasks and widths vary from file to file.
    """

    sequence_length: int = 2_114
    n_encoding: str = "zeros"
    tasks: tuple[str, ...] = ("signal",)
    stem_kernel_size: int = 21
    num_dilated_layers: int = 8
    profile_kernel_size: int = 75
    joint_strands: bool = True
    count_loss_weight: float = 1.0


CONFIGS: dict[str, type[Config]] = {
    "basenji2": BasenjiConfig,
    "enformer": EnformerConfig,
    "borzoi": BorzoiConfig,
    "bpnet": BPNetConfig,
    "bpnetlite": BPNetLiteConfig,
}
"""The config class of each architecture, by the name that `config.yaml` uses."""


def architecture_of(config: Config) -> str:
    """The architecture's name of a config's class."""
    return next(name for name, cls in CONFIGS.items() if type(config) is cls)


def read_json(path: Path) -> dict[str, Any]:
    """The object a JSON file holds. Raises SeqcovError for anything else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SeqcovError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise SeqcovError(f"{path}: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise SeqcovError(f"{path}: holds no JSON object")
    return values
