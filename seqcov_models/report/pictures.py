"""Draw loci, and predicted against measured coverage, as PNG files.

Pictures instead of igv.js with data inside: they open anywhere, print, and stay small whatever the
number of tracks. Only the job that writes the report imports matplotlib.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqcov_models.files import write_atomically
from seqcov_models.genome.regions import Interval
from seqcov_models.report.lanes import Box, Heights, Lane, stack_boxes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY, INK = "0.72", "0.15"
WIDTH = 11.0
"""Width of a picture in inches."""
LANE_HEIGHT, GENE_HEIGHT, GENE_ROWS = 0.42, 0.2, 5
DPI = 110
STYLE: Any = {"font.family": "sans-serif", "font.size": 8, "axes.linewidth": 0.5}


def draw_locus(
    path: Path, locus: Interval, lanes: Sequence[Lane], genes: Sequence[Box], peaks: Sequence[Box]
) -> None:
    """Draw the lanes, genes and peaks of a locus.

    Args:
        path: The PNG to write.
        locus: Contig, start, end, 0-based half-open.
        lanes: The tracks. Measured coverage is grey, on a scale of its own.
        genes: Genes, drawn with their names and exons.
        peaks: Peaks, drawn as bars.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    name_width = (locus[2] - locus[1]) * 0.0075
    genes = sorted(genes, key=lambda gene: gene.start)
    rows = stack_boxes(genes, locus, name_width)
    gene_rows = min(GENE_ROWS, max(rows, default=-1) + 1)
    heights = [LANE_HEIGHT * (1.35 if "-" in lane.predicted else 1) for lane in lanes]
    heights += [0.16] * bool(peaks) + [GENE_HEIGHT * gene_rows] * bool(gene_rows)
    total = sum(heights) + 0.45
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, total), dpi=DPI)
        grid = figure.add_gridspec(
            len(heights), 1, height_ratios=heights, hspace=0.18,
            left=0.21, right=0.985, top=1 - 0.08 / total, bottom=0.36 / total,
        )  # fmt: skip
        axes = [figure.add_subplot(grid[number]) for number in range(len(heights))]
        for axis, lane in zip(axes, lanes, strict=False):
            _draw_lane(axis, lane, locus)
        if peaks:
            _draw_peaks(axes[len(lanes)], peaks)
        if gene_rows:
            _draw_genes(axes[-1], genes, rows, gene_rows, locus)
        for axis in axes:
            axis.set_xlim(locus[1], locus[2])
            axis.spines[["top", "right", "left", "bottom"]].set_visible(False)
            axis.tick_params(bottom=axis is axes[-1], labelbottom=axis is axes[-1], length=3)
        axes[-1].spines["bottom"].set_visible(True)
        axes[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes[-1].set_xlabel(locus[0], fontsize=8, labelpad=1)
        _save(figure, path)


def _draw_lane(axis: "Axes", lane: Lane, locus: Interval) -> None:
    """Draw one lane: the plus strand upwards, the minus strand downwards."""
    is_paired = "-" in lane.predicted and len(lane.predicted) > 1
    for strand, heights in lane.predicted.items():
        sign = -1 if strand == "-" and is_paired else 1
        measured = lane.measured.get(strand)
        if measured is not None:
            _fill(axis, locus, sign * measured / (lane.measured_limit or 1), GREY)
        share = sign * np.minimum(heights / (lane.limit or 1), 1)
        if lane.measured:
            edges, steps = _steps(locus, share)
            axis.plot(edges, steps, color=lane.colour, lw=0.8)
        else:
            _fill(axis, locus, np.nan_to_num(share), lane.colour)
    axis.axhline(0, color="0.6", lw=0.4)
    axis.set_ylim(-1.05 if is_paired else -0.02, 1.05)
    axis.set_yticks([1], [_format(lane.limit)])
    axis.tick_params(axis="y", length=0, labelsize=6.5, labelcolor="0.35", pad=2)
    for text, height, size, colour in (
        (_cut(lane.sample), 0.62 if lane.detail else 0.5, 8, INK),
        (_cut(lane.detail), 0.26, 6.5, "0.4"),
    ):
        axis.text(
            -0.035, height, text, transform=axis.transAxes, ha="right", va="center",
            fontsize=size, color=colour,
        )  # fmt: skip
    if is_paired:
        for height, sign_text in ((0.62, "+"), (0.22, "−")):
            axis.text(1.003, height, sign_text, transform=axis.transAxes, fontsize=7, color="0.4")


def _steps(locus: Interval, heights: Heights) -> tuple[Heights, Heights]:
    """Return the corners of columns, as positions and heights."""
    edges = np.linspace(locus[1], locus[2], len(heights) + 1)
    return np.repeat(edges, 2)[1:-1], np.repeat(heights, 2)


def _fill(axis: "Axes", locus: Interval, heights: Heights, colour: Any) -> None:
    """Fill columns from 0 to their heights. `Axes.stairs` takes forty times as long."""
    axis.fill_between(*_steps(locus, heights), color=colour, lw=0)


def _cut(text: str, length: int = 34) -> str:
    """Return a text of at most `length` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _format(value: float) -> str:
    """Return a number with at most three digits, in the reader's units."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _draw_peaks(axis: "Axes", peaks: Sequence[Box]) -> None:
    """Draw peaks as bars."""
    axis.broken_barh([(peak.start, peak.end - peak.start) for peak in peaks], (0, 1), color="0.3")
    axis.set_ylim(-0.4, 1.4)
    axis.set_yticks([])
    axis.text(-0.035, 0.5, "peaks", transform=axis.transAxes, ha="right", va="center", fontsize=7.5)


def _draw_genes(
    axis: "Axes", genes: Sequence[Box], rows: Sequence[int], count: int, locus: Interval
) -> None:
    """Draw genes: a line from end to end, boxes for exons, the name with an arrow."""
    for gene, row in zip(genes, rows, strict=True):
        if row >= count:
            continue
        middle = count - 0.7 - row
        axis.plot([gene.start, gene.end], [middle, middle], color="#1f3b73", lw=0.7)
        spans = [
            (start, max(end - start, (locus[2] - locus[1]) / 900)) for start, end in gene.blocks
        ]
        axis.broken_barh(spans, (middle - 0.16, 0.32), color="#1f3b73", lw=0)
        arrow = {"+": " ›", "-": " ‹"}.get(gene.strand, "")
        axis.text(
            max(gene.start, locus[1]), middle + 0.2, gene.name + arrow, fontsize=6.5,
            style="italic", color="#1f3b73", va="bottom", clip_on=True,
        )  # fmt: skip
    axis.set_ylim(0, count + 0.25)
    axis.set_yticks([])
    axis.text(-0.035, 0.5, "genes", transform=axis.transAxes, ha="right", va="center", fontsize=7.5)


def draw_agreement(
    path: Path, panels: Sequence[tuple[str, tuple[float, ...], Heights, Sequence[float], str]]
) -> None:
    """Draw the density of predicted and measured values, one panel per track.

    Args:
        path: The PNG to write.
        panels: Of each track: label, RGB colour (0 to 1), number of bins per cell of log(1 + x) of
            both values, the values at the ends of the axes, and a line with its correlations.
    """
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap, LogNorm
    from matplotlib.figure import Figure

    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH * columns / 4, 2.75 * rows), dpi=DPI, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, (label, colour, density, limits, text) in zip(axes.flat, panels, strict=False):
            shades = LinearSegmentedColormap.from_list("", [(0.93, 0.93, 0.93), colour, (0, 0, 0)])
            ends = np.log1p(limits)
            cells = np.ma.masked_equal(density.T, 0)
            axis.imshow(
                cells, origin="lower", aspect="auto", extent=(0, ends[0], 0, ends[1]),
                cmap=shades, norm=LogNorm(1, max(2, int(density.max()))), interpolation="nearest",
            )  # fmt: skip
            for ticks, end in ((axis.set_xticks, ends[0]), (axis.set_yticks, ends[1])):
                values = [v for v in (0, 1, 3, 10, 30, 100, 300, 1e3, 1e4) if np.log1p(v) <= end]
                ticks(np.log1p(values), [f"{value:g}" for value in values])
            axis.tick_params(labelsize=6.5, length=2)
            axis.set_title(f"{_cut(label)}\n{text}", fontsize=7.5, loc="left")
            axis.spines[["top", "right"]].set_visible(False)
        figure.supxlabel("predicted", fontsize=8)
        figure.supylabel("measured", fontsize=8)
        _save(figure, path)


def _save(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG of few colours, without a date."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    image = Image.fromarray(np.ascontiguousarray(pixels)).quantize(128, dither=Image.Dither.NONE)
    with write_atomically(path) as part:
        image.save(part, format="PNG", optimize=True)
