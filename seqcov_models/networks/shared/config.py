"""What is known of a network without its weights: widths, depths, window, bins.

Kept apart from `networks` because planning a run needs the geometry and must not pay for importing
torch. Field names follow the models' cards; defaults are the published networks.
"""

import dataclasses
import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, get_args, get_origin

import numpy as np

from seqcov_models.errors import SeqcovError
from seqcov_models.sequence import N_ENCODINGS
from seqcov_models.tiling import Geometry

ACTIVATIONS = ("gelu_new", "quick_gelu", "gelu", "relu", "softplus", "linear")
ATTENTIONS = ("relative", "rotary")

MOST = 2**31 - 1
"""The largest whole number of any field: products of two are still numbers that torch can count."""
MOST_TRACKS = 100_000
"""Tracks of all heads together; the largest published network has 7,611."""
MOST_LAYERS = 1_000
DERIVED: Any = None
"""The default of a field that follows from the others where it is not given."""


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

    ARCHITECTURE: ClassVar[str]
    """The network's name in `config.yaml` and in the registry."""

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
        return {"architecture": self.ARCHITECTURE, **plain}


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
