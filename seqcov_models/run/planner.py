"""Make the plan of a run from its config, before any weight is read.

Only the Snakefile calls this, in Snakemake's main process. Contig lengths, regions, the headers of
the checkpoints and the track tables are enough, so planning imports no torch.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from seqcov_models.checkpoints.recognise import Checkpoint, recognise
from seqcov_models.checkpoints.sources import find_sources
from seqcov_models.errors import SeqcovError
from seqcov_models.files import content_digest
from seqcov_models.genome.fasta import Fasta, open_fasta
from seqcov_models.genome.letters import check_letters
from seqcov_models.genome.regions import Interval, check_aliases, parse_regions
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.run.chunk_files import DTYPES
from seqcov_models.run.chunk_size import choose_windows_per_chunk, seconds_per_window
from seqcov_models.run.costs import check_writable
from seqcov_models.run.coverage_plan import CoverageOptions, CoveragePlan
from seqcov_models.run.genome_profiles import (
    check_entry,
    complete_entry,
    is_at_peaks,
    lay_windows,
)
from seqcov_models.run.limits import check_dates, check_genome
from seqcov_models.run.model_document import BIGWIG_BYTES
from seqcov_models.run.paths import Paths
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.profile_plan import PeakFile, ProfileOptions, ProfilePlan, TrackPeaks
from seqcov_models.run.settings import find_path_mistakes
from seqcov_models.run.track_set import MASK, Batch, TrackSet, name_prefix
from seqcov_models.tiling import (
    BinIntervals,
    Geometry,
    Segment,
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
    """The genome and the regions of a run. include: None for the whole genome."""

    fasta: Fasta
    include: list[Interval] | None
    exclude: list[Interval]

    def select_bins(self, bin_size: int) -> dict[str, BinIntervals]:
        """Return the bins to predict, by contig. Raises SeqcovError if there is none."""
        bins = select_bins(self.fasta.contigs, bin_size, self.include, self.exclude)
        if not bins:
            raise SeqcovError(
                "genome.exclude leaves nothing of genome.regions to predict; exclude less"
            )
        return bins


def plan_run(config: Mapping[str, Any]) -> RunPlan:
    """Return the plan of a run. Only a missing index of the FASTA is written.

    Args:
        config: A config that fits the schema, with all defaults.

    Returns:
        The plan of every model, which `RunPlan.save` writes.

    Raises:
        SeqcovError: If the config contains a mistake that is visible before weights are read: a
            missing file, an unknown contig, a region outside its contig, weights of another
            architecture, a selection that matches nothing, or an output folder that cannot be
            written.
    """
    if mistakes := list(find_path_mistakes(config)):
        raise SeqcovError("\n".join(mistakes))
    if config["prediction"]["precision"] == "tf32" and config["prediction"]["device"] == "cpu":
        raise SeqcovError(
            "prediction.precision: tf32 needs a GPU, but device is cpu; use float32 (exact) or"
            " bfloat16"
        )
    paths = Paths.from_config(config)
    for folder in (paths.folder.parent, *map(paths.model, config["models"])):
        check_writable(folder)
    genome = _open_genome(config["genome"], paths.folder)
    models: dict[str, CoveragePlan] = {}
    profiles: dict[str, ProfilePlan] = {}
    profiles_last = sorted(config["models"].items(), key=lambda item: is_at_peaks(item[1]))
    for name, entry in profiles_last:  # their peaks may come from another model's track
        try:
            _check_architecture(entry)
            if is_at_peaks(entry):
                profiles[name] = _plan_profiles(name, entry, config, genome, models)
            else:
                models[name] = _plan_coverage(name, entry, config, genome)
        except SeqcovError as error:
            raise SeqcovError(f"models.{name}: {error}") from None
    run = RunPlan(config, genome.fasta, _initial_view(genome), models, profiles)
    check_dates(run)
    return run


def _check_architecture(entry: Mapping[str, Any]) -> None:
    """Raise SeqcovError if the network is not known, or predicts something else than is asked."""
    name = entry["architecture"]
    if name not in NETWORKS:
        raise SeqcovError(f"architecture: {name!r} is not one of: {', '.join(NETWORKS)}")
    if not is_at_peaks(entry):
        check_entry(entry)
    elif NETWORKS[name].output == "bins":
        raise SeqcovError(
            f"unknown key 'peaks': {name} predicts tracks along the genome; remove the key, or"
            " choose bpnet"
        )


def _open_genome(section: Mapping[str, Any], folder: Path) -> _Genome:
    """Open the FASTA, and read the regions of the config's section `genome`."""
    fasta = open_fasta(section["fasta"], folder)
    check_genome(fasta, section["assembly"])
    aliases = section["contig_aliases"]
    check_aliases(aliases, fasta.contigs)
    include, exclude = (
        parse_regions(section[key], fasta.contigs, aliases) for key in ("regions", "exclude")
    )
    if section["regions"] and not include:
        raise SeqcovError(
            f"genome.regions: there are no intervals in {', '.join(section['regions'])}; add some,"
            " or leave out genome.regions to predict the whole genome"
        )
    return _Genome(check_letters(fasta), include if section["regions"] else None, exclude)


def _initial_view(genome: _Genome) -> Interval:
    """Choose what a browser shows first: a third of the way into the longest predicted stretch.

    The middle of a chromosome would often be a centromere.
    """
    selected = genome.select_bins(1)
    stretches = np.concatenate([*selected.values()])
    longest = int(np.argmax(stretches[:, 1] - stretches[:, 0]))
    lasts = np.cumsum([len(intervals) for intervals in selected.values()])
    contig = list(selected)[np.searchsorted(lasts, longest, side="right")]
    start, end = stretches[longest].tolist()
    start += max(0, end - start - INITIAL_VIEW) // 3
    return contig, start, min(end, start + INITIAL_VIEW)


def _plan_coverage(
    name: str, entry: Mapping[str, Any], config: Mapping[str, Any], genome: _Genome
) -> CoveragePlan:
    """Return the plan of the model of coverage that the section `entry` describes."""
    prediction = config["prediction"]
    entry = complete_entry(entry, config["profiles"]["counts"])
    folds = recognise_folds(entry)
    tracks = select(folds[0].tracks, entry["tracks"])
    geometry = folds[0].config.geometry
    tiling = lay_windows(entry, geometry, prediction)
    _check_ensemble(entry, len(folds), tracks, geometry)
    bins = genome.select_bins(geometry.bin)
    segments = tile(genome.fasta.contigs, tiling, bins)
    size = prediction["windows_per_chunk"]
    if size == "auto":
        size = _choose_chunk_size(entry, prediction, folds, len(tracks), tiling, segments)
    default = NETWORKS[entry["architecture"]].default_transform(len(folds[0].tracks))
    plan = CoveragePlan(
        name=name,
        fasta=genome.fasta,
        folds=folds,
        options=CoverageOptions(
            reverse_complement=entry["reverse_complement"],
            shifts=tuple(entry["shifts"]),
            scale=entry["scale"],
            transform=entry["transform"] or default,
            precision=prediction["precision"],
            chunk_dtype=choose_chunk_dtype(prediction, entry["scale"]),
            min_acgt=prediction["min_acgt"],
        ),
        tiling=tiling,
        selected_bins=bins,
        table_rows=[track.row for track in tracks],
        standard_deviation=entry["standard_deviation"],
        sets=[],
        significant_bits=config["bigwig"]["significant_bits"],
    )
    plan.untransform(tracks)  # raises SeqcovError if the track table lacks what it needs
    chunks = split_into_chunks(segments, tiling.step, size)
    track_set = _plan_set(1, plan, chunks, config["bigwig"]["tracks_per_job"])
    return replace(plan, sets=[track_set])


def _plan_set(
    number: int, plan: CoveragePlan, chunks: Sequence[list[Segment]], limit: int
) -> TrackSet:
    """Return the set of all selected tracks.

    limit: maximum number of tracks per group.
    """
    digits = len(str(len(chunks) - 1))
    names = [f"{name_prefix(number)}{index:0{digits}}" for index in range(len(chunks))]
    groups = group_tracks(plan.tracks, limit, plan.standard_deviation)
    ranges = plan_ranges(names)
    bytes_per_track = int(plan.bin_count * BIGWIG_BYTES)
    track_set = TrackSet(
        number=number,
        table_rows=plan.table_rows,
        file_names=[track.file_name for track in plan.tracks],
        standard_deviation=plan.standard_deviation,
        chunks=dict(zip(names, chunks, strict=True)),
        groups=groups,
        ranges=ranges,
        batches=plan_batches(groups, bytes_per_track) if ranges else [],
    )
    return replace(track_set, digest=plan.digest_set(track_set))


def _choose_chunk_size(
    entry: Mapping[str, Any],
    prediction: Mapping[str, Any],
    folds: Sequence[Checkpoint],
    tracks: int,
    tiling: Tiling,
    segments: Sequence[Segment],
) -> int:
    """Return the number of windows per chunk that follows from the work per window."""
    config = folds[0].config.with_tracks(tracks)
    rows = tracks * (1 + entry["standard_deviation"]) + 1
    dtype = choose_chunk_dtype(prediction, entry["scale"])
    value_bytes = tiling.step * rows * DTYPES[dtype].itemsize
    members = len(folds) * len(entry["shifts"]) * (1 + entry["reverse_complement"])
    return choose_windows_per_chunk(
        sum(segment.windows for segment in segments),
        seconds_per_window(config, tiling, members, prediction["precision"], value_bytes),
        value_bytes,
    )


def choose_chunk_dtype(prediction: Mapping[str, Any], scale: str) -> str:
    """Return the number format of the chunks of a model.

    float16 is accurate to 0.05 %, which costs nothing beside the error of bfloat16 (about 1 %). It
    is not chosen for the scale "raw", whose values may exceed its limit of 65,504.

    Args:
        prediction: The config's section `prediction`.
        scale: The model's `scale`, "model" or "raw".
    """
    dtype: str = prediction["chunk_dtype"]
    if dtype != "auto":
        return dtype
    is_rough = prediction["precision"] == "bfloat16" and scale == "model"
    return "float16" if is_rough else "float32"


def recognise_folds(entry: Mapping[str, Any]) -> list[Checkpoint]:
    """Return the checkpoints of one model.

    Args:
        entry: The model's section of the config.

    Raises:
        SeqcovError: If the predictions cannot be averaged because networks or tracks differ.
    """
    names = entry["weights"] if isinstance(entry["weights"], list) else [entry["weights"]]
    paths = [path for name in names for path in find_sources(name)]
    folds = [
        recognise(entry["architecture"], path, entry.get("species", "human"), entry.get("targets"))
        for path in paths
    ]
    first_path: dict[tuple[Path, ...], Path] = {}
    for path, fold in zip(paths, folds, strict=True):
        files = tuple(file.resolve() for file in fold.weights)
        if files in first_path:
            raise SeqcovError(
                f"weights {path}: this is the fold {first_path[files]} again; list each fold once"
            )
        first_path[files] = path
        if len(fold.tracks) != len(folds[0].tracks):
            raise SeqcovError(
                f"weights {path}: {len(fold.tracks):,} tracks, but the first fold has"
                f" {len(folds[0].tracks):,}; folds must predict the same tracks"
            )
        if fold.config != folds[0].config:
            raise SeqcovError(
                f"weights {path}: the network differs from the first fold's; folds must be copies"
                " of one network"
            )
        if [t.identifier for t in fold.tracks] != [t.identifier for t in folds[0].tracks]:
            raise SeqcovError(
                f"weights {path}: the identifiers in the track table differ from the first fold's;"
                " folds must predict the same tracks"
            )
    return [fold.with_digests() for fold in folds]


def _check_ensemble(
    entry: Mapping[str, Any], folds: int, tracks: Sequence[Track], geometry: Geometry
) -> None:
    """Raise SeqcovError if the strands, shifts and folds of an entry cannot be averaged."""
    for shift in entry["shifts"]:
        if abs(shift) > geometry.context:
            raise SeqcovError(
                f"shifts: {shift:,} bp is more than the {geometry.context:,} bp that the network"
                " crops from either end of a window; choose a smaller shift"
            )
    members = folds * len(entry["shifts"]) * (1 + entry["reverse_complement"])
    if entry["standard_deviation"] and members == 1:
        raise SeqcovError(
            "standard_deviation: it needs more than one prediction per window; set several weights"
            " (folds), several shifts, or reverse_complement: true"
        )
    if not entry["reverse_complement"]:
        return
    for track in tracks:
        if track.pair >= 0:
            continue
        if "strand_pair" in track.columns:
            raise SeqcovError(
                f"reverse_complement: the track table has no row for the other strand of"
                f" {track.identifier}; add that row, or choose other tracks"
            )
        raise SeqcovError(
            "reverse_complement: no track table says which tracks are strand pairs; name one with"
            " the column strand_pair in `targets:` (an unstranded track is paired with itself)"
        )


def group_tracks(
    tracks: Sequence[Track], limit: int, standard_deviation: bool = False
) -> dict[str, list[int]]:
    """Divide the rows of the chunks into groups, each of which one job writes as bigWigs.

    Args:
        tracks: The selected tracks, in the order of the chunks' rows.
        limit: Maximum number of tracks per group. A larger assay is divided into numbered groups.
        standard_deviation: Whether the chunks also hold a standard deviation per track. It belongs
            to its track's group.

    Returns:
        Rows of the chunks by the group's name, which is also the name of a folder. The last row
        (-1), the fraction of unknown bases, is a group of its own.
    """
    assays: dict[str, list[int]] = {}  # in lower case: some file systems do not tell cases apart
    for row, track in enumerate(tracks):
        assay = make_url_safe(track.assay) if track.assay else "tracks"
        assays.setdefault(assay.lower(), []).append(row)
    if len(assays) > 1 and len(tracks) / len(assays) < 2:
        assays = {"tracks": list(range(len(tracks)))}  # the text before the colon is not an assay
    groups: dict[str, list[int]] = {}
    used = {MASK}
    for key, rows in assays.items():
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


RANGES = 50
"""Maximum number of ranges. Each is 2 % or more of a genome, and has one file per batch."""
BATCHES = 48
"""Number of batches that the tracks are divided into if all are large enough."""
BATCH_BYTES = 200_000_000
"""Minimum bytes of a batch's bigWigs: smaller ones would take less time than the start of a job."""


def plan_ranges(chunks: Sequence[str]) -> dict[str, list[str]]:
    """Divide the chunks into at most `RANGES` ranges; return their chunks by name.

    Args:
        chunks: The names of all chunks, in the order of the genome.

    Returns:
        No range for a single chunk, whose bigWigs are written from it without another job.
    """
    if len(chunks) < 2:
        return {}
    size = -(-len(chunks) // RANGES)
    return {
        chunks[first]: list(chunks[first : first + size]) for first in range(0, len(chunks), size)
    }


def plan_batches(groups: Mapping[str, list[int]], bytes_per_track: int) -> list[Batch]:
    """Divide the groups into batches of tracks.

    The compressed ranges of a batch are deleted when its bigWigs are written. So batches are a
    small share of all tracks, unless they are small anyway.

    Args:
        groups: Rows of the chunks by the group's name.
        bytes_per_track: Approximate bytes of a bigWig.
    """
    total = sum(map(len, groups.values()))
    limit = max(-(-total // BATCHES), -(-BATCH_BYTES // max(1, bytes_per_track)))
    batches = []
    for group, rows in groups.items():
        count = -(-len(rows) // limit)
        size = -(-len(rows) // count)
        batches += [Batch(group, rows[first : first + size]) for first in range(0, len(rows), size)]
    return batches


def _plan_profiles(
    name: str,
    entry: Mapping[str, Any],
    config: Mapping[str, Any],
    genome: _Genome,
    models: Mapping[str, CoveragePlan],
) -> ProfilePlan:
    """Return the plan of the BPNet that the section `entry` describes."""
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
        selected_bases=genome.select_bins(1),
        write_windows=options["windows"],
        negative_minus=options["negative_minus"],
    )
    paths = Paths.from_config(config)
    files = Counter(
        paths.profile_bigwig(name, task, strand) for task in plan.tasks for strand in plan.strands
    )
    if duplicates := [file.name for file, count in files.items() if count > 1]:
        tasks = ", ".join(plan.config.tasks)
        raise SeqcovError(
            f"tasks {tasks}: two of them would be written to {duplicates[0]}; rename one in the"
            " checkpoint's config"
        )
    return plan


def _peak_sets(
    name: str, peaks: str | Mapping[str, Any], models: Mapping[str, CoveragePlan]
) -> dict[str, PeakFile | TrackPeaks]:
    """Return the source of every set of peaks. A single file is a set with the file's name."""
    if isinstance(peaks, str):
        peaks = {Path(peaks).name.split(".")[0] or name: peaks}
    sets: dict[str, PeakFile | TrackPeaks] = {}
    for label, source in peaks.items():
        if not isinstance(source, str):
            sets[label] = _track_peaks(label, source, models)
        elif Path(source).is_file():
            sets[label] = PeakFile(Path(source), content_digest(Path(source)))
        else:
            raise SeqcovError(f"peaks {label}: {source}: no such file; correct the path")
    return sets


def _track_peaks(
    label: str, source: Mapping[str, Any], models: Mapping[str, CoveragePlan]
) -> TrackPeaks:
    """Return the track that `source` names. Raises SeqcovError unless exactly one matches."""
    model = models.get(source["model"])
    if model is None:
        known = ", ".join(models) or "none"
        raise SeqcovError(
            f"peaks {label}: {source['model']!r} is not a model that predicts tracks; such models"
            f" of this config: {known}"
        )
    try:
        matches = select(model.tracks, [source["track"]])
    except SeqcovError as error:
        raise SeqcovError(f"peaks {label}: among the tracks of {model.name}, {error}") from None
    if len(matches) > 1:
        names = ", ".join(track.identifier for track in matches[:5])
        raise SeqcovError(
            f"peaks {label}: track {source['track']!r} matches {len(matches)} tracks of"
            f" {model.name} ({names}{', …' if len(matches) > 5 else ''}); choose one of them"
        )
    (track,) = matches
    group, file_name = model.find_bigwig(track)
    return TrackPeaks(
        model.name, group, file_name, model.geometry.bin,
        source.get("threshold"), source.get("number"),
    )  # fmt: skip
