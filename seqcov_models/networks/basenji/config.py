"""The sizes of Basenji2, without its weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from seqcov_models.networks.shared.config import BinnedConfig, count_layers
from seqcov_models.networks.shared.fields import (
    MAX_INT,
    Activation,
    Count,
    Flag,
    KernelSize,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Probability,
    SmallNumber,
    ValidatedFields,
    Widths,
)


@dataclass(frozen=True)
class BasenjiBlockConfig(ValidatedFields):
    """Basenji2's dilated blocks: each looks 1.5 times as far as the one before it.

    Attributes:
        num_blocks: Blocks.
        kernel_size: Positions that each dilated convolution reads.
        bottleneck_size: Width of the dilated convolutions.
        dilation: Dilation of the first block, in positions.
        dilation_rate: Factor from one block's dilation to the next one's.
        round_dilation: Whether the factor multiplies the rounded dilation (calico's `round`).
        dropout: Dropout of each block's output.

    Example:
        >>> BasenjiBlockConfig(num_blocks=4).dilations
        (1, 2, 3, 4)
    """

    num_blocks: Count = 11
    kernel_size: KernelSize = 3
    bottleneck_size: PositiveInt = 384
    dilation: PositiveInt = 1
    dilation_rate: NonNegativeFloat = 1.5
    round_dilation: Flag = True
    dropout: Probability = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dilation_rate < 1:
            raise self.field_error("dilation_rate", f"{self.dilation_rate} is below 1")
        if max(self.dilations, default=1) > MAX_INT:
            raise self.field_error(
                "dilation_rate", f"{self.dilation_rate} makes dilations above {MAX_INT:,}"
            )

    @property
    def dilations(self) -> tuple[int, ...]:
        """The dilation of each block: 1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72 by default.

        Halves are rounded to even numbers.
        """
        dilation, dilations = float(self.dilation), []
        for _ in range(self.num_blocks):
            dilations.append(round(dilation))
            dilation = min(dilation * self.dilation_rate, MAX_INT + 1.0)
            dilation = float(round(dilation)) if self.round_dilation else dilation
        return tuple(dilations)


@dataclass(frozen=True, kw_only=True)
class BasenjiConfig(BinnedConfig):
    """Basenji2 (Kelley 2020): 131,072 bp to 896 bins of 128 bp by default.

    Numbers: calico/basenji `manuscripts/cross2020/params_human.json` and `params_mouse.json`.

    Attributes:
        stem_pool_size: Positions that each pooling combines into one, in the stem and (as in the
            card) in each tower stage.
        blocks: The dilated blocks, with their dropout.
        crop_bins: Bins cropped at each side.
        hidden_act: Activation of the hidden layers. Open question: the weights of 2020 were
            trained when calico's code meant 'quick_gelu' by 'gelu'. Since April 2022 the same code
            evaluates them as 'gelu_new'. The default is what current calico code and the model
            card compute, because no published prediction decides it. Files that say it
            (`model_config` of an .h5) take precedence.
        hidden_dropout: Dropout before the head.

    The other fields are those of `Config` and `BinnedConfig`.

    Raises:
        SeqcovError: If no network can be built from the values; it is a ValueError, too.

    Example:
        >>> BasenjiConfig().geometry.window
        131072
    """

    ARCHITECTURE = "basenji2"

    HEADS: ClassVar = {"human": 5_313, "mouse": 1_643}
    STEM_WEIGHT = "model.stem.blocks.0.conv.weight"

    sequence_length: PositiveInt = 131_072
    stem_channels: PositiveInt = 288
    stem_pool_size: PositiveInt = 2
    conv_tower_channels: Widths = (339, 399, 470, 554, 652, 768)
    blocks: BasenjiBlockConfig = field(default_factory=BasenjiBlockConfig)
    crop_bins: NonNegativeInt = 64
    head_hidden_size: NonNegativeInt = 1_536
    hidden_act: Activation = "gelu_new"
    hidden_dropout: Probability = 0.05
    batch_norm_eps: SmallNumber = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head_hidden_size == 0:
            raise self.field_error(
                "head_hidden_size", "0 is not valid: Basenji2 always has this layer"
            )

    @classmethod
    def fields_from_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return the fields that follow from the shapes of the weights, by name."""
        stages = range(count_layers("model.stem.blocks.", shapes))
        stem, *tower = [shapes[f"model.stem.blocks.{stage}.conv.weight"] for stage in stages]
        blocks = {"num_blocks": count_layers("model.trunk.blocks.", shapes)}
        if blocks["num_blocks"]:
            bottleneck, _, kernel = shapes["model.trunk.blocks.0.narrow.conv.weight"]
            blocks |= {"bottleneck_size": bottleneck, "kernel_size": kernel}
        values: dict[str, Any] = {
            "stem_channels": stem[0],
            "stem_kernel_size": stem[2],
            "conv_tower_channels": tuple(width for width, _, _ in tower),
            "blocks": blocks,
            "head_hidden_size": shapes["model.trunk.final.conv.weight"][0],
        }
        return values | ({"conv_tower_kernel_size": tower[0][2]} if tower else {})

    @property
    def _context_operations(self) -> int:
        """Those of the dilated blocks."""
        c, width = self.blocks, self.hidden_size
        per_position = c.num_blocks * (c.kernel_size + 1) * width * c.bottleneck_size
        return 2 * self.num_positions * per_position

    @property
    def _pool_size(self) -> int:
        """Positions that each pooling combines into one."""
        return self.stem_pool_size
