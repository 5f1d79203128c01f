"""The plan of a BPNet: at which peaks it predicts profiles, in how many jobs."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from seqcov_models.checkpoints.recognise import Checkpoint
from seqcov_models.genome.fasta import Fasta
from seqcov_models.networks.shared.config import ProfileConfig
from seqcov_models.peaks.windows import (
    PeakChunk,
    Windows,
    read_windows,
    split_windows,
    statistic_names,
)
from seqcov_models.run.digests import digest, identify_checkpoints
from seqcov_models.run.model_document import (
    BIGWIG_BYTES,
    ModelDocument,
    count_positions,
    describe_reads,
)
from seqcov_models.tiling import BinIntervals, Geometry
from seqcov_models.tracks.table import Track, assign_file_names


@dataclass(frozen=True)
class PeakFile:
    """A set of peaks in a BED or narrowPeak file.

    Attributes:
        path: The file.
        sha256: Its digest: an edited file is another set of peaks.
    """

    path: Path
    sha256: str


@dataclass(frozen=True)
class TrackPeaks:
    """A set of peaks that are the local maxima of a track that this run predicts.

    Attributes:
        model: Name of the model that predicts the track.
        group: The group of bigWigs that the track belongs to.
        track: The `file_name` of the track.
        bin: Bases per bin of the track.
        threshold: Smallest value of a peak, in the track's unit; None for any.
        number: Maximum number of peaks, the highest first; None for all.
    """

    model: str
    group: str
    track: str
    bin: int
    threshold: float | None
    number: int | None


@dataclass(frozen=True)
class ProfileOptions:
    """Every setting that changes the values that a model of profiles predicts.

    Attributes:
        reverse_complement: Whether the predictions of both strands are averaged.
        precision: "float32", "tf32" or "bfloat16".
        min_acgt: Fraction of a window (0 to 1) that must be A, C, G or T for it to count.
        overlap: The value of a base in several windows: "nearest", "mean" or "max".
        counts: Reads from a predicted log count: "exp" or "expm1".
        strand: "peak" if windows of peaks on the minus strand are read on that strand, or "ignore".
        jobs: Number of prediction jobs.
    """

    reverse_complement: bool
    precision: str
    min_acgt: float
    overlap: str
    counts: str
    strand: str
    jobs: int


@dataclass(frozen=True)
class ProfilePlan(ModelDocument):
    """The plan of a BPNet: the profiles that it predicts at peaks.

    Attributes:
        name: The model's name, as in the config.
        fasta: The genome's sequence.
        folds: The checkpoints whose predictions are averaged.
        options: The settings that change values.
        peaks: Sets of peaks, by name.
        contig_aliases: The FASTA's name of a contig, by the name in files of peaks.
        selected_bases: Bases to give a value by contig, as rows (start, end), 0-based half-open.
        write_windows: Whether the profile of each window is also written to one file.
        negative_minus: Whether the minus strand is written as negative values.
    """

    name: str
    fasta: Fasta
    folds: list[Checkpoint]
    options: ProfileOptions
    peaks: dict[str, PeakFile | TrackPeaks]
    contig_aliases: dict[str, str]
    selected_bases: dict[str, BinIntervals]
    write_windows: bool
    negative_minus: bool

    @property
    def config(self) -> ProfileConfig:
        """The config of the network."""
        config = self.folds[0].config
        assert isinstance(config, ProfileConfig)
        return config

    @property
    def member_count(self) -> int:
        """Number of predictions per window: folds × strands."""
        return len(self.folds) * (1 + self.options.reverse_complement)

    @property
    def tracks(self) -> list[Track]:
        """All tracks of the checkpoint: strands within tasks."""
        return self.folds[0].tracks

    @property
    def geometry(self) -> Geometry:
        """The network's window, core and bins."""
        return self.config.geometry

    @property
    def is_stranded(self) -> bool:
        """Whether the network predicts both strands of a task."""
        return self.config.num_strands == 2

    @property
    def strands(self) -> tuple[str, ...]:
        """The strand of each bigWig of a task; '' is the sum of the strands."""
        return ("plus", "minus", "") if self.is_stranded else ("",)

    @cached_property
    def tasks(self) -> dict[str, tuple[str, int]]:
        """Name of a task and the row of its first strand in the chunks, by its files' name."""
        tasks = self.config.tasks
        return {
            file: (task, number * self.config.num_strands)
            for number, (file, task) in enumerate(
                zip(assign_file_names(enumerate(tasks)), tasks, strict=True)
            )
        }

    @property
    def jobs(self) -> range:
        """The numbers of the prediction jobs."""
        return range(self.options.jobs)

    @property
    def uses_peak_strand(self) -> bool:
        """Whether windows of peaks on the minus strand are read on that strand."""
        return self.options.strand == "peak"

    @property
    def statistics(self) -> list[str]:
        """The names of the statistics of a window."""
        config = self.config
        return statistic_names(config.tasks, config.num_strands, config.joint_strands)

    @property
    def unit(self) -> str:
        """The unit of the values in words."""
        return f"reads per base ({describe_reads(self.config, self.options.counts)})"

    @property
    def units(self) -> dict[str, str]:
        """The entries of the provenance that say the model's units."""
        return {"unit": self.unit}

    @property
    def peak_files(self) -> list[Path]:
        """The files that sets of peaks are read from."""
        return [source.path for source in self.peaks.values() if isinstance(source, PeakFile)]

    @property
    def peak_tracks(self) -> list[TrackPeaks]:
        """The sets of peaks that are taken from predicted tracks."""
        return [source for source in self.peaks.values() if isinstance(source, TrackPeaks)]

    def chunks(self, peaks: Path) -> tuple[Windows, list[PeakChunk]]:
        """Return the windows around combined peaks, and the share of each prediction job.

        peaks: the file that `peaks.read.write_peaks` wrote.
        """
        windows = read_windows(peaks, self.fasta.contigs, self.uses_peak_strand)
        return windows, split_windows(windows, self.fasta.contigs, self.geometry, self.options.jobs)

    def output_bytes(self, peaks: int) -> tuple[int, int]:
        """Return the maximum bytes of the chunks, and the approximate bytes of the bigWigs.

        peaks: number of peaks.
        """
        windows, labels = peaks * self.geometry.core, self.config.num_labels
        bases = min(windows, count_positions(self.selected_bases))
        values = bases * labels + (windows * labels if self.write_windows else 0)
        bigwigs = len(self.tasks) * len(self.strands)
        return 4 * values, int(bases * bigwigs * BIGWIG_BYTES)

    @property
    def card_digest(self) -> str:
        """A text that changes with anything that the model's card depends on.

        It must not change with tracks and their names: a new card makes all predictions run again.
        """
        return digest(identify_checkpoints(self.folds))

    @cached_property
    def peaks_digest(self) -> str:
        """A text that changes with any peak."""
        return digest(
            self.peaks, self.contig_aliases, self.selected_bases, self.geometry.core,
            list(self.fasta.contigs.items()),
        )  # fmt: skip

    @cached_property
    def prediction_digest(self) -> str:
        """A text that changes with any predicted value and with the layout of the chunks."""
        return digest(
            identify_checkpoints(self.folds), self.options, self.peaks_digest, self.fasta.sha256
        )

    @property
    def bigwig_digest(self) -> str:
        """A text that changes with any byte of the bigWigs and of their tables."""
        return digest(self.prediction_digest, self.unit, self.negative_minus)
