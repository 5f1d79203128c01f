"""The plan of a run: everything about it that is known before a weight is read.

Made from a validated config (`workflow/schemas/config.schema.yaml`) each time the Snakefile is
parsed: contig lengths, regions, the networks' geometry and the track tables are enough, so it costs
a fraction of a second and imports no torch.
"""

import csv
import dataclasses
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqcov_models.checkpoints.recognise import Checkpoint, recognise
from seqcov_models.errors import SeqcovError
from seqcov_models.files import written_whole
from seqcov_models.genome.fasta import Fasta, open_fasta
from seqcov_models.genome.regions import Interval, check_aliases, parse_regions
from seqcov_models.networks.bpnet.config import BPNetConfig
from seqcov_models.peaks.maxima import peaks_of_track
from seqcov_models.peaks.read import combine, read_peaks
from seqcov_models.peaks.windows import PeakChunk, Windows, chunks_of, read_windows
from seqcov_models.run.chunks import DTYPES
from seqcov_models.tiling import Bins, Geometry, Segment, Tiling, cut, tile, wanted_bins
from seqcov_models.tracks.selection import select
from seqcov_models.tracks.table import Track, file_names, url_safe
from seqcov_models.tracks.units import Untransform, default_transform, unit

if TYPE_CHECKING:
    from pandas import DataFrame

BIGWIG_BYTES = 5.1
"""Bytes a value takes in a bigWig, measured on coverage-like values."""


MASK = "mask"
"""The folder of the bigWig that says how much of each bin's window was unknown."""


@dataclass(frozen=True)
class ModelPlan:
    """What one model of a run predicts, in which chunks, and which files come of it."""

    name: str
    entry: Mapping[str, Any]
    """What the config says of it."""
    folds: list[Checkpoint]
    transform: str
    tracks: list[Track]
    tiling: Tiling
    wanted: dict[str, Bins]
    chunks: dict[str, list[Segment]]
    groups: dict[str, list[tuple[int, Track]]]
    """By the folder that one job writes: rows of the chunks, and the tracks in them."""

    @property
    def geometry(self) -> Geometry:
        return self.tiling.geometry

    @property
    def head(self) -> list[Track]:
        """All tracks of the checkpoint."""
        return self.folds[0].tracks

    @property
    def windows(self) -> int:
        return sum(segment.count for chunk in self.chunks.values() for segment in chunk)

    @property
    def bins(self) -> int:
        """Bins that get a value at most (gaps of the sequence are found later)."""
        return int(sum((bins[:, 1] - bins[:, 0]).sum() for bins in self.wanted.values()))

    @property
    def untransform(self) -> Untransform | None:
        """What takes the output back to coverage, where the config asks for that."""
        return Untransform(self.tracks, self.transform) if self.entry["scale"] == "raw" else None

    def unit_of(self, track: Track) -> str:
        """What a track's values are, in words."""
        if track.row < 0:
            return "share of the window"
        return unit(track, self.geometry.bin, self.entry["scale"], self.transform)

    @cached_property
    def digest(self) -> str:
        """Changes when any window, wanted bin or track of the plan does."""
        parts = [self.chunks, [track.row for track in self.tracks], self.tiling]
        text = repr(parts) + repr({contig: bins.tolist() for contig, bins in self.wanted.items()})
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class TrackPeaks:
    """Peaks that are to be the local maxima of a track that this run predicts."""

    model: str
    group: str
    file: str
    """The track's bigWig, in the folder of `group`."""
    bin: int
    threshold: float | None
    number: int | None


@dataclass(frozen=True)
class ProfilePlan:
    """What a BPNet of a run predicts: profiles at peaks."""

    name: str
    entry: Mapping[str, Any]
    """What the config says of it."""
    folds: list[Checkpoint]
    config: BPNetConfig
    peaks: dict[str, Path | TrackPeaks]
    """By the set's name: a file, or a track."""
    wanted: dict[str, Bins]
    """Bases, by contig."""
    by_strand: bool
    """Whether peaks on the minus strand are read from there."""
    jobs: int
    keeps_windows: bool
    unit: str

    @property
    def geometry(self) -> Geometry:
        return self.config.geometry

    @property
    def stranded(self) -> bool:
        return self.config.num_strands == 2

    @cached_property
    def tasks(self) -> dict[str, tuple[str, int]]:
        """By the name of its files: a task and its first row among the tracks."""
        files = file_names(enumerate(self.config.tasks))
        return {
            file: (task, at * self.config.num_strands)
            for at, (file, task) in enumerate(zip(files, self.config.tasks, strict=True))
        }

    @property
    def bigwigs(self) -> list[str]:
        """Names of the files."""
        kinds = ("", ".plus", ".minus") if self.stranded else ("",)
        return [f"{task}{kind}.bw" for task in self.tasks for kind in kinds]

    def bytes_of(self, peaks: int) -> tuple[int, int]:
        """Bytes at most of what `peaks` peaks leave in chunks, and roughly in bigWigs."""
        wanted = sum(int((bins[:, 1] - bins[:, 0]).sum()) for bins in self.wanted.values())
        windows, strands = peaks * self.geometry.core, self.config.num_labels
        bases = min(windows, wanted)
        values = bases * strands + (windows * strands if self.keeps_windows else 0)
        return 4 * values, int(bases * len(self.bigwigs) * BIGWIG_BYTES)

    def chunks(self, peaks: Path, contigs: Mapping[str, int]) -> tuple[Windows, list[PeakChunk]]:
        """The windows of a file of peaks, and what each job has of them."""
        windows = read_windows(peaks, contigs, self.by_strand)
        return windows, chunks_of(windows, contigs, self.geometry, self.jobs)

    @property
    def peak_files(self) -> list[Path]:
        return [source for source in self.peaks.values() if isinstance(source, Path)]

    @property
    def peak_tracks(self) -> list[TrackPeaks]:
        return [source for source in self.peaks.values() if isinstance(source, TrackPeaks)]

    @cached_property
    def digest(self) -> str:
        """Changes when any wanted base does."""
        text = repr({contig: bins.tolist() for contig, bins in self.wanted.items()})
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class RunPlan:
    """A whole run. models: those that tile the genome; profiles: the BPNets."""

    config: Mapping[str, Any]
    fasta: Fasta
    models: dict[str, ModelPlan]
    profiles: dict[str, ProfilePlan]

    @cached_property
    def folder(self) -> Path:
        """Where this genome's results go."""
        return Path(self.config["output"], self.config["genome"]["name"])

    def summary(self, peaks: Mapping[str, tuple[int, int]]) -> str:
        """The run in a few lines: windows, chunks, tracks, bytes. peaks: of `count_peaks`."""
        lines = [
            f"genome {self.config['genome']['name']}: {len(self.fasta.contigs):,} contigs,"
            f" {sum(self.fasta.contigs.values()):,} bp"
        ]
        for model in self.models.values():
            chunk_bytes, track_bytes = self.bytes_of(model)
            lines.append(
                f"model {model.name}: {model.windows:,} windows of {model.geometry.window:,} bp in"
                f" {len(model.chunks):,} chunks; {len(model.tracks):,} of"
                f" {len(model.head):,} tracks, {model.bins:,} bins of"
                f" {model.geometry.bin} bp; chunks {_size(chunk_bytes)} (temporary), bigWigs about"
                f" {_size(track_bytes)}"
            )
        for profile in self.profiles.values():
            count, others = peaks[profile.name]
            chunk_bytes, track_bytes = profile.bytes_of(count)
            left_out = f", {others:,} left out (twice there, or not in genome.regions)"
            unknown = any(track.number is None for track in profile.peak_tracks)
            lines.append(
                f"model {profile.name}: profiles of {profile.geometry.core:,} bp for"
                f" {', '.join(profile.config.tasks)}{' on both strands' * profile.stranded} at"
                f" {count:,} peaks{' and where tracks reach a threshold' * unknown}"
                f" ({', '.join(profile.peaks)}){left_out * bool(others)}; chunks at most"
                f" {_size(chunk_bytes)} (temporary), bigWigs {_size(track_bytes)}"
                f"{', and more for the latter' * unknown}"
            )
        return "\n".join(lines)

    def bytes_of(self, model: ModelPlan) -> tuple[int, int]:
        """Bytes of a model's chunks and, roughly, of its bigWigs."""
        columns = sum(segment.bins for chunk in model.chunks.values() for segment in chunk)
        width = DTYPES[self.config["prediction"]["chunk_dtype"]].itemsize
        rows = sum(len(members) for members in model.groups.values())
        return columns * rows * width, int(model.bins * rows * BIGWIG_BYTES)


def plan_run(config: Mapping[str, Any]) -> RunPlan:
    """The plan of a config that fits the schema.

    Raises SeqcovError for every mistake that can be known now: files, contigs, regions, weights of
    another architecture, selections that match nothing, an output folder that cannot be written.
    """
    output, genome = Path(config["output"]), config["genome"]
    for folder in (output, *(output / genome["name"] / model for model in config["models"])):
        _check_writable(folder)
    fasta = open_fasta(genome["fasta"], output / genome["name"])
    aliases = genome["contig_aliases"]
    check_aliases(aliases, fasta.contigs)
    regions = genome["regions"]
    include = parse_regions(regions, fasta.contigs, aliases) if regions else None
    exclude = parse_regions(genome["exclude"], fasta.contigs, aliases)
    models: dict[str, ModelPlan] = {}
    profiles: dict[str, ProfilePlan] = {}
    bpnets_last = sorted(config["models"].items(), key=lambda item: "peaks" in item[1])
    for name, entry in bpnets_last:  # whose peaks may be those of another model's track
        try:
            if "peaks" in entry:
                profiles[name] = _plan_profiles(
                    name, entry, config, fasta.contigs, include, exclude, models
                )
            else:
                models[name] = _plan_model(name, entry, config, fasta.contigs, include, exclude)
        except SeqcovError as error:
            raise SeqcovError(f"models.{name}: {error}") from None
    return RunPlan(config, fasta, models, profiles)


def _plan_profiles(
    name: str,
    entry: Mapping[str, Any],
    config: Mapping[str, Any],
    contigs: Mapping[str, int],
    include: list[Interval] | None,
    exclude: list[Interval],
    models: Mapping[str, ModelPlan],
) -> ProfilePlan:
    folds = folds_of(entry)
    network = folds[0].config
    assert isinstance(network, BPNetConfig)
    given = entry["peaks"]
    named = given if isinstance(given, Mapping) else {Path(given).name.split(".")[0] or name: given}
    peaks: dict[str, Path | TrackPeaks] = {}
    for label, source in named.items():
        if not isinstance(source, str):
            peaks[label] = _track_peaks(label, source, models)
        elif Path(source).is_file():
            peaks[label] = Path(source)
        else:
            raise SeqcovError(f"peaks {label}: {source}: no such file")
    wanted = wanted_bins(contigs, 1, include, exclude)
    if not wanted:
        raise SeqcovError("genome.exclude leaves nothing of genome.regions to predict")
    options = config["profiles"]
    plan = ProfilePlan(
        name, entry, folds, network, peaks, wanted, options["strand"] == "peak", options["jobs"],
        options["windows"], f"reads a base ({options['counts']} of the predicted counts)",
    )  # fmt: skip
    if twice := [file for file, times in Counter(plan.bigwigs).items() if times > 1]:
        raise SeqcovError(f"tasks {', '.join(network.tasks)}: two would be written to {twice[0]}")
    return plan


def _track_peaks(
    label: str, source: Mapping[str, Any], models: Mapping[str, ModelPlan]
) -> TrackPeaks:
    """Where the track lies that `source` names. Raises SeqcovError where the run has none such."""
    model = models.get(source["model"])
    if model is None:
        known = ", ".join(models) or "none"
        raise SeqcovError(
            f"peaks {label}: no model {source['model']!r} that predicts tracks; there are: {known}"
        )
    try:
        found = select(model.tracks, [source["track"]])
    except SeqcovError as error:
        raise SeqcovError(f"peaks {label}: of the tracks of {model.name}, {error}") from None
    if len(found) > 1:
        names = ", ".join(track.identifier for track in found[:5])
        raise SeqcovError(
            f"peaks {label}: track {source['track']!r} names {len(found)} tracks of {model.name}"
            f" ({names}{', …' if len(found) > 5 else ''}); name one of them"
        )
    (track,) = found
    group = next(
        name
        for name, members in model.groups.items()
        if any(member.row == track.row for _, member in members)
    )
    file = f"{model.name}.{track.file_name}.bw"
    chosen = source.get("threshold"), source.get("number")
    return TrackPeaks(model.name, group, file, model.geometry.bin, *chosen)


def count_peaks(run: RunPlan) -> dict[str, tuple[int, int]]:
    """Read all files of peaks: how many each BPNet has, by its name, and how many are not wanted.

    Of a track's local maxima the number asked for counts, none where there is only a threshold.
    Raises SeqcovError for what is wrong with a file.
    """
    counts = {}
    for profile in run.profiles.values():
        try:
            sets = _peaks_of_files(run, profile)
            given = wanted = sum(map(len, sets))
            if sets and not profile.peak_tracks:
                wanted = len(combine(sets, run.fasta.contigs, profile.wanted))
        except SeqcovError as error:
            raise SeqcovError(f"models.{profile.name}: {error}") from None
        of_tracks = sum(track.number or 0 for track in profile.peak_tracks)
        counts[profile.name] = wanted + of_tracks, given - wanted
    return counts


def leftovers(run: RunPlan) -> tuple[list[Path], list[Path]]:
    """What earlier runs left that no job of this one writes: chunks, and results."""
    files = {
        model.name: {f"{chunk}.npy" for chunk in model.chunks} for model in run.models.values()
    }
    for plan in run.profiles.values():
        ends = ("", ".table", ".windows") if plan.keeps_windows else ("", ".table")
        files[plan.name] = {f"{job}{end}.npy" for job in range(plan.jobs) for end in ends}
    chunks = [
        file
        for name, own in files.items()
        for file in (run.folder / name / "chunks").glob("[!.]*.npy")
        if file.name not in own
    ]
    own = {run.folder / name for name in files}
    own |= {
        run.folder / m.name / "tracks" / group for m in run.models.values() for group in m.groups
    }
    own |= {run.folder / p.name / file for p in run.profiles.values() for file in p.bigwigs}
    there = [path for path in run.folder.glob("[!.]*") if path.is_dir()]
    for name in files:
        there += [*(run.folder / name).glob("tracks/[!.]*"), *(run.folder / name).glob("[!.]*.bw")]
    return chunks, sorted(path for path in there if path not in own)


def peaks_of(run: RunPlan, profile: ProfilePlan) -> "DataFrame":
    """The peaks of all of a BPNet's sets, combined, once the tracks are there that some are of.

    Raises SeqcovError for files that are wrong, and where there is no peak.
    """
    sets = _peaks_of_files(run, profile)
    for label, source in profile.peaks.items():
        if isinstance(source, TrackPeaks):
            path = run.folder / source.model / "tracks" / source.group / source.file
            apart, wanted = profile.geometry.core // 2, profile.wanted
            limits = source.threshold, source.number
            sets.append(peaks_of_track(path, label, source.bin, apart, wanted, *limits))
    return combine(sets, run.fasta.contigs, profile.wanted)


def _peaks_of_files(run: RunPlan, profile: ProfilePlan) -> "list[DataFrame]":
    contigs, aliases = run.fasta.contigs, run.config["genome"]["contig_aliases"]
    return [
        read_peaks(source, label, contigs, aliases)
        for label, source in profile.peaks.items()
        if isinstance(source, Path)
    ]


def _plan_model(
    name: str,
    entry: Mapping[str, Any],
    config: Mapping[str, Any],
    contigs: Mapping[str, int],
    include: list[Interval] | None,
    exclude: list[Interval],
) -> ModelPlan:
    prediction = config["prediction"]
    folds = folds_of(entry)
    tracks = select(folds[0].tracks, entry["tracks"])
    geometry = folds[0].config.geometry
    tiling = Tiling.overlapping(geometry, prediction["overlap"], prediction["blend"])
    _check_ensemble(entry, tracks, geometry)
    wanted = wanted_bins(contigs, geometry.bin, include, exclude)
    if not wanted:
        raise SeqcovError("genome.exclude leaves nothing of genome.regions to predict")
    chunks = cut(tile(contigs, tiling, wanted), tiling.step, prediction["windows_per_chunk"])
    digits = len(str(len(chunks) - 1))
    model = ModelPlan(
        name, entry, folds,
        entry["transform"] or default_transform(entry["architecture"], len(folds[0].tracks)),
        tracks, tiling, wanted,
        {f"{at:0{digits}}": chunk for at, chunk in enumerate(chunks)},
        group(tracks, config["bigwig"]["tracks_per_job"], entry["standard_deviation"]),
    )  # fmt: skip
    _ = model.untransform  # raises where the table does not say enough
    return model


def folds_of(entry: Mapping[str, Any]) -> list[Checkpoint]:
    """The checkpoints that an entry of the config's `models` names.

    Raises SeqcovError where they cannot be averaged: other widths, other tracks.
    """
    paths = entry["weights"] if isinstance(entry["weights"], list) else [entry["weights"]]
    folds = [
        recognise(entry["architecture"], path, entry.get("species", "human"), entry.get("targets"))
        for path in paths
    ]
    for path, fold in zip(paths, folds, strict=True):
        if len(fold.tracks) != len(folds[0].tracks):
            raise SeqcovError(
                f"weights {path}: {len(fold.tracks):,} tracks, the first fold has"
                f" {len(folds[0].tracks):,}; folds must predict the same tracks"
            )
        if fold.config != folds[0].config:
            raise SeqcovError(f"weights {path}: another network than the first fold's")
        if [t.identifier for t in fold.tracks] != [t.identifier for t in folds[0].tracks]:
            raise SeqcovError(f"weights {path}: its track table is not the first fold's")
    return folds


def _check_ensemble(entry: Mapping[str, Any], tracks: Sequence[Track], geometry: Geometry) -> None:
    for shift in entry["shifts"]:
        if abs(shift) > geometry.context:
            raise SeqcovError(
                f"shifts: {shift:,} bp is more than the {geometry.context:,} bp that are cropped;"
                " the core would hold bases that were never read"
            )
    folds = entry["weights"] if isinstance(entry["weights"], list) else [entry["weights"]]
    members = len(folds) * len(entry["shifts"]) * (1 + entry["reverse_complement"])
    if entry["standard_deviation"] and members == 1:
        raise SeqcovError(
            "standard_deviation: of a single prediction there is none; it takes several weights"
            " (folds), shifts, or reverse_complement"
        )
    if entry["reverse_complement"]:
        for track in tracks:
            if track.pair < 0:
                raise SeqcovError(
                    "reverse_complement: "
                    + (
                        f"the table has no row for the other strand of {track.identifier}"
                        if "strand_pair" in track.columns
                        else "nothing says which tracks are each other's strands; `targets:` may"
                        " name a table with the column strand_pair (of an unstranded track its own"
                        " index)"
                    )
                )


def group(
    tracks: Sequence[Track], most: int, standard_deviation: bool = False
) -> dict[str, list[tuple[int, Track]]]:
    """Tracks by assay, an assay of more than `most` in numbered parts: one folder, one job each.

    With each track its row in the chunks. Standard deviations, whose rows follow those of all
    tracks, lie beside their tracks; the share of unknown bases is a folder of its own.
    """
    by_assay: dict[str, list[tuple[int, Track]]] = {}  # without regard to case, as some disks are
    for row, track in enumerate(tracks):
        assay = url_safe(track.assay) if track.assay else "tracks"
        by_assay.setdefault(assay.lower(), []).append((row, track))
    if len(by_assay) > 1 and len(tracks) / len(by_assay) < 2:
        by_assay = {"tracks": list(enumerate(tracks))}  # what is before the colon is no assay here
    groups: dict[str, list[tuple[int, Track]]] = {}
    taken = {MASK}
    for key, members in by_assay.items():
        assay = key if key == "tracks" else url_safe(members[0][1].assay)
        parts = -(-len(members) // most)
        digits = len(str(parts))
        for part in range(parts):
            name = assay if parts == 1 else f"{assay}_{part + 1:0{digits}}"
            while name.lower() in taken:
                name += "_"
            taken.add(name.lower())
            groups[name] = members[part * most : (part + 1) * most]
            if standard_deviation:
                groups[name] += [(len(tracks) + row, _deviation(t)) for row, t in groups[name]]
    about = "Share of the window that is N or beyond the contig"
    groups[MASK] = [(-1, Track(-1, -1, "unknown", about, "unknown"))]
    return groups


def _deviation(track: Track) -> Track:
    return dataclasses.replace(
        track,
        description=f"{track.description} (standard deviation)".strip(),
        file_name=f"{track.file_name}.sd",
    )


PLAN_COLUMNS = ("chunk", "contig", "first_window", "windows", "bins")


def write_plan(model: ModelPlan, contigs: Mapping[str, int], table: Path, wanted: Path) -> None:
    """Write the chunks as a table, a row a segment, and the wanted bins as BED, to be looked at."""
    with written_whole(table) as part, part.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        writer.writerow(PLAN_COLUMNS)
        for chunk, segments in model.chunks.items():
            for s in segments:
                writer.writerow([chunk, s.contig, s.first, s.count, s.bins])
    size = model.geometry.bin
    with written_whole(wanted) as part, part.open("w", encoding="utf-8") as out:
        for contig, bins in model.wanted.items():
            for start, end in bins.tolist():
                out.write(f"{contig}\t{start * size}\t{min(end * size, contigs[contig])}\n")


def _check_writable(folder: Path) -> None:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise SeqcovError(f"output {folder}: {there} is a file, not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SeqcovError(f"output {folder}: no permission to write in {there}")


def check_space(run: RunPlan, peaks: Mapping[str, tuple[int, int]]) -> None:
    """Raise SeqcovError where the disk is too small for what the run still has to write.

    peaks: of `count_peaks`.
    """
    there = run.folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    needed = sum(sum(run.bytes_of(model)) for model in run.models.values())
    needed += sum(sum(run.profiles[name].bytes_of(peaks[name][0])) for name in run.profiles)
    for made in ("*/chunks/*.npy", "*/tracks/*/*.bw", "*/*.bw"):  # by an earlier, unfinished run
        needed -= sum(file.stat().st_size for file in run.folder.glob(made))
    if needed > free:
        raise SeqcovError(
            f"output {run.folder}: about {_size(needed)} are needed, {_size(free)} are free; choose"
            " fewer tracks or regions, or chunk_dtype: float16"
        )


def _size(count: float) -> str:
    for prefix in ("", "k", "M", "G"):
        if count < 1000:
            return f"{count:.3g} {prefix}B"
        count /= 1000
    return f"{count:.3g} TB"
