"""Build a data hub of the WashU Epigenome Browser.

The format is that of https://epgg.github.io/datahub/track_properties, which also holds for the
browser of 2018 (https://eg.readthedocs.io/en/latest/datahub.html): a JSON array of tracks, whose
`url` may be relative to the hub. These pages do not say the following, which was read in the
browser's code and seen in it (npm's wuepgg 59.2.3 with wuepgg3-track 4.0.6):

- The table of tracks opens with the facets `Sample` and `Assay`, and does not list a track
  without a `Sample`.
- Tracks without negative values are not drawn if they have a `group`, so nothing shares a scale.
- Values below zero are orange if `color2` is missing. Positive ones are never drawn downwards.
- Its reader of bigBed needs the list of contigs before the data. pybigtools writes it behind them,
  and such tracks load for ever. So there are no peaks and genes; it has genes of its own.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any

from seqcov_models.browsers.display import (
    TrackRow,
    first_rows,
    fixed_range,
    is_below_zero,
    relative_file,
    single_line,
    track_colour,
)

NONE = "none"
"""The value of a facet that does not apply, such as the target of a track of DNase."""

FACETS = {
    "Sample": "biosample",
    "Assay": "assay",
    "Target": "target",
    "Strand": "strand",
    "Model": "model",
}
"""The columns of the table of tracks, by the facets that show them."""

Json = dict[str, Any]


def build_washu_hub(
    rows: Sequence[TrackRow], contigs: Collection[str], show: Sequence[str | int] = ()
) -> str:
    """Build the JSON of a hub with every bigWig.

    Args:
        rows: Rows of the table of tracks, beside which the hub lies.
        contigs: Names of the contigs in the bigWigs.
        show: Selectors of the tracks shown first; empty for a varied choice.

    Returns:
        The JSON in ASCII, with one track per line.

    Raises:
        SeqcovError: If the path of a track file could lead outside the table's folder, or a
            selector does not match any track.
    """
    visible = {row["file"] for row in first_rows(rows, show)}
    # the browser calls contigs as UCSC does, and then looks for 1 instead of chr1
    style = {} if any(contig.startswith("chr") for contig in contigs) else {"ensemblStyle": True}
    lines = (
        json.dumps(_bigwig_track(row, style, row["file"] in visible), separators=(",", ":"))
        for row in rows
    )
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _bigwig_track(row: TrackRow, style: Json, is_shown: bool) -> Json:
    """Return the track of one bigWig. style: options that all tracks have."""
    colour = f"rgb({track_colour(row)})"
    options: Json = {
        "color": colour,
        "color2": colour,
        "aggregateMethod": "MIN" if is_below_zero(row) else "MAX",
        **style,
    }
    if limits := fixed_range(row):
        options |= {"yScale": "fixed", "yMin": limits[0], "yMax": limits[1]}
    return {
        "type": "bigwig",
        "name": single_line(row["label"]),
        "url": relative_file(row),
        "showOnHubLoad": is_shown,
        "metadata": {
            facet: single_line(row[column].strip(".")) or NONE for facet, column in FACETS.items()
        },
        "details": {column: single_line(row[column]) for column in ("description", "unit")},
        "options": options,
    }
