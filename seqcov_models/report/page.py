"""Write the report of a run: one HTML file that opens without a server or a network."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from seqcov_models import __version__
from seqcov_models.browsers.display import TrackRow, first_rows, rgb_colour
from seqcov_models.browsers.locus import find_loci
from seqcov_models.files import write_atomically, write_text
from seqcov_models.genome.regions import Interval
from seqcov_models.report.agreement import GENOME, PEAKS
from seqcov_models.report.agreement_files import read_agreement
from seqcov_models.report.citations import list_citations
from seqcov_models.report.lanes import Box, read_boxes, read_lanes, select_boxes
from seqcov_models.report.overview import (
    MAX_SPARKLINES,
    describe_models,
    draw_contigs,
    draw_distribution,
    read_times,
    seam_ratio,
    summarise_masks,
    summarise_seams,
)
from seqcov_models.report.pictures import draw_agreement, draw_locus
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.track_table import read_table
from seqcov_models.tracks.labels import MASK

LOCI, LANES, PANELS = 12, 24, 12
"""Maximum number of loci; of tracks in each picture; of tracks in the picture of agreement."""

PACKAGES = ("torch", "numpy", "snakemake")
"""Packages whose versions the report names; provenance.json has more."""


@dataclass(frozen=True)
class Picture:
    """A picture of the report.

    Attributes:
        path: The PNG.
        title: What it shows.
        names: Names of the genes in it.
    """

    path: Path
    title: str
    names: str = ""

    @property
    def source(self) -> str:
        """The PNG as a data URI."""
        content = base64.b64encode(self.path.read_bytes()).decode()
        return f"data:image/png;base64,{content}"


def write_report(
    path: Path,
    pictures: Path,
    run: RunPlan,
    *,
    agreements: Sequence[Path] = (),
    genes: Path | None = None,
    logs: Path,
) -> None:
    """Write the report, and its pictures as files beside it.

    Args:
        path: The HTML file.
        pictures: The folder of the pictures.
        run: The plans of all models, whose results are finished.
        agreements: The agreement of each of `run.observed`, as `write_agreement` wrote it.
        genes: BED12 of the genes to draw; None without an annotation.
        logs: The folder of the run's logs, with benchmarks.
    """
    rows = read_table(run.paths.track_table)
    with write_atomically(pictures) as folder:
        folder.mkdir()
        drawn = _draw_loci(folder, run, rows, read_boxes(genes) if genes else {})
        compared = _draw_agreement(folder, run, rows, agreements)
        text = _fill_template(run, rows, drawn, compared, agreements, logs)
    write_text(path, text)


def _draw_loci(
    folder: Path, run: RunPlan, rows: Sequence[TrackRow], genes: Mapping[str, Sequence[Box]]
) -> list[Picture]:
    """Draw the most interesting loci; return their pictures, the best first."""
    selectors, results = run.config["browsers"]["show"], run.paths.folder
    shown = [row for row in first_rows(rows, selectors) if row["assay"] != MASK]
    lanes = [row for row in first_rows(rows, selectors, LANES) if row["assay"] != MASK]
    measured = {track.table_file(results): (track.path, track.contigs) for track in run.observed}
    peaks: dict[str, list[Box]] = {}
    for name in run.profiles:
        for contig, boxes in read_boxes(run.paths.peaks(name)).items():
            peaks.setdefault(contig, []).extend(boxes)
    pictures = []
    for number, locus in enumerate(find_loci(shown, results, run.fasta.contigs, LOCI), 1):
        here = select_boxes(genes, locus)
        picture = Picture(folder / f"locus_{number:02}.png", *_name_locus(locus, here))
        columns = read_lanes(lanes, results, locus, measured)
        draw_locus(picture.path, locus, columns, here, select_boxes(peaks, locus))
        pictures.append(picture)
    return pictures


def _name_locus(locus: Interval, genes: Sequence[Box]) -> tuple[str, str]:
    """Return a locus as browsers take it, and the longest genes in it."""
    contig, start, end = locus
    names = [gene.name for gene in sorted(genes, key=lambda gene: gene.start - gene.end)]
    text = ", ".join(dict.fromkeys(names[:6])) + (" …" if len(names) > 6 else "")
    return f"{contig}:{start + 1:,}-{end:,}", text


def _draw_agreement(
    folder: Path, run: RunPlan, rows: Sequence[TrackRow], agreements: Sequence[Path]
) -> Picture | None:
    """Draw predicted against measured values of the first compared tracks."""
    by_file = {row["file"]: row for row in rows}
    panels = []
    for track, path in list(zip(run.observed, agreements, strict=True))[:PANELS]:
        row = by_file[track.table_file(run.paths.folder)]
        agreement = read_agreement(path)
        (genome,) = (line for line in agreement.rows if line["where"] == GENOME)
        text = f"r = {genome['pearson']:.3f}   Spearman {genome['spearman']:.3f}"
        colour = tuple(value / 255 for value in rgb_colour(row))
        density = np.array(agreement.density)
        panels.append((row["label"], colour, density, agreement.highest, text))
    if not panels:
        return None
    picture = Picture(folder / "agreement.png", "Predicted against measured coverage")
    draw_agreement(picture.path, panels)
    return picture


def _list_agreement(
    run: RunPlan, rows: Sequence[TrackRow], agreements: Sequence[Path]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the names of the sets of bins, and per track its correlations in each set."""
    by_file = {row["file"]: row for row in rows}
    names: dict[str, None] = {}
    table = []
    for track, path in zip(run.observed, agreements, strict=True):
        row = by_file[track.table_file(run.paths.folder)]
        sets = {}
        for line in read_agreement(path).rows:
            if line["where"] == "contig":
                continue
            name = {GENOME: "genome", PEAKS: "peaks"}.get(line["where"], line["name"])
            names[name] = None
            sets[name] = line
        table.append({"label": row["label"], "sets": sets})
    return [*names], table


def _fill_template(
    run: RunPlan,
    rows: Sequence[TrackRow],
    pictures: Sequence[Picture],
    compared: Picture | None,
    agreements: Sequence[Path],
    logs: Path,
) -> str:
    """Return the text of the report."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("seqcov_models.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    listed = [row for row in rows if row["assay"] != MASK]
    has_sparklines = len(listed) <= MAX_SPARKLINES
    tracks = [
        {
            **row,
            "ratio": seam_ratio(row),
            "colour": "#{:02x}{:02x}{:02x}".format(*rgb_colour(row)),
            "spark": draw_distribution(row, run.paths.folder) if has_sparklines else "",
        }
        for row in listed
    ]
    bars, other_contigs, other_bases = draw_contigs(run)
    sets, correlations = _list_agreement(run, rows, agreements)
    plans = [*run.models.values(), *run.profiles.values()]
    return environment.get_template("page.html").render(
        genome=run.genome,
        length=sum(run.fasta.contigs.values()),
        contig_count=len(run.fasta.contigs),
        models=describe_models(run, rows),
        pictures=pictures,
        compared=compared,
        sets=sets,
        correlations=correlations,
        panels=PANELS,
        bars=bars,
        other_contigs=other_contigs,
        other_bases=other_bases,
        masks=summarise_masks(run),
        seams=summarise_seams(rows),
        tracks=tracks,
        has_sparklines=has_sparklines,
        times=read_times(logs),
        fasta=run.fasta,
        seqcov=__version__,
        packages={name: _find_version(name) for name in PACKAGES},
        citations=list_citations(plan.folds[0].config for plan in plans),
    )


def _find_version(package: str) -> str:
    """Return the version of a package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
