"""Plan what a model of coverage predicts: its folds, tracks, options and tiling."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.recognise import Checkpoint, recognise
from seqcov_models.checkpoints.sources import find_sources
from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Fasta
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.run.coverage_plan import CoverageOptions, CoveragePlan
from seqcov_models.run.genome_profiles import complete_entry, lay_windows
from seqcov_models.tiling import BinIntervals, Geometry
from seqcov_models.tracks.selection import select
from seqcov_models.tracks.table import Track


def plan_coverage(
    name: str,
    entry: Mapping[str, Any],
    config: Mapping[str, Any],
    fasta: Fasta,
    select_bins: Callable[[int], dict[str, BinIntervals]],
) -> CoveragePlan:
    """Return the plan of a model of coverage, still without sets of tracks.

    Args:
        name: The model's name.
        entry: The model's section of the config.
        config: The config.
        fasta: The genome's sequence.
        select_bins: Returns the bins to predict by contig, from the bin size.

    Raises:
        SeqcovError: If the config contains a mistake that is visible before weights are read.
    """
    prediction = config["prediction"]
    entry = complete_entry(entry, config["profiles"]["counts"])
    folds = recognise_folds(entry)
    tracks = select(folds[0].tracks, entry["tracks"])
    geometry = folds[0].config.geometry
    tiling = lay_windows(entry, geometry, prediction)
    _check_ensemble(entry, len(folds), tracks, geometry)
    default = NETWORKS[entry["architecture"]].default_transform(len(folds[0].tracks))
    plan = CoveragePlan(
        name=name,
        fasta=fasta,
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
        selected_bins=select_bins(geometry.bin),
        table_rows=[track.row for track in tracks],
        standard_deviation=entry["standard_deviation"],
        group_sets={},
        sets=[],
    )
    plan.untransform(tracks)  # raises SeqcovError if the track table lacks what it needs
    return plan


def choose_chunk_dtype(prediction: Mapping[str, Any], scale: str) -> str:
    """Return the number format of the chunks of a model.

    float16 is accurate to 0.05 %, which costs nothing beside the error of bfloat16 (about 1 %). It
    is not chosen for the scale "raw", whose values may exceed its limit of 65,504.

    Args:
        prediction: The config's section `prediction`.
        scale: The `scale` of `CoverageOptions`. Reads per base need float32: most are below 6e-5,
            where float16 has few digits.
    """
    if scale not in ("model", "raw"):
        return "float32"
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
