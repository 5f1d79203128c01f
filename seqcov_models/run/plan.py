"""The plan of a run: what each model predicts, in which chunks, into which files.

The plan is a document. `run.planner` makes it when the Snakefile is parsed. Jobs load it and read
nothing else about the run. Every model has a document of its own (`Paths.plan`).

What decides which jobs run again: each kind of job has a digest of everything that its results
depend on. Snakemake runs a job again if its digest changes, not if the document is newer.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from seqcov_models.checkpoints.recognise import Checkpoint
from seqcov_models.genome.fasta import Fasta
from seqcov_models.genome.regions import Interval
from seqcov_models.networks.shared.config import ProfileConfig
from seqcov_models.peaks.windows import (
    PeakChunk,
    Windows,
    read_windows,
    split_windows,
    statistic_names,
)
from seqcov_models.run.chunk_files import DTYPES
from seqcov_models.run.document import is_saved, pack, read_document, write_document
from seqcov_models.run.paths import Paths
from seqcov_models.tiling import BinIntervals, Geometry, Segment, Tiling
from seqcov_models.tracks.table import Track, assign_file_names
from seqcov_models.tracks.units import Untransform, describe_unit

RESULTS_VERSION = 1
"""Part of every digest, so that raising it voids all finished results.

Raise it by 1 in a change after which the same config predicts other numbers, or after which a file
that other jobs read (a chunk, a table) is laid out differently. A new version of the package alone
is not a reason: a genome takes days of GPU time.
"""

BIGWIG_BYTES = 5.1
"""Bytes per value in a bigWig, measured on coverage-like values."""

MASK = "mask"
"""The group of one bigWig: the fraction of each bin's input window that is unknown."""
MASK_TRACK = Track(
    row=-1,
    index=-1,
    identifier="unknown",
    description="Fraction of the input window that is N or past the contig end",
    file_name="unknown",
)


@dataclass(frozen=True)
class CoverageOptions:
    """Every setting that changes the values that a model of coverage predicts.

    Attributes:
        reverse_complement: Whether the predictions of both strands are averaged.
        shifts: Shifts of the window in bp, to the right, whose predictions are averaged.
        scale: "model" for the network's own output, "raw" for the statistic of coverage that the
            track table names.
        transform: The transform that "raw" undoes: "old", "new" or "scale".
        standard_deviation: Whether the standard deviation over all members is written, too.
        precision: "float32", "tf32" or "bfloat16".
        chunk_dtype: "float32" or "float16", of the temporary files.
        min_acgt: Fraction of a window (0 to 1) that must be A, C, G or T for it to count.
    """

    reverse_complement: bool
    shifts: tuple[int, ...]
    scale: str
    transform: str
    standard_deviation: bool
    precision: str
    chunk_dtype: str
    min_acgt: float


class _ModelDocument:
    """The writing and reading that the documents of both kinds of models share."""

    name: str
    folds: list[Checkpoint]

    def packed(self) -> dict[str, Any]:
        """Return the content of the document, in which folds with equal track tables share one."""
        values: dict[str, Any] = pack(self)
        column = values["folds"]["columns"].index("tracks")
        for fold, packed in zip(self.folds[1:], values["folds"]["rows"][1:], strict=True):
            if fold.tracks == self.folds[0].tracks:
                packed[column] = []
        return values

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the document of a model of this kind.

        Raises:
            SeqcovError: If it is missing, damaged or from another version.
        """
        plan: Self = _share_tracks(read_document(Path(path), cls))
        return plan


@dataclass(frozen=True)
class ModelPlan(_ModelDocument):
    """The plan of a model of coverage: what it predicts along the genome.

    Attributes:
        name: The model's name, as in the config.
        fasta: The genome's sequence.
        folds: The checkpoints whose predictions are averaged.
        options: The settings that change values.
        table_rows: The selected tracks, as rows of the checkpoints' track table, ascending.
        tiling: How windows lie along a contig.
        selected_bins: Bins to give a value by contig, as rows (start, end), 0-based half-open.
        chunks: The segments of each prediction job by the chunk's name, in the order of the genome.
        groups: The rows of the chunks that each job writes as bigWigs, by the group's name.
    """

    name: str
    fasta: Fasta
    folds: list[Checkpoint]
    options: CoverageOptions
    table_rows: list[int]
    tiling: Tiling
    selected_bins: dict[str, BinIntervals]
    chunks: dict[str, list[Segment]]
    groups: dict[str, list[int]]

    @property
    def geometry(self) -> Geometry:
        return self.tiling.geometry

    @property
    def checkpoint_tracks(self) -> list[Track]:
        """All tracks of the checkpoint."""
        return self.folds[0].tracks

    @cached_property
    def tracks(self) -> list[Track]:
        """The selected tracks, in the table's order."""
        track_by_row = {track.row: track for track in self.checkpoint_tracks}
        return [track_by_row[row] for row in self.table_rows]

    @property
    def window_count(self) -> int:
        """Number of windows to predict."""
        return sum(segment.windows for chunk in self.chunks.values() for segment in chunk)

    @property
    def bin_count(self) -> int:
        """Maximum number of bins that get a value; gaps of the sequence are found later."""
        return _count_positions(self.selected_bins)

    @property
    def output_bytes(self) -> tuple[int, int]:
        """Bytes of the chunks, and the approximate bytes of the bigWigs."""
        columns = sum(segment.bins for chunk in self.chunks.values() for segment in chunk)
        width = DTYPES[self.options.chunk_dtype].itemsize
        rows = sum(map(len, self.groups.values()))
        return columns * rows * width, int(self.bin_count * rows * BIGWIG_BYTES)

    def members(self, group: str) -> list[tuple[int, Track]]:
        """Return (row in the chunks, track) for every bigWig of a group.

        A standard deviation is a track of its own. Its row follows those of all tracks.
        """
        return [(row, self._chunk_track(row)) for row in self.groups[group]]

    def _chunk_track(self, row: int) -> Track:
        if row < 0:
            return MASK_TRACK
        track = self.tracks[row % len(self.tracks)]
        if row < len(self.tracks):
            return track
        description = f"{track.description} (standard deviation)".strip()
        return replace(track, description=description, file_name=f"{track.file_name}.sd")

    @property
    def untransform(self) -> Untransform | None:
        """The inverse of the training's transform; None if values stay on the model's scale.

        Raises:
            SeqcovError: If the track table lacks a column that the inverse needs.
        """
        if self.options.scale != "raw":
            return None
        return Untransform(self.tracks, self.options.transform)

    def unit(self, track: Track) -> str:
        """Return the unit of a track's values in words."""
        if track.row < 0:
            return "fraction of the input window"
        options = self.options
        return describe_unit(track, self.geometry.bin, options.scale, options.transform)

    @property
    def units(self) -> dict[str, str]:
        """The entries of the model's card that say its units."""
        return {"scale": self.options.scale, "transform": self.options.transform}

    @property
    def card_digest(self) -> str:
        """A text that changes with anything that the model's card depends on."""
        return _digest(_identity(self.folds), self.table_rows, self.units)

    @cached_property
    def prediction_digest(self) -> str:
        """A text that changes with any predicted value and with the layout of the chunks."""
        pairs = [track.pair for track in self.tracks] if self.options.reverse_complement else []
        columns = [track.columns for track in self.tracks] if self.options.scale == "raw" else []
        return _digest(
            _identity(self.folds), self.options, self.table_rows, pairs, columns, self.tiling,
            self.selected_bins, self.chunks, list(self.fasta.contigs.items()),
        )  # fmt: skip

    def bigwig_digest(self, group: str) -> str:
        """Return a text that changes with any byte of a group's bigWigs and of their table."""
        labels = [
            (
                row,
                track.index,
                track.identifier,
                track.description,
                track.file_name,
                self.unit(track),
            )
            for row, track in self.members(group)
        ]
        return _digest(self.prediction_digest, labels)


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
class ProfilePlan(_ModelDocument):
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
    def tracks(self) -> list[Track]:
        """All tracks of the checkpoint: strands within tasks."""
        return self.folds[0].tracks

    @property
    def geometry(self) -> Geometry:
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
        return f"reads per base ({self.options.counts} of the predicted log counts)"

    @property
    def units(self) -> dict[str, str]:
        """The entries of the model's card that say its units."""
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
        bases = min(windows, _count_positions(self.selected_bases))
        values = bases * labels + (windows * labels if self.write_windows else 0)
        bigwigs = len(self.tasks) * len(self.strands)
        return 4 * values, int(bases * bigwigs * BIGWIG_BYTES)

    @property
    def card_digest(self) -> str:
        """A text that changes with anything that the model's card depends on."""
        return _digest(_identity(self.folds), self.units)

    @cached_property
    def peaks_digest(self) -> str:
        """A text that changes with any peak."""
        return _digest(
            self.peaks, self.contig_aliases, self.selected_bases, self.geometry.core,
            list(self.fasta.contigs.items()),
        )  # fmt: skip

    @cached_property
    def prediction_digest(self) -> str:
        """A text that changes with any predicted value and with the layout of the chunks."""
        return _digest(_identity(self.folds), self.options, self.peaks_digest)

    @property
    def bigwig_digest(self) -> str:
        """A text that changes with any byte of the bigWigs and of their tables."""
        return _digest(self.prediction_digest, self.unit, self.negative_minus)


@dataclass(frozen=True)
class SharedPlan:
    """The document of what all models share.

    Attributes:
        config: The config with all defaults.
        fasta: The genome's sequence.
        view: The interval that browsers show first (contig, start, end), 0-based half-open.
        models: Names of the models of coverage.
        profiles: Names of the BPNets.
    """

    config: dict[str, Any]
    fasta: Fasta
    view: Interval
    models: list[str]
    profiles: list[str]

    @classmethod
    def load(cls, path: str | Path) -> "SharedPlan":
        """Read the document. Raises SeqcovError if it is missing or damaged."""
        plan: SharedPlan = read_document(Path(path), SharedPlan)
        return plan


@dataclass(frozen=True)
class RunPlan:
    """All plans of a run.

    Attributes:
        config: The config with all defaults.
        fasta: The genome's sequence.
        view: The interval that browsers show first (contig, start, end), 0-based half-open.
        models: The plans of the models of coverage, by name.
        profiles: The plans of the BPNets, by name.
    """

    config: Mapping[str, Any]
    fasta: Fasta
    view: Interval
    models: dict[str, ModelPlan]
    profiles: dict[str, ProfilePlan]

    @property
    def paths(self) -> Paths:
        """The names of the run's results."""
        return Paths.from_config(self.config)

    @property
    def genome(self) -> Mapping[str, Any]:
        """The section `genome` of the config."""
        genome: Mapping[str, Any] = self.config["genome"]
        return genome

    @property
    def browser_digest(self) -> str:
        """A text that changes with anything that browsers show besides the tracks."""
        name, assembly = self.genome["name"], self.genome["assembly"]
        return _digest(name, assembly, self.view, list(self.fasta.contigs.items()))

    @property
    def provenance_digest(self) -> str:
        """A text that changes with the config, which the provenance repeats."""
        return _digest(self.config)

    def save(self, paths: Paths) -> None:
        """Write the documents of the run and of its models if their content has changed."""
        for path, values in self._documents(paths).items():
            write_document(path, values)

    def is_finished(self, paths: Paths) -> bool:
        """Return whether an earlier run with the same plan has written its results.

        A document is written only if its content changes, and a run ends with the provenance. So a
        run is finished if its documents equal this plan and are older than the provenance.
        """
        if not paths.provenance.is_file():
            return False
        end = paths.provenance.stat().st_mtime
        return all(
            is_saved(path, values) and path.stat().st_mtime <= end
            for path, values in self._documents(paths).items()
        )

    def _documents(self, paths: Paths) -> dict[Path, dict[str, Any]]:
        """Return the packed content of every document, by its path."""
        shared = SharedPlan(
            dict(self.config), self.fasta, self.view, [*self.models], [*self.profiles]
        )
        plans = (*self.models.values(), *self.profiles.values())
        return {paths.run_plan: pack(shared)} | {
            paths.plan(plan.name): plan.packed() for plan in plans
        }

    @classmethod
    def load(cls, paths: Paths) -> Self:
        """Read the documents of a run. Raises SeqcovError if one is missing or damaged."""
        shared = SharedPlan.load(paths.run_plan)
        return cls(
            shared.config,
            shared.fasta,
            shared.view,
            {name: ModelPlan.load(paths.plan(name)) for name in shared.models},
            {name: ProfilePlan.load(paths.plan(name)) for name in shared.profiles},
        )

    def leftovers(self, paths: Paths) -> tuple[list[Path], list[Path]]:
        """Return the chunks and the results of earlier runs that no job of this run writes."""
        models = [*self.models, *self.profiles]
        chunks = paths.existing_chunks(models) - self._chunks(paths)
        results = paths.existing_results(models) - self._results(paths)
        return sorted(chunks), sorted(results)

    def _chunks(self, paths: Paths) -> set[Path]:
        """Return the temporary files of prediction that this run's jobs write."""
        files = {paths.chunk(m.name, chunk) for m in self.models.values() for chunk in m.chunks}
        for plan in self.profiles.values():
            names = [paths.chunk, paths.chunk_statistics]
            names += [paths.chunk_windows] if plan.write_windows else []
            files |= {name(plan.name, job) for name in names for job in plan.jobs}
        return files

    def _results(self, paths: Paths) -> set[Path]:
        """Return the folders and bigWigs that this run writes, as `Paths.existing_results` does."""
        results = {paths.model(name) for name in (*self.models, *self.profiles)}
        results |= {paths.tracks(m.name, group) for m in self.models.values() for group in m.groups}
        return results | {
            paths.profile_bigwig(plan.name, task, strand)
            for plan in self.profiles.values()
            for task in plan.tasks
            for strand in plan.strands
        }


def _identity(folds: Sequence[Checkpoint]) -> list[Any]:
    """Return facts that differ between networks and are known before weights are read."""
    return [[fold.format, fold.config, fold.files, fold.renamed_heads] for fold in folds]


def _count_positions(intervals: Mapping[str, BinIntervals]) -> int:
    """Return the number of positions in all intervals."""
    return sum(int((rows[:, 1] - rows[:, 0]).sum()) for rows in intervals.values())


def _digest(*facts: Any) -> str:
    """Return 16 digits that change with `facts` and with `RESULTS_VERSION`."""
    text = json.dumps([RESULTS_VERSION, pack(facts)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_plan(path: str | Path) -> ModelPlan | ProfilePlan:
    """Read a model's document, of either kind. Raises SeqcovError if it is missing or damaged."""
    plan: ModelPlan | ProfilePlan = _share_tracks(
        read_document(Path(path), ModelPlan | ProfilePlan)
    )
    return plan


def _share_tracks(plan: Any) -> Any:
    """Return `plan` with the first fold's tracks in the folds whose tracks were not repeated."""
    first = plan.folds[0].tracks
    folds = [fold if fold.tracks else replace(fold, tracks=first) for fold in plan.folds]
    return replace(plan, folds=folds)
