"""Read what a picture of a locus shows: lanes of tracks, genes and peaks."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqcov_models.browsers.display import (
    TrackRow,
    relative_file,
    rgb_colour,
    scale_group,
    strand_unit,
)
from seqcov_models.genome.regions import Interval, read_bed_lines

COLUMNS = 1_000
"""Columns of a picture; each shows the highest value of its bases."""

QUIET = 0.03
"""Share of a track's maximum that a scale spans at least, so that a background is seen as one."""

Heights = npt.NDArray[np.float64]


@dataclass
class Lane:
    """A track, or both strands of one, in a locus.

    Attributes:
        label: Name of the track, without its strand.
        sample: Biosample, or else the target; empty if the label says all.
        detail: Assay, target and identifier.
        colour: RGB, 0 to 1.
        predicted: Heights per column by strand ("+", "-" or "."), NaN without a value.
        limit: The value at the upper end of the scale, which all lanes of an assay share.
        measured: Heights of the measured track, in the same form.
        measured_limit: The measured value at the upper end of the scale.
    """

    label: str
    sample: str
    detail: str
    colour: tuple[float, ...]
    predicted: dict[str, Heights] = field(default_factory=dict)
    limit: float = 0.0
    measured: dict[str, Heights] = field(default_factory=dict)
    measured_limit: float = 0.0


@dataclass(frozen=True)
class Box:
    """A gene or a peak in a locus.

    Attributes:
        name: Its name.
        start: First base, 0-based.
        end: End, half-open.
        strand: "+", "-" or ".".
        blocks: Start and end of each exon.
    """

    name: str
    start: int
    end: int
    strand: str
    blocks: tuple[tuple[int, int], ...]


def read_lanes(
    rows: Sequence[TrackRow],
    folder: Path,
    locus: Interval,
    measured: Mapping[str, tuple[Path, Mapping[str, str]]],
) -> list[Lane]:
    """Return the lanes of a locus, in the order of the rows. Strand pairs share a lane.

    Args:
        rows: Rows of the table of tracks.
        folder: The folder of the table.
        locus: Contig, start, end.
        measured: The measured bigWig and its names of contigs, by the row's file.
    """
    lanes: dict[tuple[str, ...], Lane] = {}
    limits: dict[tuple[str, ...], float] = {}
    for row in rows:
        strand = row["strand"]
        lane = lanes.setdefault(strand_unit(row), _name_lane(row))
        heights = np.abs(read_columns(folder / relative_file(row), locus[0], *locus[1:]))
        lane.predicted[strand] = heights
        group = scale_group(row)
        least = QUIET * max(abs(float(row["maximum"])), abs(float(row["minimum"])))
        limits[group] = max(limits.get(group, 0), _highest(heights), least)
        if row["file"] in measured:
            path, names = measured[row["file"]]
            if locus[0] in names:
                heights = np.abs(read_columns(path, names[locus[0]], *locus[1:]))
                lane.measured[strand] = np.nan_to_num(heights)
                lane.measured_limit = max(lane.measured_limit, _highest(heights))
    for row in rows:
        lanes[strand_unit(row)].limit = limits[scale_group(row)]
    return [*lanes.values()]


def _name_lane(row: TrackRow) -> Lane:
    """Return an empty lane with the names and the colour of a row."""
    is_stranded = row["strand"] in ("+", "-")
    words = row["label"].split()
    label = " ".join(word for word in words if not (is_stranded and word in ("+", "-")))
    name = row["identifier"].removesuffix(row["strand"]) if is_stranded else row["identifier"]
    sample = row["biosample"] or row["target"]
    what = [row["target"] or row["assay"]] if row["biosample"] else [row["assay"]]
    detail = " · ".join(word for word in (*what, name) if word and word != sample)
    colour = tuple(value / 255 for value in rgb_colour(row))
    return Lane(label, sample or label, detail if sample else "", colour)


def _highest(heights: Heights) -> float:
    """Return the highest height; 0 without any."""
    return float(np.nanmax(heights)) if not np.isnan(heights).all() else 0.0


def read_columns(path: Path, contig: str, start: int, end: int) -> Heights:
    """Return the value of each of `COLUMNS` columns that is farthest from 0; NaN without a value.

    Args:
        path: A bigWig.
        contig: Its name of the contig.
        start: First base, 0-based.
        end: End, half-open.
    """
    import pyBigWig

    with pyBigWig.open(str(path)) as file:
        bases = np.asarray(file.values(contig, start, end, numpy=True), np.float64)
    edges = np.linspace(0, len(bases), min(COLUMNS, len(bases)), endpoint=False).astype(np.int64)
    high, low = np.fmax.reduceat(bases, edges), np.fmin.reduceat(bases, edges)
    columns: Heights = np.where(np.abs(high) >= np.abs(low), high, low)
    return columns


def read_boxes(path: Path) -> dict[str, list[Box]]:
    """Return the lines of a BED, BED12 or narrowPeak file by contig."""
    boxes: dict[str, list[Box]] = {}
    for _, cells in read_bed_lines(path):
        start, end = int(cells[1]), int(cells[2])
        blocks: tuple[tuple[int, int], ...] = ((start, end),)
        if len(cells) >= 12 and cells[11].rstrip(",").replace(",", "").isdigit():
            sizes, offsets = (map(int, cells[n].rstrip(",").split(",")) for n in (10, 11))
            blocks = tuple(
                (start + offset, start + offset + size)
                for size, offset in zip(sizes, offsets, strict=True)
            )
        name = cells[3] if len(cells) > 3 else ""
        strand = cells[5] if len(cells) > 5 else "."
        boxes.setdefault(cells[0], []).append(Box(name, start, end, strand, blocks))
    return boxes


def select_boxes(boxes: Mapping[str, Iterable[Box]], locus: Interval) -> list[Box]:
    """Return the boxes that overlap a locus."""
    contig, start, end = locus
    return [box for box in boxes.get(contig, ()) if box.start < end and box.end > start]


def stack_boxes(boxes: Sequence[Box], locus: Interval, name_width: float) -> list[int]:
    """Return a row for each box, so that neither boxes nor their names overlap.

    Args:
        boxes: The boxes.
        locus: Contig, start, end.
        name_width: Width of a character of a name in bp.
    """
    rows: list[int] = []
    ends: list[float] = []
    for box in sorted(boxes, key=lambda box: box.start):
        left = max(box.start, locus[1])
        row = next((n for n, end in enumerate(ends) if end <= left), len(ends))
        ends += [-math.inf] * (row == len(ends))
        ends[row] = max(min(box.end, locus[2]), left + name_width * (len(box.name) + 2))
        rows.append(row)
    return rows
