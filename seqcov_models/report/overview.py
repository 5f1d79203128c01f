"""Collect what a report says about a run: models, the plan over the genome, seams, and times."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from seqcov_models.browsers.display import TrackRow, relative_file
from seqcov_models.genome.regions import read_bed_lines
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.profile_plan import ProfilePlan
from seqcov_models.tracks.labels import MASK

MAX_BARS = 30
"""Maximum number of contigs that are drawn; the others are counted."""
MAX_SPARKLINES = 500
"""Maximum number of tracks whose distribution is read and drawn."""
SPARK_CELLS = 24
SAMPLE, PIECES = 4_000_000, 64
"""bp of which a distribution is read, in so many pieces along the genome."""

SCALES = {
    "model": (
        "Values are the network's output: coverage per bin as it was scaled, clipped or squashed"
        " for training. Compare them along a track, not with numbers of reads;"
        " <code>scale: raw</code> converts them."
    ),
    "raw": (
        "Values are the sum or mean of the coverage over a bin: the transform of the training is"
        " undone. Values at the clip of the training stay there."
    ),
    "reads": "Values are expected reads per base: the share of a base times the reads of a window.",
}
"""What values mean, by scale."""


@dataclass(frozen=True)
class Bar:
    """A contig of the ideogram.

    Attributes:
        name: The contig.
        length: Its length in bp.
        predicted: Start and width of the predicted stretches, as shares of the longest contig.
        unknown: The same of stretches whose windows were at least half unknown, and the rest of
            those that were partly unknown, with their fraction.
    """

    name: str
    length: int
    share: float
    predicted: list[tuple[float, float]]
    unknown: list[tuple[float, float, float]]


def describe_models(run: RunPlan, rows: Sequence[TrackRow]) -> list[dict[str, Any]]:
    """Return what each model is and predicts, in words and numbers."""
    described = []
    plans: list[CoveragePlan | ProfilePlan] = [*run.models.values(), *run.profiles.values()]
    for plan in plans:
        own = [row for row in rows if row["model"] == plan.name and row["assay"] != MASK]
        config, options = plan.folds[0].config, plan.options
        is_reads = isinstance(plan, ProfilePlan) or plan.predicts_profiles
        scale = "reads" if is_reads else getattr(options, "scale", "model")
        described.append(
            {
                "name": plan.name,
                "network": config.ARCHITECTURE,
                "window": plan.geometry.window,
                "bin": plan.geometry.bin,
                "averaged": _describe_average(plan),
                "precision": options.precision,
                "tracks": len(own),
                "assays": Counter(row["assay"] or "other" for row in own).most_common(8),
                "units": sorted({row["unit"] for row in own}),
                "meaning": SCALES.get(scale, SCALES["model"]),
                "windows": (
                    max((s.window_count for s in plan.needed_sets), default=0)
                    if isinstance(plan, CoveragePlan)
                    else None
                ),
                "bases": max((int(row["bases"]) for row in own), default=0),
                "weights": [
                    (file.name, digest)
                    for fold in plan.folds
                    for file, digest in zip(fold.files, fold.digests, strict=True)
                ],
            }
        )
    return described


def _describe_average(plan: CoveragePlan | ProfilePlan) -> str:
    """Return in words which predictions of a window are averaged."""
    parts = [f"{len(plan.folds)} folds"] * (len(plan.folds) > 1)
    parts += ["both strands"] * plan.options.reverse_complement
    shifts = plan.options.shifts if isinstance(plan, CoveragePlan) else (0,)
    if len(shifts) > 1:
        parts.append(f"shifts of {', '.join(map(str, shifts))} bp")
    return " × ".join(parts) or "nothing: one prediction per window"


def draw_contigs(run: RunPlan) -> tuple[list[Bar], int, int]:
    """Return the bars of the longest contigs, and number and bp of the other contigs."""
    plans = [*run.models.values()]
    selected = plans[0].selected_bins if plans else {}
    size = plans[0].geometry.bin if plans else 1
    if not plans and run.profiles:
        selected = next(iter(run.profiles.values())).selected_bases
    unknown = _read_mask(run.paths.mask(plans[0].name)) if plans else {}
    contigs = sorted(run.fasta.contigs.items(), key=lambda item: -item[1])
    longest = contigs[0][1]
    order = list(run.fasta.contigs)
    shown = sorted(contigs[:MAX_BARS], key=lambda item: order.index(item[0]))
    bars = [
        Bar(
            name,
            length,
            length / longest,
            [
                (start * size / longest, (min(end * size, length) - start * size) / longest)
                for start, end in selected.get(name, np.empty((0, 2), int)).tolist()
            ],
            [
                (s / longest, (e - s) / longest, fraction)
                for s, e, fraction in unknown.get(name, [])
            ],
        )
        for name, length in shown
    ]
    return bars, len(contigs) - len(shown), sum(length for _, length in contigs[MAX_BARS:])


def _read_mask(path: Path) -> dict[str, list[tuple[int, int, float]]]:
    """Return start, end and unknown fraction of each stretch of a mask, by contig."""
    stretches: dict[str, list[tuple[int, int, float]]] = {}
    for _, cells in read_bed_lines(path):
        row = int(cells[1]), int(cells[2]), float(cells[3])
        stretches.setdefault(cells[0], []).append(row)
    return stretches


def summarise_masks(run: RunPlan) -> list[dict[str, Any]]:
    """Return per model of coverage the bp in partly and mostly unknown windows."""
    total = sum(run.fasta.contigs.values())
    summaries = []
    for name in run.models:
        rows = [row for rows in _read_mask(run.paths.mask(name)).values() for row in rows]
        summaries.append(
            {
                "model": name,
                "partly": sum(end - start for start, end, _ in rows),
                "mostly": sum(end - start for start, end, share in rows if share >= 0.5),
                "total": total,
            }
        )
    return summaries


def summarise_seams(rows: Sequence[TrackRow]) -> list[dict[str, Any]]:
    """Return per model the jumps between neighbouring bins at seams and elsewhere."""
    by_model: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        ratio = seam_ratio(row)
        if ratio is not None and row["assay"] != MASK:
            by_model.setdefault(row["model"], []).append((ratio, row["label"]))
    return [
        {
            "model": model,
            "tracks": len(ratios),
            "median": median(ratio for ratio, _ in ratios),
            "worst": sorted(ratios, reverse=True)[:3],
        }
        for model, ratios in by_model.items()
    ]


def seam_ratio(row: TrackRow) -> float | None:
    """Return the mean jump at seams as a multiple of that elsewhere; None without seams."""
    try:
        seam, other = float(row["seam_jump"]), float(row["other_jump"])
    except ValueError:
        return None
    return seam / other if other > 0 and math.isfinite(seam) else None


def read_times(logs: Path) -> list[dict[str, Any]]:
    """Return per rule the number of jobs, hours, CPU hours and memory of the benchmarks that exist.

    Args:
        logs: The folder of the logs of the run.
    """
    times: dict[str, list[Mapping[str, str]]] = {}
    for path in sorted(logs.glob("*/*.benchmark.*")):
        with path.open(encoding="utf-8", newline="") as file:
            times.setdefault(path.parent.name, []).extend(csv.DictReader(file, delimiter="\t"))
    return [
        {
            "rule": rule,
            "jobs": len(rows),
            "seconds": sum(_numbers(rows, "s")),
            "cpu": sum(_numbers(rows, "cpu_time")),
            "memory": max(_numbers(rows, "max_rss"), default=0.0),
        }
        for rule, rows in times.items()
    ]


def _numbers(rows: Iterable[Mapping[str, str]], column: str) -> list[float]:
    """Return the numbers of a column of benchmarks; jobs that were too short have none."""
    values = []
    for row in rows:
        try:
            values.append(float(row[column]))
        except (KeyError, TypeError, ValueError):
            continue
    return values


def draw_distribution(row: TrackRow, folder: Path) -> str:
    """Return an SVG path of the distribution of a track's values, 24 cells of log(1 + |value|).

    Bars are 2 wide and at most 16 high, by the logarithm of their number. Of a large genome, values
    of 64 stretches are read.
    """
    import pyBigWig

    top = np.log1p(max(abs(float(row["minimum"])), abs(float(row["maximum"])), 1e-9))
    counts = np.zeros(SPARK_CELLS, np.int64)
    with pyBigWig.open(str(folder / relative_file(row))) as file:
        contigs = file.chroms()
        total = sum(contigs.values())
        share = min(1.0, SAMPLE / total)
        for contig, length in contigs.items():
            pieces = max(1, round(PIECES * length / total)) if share < 1 else 1
            for piece in range(pieces):
                start = length * piece // pieces
                end = min(length, start + max(1, int(share * length / pieces)))
                values = np.asarray(file.values(contig, start, end, numpy=True), np.float64)
                values = values[~np.isnan(values)]
                cells = np.log1p(np.abs(values)) / top * SPARK_CELLS
                counts += np.bincount(
                    np.minimum(cells.astype(np.int64), SPARK_CELLS - 1), minlength=SPARK_CELLS
                )
    heights = np.log1p(counts) / max(np.log1p(counts.max()), 1e-9) * 16
    steps = "".join(f"V{16 - height:.0f}h2" for height in heights)
    return f"M0 16{steps}V16z"
