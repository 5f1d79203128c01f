"""Build a UCSC track hub in one file, with descriptions and tables beside it.

The syntax follows UCSC's hub and trackDb documentation
(https://genome.ucsc.edu/goldenPath/help/hgTrackHubHelp.html).
"""

import csv
import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from pathlib import PurePosixPath

from seqcov_models.browsers.display import (
    OBSERVED,
    TrackRow,
    first_rows,
    fixed_range,
    format_locus,
    is_below_zero,
    is_observed,
    relative_file,
    scale_group,
    single_line,
    track_colour,
    value_range,
    window_function,
)
from seqcov_models.genome.regions import Interval
from seqcov_models.run.paths import FACETS, TWO_BIT
from seqcov_models.tracks.labels import is_deviation

SHORT_LABEL, LONG_LABEL, HUB_SHORT_LABEL, HUB_LONG_LABEL = 17, 76, 20, 70
"""Maximum number of characters that UCSC's documentation allows."""
MAX_SUBTRACKS = 200
"""Maximum number of tracks in a list with check boxes. More are chosen by facets in a table."""
MAX_TARGETS = 12
"""Maximum number of lists per assay and model: one per target, or else one for all."""

Stanza = dict[str, str]


@dataclass(frozen=True)
class HubOptions:
    """What a hub says besides its tracks.

    Attributes:
        assembly: UCSC's name of the assembly (hg38). None for a genome that UCSC does not know:
            the hub then names `TWO_BIT` as its sequence.
        view: The interval shown first (contig, start, end), 0-based half-open.
        show: Selectors of the tracks shown first; empty for a varied choice.
        email: Address of the person to ask.
        peaks: Paths of bigBed files of peaks by model, relative to the hub.
        genes: Path of a bigBed of genes, relative to the hub; None if there is none.
        aliases: Path of the table of other names of contigs, relative to the hub.
        folder: Name of the folder of the descriptions, beside the hub.
        provenance: What descriptions say on how tracks were made, as sentences.
    """

    assembly: str | None
    view: Interval
    show: Sequence[str | int] = ()
    email: str = "nobody@example.org"
    peaks: Mapping[str, str] = field(default_factory=dict)
    genes: str | None = None
    aliases: str | None = None
    folder: str = "hub"
    provenance: str = ""


def build_hub(name: str, rows: Sequence[TrackRow], options: HubOptions) -> dict[str, str]:
    """Build a hub: one group of tracks per model, with a list per assay and target.

    Args:
        name: Name of the genome, as in the config.
        rows: Rows of the table of tracks, beside which the hub lies.
        options: What the hub says besides.

    Returns:
        Texts by path, relative to the hub's folder. The hub itself has the path "" and is ASCII.

    Raises:
        SeqcovError: If the path of a track file could lead outside the table's folder, or a
            selector does not match any track.
    """
    builder = _Builder(rows, options)
    stanzas = _head_stanzas(name, options)
    if options.genes:
        stanzas.append(builder.gene_stanza(options.genes))
    models = dict.fromkeys([*(row["model"] for row in rows), *options.peaks])
    for model in models:
        members = [row for row in rows if row["model"] == model]
        stanzas += builder.build_model(model, members)
    builder.texts[f"{options.folder}/{DESCRIPTION}"] = _page(
        f"Predicted coverage along {name}", _list_models(rows), options
    )
    texts = ("".join(f"{key} {value}\n" for key, value in stanza.items()) for stanza in stanzas)
    return {"": "\n".join(texts), **builder.texts}


DESCRIPTION = "description.html"
"""Name of the page that describes the hub."""


def _head_stanzas(name: str, options: HubOptions) -> list[Stanza]:
    """Return the stanzas of the hub and of the genome."""
    genome = re.sub(r"[^A-Za-z0-9_]", "_", name)
    page = f"{options.folder}/{DESCRIPTION}"
    hub = {
        "hub": f"seqcov_{genome}",
        "shortLabel": _label(f"seqcov {name}", HUB_SHORT_LABEL),
        "longLabel": _label(f"Predicted coverage along {name}", HUB_LONG_LABEL),
        "useOneFile": "on",
        "email": _label(options.email, 200),
        "descriptionUrl": page,
    }
    if options.assembly:
        return [hub, {"genome": options.assembly}]
    own = {
        "genome": genome,
        "twoBitPath": TWO_BIT,
        "organism": name,
        "scientificName": name,
        "description": name,
        "defaultPos": format_locus(options.view),
        "htmlPath": page,
    }
    if options.aliases:
        own["chromAlias"] = options.aliases
    return [hub, own]


class _Builder:
    """Stanzas of tracks with unique names and labels, and the files beside the hub."""

    def __init__(self, rows: Sequence[TrackRow], options: HubOptions) -> None:
        """Choose the tracks that are shown first."""
        self.options = options
        self.visible = {row["file"] for row in first_rows(rows, options.show)}
        self.texts: dict[str, str] = {}
        self._names: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._labels: dict[int, set[str]] = {SHORT_LABEL: set(), LONG_LABEL: set()}

    def build_model(self, model: str, rows: Sequence[TrackRow]) -> list[Stanza]:
        """Return the stanzas of a model's tracks. rows: those of the model."""
        parent = self._name(model)
        title = f"Predictions of {model}, {_count([r for r in rows if not is_observed(r)])}"
        self._describe(parent, title, _list_tracks(rows))
        stanzas = [
            {
                "track": parent,
                "superTrack": "on show",
                "shortLabel": self._label(model, "", SHORT_LABEL),
                "longLabel": self._label(title, "", LONG_LABEL),
                "html": f"{self.options.folder}/{parent}",
            }
        ]
        if model in self.options.peaks:
            stanzas.append(self._peak_stanza(model, parent, self.options.peaks[model]))
        for key, members in divide_rows(rows).items():
            if len(members) == 1:
                place = self._place(parent, members[0])
                stanzas.append(self._track_stanza(self._file_name(members[0]), place, members[0]))
            else:
                stanzas += self._build_composite(parent, key, members)
        return stanzas

    def _build_composite(
        self, parent: str, key: tuple[str, str], rows: Sequence[TrackRow]
    ) -> list[Stanza]:
        """Return the stanzas of a list of tracks and of the tracks."""
        model, what = rows[0]["model"], " ".join(word for word in key if word) or "tracks"
        name = self._name(f"{model}_{what}")
        scales = {scale_group(row) for row in rows}
        units = "; ".join(dict.fromkeys(row["unit"] for row in rows))
        title = f"{model} {what}, {_count(rows)}: {units}"
        origin = MEASURED if is_observed(rows[0]) else PREDICTED
        self._describe(name, title, _list_tracks(rows), origin)
        is_faceted = len(rows) > MAX_SUBTRACKS
        composite = {
            "track": name,
            "parent": parent,
            "compositeTrack": "faceted" if is_faceted else "on",
            "type": f"bigWig {format_limits(rows)}",
            "shortLabel": self._label(what, model, SHORT_LABEL),
            "longLabel": self._label(title, "", LONG_LABEL),
            "visibility": "full" if any(row["file"] in self.visible for row in rows) else "hide",
            "autoScale": "group" if len(scales) == 1 else "on",
            "alwaysZero": "on",
            "windowingFunction": window_function(rows[0]),
            "maxHeightPixels": "100:32:8",
            "html": f"{self.options.folder}/{name}",
        }
        if is_faceted:
            composite["metaDataUrl"] = f"{self.options.folder}/{name}{FACETS}"
            composite["primaryKey"] = "track"
        stanzas, keys = [composite], []
        for row in rows:
            if is_faceted:  # tracks are called after the list and their key in the table
                stem = PurePosixPath(row["file"]).stem.removeprefix(f"{model}.")
                track = self._name(f"{name}_{stem}")
                keys.append(track.removeprefix(f"{name}_"))
            else:
                track = self._file_name(row)
            state = "on" if row["file"] in self.visible else "off"
            stanzas.append(self._track_stanza(track, {"parent": f"{name} {state}"}, row))
        if is_faceted:
            self.texts[composite["metaDataUrl"]] = _facets(keys, rows)
        return stanzas

    def _place(self, parent: str, row: TrackRow) -> Stanza:
        """Return the settings of a track that is not in a list."""
        return {
            "parent": parent,
            "visibility": "full" if row["file"] in self.visible else "hide",
            "autoScale": "off" if fixed_range(row) else "on",
            "alwaysZero": "on",
            "windowingFunction": window_function(row),
            "maxHeightPixels": "100:32:8",
            "html": f"{self.options.folder}/{parent}",
        }

    def _track_stanza(self, name: str, place: Stanza, row: TrackRow) -> Stanza:
        """Return the stanza of one bigWig. place: the settings of its place in the hub."""
        kind = row["target"] if row["biosample"] else ""
        words = [kind or row["assay"], row["strand"].strip(".")]
        words += ["SD"] if is_deviation(row["description"]) else []
        words += ["obs"] if is_observed(row) else []
        head, tail = row["biosample"] or row["target"], " ".join(word for word in words if word)
        if not head:
            head, tail = row["label"], ""
        stanza = {
            "track": name,
            **place,
            "type": f"bigWig {format_limits([row])}",
            "shortLabel": self._label(head, tail, SHORT_LABEL),
            "longLabel": self._label(row["label"], f"({row['model']})", LONG_LABEL),
            "bigDataUrl": relative_file(row),
            "color": track_colour(row),
        }
        if limits := fixed_range(row):
            stanza["viewLimits"] = f"{limits[0]:g}:{limits[1]:g}"
        if row["strand"] == "-" and not is_below_zero(row):
            stanza["negateValues"] = "on"  # so that strands are drawn as mirror images
        if row["strand"] == "-" and is_below_zero(row) and "windowingFunction" not in stanza:
            stanza["windowingFunction"] = window_function(row)
        return stanza

    def _peak_stanza(self, model: str, parent: str, file: str) -> Stanza:
        """Return the stanza of the peaks of a BPNet."""
        return {
            "track": self._name(f"{model}_peaks"),
            "parent": parent,
            "type": "bigNarrowPeak",
            "shortLabel": self._label("peaks", model, SHORT_LABEL),
            "longLabel": self._label(f"Peaks at which {model} predicts", "", LONG_LABEL),
            "bigDataUrl": file,
            "visibility": "dense",
            "color": "60,60,60",
            "spectrum": "on",
            "html": f"{self.options.folder}/{parent}",
        }

    def gene_stanza(self, file: str) -> Stanza:
        """Return the stanza of the genes of the annotation."""
        return {
            "track": self._name("genes"),
            "type": "bigBed 12 +",
            "shortLabel": self._label("genes", "", SHORT_LABEL),
            "longLabel": self._label(
                "Genes of the annotation that the config names", "", LONG_LABEL
            ),
            "bigDataUrl": file,
            "visibility": "pack",
            "color": "60,60,60",
            "html": f"{self.options.folder}/{PurePosixPath(DESCRIPTION).stem}",
        }

    def _describe(self, name: str, title: str, content: str, origin: str | None = None) -> None:
        """Write the page that describes a track, or a list of tracks."""
        page = _page(title, content, self.options, origin or PREDICTED)
        self.texts[f"{self.options.folder}/{name}.html"] = page

    def _file_name(self, row: TrackRow) -> str:
        return self._name(PurePosixPath(row["file"]).stem)

    def _name(self, text: str) -> str:
        """Return `text` as a UCSC track name that is used once, without regard to case."""
        stem = re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_")
        if not stem[:1].isalpha():
            stem = f"t{stem}"
        name, number = stem, 2
        while name.lower() in self._names:
            name, number = f"{stem}_{number}", number + 1
        self._names.add(name.lower())
        return name

    def _label(self, head: str, tail: str, limit: int) -> str:
        """Return a label that is used once: `tail` is complete, `head` is cut if it is long."""
        used, first = self._labels[limit], ""
        while True:
            number = self._numbers[first] = self._numbers.get(first, 0) + 1
            suffix = f" {number}" if first else ""
            end = (f" {_label(tail, limit - 5 - len(suffix))}" if tail else "") + suffix
            label = _label(head, limit - len(end)) + end
            if label.lower() not in used:
                used.add(label.lower())
                return label
            if not first:
                first = f"{limit} {label.lower()}"
                self._numbers.setdefault(first, 1)


def divide_rows(rows: Sequence[TrackRow]) -> dict[tuple[str, str], list[TrackRow]]:
    """Divide a model's rows into lists of tracks by assay and, if they are few, by target."""
    assays: dict[tuple[str, str], list[TrackRow]] = {}
    for row in rows:
        kind = "SD" if is_deviation(row["description"]) else ""
        kind = OBSERVED if is_observed(row) else kind
        assays.setdefault((row["assay"], kind), []).append(row)
    lists: dict[tuple[str, str], list[TrackRow]] = {}
    for (assay, kind), members in assays.items():
        by_target: dict[str, list[TrackRow]] = {}
        for row in members:
            by_target.setdefault(row["target"], []).append(row)
        if len(members) > MAX_SUBTRACKS or len(by_target) > MAX_TARGETS:
            by_target = {"": members}
        for target, part in by_target.items():
            lists[assay, f"{target} {kind}".strip()] = part
    return lists


_MARGIN = Decimal("1.001")  # the table rounds to six digits
_ROUND_DOWN, _ROUND_UP = (
    Context(prec=3, rounding=ROUND_FLOOR),
    Context(prec=3, rounding=ROUND_CEILING),
)


def format_limits(rows: Iterable[TrackRow]) -> str:
    """Return 'low high', which enclose zero and the values of `rows`, also with the sign changed.

    Minus strands are drawn downwards.
    """
    rows = list(rows)
    low, high = (Decimal(repr(value)) for value in value_range(rows))
    if any(row["strand"] == "-" for row in rows):
        low, high = min(low, -high), max(high, -low)
    low, high = _ROUND_DOWN.multiply(low, _MARGIN), _ROUND_UP.multiply(high, _MARGIN)
    return f"{low.normalize():f} {(high or Decimal(1)).normalize():f}"


def _facets(keys: Sequence[str], rows: Sequence[TrackRow]) -> str:
    """Return the table of a faceted list: one row per track, its name first."""
    columns = ("assay", "target", "biosample", "strand", "identifier", "description")
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE,
                        quotechar=None, escapechar=None)  # fmt: skip
    writer.writerow(["track", *columns])
    for key, row in zip(keys, rows, strict=True):
        cells = (
            _label(row[column], 200) if row[column].strip(".") else "none" for column in columns
        )
        writer.writerow([key, *cells])
    return stream.getvalue()


def _list_models(rows: Sequence[TrackRow]) -> str:
    """Return the content of the hub's page."""
    models: dict[str, list[TrackRow]] = {}
    for row in rows:
        if not is_observed(row):
            models.setdefault(row["model"], []).append(row)
    items = (f"<li>{_escape(model)}: {_count(part)}</li>" for model, part in models.items())
    return f"<ul>{''.join(items)}</ul>"


def _list_tracks(rows: Sequence[TrackRow]) -> str:
    """Return a table of tracks; of many only their number per assay and target."""
    if not rows:
        return ""
    if len(rows) > MAX_SUBTRACKS:
        counts: dict[tuple[str, ...], int] = {}
        for row in rows:
            key = row["assay"], row["target"], row["unit"]
            counts[key] = counts.get(key, 0) + 1
        header: tuple[str, ...] = ("assay", "target", "unit", "tracks")
        lines = [(*key, f"{count:,}") for key, count in counts.items()]
    else:
        header = ("label", "unit", "maximum", "description")
        lines = [tuple(row[column] for column in header) for row in rows]
    cells = (f"<tr>{''.join(f'<td>{_escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
    head = "".join(f"<th>{name}</th>" for name in header)
    return "\n".join([f"<table><tr>{head}</tr>", *cells, "</table>"])


PREDICTED = (
    "These values were predicted from the sequence by a neural network; they were not measured,"
    " unless a track is called observed."
)
MEASURED = "These values were measured; predictions of the same tracks are in the list above."


def _page(title: str, content: str, options: HubOptions, origin: str = PREDICTED) -> str:
    """Return a page of HTML as UCSC shows it below the settings of a track."""
    return (
        f"<h2>Description</h2>\n<p>{_escape(title)}. {origin}</p>\n"
        f"{content}\n<h2>Display</h2>\n<p>Tracks of one list share one vertical scale if they have"
        " one assay and target. Values of the minus strand are drawn downwards. Of several values"
        " in a pixel the highest is drawn.</p>\n"
        f"<h2>Methods</h2>\n<p>{_escape(options.provenance)} The table of tracks and the"
        " provenance, in the folder of this hub, say how each track was made.</p>\n"
        f"<h2>Contact</h2>\n<p>{_escape(options.email)}</p>\n"
    )


def _escape(text: str) -> str:
    """Return text as HTML in ASCII."""
    return html.escape(single_line(text)).encode("ascii", "xmlcharrefreplace").decode()


def _count(rows: Sequence[TrackRow]) -> str:
    return "1 track" if len(rows) == 1 else f"{len(rows):,} tracks"


def _label(text: str, limit: int) -> str:
    r"""Return `text` as a value in a hub: at most `limit` ASCII characters without <, > and \."""
    return re.sub(r"[^ -~]|[\\<>]", "?", single_line(text))[:limit].strip() or "?"
