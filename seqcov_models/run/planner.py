"""Plan a run: everything about it that is known before a weight is read.

Only the Snakefile plans, in Snakemake's main process. Contig lengths, regions, the headers of the
checkpoints and the track tables are enough, so planning imports no torch.
"""

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.recognise import Checkpoint, recognise
from seqcov_models.errors import SeqcovError
from seqcov_models.files import sha256
from seqcov_models.genome.fasta import Fasta, open_fasta
from seqcov_models.genome.regions import Interval, check_aliases, parse_regions
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.run.paths import Paths
from seqcov_models.run.plan import (
    MASK,
    CoverageOptions,
    ModelPlan,
    PeakFile,
    ProfileOptions,
    ProfilePlan,
    RunPlan,
    TrackPeaks,
)
from seqcov_models.tiling import (
    BinIntervals,
    Geometry,
    Tiling,
    select_bins,
    split_into_chunks,
    tile,
)
from seqcov_models.tracks.selection import select
from seqcov_models.tracks.table import Track, make_url_safe

INITIAL_VIEW = 100_000
"""Maximum width in bp of what a browser shows first: a few hundred bins or more on a screen."""


@dataclass(frozen=True)
class _Genome:
    """What all models of a run predict along. include: None is everything."""

    fasta: Fasta
    include: list[Interval] | None
    exclude: list[Interval]

    def wanted(self, bin_size: int) -> dict[str, BinIntervals]:
        """Return the bins to predict, by contig. Raises SeqcovError if there is none."""
        wanted = select_bins(self.fasta.contigs, bin_size, self.include, self.exclude)
        if not wanted:
            raise SeqcovError("genome.exclude leaves nothing of genome.regions to predict")
        return wanted


def plan_run(config: Mapping[str, Any]) -> RunPlan:
    """Return the plan of a config that fits the schema.

    Nothing is written but a missing index of the FASTA.

    Raises:
        SeqcovError: for every mistake that can be known now: files, contigs, regions, weights of
            another architecture, selections that match nothing, an output folder that cannot be
            written.
    """
    paths = Paths.from_config(config)
    for folder in (paths.folder.parent, *map(paths.model, config["models"])):
        _check_writable(folder)
    genome = _open_genome(config["genome"], paths.folder)
    models: dict[str, ModelPlan] = {}
    profiles: dict[str, ProfilePlan] = {}
    profiles_last = sorted(config["models"].items(), key=lambda item: "peaks" in item[1])
    for name, entry in profiles_last:  # whose peaks may be those of another model's track
        try:
            if "peaks" in entry:
                profiles[name] = _plan_profiles(name, entry, config, genome, models)
            else:
                models[name] = _plan_model(name, entry, config, genome)
        except SeqcovError as error:
            raise SeqcovError(f"models.{name}: {error}") from None
    return RunPlan(config, genome.fasta, _initial_view(genome), models, profiles)


def _open_genome(section: Mapping[str, Any], folder: Path) -> _Genome:
    fasta = open_fasta(section["fasta"], folder)
    aliases = section["contig_aliases"]
    check_aliases(aliases, fasta.contigs)
    include, exclude = (
        parse_regions(section[key], fasta.contigs, aliases) for key in ("regions", "exclude")
    )
    return _Genome(fasta, include if section["regions"] else None, exclude)


def _initial_view(genome: _Genome) -> Interval:
    """Choose what a browser shows first: a third of the way into the longest predicted stretch.

    The middle of a chromosome would often be a centromere.
    """
    stretches = [
        (contig, start, end)
        for contig, intervals in genome.wanted(1).items()
        for start, end in intervals.tolist()
    ]
    contig, start, end = max(stretches, key=lambda stretch: stretch[2] - stretch[1])
    start += max(0, end - start - INITIAL_VIEW) // 3
    return contig, start, min(end, start + INITIAL_VIEW)


def _plan_model(
    name: str, entry: Mapping[str, Any], config: Mapping[str, Any], genome: _Genome
) -> ModelPlan:
    prediction = config["prediction"]
    folds = recognise_folds(entry)
    tracks = select(folds[0].tracks, entry["tracks"])
    geometry = folds[0].config.geometry
    tiling = Tiling.from_overlap(geometry, prediction["overlap"], prediction["blend"])
    _check_ensemble(entry, len(folds), tracks, geometry)
    wanted = genome.wanted(geometry.bin)
    segments = tile(genome.fasta.contigs, tiling, wanted)
    chunks = split_into_chunks(segments, tiling.step, prediction["windows_per_chunk"])
    digits = len(str(len(chunks) - 1))
    default = NETWORKS[entry["architecture"]].default_transform(len(folds[0].tracks))
    plan = ModelPlan(
        name=name,
        fasta=genome.fasta,
        folds=folds,
        options=CoverageOptions(
            reverse_complement=entry["reverse_complement"],
            shifts=tuple(entry["shifts"]),
            scale=entry["scale"],
            transform=entry["transform"] or default,
            standard_deviation=entry["standard_deviation"],
            precision=prediction["precision"],
            chunk_dtype=prediction["chunk_dtype"],
            min_acgt=prediction["min_acgt"],
        ),
        rows=[track.row for track in tracks],
        tiling=tiling,
        wanted=wanted,
        chunks={f"{number:0{digits}}": chunk for number, chunk in enumerate(chunks)},
        groups=group_tracks(
            tracks, config["bigwig"]["tracks_per_job"], entry["standard_deviation"]
        ),
    )
    _ = plan.untransform  # raises SeqcovError if the track table lacks what it needs
    return plan


def recognise_folds(entry: Mapping[str, Any]) -> list[Checkpoint]:
    """Return the checkpoints that an entry of the config's `models` names.

    Raises:
        SeqcovError: they cannot be averaged, because their networks or their tracks differ.
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


def _check_ensemble(
    entry: Mapping[str, Any], folds: int, tracks: Sequence[Track], geometry: Geometry
) -> None:
    """Raise SeqcovError if the strands, shifts and folds of an entry cannot be averaged."""
    for shift in entry["shifts"]:
        if abs(shift) > geometry.context:
            raise SeqcovError(
                f"shifts: {shift:,} bp is more than the {geometry.context:,} bp that are cropped;"
                " the core would hold bases that were never read"
            )
    members = folds * len(entry["shifts"]) * (1 + entry["reverse_complement"])
    if entry["standard_deviation"] and members == 1:
        raise SeqcovError(
            "standard_deviation: a single prediction has none; use several weights (folds),"
            " shifts, or reverse_complement"
        )
    if not entry["reverse_complement"]:
        return
    for track in tracks:
        if track.pair >= 0:
            continue
        if "strand_pair" in track.columns:
            raise SeqcovError(
                f"reverse_complement: the table has no row for the other strand of"
                f" {track.identifier}"
            )
        raise SeqcovError(
            "reverse_complement: nothing says which tracks are each other's strands; `targets:` can"
            " name a table with the column strand_pair (an unstranded track has its own index)"
        )


def group_tracks(
    tracks: Sequence[Track], limit: int, standard_deviation: bool = False
) -> dict[str, list[int]]:
    """Share out the rows of the chunks among folders; one job writes each.

    Tracks are grouped by assay; an assay of more than `limit` tracks is cut into numbered groups.
    Standard deviations lie beside their tracks. The fraction of unknown bases, the last row (−1),
    has a folder of its own.
    """
    by_assay: dict[str, list[int]] = {}  # without regard to case, as some file systems
    for row, track in enumerate(tracks):
        assay = make_url_safe(track.assay) if track.assay else "tracks"
        by_assay.setdefault(assay.lower(), []).append(row)
    if len(by_assay) > 1 and len(tracks) / len(by_assay) < 2:
        by_assay = {"tracks": list(range(len(tracks)))}  # what precedes the colon is not an assay
    groups: dict[str, list[int]] = {}
    used = {MASK}
    for key, rows in by_assay.items():
        assay = key if key == "tracks" else make_url_safe(tracks[rows[0]].assay)
        count = -(-len(rows) // limit)
        digits = len(str(count))
        for number in range(count):
            name = assay if count == 1 else f"{assay}_{number + 1:0{digits}}"
            while name.lower() in used:
                name += "_"
            used.add(name.lower())
            members = rows[number * limit : (number + 1) * limit]
            deviations = [len(tracks) + row for row in members] if standard_deviation else []
            groups[name] = members + deviations
    return groups | {MASK: [-1]}


def _plan_profiles(
    name: str,
    entry: Mapping[str, Any],
    config: Mapping[str, Any],
    genome: _Genome,
    models: Mapping[str, ModelPlan],
) -> ProfilePlan:
    prediction, options = config["prediction"], config["profiles"]
    plan = ProfilePlan(
        name=name,
        fasta=genome.fasta,
        folds=recognise_folds(entry),
        options=ProfileOptions(
            reverse_complement=entry["reverse_complement"],
            precision=prediction["precision"],
            min_acgt=prediction["min_acgt"],
            overlap=options["overlap"],
            counts=options["counts"],
            strand=options["strand"],
            jobs=options["jobs"],
        ),
        peaks=_peak_sets(name, entry["peaks"], models),
        contig_aliases=dict(config["genome"]["contig_aliases"]),
        wanted=genome.wanted(1),
        windows=options["windows"],
        negative_minus=options["negative_minus"],
    )
    paths = Paths.from_config(config)
    files = Counter(
        paths.profile_bigwig(name, task, strand) for task in plan.tasks for strand in plan.strands
    )
    if doubled := [file.name for file, times in files.items() if times > 1]:
        tasks = ", ".join(plan.config.tasks)
        raise SeqcovError(f"tasks {tasks}: two would be written to {doubled[0]}")
    return plan


def _peak_sets(
    name: str, peaks: str | Mapping[str, Any], models: Mapping[str, ModelPlan]
) -> dict[str, PeakFile | TrackPeaks]:
    """Return where the sets of peaks are that an entry names; one file alone is named by itself."""
    if isinstance(peaks, str):
        peaks = {Path(peaks).name.split(".")[0] or name: peaks}
    sets: dict[str, PeakFile | TrackPeaks] = {}
    for label, source in peaks.items():
        if not isinstance(source, str):
            sets[label] = _track_peaks(label, source, models)
        elif Path(source).is_file():
            sets[label] = PeakFile(Path(source), sha256(Path(source)))
        else:
            raise SeqcovError(f"peaks {label}: {source}: no such file")
    return sets


def _track_peaks(
    label: str, source: Mapping[str, Any], models: Mapping[str, ModelPlan]
) -> TrackPeaks:
    """Return where the track is that `source` names. Raises SeqcovError if no model has it."""
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
    row = model.rows.index(track.row)
    group = next(group for group, rows in model.groups.items() if row in rows)
    return TrackPeaks(
        model.name, group, track.file_name, model.geometry.bin,
        source.get("threshold"), source.get("number"),
    )  # fmt: skip


def _check_writable(folder: Path) -> None:
    ancestor = _nearest_existing(folder)
    if not ancestor.is_dir():
        raise SeqcovError(f"output {folder}: {ancestor} is a file, not a folder")
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise SeqcovError(f"output {folder}: no permission to write in {ancestor}")


def _nearest_existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def describe(run: RunPlan, peaks: Mapping[str, tuple[int, int]]) -> str:
    """Return the run in a few lines: windows, chunks, tracks, bytes. peaks: of `count_peaks`."""
    lines = [
        f"genome {run.genome['name']}: {len(run.fasta.contigs):,} contigs,"
        f" {sum(run.fasta.contigs.values()):,} bp"
    ]
    for model in run.models.values():
        chunk_bytes, track_bytes = model.output_bytes
        lines.append(
            f"model {model.name}: {model.windows:,} windows of {model.geometry.window:,} bp in"
            f" {len(model.chunks):,} chunks; {len(model.tracks):,} of"
            f" {len(model.head):,} tracks, {model.bins:,} bins of"
            f" {model.geometry.bin} bp; chunks {_format_bytes(chunk_bytes)} (temporary), bigWigs"
            f" about {_format_bytes(track_bytes)}"
        )
    for profile in run.profiles.values():
        wanted, dropped = peaks[profile.name]
        chunk_bytes, track_bytes = profile.output_bytes(wanted)
        strands = " on both strands" if len(profile.strands) > 1 else ""
        omitted = f", {dropped:,} left out (duplicates, or outside genome.regions)"
        open_ended = any(track.number is None for track in profile.peak_tracks)
        lines.append(
            f"model {profile.name}: profiles of {profile.geometry.core:,} bp for"
            f" {', '.join(profile.config.tasks)}{strands} at {wanted:,} peaks"
            f"{' and wherever tracks reach their threshold' * open_ended}"
            f" ({', '.join(profile.peaks)}){omitted * bool(dropped)}; chunks at most"
            f" {_format_bytes(chunk_bytes)} (temporary), bigWigs {_format_bytes(track_bytes)}"
            f"{', and more for the peaks above a threshold' * open_ended}"
        )
    return "\n".join(lines)


def check_space(run: RunPlan, peaks: Mapping[str, tuple[int, int]]) -> None:
    """Raise SeqcovError if the disk is too small for what the run still has to write.

    A finished run needs none: its chunks are gone, and nothing is written again.

    peaks: of `count_peaks`.
    """
    if run.is_finished(run.paths):
        return
    folder = run.paths.folder
    free = shutil.disk_usage(_nearest_existing(folder)).free
    needed = sum(sum(model.output_bytes) for model in run.models.values())
    needed += sum(sum(plan.output_bytes(peaks[name][0])) for name, plan in run.profiles.items())
    needed -= run.paths.written_bytes()  # by an earlier, unfinished run
    if needed > free:
        raise SeqcovError(
            f"output {folder}: about {_format_bytes(needed)} are needed, {_format_bytes(free)} are"
            " free; choose fewer tracks or regions, or chunk_dtype: float16"
        )


def _format_bytes(count: float) -> str:
    for prefix in ("", "k", "M", "G"):
        if count < 1000:
            return f"{count:.3g} {prefix}B"
        count /= 1000
    return f"{count:.3g} TB"
