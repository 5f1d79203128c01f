"""Plan what a model of coverage predicts: its folds, tracks, options and tiling."""

from collections.abc import Callable, Mapping
from typing import Any

from seqcov_models.checkpoints.folds import check_members, recognise_folds
from seqcov_models.checkpoints.recognise import Checkpoint
from seqcov_models.genome.fasta import Fasta
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.run.coverage_plan import CoverageOptions, CoveragePlan
from seqcov_models.run.genome_profiles import complete_entry, lay_windows
from seqcov_models.tiling import BinIntervals
from seqcov_models.tracks.selection import select


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
    folds = recognise_entry(entry)
    tracks = select(folds[0].tracks, entry["tracks"])
    geometry = folds[0].config.geometry
    tiling = lay_windows(entry, geometry, prediction)
    check_members(
        len(folds),
        tracks,
        geometry,
        reverse_complement=entry["reverse_complement"],
        shifts=entry["shifts"],
        standard_deviation=entry["standard_deviation"],
    )
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


def recognise_entry(entry: Mapping[str, Any]) -> list[Checkpoint]:
    """Return the checkpoints of one model, with the digests of their files.

    Args:
        entry: The model's section of the config.

    Raises:
        SeqcovError: If a checkpoint is missing or damaged, or the folds cannot be averaged.
    """
    folds = recognise_folds(
        entry["architecture"],
        entry["weights"],
        entry.get("species", "human"),
        entry.get("targets"),
    )
    return [fold.with_digests() for fold in folds]
