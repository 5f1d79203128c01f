"""Configs: the sizes of a network without its weights (widths, depths, window, bins).

Planning a run needs the geometry but not torch, so no config imports torch. Field names follow the
model cards; defaults are the published networks. `fields` says what each field may hold.
"""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.shared.fields import (
    COMPUTED,
    Activation,
    ComputedInt,
    Count,
    Flag,
    KernelSize,
    NEncoding,
    NonNegativeInt,
    PositiveCount,
    PositiveInt,
    Probability,
    SmallNumber,
    TargetLength,
    Text,
    TrackCount,
    ValidatedFields,
    Widths,
)
from seqcov_models.sequence import N_ENCODINGS
from seqcov_models.tiling import Geometry
from seqcov_models.tracks.table import Track, build_default_tracks, build_strand_tracks


@dataclass(frozen=True, kw_only=True)
class Config(ValidatedFields):
    """What every network's config has: its input, its activations, its geometry.

    Attributes:
        sequence_length: Bases per window.
        vocab_size: Channels of the stem's input. Computed from `n_encoding`: 4, or 5 with
            'multimolecule'. The models' cards say 5 because their weights have the fifth channel.
        n_encoding: How an unknown base is encoded: 'zeros', 'uniform' (0.25 of each letter) or
            'multimolecule' (a fifth channel, as in weights converted by that project).
        hidden_act: Activation of the hidden layers.
        output_act: Activation of the head.
        output_contexts: Whether `forward` returns the contexts if its caller does not say.
    """

    ARCHITECTURE: ClassVar[str]
    """The network's name in `config.yaml` and in the registry."""
    STEM_WEIGHT: ClassVar[str] = "model.stem.conv.weight"
    """The name of the weight that reads the letters: (channels, letters, kernel)."""

    sequence_length: PositiveInt
    vocab_size: PositiveInt = COMPUTED
    n_encoding: NEncoding = "zeros"
    hidden_act: Activation
    output_act: Activation = "softplus"
    output_contexts: Flag = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vocab_size is None:
            self._set("vocab_size", ComputedInt(len(N_ENCODINGS[self.n_encoding])))
        if self.vocab_size != len(N_ENCODINGS[self.n_encoding]):
            raise self.field_error(
                "vocab_size",
                f"{self.vocab_size}, but n_encoding {self.n_encoding!r} has"
                f" {len(N_ENCODINGS[self.n_encoding])} channels",
            )

    @property
    def geometry(self) -> Geometry:
        """Window and bin size in bp, kept bins, and bins cropped at each side.

        Example:
            >>> EnformerConfig().geometry
            Geometry(window=196608, bin=128, bins=896, crop=320)
        """
        raise NotImplementedError

    def check_length(self, length: int) -> None:
        """Raise SeqcovError if a window of `length` bp gives no bin, or a fraction of a bin.

        The same number of bins is cropped from windows of any length.
        """
        if length <= 2 * (context := self.geometry.context):
            raise SeqcovError(
                f"a sequence of {length:,} bp is too short: {context:,} bp are cropped at each side"
            )

    @classmethod
    def fields_from_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return the fields that follow from the shapes of the weights: widths and depths.

        Args:
            shapes: Shapes by the network's names of its weights. Axes of length 1 may be missing
                or added.

        Returns:
            Values of some fields, by name.

        Raises:
            SeqcovError: If a weight is missing.
            ValueError: If a weight has more or fewer axes than expected.
            IndexError: If a weight has fewer axes than expected.
        """
        raise NotImplementedError

    @property
    def num_labels(self) -> int:
        """Tracks of the selected head."""
        raise NotImplementedError

    @property
    def heads(self) -> dict[str, int]:
        """Number of tracks of each head by species, the selected one first; may be empty."""
        return {}

    def default_tracks(self) -> list[Track]:
        """Return the tracks of the selected head for weights without a track table."""
        return build_default_tracks(self.num_labels)

    def with_tracks(self, count: int) -> Self:
        """Return this config with a head of `count` tracks; unchanged if it has no such field."""
        return self

    def with_species(self, species: str) -> tuple[Self, dict[str, str]]:
        """Select the head of `species`; return the config, and which heads change their names.

        Args:
            species: One of `heads`; any name for a network without species.

        Returns:
            The config with the head selected, and for every module that then holds another head,
            the name of that head in this config. The mapping is empty if nothing changes.

        Raises:
            SeqcovError: If the config has no head for `species`.
        """
        if self.heads and species not in self.heads:
            heads = ", ".join(self.heads)
            raise SeqcovError(f"no head for species {species!r}; heads in these weights: {heads}")
        return self, {}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the architecture's name as built-in values, for `config.json`."""
        values = dataclasses.asdict(self)
        builtin = {k: int(v) if isinstance(v, ComputedInt) else v for k, v in values.items()}
        return {"architecture": self.ARCHITECTURE, **builtin}


class ProfileConfig(Config):
    """What networks that predict profiles at peaks share: tasks, each with one or two strands.

    Subclasses have these as fields.
    """

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the outputs: factors or assays."""
        raise NotImplementedError

    @property
    def num_strands(self) -> int:
        """Profiles per task: 2 if each strand has its own, else 1."""
        raise NotImplementedError

    @property
    def joint_strands(self) -> bool:
        """Whether the strands of a task share one count."""
        raise NotImplementedError

    @property
    def added_reads(self) -> int:
        """Reads that training added and every prediction subtracts; 0 if `counts` decides."""
        return 0

    @property
    def is_window_independent(self) -> bool:
        """Whether a base's logits do not depend on where the window around it begins and ends.

        The network can then be computed along a contig once, for all windows; see
        `ProfileModel.predict_positions`.
        """
        return False

    @property
    def operations(self) -> int:
        """Multiplications and additions in one window."""
        raise NotImplementedError

    @property
    def num_labels(self) -> int:
        """Output channels: strands within tasks."""
        return len(self.tasks) * self.num_strands

    def default_tracks(self) -> list[Track]:
        """Return one track per strand of each task, named after the task."""
        return build_strand_tracks(self.tasks, self.num_strands)


@dataclass(frozen=True, kw_only=True)
class BinnedConfig(Config):
    """What Basenji2, Enformer and Borzoi share: a tower of convolutions and poolings.

    Attributes:
        species: The species whose head predicts.
        num_labels: Tracks of the head; by default those of the published head of `species`.
        stem_channels: Width of the first convolution.
        stem_kernel_size: Bases that the first convolution reads.
        conv_tower_channels: Width after each stage of the tower.
        conv_tower_kernel_size: Positions that each convolution of the tower reads.
        head_hidden_size: Width of the pointwise block before the head; 0 builds none.
        hidden_dropout: Dropout; each network says of which layers.
        batch_norm_eps: Added to the variance in each batch norm.
        batch_norm_momentum: Weight of a new batch in the running statistics, in training.
    """

    HEADS: ClassVar[Mapping[str, int]]
    """Number of tracks of the published heads by species, from calico's targets tables."""

    species: Text = "human"
    num_labels: TrackCount = COMPUTED
    stem_channels: PositiveInt
    stem_kernel_size: KernelSize = 15
    conv_tower_channels: Widths
    conv_tower_kernel_size: KernelSize = 5
    head_hidden_size: NonNegativeInt
    hidden_dropout: Probability
    batch_norm_eps: SmallNumber
    batch_norm_momentum: SmallNumber = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_labels is None:
            if self.species not in self.HEADS:
                heads = ", ".join(self.HEADS)
                problem = f"give a number for {self.species!r}; published heads are for {heads}"
                raise self.field_error("num_labels", problem)
            self._set("num_labels", ComputedInt(self.HEADS[self.species]))
        if self.sequence_length % self.pool_factor:
            raise self.field_error(
                "sequence_length",
                f"{self.sequence_length:,} is not a multiple of {self._pool_size} to the power of"
                f" {self.num_pool_layers} (the product of all poolings)",
            )
        self._check_crop()

    @property
    def heads(self) -> dict[str, int]:
        """Number of tracks of the only head, by species."""
        return {self.species: self.num_labels}

    def with_tracks(self, count: int) -> Self:
        """Return this config with a head of `count` tracks."""
        return dataclasses.replace(self, num_labels=count)

    def _check_crop(self) -> None:
        """Raise SeqcovError if the crop leaves no bin."""
        if self.num_bins < 1:
            raise self.field_error(
                "crop_bins",
                f"{self._crop:,} from each side leave nothing of"
                f" {self.sequence_length // self.bin_size:,} bins",
            )

    def check_length(self, length: int) -> None:
        """Raise SeqcovError if a window of `length` bp gives no bin, or a fraction of a bin."""
        super().check_length(length)
        if length % self.pool_factor:
            raise SeqcovError(
                f"a sequence of {length:,} bp is not a multiple of {self.pool_factor} bp (the"
                " product of all poolings)"
            )

    @property
    def _crop(self) -> int:
        """Bins cropped at each side."""
        crop: int = getattr(self, "crop_bins")
        return crop

    @property
    def hidden_size(self) -> int:
        """Width of the trunk: that of the last convolution."""
        return self.conv_tower_channels[-1] if self.conv_tower_channels else self.stem_channels

    @property
    def last_hidden_size(self) -> int:
        """Width of the head's input."""
        return self.head_hidden_size or self.hidden_size

    @property
    def _pool_size(self) -> int:
        """Positions that each pooling combines into one."""
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
        """Bases per position of the trunk."""
        return int(self._pool_size**self.num_pool_layers)

    @property
    def tower_reach(self) -> int:
        """Bases beyond its own on which a position of the trunk depends, at each side."""
        tower = sum(int(self._pool_size**stage) for stage in range(1, self.num_pool_layers))
        return self.stem_kernel_size // 2 + self.conv_tower_kernel_size // 2 * tower

    @property
    def num_positions(self) -> int:
        """Positions of the trunk in a window of `sequence_length`."""
        return self.sequence_length // self.pool_factor

    POINTWISE_LAYERS: ClassVar[float] = 0.0
    """Layers of kernel width 1 after each convolution of the tower, if they read its length."""

    @property
    def stem_operations(self) -> int:
        """Multiplications and additions of the stem in one window."""
        length, width, total = self.sequence_length, self.vocab_size, 0.0
        kernels = [self.stem_kernel_size]
        kernels += [self.conv_tower_kernel_size] * len(self.conv_tower_channels)
        for kernel, out in zip(
            kernels, (self.stem_channels, *self.conv_tower_channels), strict=True
        ):
            total += 2 * length * out * (kernel * width + self.POINTWISE_LAYERS * out)
            length, width = length // self._pool_size, out
        return int(total)

    @property
    def trunk_operations(self) -> int:
        """Multiplications and additions of all layers after the stem in one window.

        Only the layers with most of the work are counted: matrix products and convolutions.
        """
        width, final = self.hidden_size, self.head_hidden_size
        head = width * final + self.last_hidden_size * self.num_labels
        return self._context_operations + 2 * self.num_bins * head

    @property
    def _context_operations(self) -> int:
        """Those of `trunk_operations` before the crop."""
        raise NotImplementedError

    @property
    def bin_size(self) -> int:
        """Bases per output bin."""
        return self.pool_factor

    @property
    def num_bins(self) -> int:
        """Bins kept after the crop."""
        return self.sequence_length // self.bin_size - 2 * self._crop

    @property
    def geometry(self) -> Geometry:
        """Window and bin size in bp, kept bins, and bins cropped at each side."""
        return Geometry(self.sequence_length, self.bin_size, self.num_bins, self._crop)


@dataclass(frozen=True, kw_only=True)
class AttentionConfig(BinnedConfig):
    """What Enformer and Borzoi share beyond the tower: a transformer.

    Attributes:
        num_hidden_layers: Transformer blocks.
        num_attention_heads: Heads per block.
        attention_head_size: Width of the queries and keys of a head.
        attention_value_size: Width of the values of a head.
        num_rel_pos_features: Features of each distance between two positions.
        position_length: Positions of the trunk in the window of the training.
        intermediate_size: Width of the feed-forward layers.
        attention_dropout: Dropout of the attention weights.
        position_dropout: Dropout of the position features.
        layer_norm_eps: Added to the variance in each layer norm.
        target_length: Bins kept in the middle of `sequence_length`; −1 keeps all.
    """

    num_hidden_layers: Count
    num_attention_heads: PositiveCount = 8
    attention_head_size: PositiveInt = 64
    attention_value_size: PositiveInt = 192
    num_rel_pos_features: PositiveInt
    position_length: PositiveInt
    intermediate_size: PositiveInt = 3_072
    attention_dropout: Probability = 0.05
    position_dropout: Probability = 0.01
    layer_norm_eps: SmallNumber
    target_length: TargetLength

    TOWER_CONV: ClassVar[str]
    """The name of the convolution that sets the width within a tower stage."""

    @property
    def _context_operations(self) -> int:
        """Those of the transformer. Rotary attention does a little less than the relative one."""
        width, keys = self.hidden_size, self.num_attention_heads * self.attention_head_size
        values = self.num_attention_heads * self.attention_value_size
        dense = width * (2 * keys + 2 * values + 2 * self.intermediate_size)
        attention = self.num_positions * (2 * keys + values)  # keys by content and by distance
        return 2 * self.num_hidden_layers * self.num_positions * (dense + attention)

    @classmethod
    def fields_from_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return the fields that follow from the shapes of the weights, by name."""
        width, _, kernel = shapes[cls.STEM_WEIGHT]
        stages = range(count_layers("model.stem.tower.", shapes))
        tower = [shapes[f"model.stem.tower.{stage}.{cls.TOWER_CONV}.weight"] for stage in stages]
        values: dict[str, Any] = {
            "stem_channels": width,
            "stem_kernel_size": kernel,
            "conv_tower_channels": tuple(width for width, _, _ in tower),
            "num_hidden_layers": count_layers("model.trunk.blocks.", shapes),
            "head_hidden_size": 0,
        }
        if tower:
            values["conv_tower_kernel_size"] = tower[0][2]
        if any(name.startswith("model.trunk.final.") for name in shapes):
            values["head_hidden_size"] = shapes["model.trunk.final.conv.weight"][0]
        if values["num_hidden_layers"]:
            block = "model.trunk.blocks.0"
            values["intermediate_size"] = shapes[f"{block}.ffn_in.weight"][0]
            if f"{block}.attention.to_qkv.weight" not in shapes:  # relative, not rotary
                bias = shapes[f"{block}.attention.rel_content_bias"]  # (1, heads, 1, key)
                heads, key = bias[1::2] if len(bias) == 4 else bias
                values |= {
                    "num_attention_heads": heads,
                    "attention_head_size": key,
                    "attention_value_size": shapes[f"{block}.attention.to_v.weight"][0] // heads,
                    "num_rel_pos_features": shapes[f"{block}.attention.to_rel_k.weight"][1],
                }
        return values

    def _count_cropped(self) -> int:
        """Return the bins that `target_length` crops at each side."""
        bins = self.sequence_length // self.bin_size
        core = bins if self.target_length == -1 else self.target_length
        if core > bins or (bins - core) % 2:
            problem = f"{core:,} bins do not lie in the middle of {bins:,}"
            raise self.field_error("target_length", problem)
        return (bins - core) // 2


def count_layers(prefix: str, names: Iterable[str]) -> int:
    """Count the numbers from 0 on that follow `prefix` in `names` without a gap: one per layer."""
    suffixes = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    numbers, layers = {re.split("[./]", suffix, maxsplit=1)[0] for suffix in suffixes}, 0
    while str(layers) in numbers:
        layers += 1
    return layers


def read_json(path: Path) -> dict[str, Any]:
    """Read the object that a JSON file holds. Raises SeqcovError for anything else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SeqcovError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise SeqcovError(f"{path}{line}: not JSON; copy or download it again") from None
    if not isinstance(values, dict):
        raise SeqcovError(f"{path}: not a JSON object; copy or download it again")
    return values
