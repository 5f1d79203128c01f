"""The sizes of Cherimoya, without its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqcov_models.networks.bpnet.config import BPNetLiteConfig
from seqcov_models.networks.shared.config import count_layers
from seqcov_models.networks.shared.fields import (
    Activation,
    Count,
    NonNegativeFloat,
    PositiveInt,
    SmallNumber,
)


@dataclass(frozen=True, kw_only=True)
class CherimoyaConfig(BPNetLiteConfig):
    """Cherimoya: 2,114 bp to the profiles and the count of 1,000 bp.

    Numbers: cherimoya 0.3.1, `cherimoya/cherimoya.py`, as in the models of CATv1.

    Attributes:
        num_dilated_layers: Blocks; the dilation of the first is 1, and each doubles it.
        expansion: Width inside a block, as a multiple of `hidden_size`.
        residual_scale: Factor of a block's output before it is added.
        layer_norm_eps: Added to the variance over the window in each block.

    The other fields are those of `BPNetConfig`. `valid_padding`, `pre_activation` and
    `one_per_track` have no effect.

    Example:
        >>> CherimoyaConfig().geometry
        Geometry(window=2114, bin=1, bins=1000, crop=557)
    """

    ARCHITECTURE = "cherimoya"

    num_strands: PositiveInt = 1
    hidden_size: PositiveInt = 128
    num_dilated_layers: Count = 9
    hidden_act: Activation = "gelu_new"
    expansion: PositiveInt = 2
    residual_scale: NonNegativeFloat = 0.15
    layer_norm_eps: SmallNumber = 1e-3

    @classmethod
    def fields_from_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return the fields that follow from the shapes of the weights, by name."""
        width, _, kernel = shapes["model.stem.conv.weight"]
        return {
            "hidden_size": width,
            "stem_kernel_size": kernel,
            "num_dilated_layers": count_layers("model.trunk.blocks.", shapes),
            "profile_kernel_size": shapes["profile.weight"][2],
        }

    @property
    def is_window_independent(self) -> bool:
        """Always False: blocks normalise over the window, so each base depends on all of it."""
        return False

    @property
    def operations(self) -> int:
        """Multiplications and additions in one window."""
        inputs = 4 * self.stem_kernel_size + self.num_labels * self.profile_kernel_size
        block = self.dilated_kernel_size + 2 * self.expansion * self.hidden_size
        layers = self.num_dilated_layers * block
        return 2 * self.sequence_length * self.hidden_size * (inputs + layers)
