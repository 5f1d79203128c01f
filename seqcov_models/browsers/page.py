"""Build the page that shows tracks in a web browser, with igv.js.

Everything that the page reads lies beside it: nothing is fetched from another place. Names that
other people wrote enter it as JSON, and its content security policy lets no script run but the two
that it names.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from seqcov_models.browsers.display import (
    MAX_SHOWN,
    TrackRow,
    first_rows,
    fixed_range,
    format_locus,
    is_observed,
    relative_file,
    rows_of_signals,
    scale_group,
    single_line,
    track_colour,
    window_function,
)
from seqcov_models.browsers.igv_js import read_igv_js
from seqcov_models.browsers.locus import find_loci
from seqcov_models.files import write_text
from seqcov_models.genome.annotation import Gene, read_genes
from seqcov_models.genome.regions import Interval

TEMPLATE = Path(__file__).with_name("template")
"""The folder of the page's template, style and script."""

MAX_LOCI = 6
"""Number of loci that the page offers."""

COLUMNS = (
    "label", "title", "detail", "identifier", "description", "assay", "target", "biosample",
    "strand", "model", "unit", "file", "colour", "scale", "range", "window", "flipped", "observed",
)  # fmt: skip
"""What the page knows of a track."""


def build_page(
    name: str,
    reference: Mapping[str, str],
    rows: Sequence[TrackRow],
    loci: Sequence[Interval],
    *,
    genes: str | None = None,
    peaks: Sequence[str] = (),
    show: Sequence[str | int] = (),
    gene_names: Mapping[Interval, str] | None = None,
    igv: str,
) -> str:
    """Build the HTML of the page.

    Args:
        name: The genome's name.
        reference: igv.js' description of the sequence, with URLs relative to the page.
        rows: Rows of the table of tracks, beside which the page lies.
        loci: Intervals to offer, 0-based half-open; the first one is shown first.
        genes: URL of the BED of genes; None without an annotation.
        peaks: URLs of peaks as bigBed, whose scores are shades.
        show: Selectors of the tracks shown first; empty for a varied choice.
        gene_names: What to call loci besides their place, such as a gene in them.
        igv: URL of igv.js.

    Raises:
        SeqcovError: If the path of a track file could lead outside the table's folder.
    """
    numbers = {row["file"]: index for index, row in enumerate(rows)}
    groups: dict[tuple[str, ...], int] = {}
    models = {row["model"] for row in rows}
    tracks = [_describe(row, len(models) > 1, groups) for row in rows]
    measured = sum(map(is_observed, rows))
    count = sum(row["assay"] != "mask" for row in rows) - measured
    names_of_models = ", ".join(sorted(models)) if len(models) < 4 else f"{len(models)} models"
    summary = f"{count:,} predicted tracks of {names_of_models}"
    names = gene_names or {}
    data = {
        "columns": COLUMNS,
        "rows": tracks,
        "shown": [numbers[row["file"]] for row in first_rows(rows, show)],
        "limit": MAX_SHOWN,
        "summary": f"{summary}, {measured:,} observed" if measured else summary,
        "reference": {"id": single_line(name), "name": single_line(name), **reference},
        "locus": format_locus(loci[0]),
        "loci": [(format_locus(locus), names.get(locus) or _short(locus)) for locus in loci],
        "extras": _features(genes, peaks),
    }
    script = (TEMPLATE / "page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(loader=FileSystemLoader(TEMPLATE), autoescape=True)
    return environment.get_template("page.html").render(
        name=single_line(name),
        digest=f"sha256-{digest}",
        style=Markup((TEMPLATE / "page.css").read_text("utf-8")),
        script=Markup(script),
        igv=igv,
        data=Markup(_embed(data)),
    )


def write_page(
    folder: Path,
    name: str,
    contigs: Mapping[str, int],
    rows: Sequence[TrackRow],
    view: Interval | None,
    peaks: Sequence[Path],
    genes: Path | None,
    *,
    page: Path,
    script: Path,
    sizes: Path,
    two_bit: Path | None,
    aliases: Path | None = None,
    show: Sequence[str | int] = (),
) -> None:
    """Write the page, and beside it igv.js and what it needs to know of the genome.

    Args:
        folder: The folder of the results, which the page lies in.
        name: The genome's name.
        contigs: Lengths in bp by name.
        rows: The table of tracks in `folder`.
        view: The interval shown first, 0-based half-open; None for the most interesting one.
        peaks: Peaks as bigBed, below `folder`.
        genes: The BED of genes in `folder`; None without an annotation.
        page: The page to write.
        script: The copy of igv.js to write.
        sizes: The table of contig lengths to write.
        two_bit: The sequence in `folder`; None to show none.
        aliases: The table of other names of contigs in `folder`; None without one.
        show: Selectors of the tracks shown first; empty for a varied choice.

    Raises:
        SeqcovError: If igv.js is not installed, or a file of the table is not safe to name.
    """
    text = read_igv_js()
    shown = rows_of_signals(first_rows(rows, show))
    loci = find_loci(shown or rows, folder, contigs, MAX_LOCI)
    first = [view] if view else loci[:1] or [(next(iter(contigs)), 0, min(contigs.values()))]
    loci = [*first, *(locus for locus in loci if locus not in first)]
    names = _name_loci(loci, read_genes(genes, contigs)) if genes else {}
    reference = {"format": "chromsizes", "fastaURL": sizes.name}
    if two_bit:
        reference = {"twoBitURL": two_bit.name, "chromSizesURL": sizes.name}
    if aliases:
        reference["aliasURL"] = aliases.name
    html = build_page(
        name,
        reference,
        rows,
        loci,
        genes=genes.name if genes else None,
        peaks=[file.relative_to(folder).as_posix() for file in peaks],
        show=show,
        gene_names=names,
        igv=script.name,
    )
    lines = [f"{contig}\t{length}\n" for contig, length in contigs.items()]
    write_text(sizes, "".join(lines))
    write_text(script, text)
    write_text(page, html)


def _name_loci(loci: Sequence[Interval], genes: Sequence[Gene]) -> dict[Interval, str]:
    """Return the gene nearest to the middle of each locus, of those that overlap it."""
    names: dict[Interval, str] = {}
    for locus in loci:
        contig, start, end = locus
        middle = (start + end) // 2
        inside = [
            (max(gene.start - middle, middle - gene.end, 0), gene.name)
            for gene in genes
            if gene.contig == contig and gene.start < end and start < gene.end
        ]
        if inside:
            names[locus] = min(inside)[1]
    return names


def _describe(row: TrackRow, with_model: bool, groups: dict[tuple[str, ...], int]) -> list[Any]:
    """Return the cells of a row for the page. groups: numbers of y scales, which are added to."""
    limits = fixed_range(row)
    below = window_function(row) == "minimum"
    strand = {"+": " (+)", "-": " (−)"}.get(row["strand"], "")
    what = row["target"] or row["assay"]
    title = " ".join(filter(None, (row["biosample"], what))) + strand
    title += " observed" if is_observed(row) else ""
    detail = [row["assay"] if row["target"] else "", row["identifier"]]
    detail += [row["model"]] if with_model else []
    cells: dict[str, Any] = {column: row[column] for column in COLUMNS if column in row}
    cells |= {
        "label": row["label"],
        "title": title if what != "mask" else row["label"],
        "detail": " · ".join(filter(None, detail)),
        "file": relative_file(row),
        "colour": f"rgb({track_colour(row)})",
        "scale": groups.setdefault(scale_group(row), len(groups)),
        "range": limits,
        "window": "min" if below else "max",
        "flipped": row["strand"] == "-" and not below,
        "observed": is_observed(row),
    }
    return [
        single_line(cell) if isinstance(cell := cells[column], str) else cell for column in COLUMNS
    ]


def _features(genes: str | None, peaks: Sequence[str]) -> list[dict[str, Any]]:
    """Return igv.js' tracks of genes, above the others, and of peaks, below them."""
    tracks: list[dict[str, Any]] = []
    if genes:
        tracks.append(
            {
                "name": "Genes", "type": "annotation", "format": "bed", "url": genes, "order": 1,
                "indexed": False, "searchable": True, "visibilityWindow": -1,
                "displayMode": "EXPANDED", "height": 56, "autoHeight": True, "maxRows": 4,
                "color": "rgb(35,55,105)",
            }
        )  # fmt: skip
    for url in peaks:
        model = PurePosixPath(url).parent.name
        tracks.append(
            {
                "name": f"{model} peaks", "type": "annotation", "format": "bigbed", "url": url,
                "order": 100_000_000, "displayMode": "COLLAPSED", "height": 44,
                "color": "rgb(90,60,20)", "useScore": True, "visibilityWindow": -1,
            }
        )  # fmt: skip
    return tracks


def _short(locus: Interval) -> str:
    """Return a locus in few letters: chr1:1.25 Mb."""
    contig, start, end = locus
    middle = (start + end) // 2
    place = f"{middle / 1e6:.2f} Mb" if middle >= 1_000_000 else f"{middle / 1e3:.0f} kb"
    return f"{contig}:{place}"


def _embed(data: Any) -> str:
    """Return `data` as JSON that ends no script element and begins no comment in it."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
