"""The sizes of Borzoi, without its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from seqcov_models.networks.shared.config import AttentionConfig, count_layers
from seqcov_models.networks.shared.fields import (
    COMPUTED,
    Activation,
    AttentionType,
    ComputedInt,
    Count,
    Flag,
    KernelSize,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveCount,
    PositiveInt,
    Probability,
    SmallNumber,
    TargetLength,
    Widths,
)


@dataclass(frozen=True, kw_only=True)
class BorzoiConfig(AttentionConfig):
    """Borzoi (Linder et al. 2025): 524,288 bp to 6,144 bins of 32 bp by default.

    Numbers: calico/borzoi `examples/params.json`; layers: calico/baskerville `blocks.py`. The
    bottleneck convolution before the transformer is the last entry of `conv_tower_channels`.
    Flashzoi (johahi/borzoi-pytorch) is `attention_type` 'rotary' with `attention_head_size` 192
    and `num_key_value_heads` 4.

    Attributes:
        num_hidden_layers: Transformer blocks.
        attention_type: 'relative' (features of the distance, as published) or 'rotary' (Flashzoi).
        num_rel_pos_features: Features of each distance between two positions.
        position_length: Positions of the trunk in the window of the training. The masks of relative
            positions are computed from it for windows of every length (baskerville's
            `seqlen_train`).
        num_key_value_heads: Rotary only: heads of keys and values. Each serves as many consecutive
            heads of queries.
        rotary_size: Rotary only: channels of each head that are rotated; the others are unchanged.
        rotary_base: Rotary only: base of the rotation frequencies.
        num_upsamples: U-net steps, each of which doubles the number of positions.
        upsample_kernel_size: Positions that the convolution of a U-net step reads.
        upsample_conv: Whether a U-net step has a dense layer before it upsamples.
        target_length: Bins kept in the middle of `sequence_length`, −1 for all; 6,144 unless
            `crop_bins` says otherwise.
        crop_bins: Bins cropped at each side, calico's word for the same. One of the two is enough.
        hidden_dropout: Dropout before the head.
        intermediate_dropout: Dropout in the transformer.

    The other fields are those of `Config`, `BinnedConfig` and `AttentionConfig`.

    Raises:
        SeqcovError: If no network can be built from the values; it is a ValueError, too.

    Example:
        >>> BorzoiConfig().geometry.window
        524288
    """

    ARCHITECTURE = "borzoi"

    HEADS: ClassVar = {"human": 7_611, "mouse": 2_608}
    TOWER_CONV = "conv"

    sequence_length: PositiveInt = 524_288
    stem_channels: PositiveInt = 512
    conv_tower_channels: Widths = (608, 736, 896, 1056, 1280, 1536)
    num_hidden_layers: Count = 8
    attention_type: AttentionType = "relative"
    num_rel_pos_features: PositiveInt = 32
    position_length: PositiveInt = 4_096
    num_key_value_heads: PositiveCount = 8
    rotary_size: PositiveInt = 128
    rotary_base: NonNegativeFloat = 20_000.0
    num_upsamples: Count = 2
    upsample_kernel_size: KernelSize = 3
    upsample_conv: Flag = True
    target_length: TargetLength = COMPUTED
    crop_bins: NonNegativeInt = COMPUTED
    head_hidden_size: NonNegativeInt = 1_920
    hidden_act: Activation = "gelu_new"
    hidden_dropout: Probability = 0.1
    intermediate_dropout: Probability = 0.2
    batch_norm_eps: SmallNumber = 1e-3
    layer_norm_eps: SmallNumber = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rotary_base <= 1:
            raise self.field_error("rotary_base", f"{self.rotary_base} is not above 1")
        if self.num_hidden_layers and self.num_rel_pos_features % 2:
            raise self.field_error(
                "num_rel_pos_features", f"{self.num_rel_pos_features} is not an even number"
            )
        if self.attention_type == "rotary":
            self._check_rotary()

    @classmethod
    def fields_from_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return the fields that follow from the shapes of the weights, by name."""
        values, step = super().fields_from_shapes(shapes), "model.trunk.upsamples.0"
        values["num_upsamples"] = count_layers("model.trunk.upsamples.", shapes)
        if values["num_upsamples"]:
            values["upsample_conv"] = f"{step}.dense.weight" in shapes
            values["upsample_kernel_size"] = shapes[f"{step}.separable.depthwise.weight"][-1]
        return values

    @property
    def _context_operations(self) -> int:
        """Those of the transformer and of the U-net steps."""
        total, width, length = super()._context_operations, self.hidden_size, self.num_positions
        for step in range(self.num_upsamples):
            skip = self.conv_tower_channels[-1 - step]
            total += 2 * length * width * (self.upsample_conv * width + 2 * (skip + width))
            length *= 2
        return total

    def _check_crop(self) -> None:
        """Compute `target_length` and `crop_bins`; raise SeqcovError if they contradict."""
        if self.num_upsamples >= self.num_downsamples:
            raise self.field_error(
                "num_upsamples",
                f"{self.num_upsamples} U-net steps need as many conv_tower_channels; there are"
                f" {len(self.conv_tower_channels)}",
            )
        if self.crop_bins is None:
            if self.target_length is None:
                self._set("target_length", ComputedInt(6_144))
            self._set("crop_bins", ComputedInt(self._count_cropped()))
        super()._check_crop()
        if self.target_length is None:
            self._set("target_length", ComputedInt(self.num_bins))
        if self.target_length not in (self.num_bins, -1 if self.crop_bins == 0 else None):
            problem = f"{self.crop_bins:,} leaves {self.num_bins:,} bins, but target_length is"
            problem += f" {self.target_length:,}; give one of the two"
            raise self.field_error("crop_bins", problem)

    def _check_rotary(self) -> None:
        """Raise SeqcovError if the sizes do not fit rotary attention."""
        if self.num_attention_heads % self.num_key_value_heads:
            raise self.field_error(
                "num_key_value_heads",
                f"{self.num_key_value_heads} does not divide {self.num_attention_heads} heads",
            )
        if self.attention_head_size != self.attention_value_size:
            raise self.field_error(
                "attention_head_size",
                f"{self.attention_head_size} is not attention_value_size"
                f" ({self.attention_value_size}), as rotary attention needs",
            )
        if self.rotary_size % 2 or self.rotary_size > self.attention_head_size:
            raise self.field_error(
                "rotary_size",
                f"{self.rotary_size} is not an even number up to {self.attention_head_size}",
            )

    @property
    def bin_size(self) -> int:
        """Bases per output bin."""
        return int(2 ** (self.num_downsamples - self.num_upsamples))
