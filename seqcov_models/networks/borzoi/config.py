"""Borzoi's sizes, without its weights."""

from dataclasses import dataclass
from typing import ClassVar

from seqcov_models.networks.shared.config import AttentionConfig
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

    Raises:
        SeqcovError: No network can be built from the values; it is a ValueError, too.

    Example:
        >>> BorzoiConfig().geometry.window
        524288
    """

    ARCHITECTURE = "borzoi"

    HEADS: ClassVar = {"human": 7_611, "mouse": 2_608}

    sequence_length: PositiveInt = 524_288
    stem_channels: PositiveInt = 512
    conv_tower_channels: Widths = (608, 736, 896, 1056, 1280, 1536)
    num_hidden_layers: Count = 8
    attention_type: AttentionType = "relative"
    """'relative' (features of the distance, as published) or 'rotary' (Flashzoi)."""
    num_rel_pos_features: PositiveInt = 32
    position_length: PositiveInt = 4_096
    """Trunk positions of the training window: the masks of the relative positions are made from it,
    also when a shorter or longer window is predicted (baskerville's `seqlen_train`)."""
    num_key_value_heads: PositiveCount = 8
    """Rotary only: heads of keys and values, each read by as many consecutive heads of queries."""
    rotary_size: PositiveInt = 128
    """Rotary only: channels of each head that are turned; the rest is left as it is."""
    rotary_base: NonNegativeFloat = 20_000.0
    num_upsamples: Count = 2
    upsample_kernel_size: KernelSize = 3
    upsample_conv: Flag = True
    target_length: TargetLength = COMPUTED
    """Bins kept in the middle of `sequence_length`, −1 for all; 6,144 if `crop_bins` says nothing
    else."""
    crop_bins: NonNegativeInt = COMPUTED
    """Bins cut off at each side: calico's word for the same. One of the two is enough."""
    head_hidden_size: NonNegativeInt = 1_920
    hidden_act: Activation = "gelu_new"
    hidden_dropout: Probability = 0.1
    """Before the head."""
    intermediate_dropout: Probability = 0.2
    """In the transformer."""
    batch_norm_eps: SmallNumber = 1e-3
    layer_norm_eps: SmallNumber = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rotary_base <= 1:
            raise self.field_error("rotary_base", f"{self.rotary_base} is not above 1")
        if self.num_hidden_layers and self.num_rel_pos_features % 2:
            raise self.field_error("num_rel_pos_features", "must be even")
        if self.attention_type == "rotary":
            self._check_rotary()

    def _check_crop(self) -> None:
        if self.num_upsamples >= self.num_downsamples:
            raise self.field_error(
                "num_upsamples",
                f"{self.num_upsamples} of them need more than"
                f" {len(self.conv_tower_channels)} conv_tower_channels to take up again",
            )
        if self.crop_bins is None:
            if self.target_length is None:
                self._set("target_length", ComputedInt(6_144))
            self._set("crop_bins", ComputedInt(self._cropped()))
        super()._check_crop()
        if self.target_length is None:
            self._set("target_length", ComputedInt(self.num_bins))
        if self.target_length not in (self.num_bins, -1 if self.crop_bins == 0 else None):
            why = f"{self.crop_bins:,} leave {self.num_bins:,} bins, target_length says"
            why += f" {self.target_length:,}; one of the two is enough"
            raise self.field_error("crop_bins", why)

    def _check_rotary(self) -> None:
        if self.num_attention_heads % self.num_key_value_heads:
            raise self.field_error(
                "num_key_value_heads",
                f"{self.num_key_value_heads} do not divide {self.num_attention_heads} heads",
            )
        if self.attention_head_size != self.attention_value_size:
            raise self.field_error(
                "attention_head_size",
                f"{self.attention_head_size}; rotary attention has keys and values of one size"
                f" ({self.attention_value_size})",
            )
        if self.rotary_size % 2 or self.rotary_size > self.attention_head_size:
            raise self.field_error(
                "rotary_size",
                f"{self.rotary_size} is not even and at most {self.attention_head_size}",
            )

    @property
    def bin_size(self) -> int:
        return int(2 ** (self.num_downsamples - self.num_upsamples))
