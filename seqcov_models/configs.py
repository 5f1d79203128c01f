"""What is known of a network without its weights: widths, depths, window, bins.

Kept apart from `networks` because planning a run needs the geometry and must not pay for importing
torch. Field names follow the models' cards; defaults are the published networks.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from .errors import SeqcovError
from .sequence import N_ENCODINGS

ACTIVATIONS = ("gelu_new", "quick_gelu", "gelu", "relu", "softplus", "linear")


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


@dataclass(frozen=True)
class Config:
    """What every network's config can do: be checked, be stored, say its geometry."""

    @property
    def geometry(self) -> Geometry:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `config.json` holds them, with the architecture's name."""
        return {"architecture": architecture_of(self), **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """A config from `to_dict`'s values. Raises SeqcovError for an unknown field."""
        fields = {field.name for field in dataclasses.fields(cls)}
        given = {key: value for key, value in values.items() if key != "architecture"}
        if unknown := sorted(set(given) - fields):
            raise SeqcovError(f"{cls.__name__} has no field {', '.join(unknown)}")
        try:
            return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
        except TypeError as error:
            raise SeqcovError(f"{cls.__name__}: {error}") from None


@dataclass(frozen=True)
class BorzoiConfig(Config):
    """Borzoi (Linder et al. 2025): 524,288 bp to 6,144 bins of 32 bp by default.

    Numbers: calico/borzoi `examples/params.json`; layers: calico/baskerville `blocks.py`. The
    bottleneck convolution before the transformer is the last entry of `conv_tower_channels`.
    Raises SeqcovError (a ValueError) for values from which no network can be built.
    """

    sequence_length: int = 524_288
    vocab_size: int = 4
    n_encoding: str = "zeros"
    species: str = "human"
    num_labels: int = 7_611
    stem_channels: int = 512
    stem_kernel_size: int = 15
    conv_tower_channels: tuple[int, ...] = (608, 736, 896, 1056, 1280, 1536)
    conv_tower_kernel_size: int = 5
    num_hidden_layers: int = 8
    num_attention_heads: int = 8
    attention_head_size: int = 64
    attention_value_size: int = 192
    num_rel_pos_features: int = 32
    position_length: int = 4_096
    """Trunk positions of the training window: the masks of the relative positions are made from it,
    also when a shorter or longer window is predicted (baskerville's `seqlen_train`)."""
    intermediate_size: int = 3_072
    num_upsamples: int = 2
    upsample_kernel_size: int = 3
    upsample_conv: bool = True
    crop_bins: int = 5_120
    head_hidden_size: int = 1_920
    """Width of the pointwise block before the head; 0 builds none."""
    hidden_act: str = "gelu_new"
    output_act: str = "softplus"
    hidden_dropout: float = 0.2
    attention_dropout: float = 0.05
    position_dropout: float = 0.01
    head_dropout: float = 0.1
    batch_norm_eps: float = 1e-3
    batch_norm_momentum: float = 0.1
    layer_norm_eps: float = 1e-3

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type in (int, "int") and (not isinstance(value, int) or value < 0):
                raise SeqcovError(f"BorzoiConfig.{field.name}: {value!r} is not a whole number ≥ 0")
        for name in ("hidden_act", "output_act"):
            if getattr(self, name) not in ACTIVATIONS:
                given = f"BorzoiConfig.{name}: {getattr(self, name)!r}"
                raise SeqcovError(f"{given} is none of {', '.join(ACTIVATIONS)}")
        if self.n_encoding not in N_ENCODINGS:
            raise SeqcovError(
                f"BorzoiConfig.n_encoding: {self.n_encoding!r} is none of {', '.join(N_ENCODINGS)}"
            )
        if self.vocab_size != 4:
            raise SeqcovError(f"BorzoiConfig.vocab_size: {self.vocab_size}; four letters are read")
        if self.num_labels < 1:
            raise SeqcovError("BorzoiConfig.num_labels: a head needs at least one track")
        if self.num_upsamples >= self.num_downsamples:
            raise SeqcovError(
                f"BorzoiConfig.num_upsamples: {self.num_upsamples} of them need more than"
                f" {len(self.conv_tower_channels)} conv_tower_channels to take up again"
            )
        if self.sequence_length == 0 or self.sequence_length % self.pool_factor:
            raise SeqcovError(
                f"BorzoiConfig.sequence_length: {self.sequence_length:,} is not a multiple of"
                f" {self.pool_factor} (the product of all poolings)"
            )
        if self.num_bins < 1:
            raise SeqcovError(
                f"BorzoiConfig.crop_bins: {self.crop_bins:,} from each side leave nothing of"
                f" {self.sequence_length // self.bin_size:,} bins"
            )
        for name in ("stem_kernel_size", "conv_tower_kernel_size", "upsample_kernel_size"):
            if getattr(self, name) % 2 == 0:
                raise SeqcovError(f"BorzoiConfig.{name}: {getattr(self, name)} is not odd")
        if self.num_hidden_layers and self.num_rel_pos_features % 2:
            raise SeqcovError("BorzoiConfig.num_rel_pos_features: must be even")

    @property
    def hidden_size(self) -> int:
        """Width of the transformer: that of the last convolution."""
        return self.conv_tower_channels[-1] if self.conv_tower_channels else self.stem_channels

    @property
    def num_downsamples(self) -> int:
        """Poolings by 2: one after the stem, one after each tower stage."""
        return 1 + len(self.conv_tower_channels)

    @property
    def pool_factor(self) -> int:
        """Bases a position of the transformer stands for."""
        return int(2**self.num_downsamples)

    @property
    def bin_size(self) -> int:
        """Bases an output bin stands for."""
        return int(2 ** (self.num_downsamples - self.num_upsamples))

    @property
    def num_bins(self) -> int:
        """Bins kept after the crop."""
        return self.sequence_length // self.bin_size - 2 * self.crop_bins

    @property
    def geometry(self) -> Geometry:
        return Geometry(self.sequence_length, self.bin_size, self.num_bins, self.crop_bins)


CONFIGS: dict[str, type[Config]] = {"borzoi": BorzoiConfig}
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
    except ValueError as error:
        raise SeqcovError(f"{path}: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise SeqcovError(f"{path}: holds no JSON object")
    return values
