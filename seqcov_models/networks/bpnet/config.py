"""The sizes of BPNet, without its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqcov_models.networks.shared.config import ProfileConfig, count_layers
from seqcov_models.networks.shared.fields import (
    MAX_INT,
    Activation,
    Count,
    Flag,
    KernelSize,
    Names,
    NEncoding,
    NonNegativeFloat,
    PositiveInt,
    TargetLength,
)
from seqcov_models.tiling import Geometry


@dataclass(frozen=True, kw_only=True)
class BPNetConfig(ProfileConfig):
    """BPNet (Avsec et al. 2021): 1,000 bp to the profile and the counts of each strand and task.

    Numbers: the published BPNet-OSKN, kundajelab/bpnet at commit 0cb7277.

    Attributes:
        target_length: Bases of the profile, in the middle of the window; −1 keeps all.
        tasks: Names of the outputs: factors or assays.
        num_strands: Profiles per task: 1, or 2 for the plus and the minus strand.
        hidden_size: Width of the hidden layers.
        stem_kernel_size: Bases that the first convolution reads.
        num_dilated_layers: Dilated convolutions, each with twice the dilation of the one before.
        dilated_kernel_size: Positions that each dilated convolution reads.
        profile_kernel_size: Positions that the profile head reads.
        joint_strands: Whether a task's strands share one count and one softmax over positions
            (bpnet-lite), or each strand has its own.
        num_control_tracks: Measured controls that the heads can read besides the sequence.
            Predictions are made without them.
        pre_activation: Whether residuals are added before the activation (ENCODE's and JASPAR's
            networks of ChIP-seq), or after it.
        one_per_track: Whether training added 1 read to every strand and every control track before
            the logarithm of their sum (the same networks), or 1 to the sum. Reads are then
            exp(log counts) − `num_strands`.
        valid_padding: Whether counts are averaged over all positions that see no base beyond the
            window (ChromBPNet), or over those that the profile head reads.
        count_loss_weight: Weight of the counts in the loss.

    The other fields are those of `Config`.

    Raises:
        SeqcovError: If no network can be built from the values; it is a ValueError, too.

    Example:
        >>> BPNetConfig().geometry.window
        1000
    """

    ARCHITECTURE = "bpnet"

    sequence_length: PositiveInt = 1_000
    target_length: TargetLength = 1_000
    n_encoding: NEncoding = "uniform"
    tasks: Names = ("Oct4", "Sox2", "Nanog", "Klf4")
    num_strands: PositiveInt = 2
    hidden_size: PositiveInt = 64
    stem_kernel_size: KernelSize = 25
    num_dilated_layers: Count = 9
    dilated_kernel_size: KernelSize = 3
    profile_kernel_size: KernelSize = 25
    joint_strands: Flag = False
    num_control_tracks: Count = 0
    pre_activation: Flag = False
    one_per_track: Flag = False
    valid_padding: Flag = False
    count_loss_weight: NonNegativeFloat = 10.0
    hidden_act: Activation = "relu"

    def __post_init__(self) -> None:
        super().__post_init__()
        margin = self.sequence_length - self.target_length
        if self.target_length != -1 and (margin < 0 or margin % 2):
            raise self.field_error(
                "target_length",
                f"{self.target_length:,} bp do not lie in the middle of {self.sequence_length:,}",
            )
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise self.field_error(
                "tasks", f"{self.tasks!r}: give at least one name, and none twice"
            )
        if 2**self.num_dilated_layers > MAX_INT:
            raise self.field_error("num_dilated_layers", f"{self.num_dilated_layers} is above 30")
        if self.num_strands > 2:
            raise self.field_error("num_strands", f"{self.num_strands} is not 1 or 2")
        if self.valid_padding and self.reach + self.profile_kernel_size // 2 > self.crop_bins:
            raise self.field_error(
                "sequence_length",
                f"{self.sequence_length:,} bp are too short for a profile of"
                f" {self.geometry.core:,} bp that sees no base beyond the window",
            )

    @classmethod
    def fields_from_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return the fields that follow from the shapes of the weights, by name."""
        width, _, kernel = shapes["model.stem.conv.weight"]
        layers = count_layers("model.trunk.convs.", shapes)
        values = {
            "hidden_size": width,
            "stem_kernel_size": kernel,
            "num_dilated_layers": layers,
            "profile_kernel_size": shapes["profile.weight"][2],
        }
        if layers:
            values["dilated_kernel_size"] = shapes["model.trunk.convs.0.weight"][2]
        return values

    @property
    def added_reads(self) -> int:
        """Reads that training added and every prediction subtracts; 0 if `counts` decides."""
        return self.num_strands if self.one_per_track else 0

    @property
    def operations(self) -> int:
        """Multiplications and additions in one window."""
        inputs = 4 * self.stem_kernel_size + self.num_labels * self.profile_kernel_size
        layers = self.num_dilated_layers * self.dilated_kernel_size * self.hidden_size
        return 2 * self.sequence_length * self.hidden_size * (inputs + layers)

    @property
    def num_counts(self) -> int:
        """Counts per task."""
        return 1 if self.joint_strands else self.num_strands

    @property
    def reach(self) -> int:
        """Bases beyond its own on which a position of the trunk depends, at each side."""
        dilations: int = (2 << self.num_dilated_layers) - 2  # 2 + 4 + 8 + …
        return self.stem_kernel_size // 2 + self.dilated_kernel_size // 2 * dilations

    @property
    def count_margin(self) -> int:
        """Positions at each end of a window over which counts are not averaged.

        All positions remain that the core's profile depends on, or all that see no padding.
        """
        reach = self.profile_kernel_size // 2
        return self.reach if self.valid_padding else max(0, self.crop_bins - reach)

    @property
    def is_window_independent(self) -> bool:
        """Whether all positions that profile and counts read see no base beyond the window."""
        return self.reach + self.profile_kernel_size // 2 <= self.crop_bins

    @property
    def crop_bins(self) -> int:
        """Bases cropped at each side."""
        return 0 if self.target_length == -1 else (self.sequence_length - self.target_length) // 2

    @property
    def geometry(self) -> Geometry:
        """Window in bp, bins of 1 bp, kept bins, and bins cropped at each side."""
        core = self.sequence_length - 2 * self.crop_bins
        return Geometry(self.sequence_length, 1, core, self.crop_bins)


@dataclass(frozen=True, kw_only=True)
class BPNetLiteConfig(BPNetConfig):
    """BPNet as bpnet-lite trains it: 2,114 bp to 1,000 bp, both strands in one softmax.

    Numbers: bpnet-lite's defaults (`bpnetlite/bpnet.py`); tasks and widths vary from file to file.
    The fields are those of `BPNetConfig`.

    Example:
        >>> BPNetLiteConfig().geometry
        Geometry(window=2114, bin=1, bins=1000, crop=557)
    """

    ARCHITECTURE = "bpnetlite"

    sequence_length: PositiveInt = 2_114
    n_encoding: NEncoding = "zeros"
    tasks: Names = ("signal",)
    stem_kernel_size: KernelSize = 21
    num_dilated_layers: Count = 8
    profile_kernel_size: KernelSize = 75
    joint_strands: Flag = True
    count_loss_weight: NonNegativeFloat = 1.0
