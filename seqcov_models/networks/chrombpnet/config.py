"""The sizes of ChromBPNet, without its weights."""

from dataclasses import dataclass, replace

from seqcov_models.networks.bpnet.config import BPNetLiteConfig
from seqcov_models.networks.shared.fields import (
    Count,
    Flag,
    Names,
    NonNegativeInt,
    PositiveInt,
)


@dataclass(frozen=True, kw_only=True)
class ChromBPNetConfig(BPNetLiteConfig):
    """ChromBPNet: 2,114 bp to the profile and the count of 1,000 bp, not stranded.

    Numbers: kundajelab/chrombpnet, `chrombpnet/training/models`. The defaults are the published
    network of accessibility and bias. The bias model alone has `hidden_size` 128,
    `num_dilated_layers` 4 and `bias_hidden_size` 0.

    Attributes:
        bias_hidden_size: Width of the hidden layers of the bias network; 0 builds none.
        bias_num_dilated_layers: Dilated convolutions of the bias network.

    The other fields are those of `BPNetConfig`; widths and depths are of the network of
    accessibility.

    Example:
        >>> ChromBPNetConfig(bias_hidden_size=0).geometry
        Geometry(window=2114, bin=1, bins=1000, crop=557)
    """

    ARCHITECTURE = "chrombpnet"

    tasks: Names = ("chrombpnet",)
    num_strands: PositiveInt = 1
    hidden_size: PositiveInt = 512
    valid_padding: Flag = True
    bias_hidden_size: NonNegativeInt = 128
    bias_num_dilated_layers: Count = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_control_tracks:
            raise self.field_error("num_control_tracks", "ChromBPNet reads no control tracks")
        if self.bias_hidden_size:
            self.bias_config  # noqa: B018, checks the sizes

    @property
    def bias_config(self) -> "ChromBPNetConfig":
        """The config of the bias network alone."""
        return replace(
            self,
            hidden_size=self.bias_hidden_size,
            num_dilated_layers=self.bias_num_dilated_layers,
            bias_hidden_size=0,
        )

    @property
    def is_window_independent(self) -> bool:
        """Whether no position that heads of either network read sees a base beyond the window."""
        bias = not self.bias_hidden_size or self.bias_config.is_window_independent
        return super().is_window_independent and bias

    @property
    def operations(self) -> int:
        """Multiplications and additions of both networks in one window."""
        return super().operations + (self.bias_config.operations if self.bias_hidden_size else 0)
