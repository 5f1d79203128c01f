"""The plan of a run: what each model predicts, in which chunks, into which files.

It is a document. `run.planner` makes it when the Snakefile is parsed; jobs load it and read nothing
else about the run. Every model has its own (`Paths.plan`), with all that its jobs need. A digest
per kind of job says what its results depend on: Snakemake runs a job again when its digest changes,
never because the document was written again.
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
"""The group whose bigWig holds the fraction of each bin's window that was unknown."""
MASK_TRACK = Track(
    -1, -1, "unknown", "Share of the window that is N or beyond the contig", "unknown"
)


@dataclass(frozen=True)
class CoverageOptions:
    """Everything in the config that changes the values that a model of coverage predicts."""

    reverse_complement: bool
    shifts: tuple[int, ...]
    scale: str
    transform: str
    standard_deviation: bool
    precision: str
    chunk_dtype: str
    min_acgt: float


class _ModelDocument:
    """What the documents of both kinds of models share: how they are written and read."""

    name: str
    folds: list[Checkpoint]

    def packed(self) -> dict[str, Any]:
        """Return the content of the document. Folds share a track table, which it holds once."""
        values: dict[str, Any] = pack(self)
        column = values["folds"]["columns"].index("tracks")
        for fold, packed in zip(self.folds[1:], values["folds"]["rows"][1:], strict=True):
            if fold.tracks == self.folds[0].tracks:
                packed[column] = []
        return values

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the document. Raises SeqcovError if it is missing or damaged."""
        plan: Self = _share_tracks(read_document(Path(path), cls))
        return plan


@dataclass(frozen=True)
class ModelPlan(_ModelDocument):
    """What a model of coverage predicts along the genome."""

    name: str
    fasta: Fasta
    folds: list[Checkpoint]
    options: CoverageOptions
    rows: list[int]
    """The chosen tracks, as rows of the checkpoints' track table."""
    tiling: Tiling
    wanted: dict[str, BinIntervals]
    """Bins to give a value, by contig."""
    chunks: dict[str, list[Segment]]
    """What each prediction job predicts, in order."""
    groups: dict[str, list[int]]
    """What each job that writes bigWigs writes: rows of the chunks."""

    @property
    def geometry(self) -> Geometry:
        return self.tiling.geometry

    @property
    def head(self) -> list[Track]:
        """All tracks of the checkpoint."""
        return self.folds[0].tracks

    @cached_property
    def tracks(self) -> list[Track]:
        """The chosen tracks, in the table's order."""
        by_row = {track.row: track for track in self.head}
        return [by_row[row] for row in self.rows]

    @property
    def windows(self) -> int:
        """Number of windows to predict."""
        return sum(segment.windows for chunk in self.chunks.values() for segment in chunk)

    @property
    def bins(self) -> int:
        """Number of bins that get a value at most; gaps of the sequence are found later."""
        return sum(int((bins[:, 1] - bins[:, 0]).sum()) for bins in self.wanted.values())

    @property
    def output_bytes(self) -> tuple[int, int]:
        """Bytes of the chunks, and about how many of the bigWigs."""
        columns = sum(segment.bins for chunk in self.chunks.values() for segment in chunk)
        width = DTYPES[self.options.chunk_dtype].itemsize
        rows = sum(map(len, self.groups.values()))
        return columns * rows * width, int(self.bins * rows * BIGWIG_BYTES)

    def members(self, group: str) -> list[tuple[int, Track]]:
        """Return the tracks of a group, each with its row in the chunks.

        Standard deviations, whose rows follow those of all tracks, are tracks, too.
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
        """What takes the network's output back to coverage; None on the model's own scale."""
        if self.options.scale != "raw":
            return None
        return Untransform(self.tracks, self.options.transform)

    def unit(self, track: Track) -> str:
        """Return what a track's values are, in words."""
        if track.row < 0:
            return "share of the window"
        options = self.options
        return describe_unit(track, self.geometry.bin, options.scale, options.transform)

    @property
    def units(self) -> dict[str, str]:
        """What the model's card says of its units."""
        return {"scale": self.options.scale, "transform": self.options.transform}

    @property
    def card_digest(self) -> str:
        """Changes with what the check of the checkpoints finds."""
        return _digest(_identity(self.folds), self.rows, self.units)

    @cached_property
    def prediction_digest(self) -> str:
        """Changes with any predicted value, and with what a chunk holds."""
        pairs = [track.pair for track in self.tracks] if self.options.reverse_complement else []
        columns = [track.columns for track in self.tracks] if self.options.scale == "raw" else []
        return _digest(
            _identity(self.folds), self.options, self.rows, pairs, columns, self.tiling,
            self.wanted, self.chunks, list(self.fasta.contigs.items()),
        )  # fmt: skip

    def bigwig_digest(self, group: str) -> str:
        """Changes with any byte of a group's bigWigs, and of their table."""
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
    """Peaks that the user has in a file."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class TrackPeaks:
    """Peaks that are the local maxima of a track that this run predicts."""

    model: str
    group: str
    track: str
    """The `file_name` of the track."""
    bin: int
    threshold: float | None
    number: int | None


@dataclass(frozen=True)
class ProfileOptions:
    """Everything in the config that changes the values that a model of profiles predicts."""

    reverse_complement: bool
    precision: str
    min_acgt: float
    overlap: str
    counts: str
    strand: str
    jobs: int


@dataclass(frozen=True)
class ProfilePlan(_ModelDocument):
    """What a BPNet predicts: profiles at peaks."""

    name: str
    fasta: Fasta
    folds: list[Checkpoint]
    options: ProfileOptions
    peaks: dict[str, PeakFile | TrackPeaks]
    """Sets of peaks, by name."""
    contig_aliases: dict[str, str]
    wanted: dict[str, BinIntervals]
    """Bases to give a value, by contig."""
    windows: bool
    """Whether the profile of each window is written by itself, too."""
    negative_minus: bool
    """Whether the minus strand is written below zero."""

    @property
    def config(self) -> ProfileConfig:
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
        """The bigWigs of a task, by strand; '' is the sum of the strands."""
        return ("plus", "minus", "") if self.is_stranded else ("",)

    @cached_property
    def tasks(self) -> dict[str, tuple[str, int]]:
        """By the name of its files: a task, and the row of its first strand in the chunks."""
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
    def by_strand(self) -> bool:
        """Whether windows of peaks on the minus strand are read on that strand."""
        return self.options.strand == "peak"

    @property
    def statistics(self) -> list[str]:
        """The columns of the statistics of a window."""
        config = self.config
        return statistic_names(config.tasks, config.num_strands, config.joint_strands)

    @property
    def unit(self) -> str:
        """What the values are, in words."""
        return f"reads a base ({self.options.counts} of the predicted counts)"

    @property
    def units(self) -> dict[str, str]:
        """What the model's card says of its units."""
        return {"unit": self.unit}

    @property
    def peak_files(self) -> list[Path]:
        return [source.path for source in self.peaks.values() if isinstance(source, PeakFile)]

    @property
    def peak_tracks(self) -> list[TrackPeaks]:
        return [source for source in self.peaks.values() if isinstance(source, TrackPeaks)]

    def chunks(self, peaks: Path) -> tuple[Windows, list[PeakChunk]]:
        """Return the windows of a file of combined peaks, and what each job predicts of them."""
        windows = read_windows(peaks, self.fasta.contigs, self.by_strand)
        return windows, split_windows(windows, self.fasta.contigs, self.geometry, self.options.jobs)

    def output_bytes(self, peaks: int) -> tuple[int, int]:
        """Return the bytes of the chunks of `peaks` peaks at most, and about those of bigWigs."""
        wanted = sum(int((bins[:, 1] - bins[:, 0]).sum()) for bins in self.wanted.values())
        windows, labels = peaks * self.geometry.core, self.config.num_labels
        bases = min(windows, wanted)
        values = bases * labels + (windows * labels if self.windows else 0)
        bigwigs = len(self.tasks) * len(self.strands)
        return 4 * values, int(bases * bigwigs * BIGWIG_BYTES)

    @property
    def card_digest(self) -> str:
        """Changes with what the check of the checkpoints finds."""
        return _digest(_identity(self.folds), self.units)

    @cached_property
    def peaks_digest(self) -> str:
        """Changes with any peak."""
        return _digest(
            self.peaks, self.contig_aliases, self.wanted, self.geometry.core,
            list(self.fasta.contigs.items()),
        )  # fmt: skip

    @cached_property
    def prediction_digest(self) -> str:
        """Changes with any predicted value, and with what a chunk holds."""
        return _digest(_identity(self.folds), self.options, self.peaks_digest)

    @property
    def bigwig_digest(self) -> str:
        """Changes with any byte of the bigWigs, and of their tables."""
        return _digest(self.prediction_digest, self.unit, self.negative_minus)


@dataclass(frozen=True)
class SharedPlan:
    """The document of what all models share.

    Attributes:
        config: the config with all defaults.
        fasta: the genome's sequence.
        view: the interval that browsers show first (contig, start, end), 0-based half-open.
        models: names of the models of coverage.
        profiles: names of the BPNets.
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
        config: the config with all defaults.
        fasta: the genome's sequence.
        view: the interval that browsers show first (contig, start, end), 0-based half-open.
        models: the plans of the models of coverage, by name.
        profiles: the plans of the BPNets, by name.
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
        """What the config says of the genome."""
        genome: Mapping[str, Any] = self.config["genome"]
        return genome

    @property
    def browser_digest(self) -> str:
        """Changes with what browsers show besides the tracks."""
        name, assembly = self.genome["name"], self.genome["assembly"]
        return _digest(name, assembly, self.view, list(self.fasta.contigs.items()))

    @property
    def provenance_digest(self) -> str:
        """Changes with what the provenance repeats of the config."""
        return _digest(self.config)

    def save(self, paths: Paths) -> None:
        """Write the documents of the run and of its models, those whose content has changed."""
        for path, values in self._documents(paths).items():
            write_document(path, values)

    def is_finished(self, paths: Paths) -> bool:
        """Return whether a run of this very plan has written its results.

        The provenance is the last file of a run. A document is written only when it changes.
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
        """Return what earlier runs left that no job of this run writes: chunks, and results."""
        models = [*self.models, *self.profiles]
        chunks = paths.existing_chunks(models) - self._chunks(paths)
        results = paths.existing_results(models) - self._results(paths)
        return sorted(chunks), sorted(results)

    def _chunks(self, paths: Paths) -> set[Path]:
        """Return the temporary files of prediction that this run's jobs write."""
        files = {paths.chunk(m.name, chunk) for m in self.models.values() for chunk in m.chunks}
        for plan in self.profiles.values():
            names = [paths.chunk, paths.chunk_statistics]
            names += [paths.chunk_windows] if plan.windows else []
            files |= {name(plan.name, job) for name in names for job in plan.jobs}
        return files

    def _results(self, paths: Paths) -> set[Path]:
        """Return the folders and bigWigs, of `Paths.existing_results`, that this run writes."""
        results = {paths.model(name) for name in (*self.models, *self.profiles)}
        results |= {paths.tracks(m.name, group) for m in self.models.values() for group in m.groups}
        return results | {
            paths.profile_bigwig(plan.name, task, strand)
            for plan in self.profiles.values()
            for task in plan.tasks
            for strand in plan.strands
        }


def _identity(folds: Sequence[Checkpoint]) -> list[Any]:
    """Return what tells networks apart before their files are read."""
    return [[fold.format, fold.config, fold.files, fold.renamed_heads] for fold in folds]


def _digest(*parts: Any) -> str:
    """Return 16 digits that change with `parts` and with `RESULTS_VERSION`."""
    text = json.dumps([RESULTS_VERSION, pack(parts)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_plan(path: str | Path) -> ModelPlan | ProfilePlan:
    """Read a model's document, of either kind. Raises SeqcovError if it is missing or damaged."""
    plan: ModelPlan | ProfilePlan = _share_tracks(
        read_document(Path(path), ModelPlan | ProfilePlan)
    )
    return plan


def _share_tracks(plan: Any) -> Any:
    """Return a plan that was read with the first fold's tracks in the folds that have the same."""
    first = plan.folds[0].tracks
    folds = [fold if fold.tracks else replace(fold, tracks=first) for fold in plan.folds]
    return replace(plan, folds=folds)
