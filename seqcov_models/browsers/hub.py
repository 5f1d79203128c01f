"""Build a UCSC track hub in one file.

The syntax follows UCSC's hub and trackDb documentation
(https://genome.ucsc.edu/goldenPath/help/hgTrackHubHelp.html).
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from pathlib import PurePosixPath

from seqcov_models.browsers.display import (
    TrackRow,
    first_rows,
    format_locus,
    group_rows,
    relative_file,
    single_line,
    track_colour,
    window_function,
)
from seqcov_models.genome.regions import Interval
from seqcov_models.run.paths import TWO_BIT

SHORT_LABEL, LONG_LABEL, HUB_SHORT_LABEL, HUB_LONG_LABEL = 17, 76, 20, 70
"""Maximum number of characters that UCSC's documentation allows."""

Stanza = dict[str, str]


def build_hub(
    name: str,
    assembly: str | None,
    rows: Sequence[TrackRow],
    view: Interval,
    show: Sequence[str | int] = (),
    email: str = "nobody@example.org",
) -> str:
    """Build the text of a hub.txt with one composite track per model and group.

    Args:
        name: Name of the genome, as in the config.
        assembly: UCSC's name of the assembly (hg38). None for a genome that UCSC does not know:
            the hub then names `TWO_BIT` as its sequence.
        rows: Rows of the table of tracks, beside which the hub lies.
        view: The interval shown first (contig, start, end), 0-based half-open.
        show: Selectors of the tracks shown first; empty for a varied choice.
        email: Address of the person to ask.

    Returns:
        The text, in ASCII. The first tracks of each assay are visible, the others can be chosen.

    Raises:
        SeqcovError: If the path of a track file could lead outside the table's folder.
    """
    genome = re.sub(r"[^A-Za-z0-9_]", "_", name)
    stanzas = [
        {
            "hub": f"seqcov_{genome}",
            "shortLabel": _label(f"seqcov {name}", HUB_SHORT_LABEL),
            "longLabel": _label(f"Predicted coverage along {name}", HUB_LONG_LABEL),
            "useOneFile": "on",
            "email": single_line(email),
        },
        {"genome": assembly}
        if assembly
        else {
            "genome": genome,
            "twoBitPath": TWO_BIT,
            "organism": name,
            "scientificName": name,
            "description": name,
            "defaultPos": format_locus(view),
        },
    ]
    visible = {row["file"] for row in first_rows(rows, show)}
    identifiers = Counter(row["identifier"] for row in rows)
    names: set[str] = set()
    for (model, group), members in group_rows(rows).items():
        composite = _unique_name(f"{model}_{group}", names)
        stanzas.append(_composite_stanza(composite, model, group, members, visible))
        for row in members:
            # Every task of a BPNet-lite checkpoint is called "signal", so the model is added.
            ambiguous = identifiers[row["identifier"]] > 1 or row["bin"] == "1"
            short_label = f"{row['identifier']} {model}" if ambiguous else row["identifier"]
            track = _unique_name(PurePosixPath(row["file"]).stem, names)
            parent = f"{composite} {'on' if row['file'] in visible else 'off'}"
            stanzas.append(_track_stanza(track, parent, short_label, row))
    texts = ("".join(f"{key} {value}\n" for key, value in stanza.items()) for stanza in stanzas)
    return "\n".join(texts)


def _composite_stanza(
    name: str, model: str, group: str, rows: Sequence[TrackRow], visible: set[str]
) -> Stanza:
    """Build the stanza of the composite track that holds `rows`."""
    tracks = f"{len(rows):,} tracks" if len(rows) > 1 else "1 track"
    label = f"{model} {group}, {tracks}: {rows[0]['unit']}"
    return {
        "track": name,
        "compositeTrack": "on",
        "type": f"bigWig {_limits(rows)}",
        "shortLabel": _label(f"{group} {model}", SHORT_LABEL),
        "longLabel": _label(label, LONG_LABEL),
        "visibility": "full" if any(row["file"] in visible for row in rows) else "hide",
        "autoScale": "group",
        "maxHeightPixels": "100:32:8",
    }


def _track_stanza(name: str, parent: str, short_label: str, row: TrackRow) -> Stanza:
    """Build the stanza of one bigWig."""
    long_label = f"{row['model']}: {row['description'] or row['identifier']}"
    stanza = {
        "track": name,
        "parent": parent,
        "type": f"bigWig {_limits([row])}",
        "shortLabel": _label(short_label, SHORT_LABEL),
        "longLabel": _label(long_label, LONG_LABEL),
        "bigDataUrl": relative_file(row),
        "color": track_colour(row),
    }
    if row["bin"] == "1":
        stanza["windowingFunction"] = window_function(row)
    return stanza


_MARGIN = Decimal("1.001")  # the table rounds to six digits
_ROUND_DOWN, _ROUND_UP = (
    Context(prec=3, rounding=ROUND_FLOOR),
    Context(prec=3, rounding=ROUND_CEILING),
)


def _limits(rows: Iterable[TrackRow]) -> str:
    """Return 'low high', which enclose zero and the values of `rows`."""
    values = [Decimal(row[column]) for row in rows for column in ("minimum", "maximum")]
    values = [Decimal(0), *(value for value in values if value.is_finite())]
    low, high = _ROUND_DOWN.multiply(min(values), _MARGIN), _ROUND_UP.multiply(max(values), _MARGIN)
    return f"{low.normalize():f} {(high or Decimal(1)).normalize():f}"


def _unique_name(text: str, names: set[str]) -> str:
    """Return `text` as a UCSC track name that differs from those in `names`, and add it there.

    Names are compared without regard to case.
    """
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", text)
    if not stem[:1].isalpha():
        stem = f"t{stem}"
    name, number = stem, 2
    while name.lower() in names:
        name, number = f"{stem}_{number}", number + 1
    names.add(name.lower())
    return name


def _label(text: str, limit: int) -> str:
    r"""Return `text` as a value in a hub: at most `limit` ASCII characters without <, > and \."""
    return re.sub(r"[^ -~]|[\\<>]", "?", single_line(text))[:limit].strip() or "?"
