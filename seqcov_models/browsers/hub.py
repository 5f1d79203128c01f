"""What genome browsers open: a UCSC hub in one file, its sequence as .2bit, a session of IGV.

Made from the rows of the table of all tracks (`stitch.join_tables`), beside which the files are to
lie: their paths are the table's. Identifiers and descriptions come from other people's tables, so
they are cleaned of whatever a file's syntax could take for its own.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from itertools import zip_longest
from pathlib import PurePosixPath

from seqcov_models.browsers.two_bit import TWO_BIT
from seqcov_models.errors import SeqcovError
from seqcov_models.genome.regions import NO_ALIASES, Interval, parse_regions
from seqcov_models.tiling import wanted_bins

Row = Mapping[str, str]
"""A line of the table of tracks: model, group, identifier, file, bin, minimum, maximum, …"""


ASSAY_IN_HUB, IN_HUB, IN_IGV = 10, 40, 100
"""Tracks shown at first: UCSC draws a page of all of them, IGV reads all before it draws one."""

VIEW = 100_000
"""Width of the first view at most, bp: some hundreds of bins on a screen."""

COLOURS = {
    "CAGE": (213, 94, 0),
    "DNASE": (0, 114, 178),
    "ATAC": (86, 180, 233),
    "CHIP": (0, 158, 115),
    "RNA": (204, 121, 167),
}
"""By assay; from the palette for the colour-blind of Okabe and Ito (2008)."""
OTHER_COLOUR = (90, 90, 90)

SHORT_LABEL, LONG_LABEL, HUB_SHORT_LABEL, HUB_LONG_LABEL = 17, 76, 20, 70
"""Characters that UCSC's hub documentation allows."""


def locus(
    contigs: Mapping[str, int],
    regions: Sequence[str],
    exclude: Sequence[str],
    aliases: Mapping[str, str] = NO_ALIASES,
) -> Interval:
    """The first view: of the longest wanted stretch what lies a third in, `VIEW` bp or all of it.

    A third, because in the middle of a chromosome is often a centromere. contigs: lengths in bp;
    regions, exclude, aliases: as the config has them. Raises SeqcovError as `parse_regions` does.
    """
    include = parse_regions(regions, contigs, aliases) if regions else None
    wanted = wanted_bins(contigs, 1, include, parse_regions(exclude, contigs, aliases))
    stretches = [(name, *span) for name, spans in wanted.items() for span in spans.tolist()]
    contig, start, end = max(stretches, key=lambda stretch: stretch[2] - stretch[1])
    start += max(0, end - start - VIEW) // 3
    return contig, start, min(end, start + VIEW)


def hub(name: str, assembly: str | None, rows: Sequence[Row], view: Interval) -> str:
    """A hub.txt with a composite track for each model and group, the first of each assay shown.

    name: the genome's; assembly: UCSC's name of it, without which `TWO_BIT` is the sequence.
    Raises SeqcovError for a file name that is not safe.
    """
    own = re.sub(r"[^A-Za-z0-9_]", "_", name)
    head = {
        "hub": f"seqcov_{own}",
        "shortLabel": _label(f"seqcov {name}", HUB_SHORT_LABEL),
        "longLabel": _label(f"Coverage predicted along {name}", HUB_LONG_LABEL),
        "useOneFile": "on",
        "email": "nobody@example.org",  # the format asks for one
    }
    genome = {
        "genome": own,
        "twoBitPath": TWO_BIT,
        "organism": name,
        "scientificName": name,
        "description": name,
        "defaultPos": _spelt(view),
    }
    stanzas = [head, {"genome": assembly} if assembly else genome]
    shown = {row["file"] for row in _first(rows, ASSAY_IN_HUB, IN_HUB)}
    called = Counter(row["identifier"] for row in rows)
    taken: set[str] = set()
    for (model, group), members in _groups(rows).items():
        parent = _name(f"{model}_{group}", taken)
        label = f"{model} {group}, {len(members):,} tracks: {members[0]['unit']}"
        stanzas.append(
            {
                "track": parent,
                "compositeTrack": "on",
                "type": f"bigWig {_limits(members)}",
                "shortLabel": _label(f"{group} {model}", SHORT_LABEL),
                "longLabel": _label(label, LONG_LABEL),
                "visibility": "full" if any(row["file"] in shown for row in members) else "hide",
                "autoScale": "group",
                "maxHeightPixels": "100:32:8",
            }
        )
        for row in members:
            label = f"{model}: {row['description'] or row['identifier']}"
            short = row["identifier"]
            if called[short] > 1 or row["bin"] == "1":  # every bpnet-lite's task is called signal
                short += f" {model}"
            stanzas.append(
                {
                    "track": _name(PurePosixPath(row["file"]).stem, taken),
                    "parent": f"{parent} {'on' if row['file'] in shown else 'off'}",
                    "type": f"bigWig {_limits([row])}",
                    "shortLabel": _label(short, SHORT_LABEL),
                    "longLabel": _label(label, LONG_LABEL),
                    "bigDataUrl": _path(row),
                    "color": _colour(row),
                }
                | ({"windowingFunction": _extreme(row)} if row["bin"] == "1" else {})
            )
    texts = ("".join(f"{key} {value}\n" for key, value in stanza.items()) for stanza in stanzas)
    return "\n".join(texts)


def _extreme(row: Row) -> str:
    """What to draw of several values: a mean loses narrow peaks in a wide view."""
    return "minimum" if float(row["minimum"]) < 0 >= float(row["maximum"]) else "maximum"


def _groups(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["model"], row["group"]), []).append(row)
    return groups


def _first(rows: Sequence[Row], each: int, most: int) -> list[Row]:
    """Up to `most` rows, in their order: of models and assays in turn, of none more than `each`."""
    assays: dict[tuple[str, str], list[int]] = {}
    for at, row in enumerate(rows):
        assays.setdefault((row["model"], _assay(row)), []).append(at)
    turns = zip_longest(*(members[:each] for members in assays.values()))
    chosen = [at for turn in turns for at in turn if at is not None][:most]
    return [rows[at] for at in sorted(chosen)]


def _assay(row: Row) -> str:
    """The group without the number of its part (see `plan.group`)."""
    return re.sub(r"_\d+$", "", row["group"])


def _colour(row: Row) -> str:
    """By assay; of two strands the minus strand lighter."""
    colour = COLOURS.get(_assay(row).upper(), OTHER_COLOUR)
    if row["identifier"].endswith("-"):
        colour = (colour[0] + 255) // 2, (colour[1] + 255) // 2, (colour[2] + 255) // 2
    return ",".join(map(str, colour))


_WIDEN = Decimal("1.001")  # the table rounds to six digits
_DOWN, _UP = Context(prec=3, rounding=ROUND_FLOOR), Context(prec=3, rounding=ROUND_CEILING)


def _limits(rows: Iterable[Row]) -> str:
    """'low high', which enclose zero and the rows' values."""
    values = [Decimal(row[column]) for row in rows for column in ("minimum", "maximum")]
    values = [Decimal(0), *(value for value in values if value.is_finite())]
    low, high = _DOWN.multiply(min(values), _WIDEN), _UP.multiply(max(values), _WIDEN)
    return f"{low.normalize():f} {(high or Decimal(1)).normalize():f}"


def _path(row: Row) -> str:
    """The row's file, relative to the table. Raises SeqcovError where it might lead elsewhere."""
    if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)*", row["file"], re.ASCII):
        raise SeqcovError(f"table of tracks: {row['file']!r} is no name of a file below the table")
    return row["file"]


def _name(text: str, taken: set[str]) -> str:
    """`text` as a UCSC track name, unlike those `taken` without regard to case; then it is one."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", text)
    if not plain[:1].isalpha():
        plain = f"t{plain}"
    name, number = plain, 2
    while name.lower() in taken:
        name, number = f"{plain}_{number}", number + 1
    taken.add(name.lower())
    return name


def _line(text: str) -> str:
    """`text` in one line, without control characters and lone surrogates."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _label(text: str, most: int) -> str:
    r"""`text` as a value of a hub, `most` characters at most: ASCII, no \ (goes on), no < and >."""
    return re.sub(r"[^ -~]|[\\<>]", "?", _line(text))[:most].strip() or "?"


def _spelt(view: Interval) -> str:
    contig, start, end = view
    return f"{contig}:{start + 1}-{end}"
