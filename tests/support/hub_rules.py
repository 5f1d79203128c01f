"""The rules of one-file UCSC hubs, checked strictly; UCSC's hubCheck is silent about most of them.

They are those of UCSC's documentation of hubs, trackDb and faceted composites.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

Stanza = dict[str, str]

COMMON = {"track", "shortLabel", "longLabel", "html", "parent", "visibility", "color"}
DATA = {"type", "bigDataUrl"}
WIGGLE = {
    "autoScale", "alwaysZero", "windowingFunction", "maxHeightPixels", "viewLimits", "negateValues",
}  # fmt: skip
SETTINGS = {
    "super": {"track", "superTrack", "shortLabel", "longLabel", "html"},
    "composite": COMMON | WIGGLE | {"type", "compositeTrack", "metaDataUrl", "primaryKey"},
    "bigWig": COMMON | DATA | WIGGLE,
    "bigNarrowPeak": COMMON | DATA | {"spectrum"},
    "bigBed": COMMON | DATA,
}
MOST_SUBTRACKS = 300
"""UCSC advises against more in a composite without facets."""


@dataclass
class Hub:
    """A hub that passed: its stanzas by kind, and the files that it names."""

    hub: Stanza
    genome: Stanza
    supers: dict[str, Stanza]
    composites: dict[str, Stanza]
    tracks: dict[str, Stanza]
    files: list[str]

    @property
    def bigwigs(self) -> list[Stanza]:
        """The tracks that are bigWigs."""
        return [track for track in self.tracks.values() if track["type"].startswith("bigWig")]

    @property
    def visible(self) -> list[Stanza]:
        """The bigWigs that are drawn at first."""
        return [track for track in self.bigwigs if self.is_visible(track)]

    def is_visible(self, track: Stanza) -> bool:
        """Return whether a track is drawn at first."""
        parent, _, state = track.get("parent", "").partition(" ")
        if parent in self.composites:
            return state == "on" and self.composites[parent]["visibility"] != "hide"
        return track["visibility"] != "hide"


def parse_stanzas(text: str) -> list[Stanza]:
    """Return the stanzas of a hub.txt as a parser of .ra files sees them."""
    blocks: list[list[str]] = [[]]
    for line in text.replace("\\\n", "").split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            blocks[-1].append(line.strip())
        elif not line.strip():
            blocks.append([])
    parsed = []
    for block in filter(None, blocks):
        pairs = [line.split(" ", 1) for line in block]
        assert all(len(pair) == 2 and pair[1].strip() for pair in pairs), block
        assert len({key for key, _ in pairs}) == len(pairs), f"a setting comes twice: {block}"
        parsed.append(dict(pairs))
    return parsed


def check_hub(text: str, read: Callable[[str], str]) -> Hub:
    """Check every rule of a hub.

    Args:
        text: The hub.txt.
        read: Returns the text of a page or table by its path; raises an error if it is missing.
    """
    assert re.fullmatch(r"[ -\[\]-~\n]*", text), "printable ASCII without a backslash"
    assert len(text) < 64 << 20
    hub, genome, *tracks = parse_stanzas(text)
    check_hub_stanza(hub, read)
    check_genome_stanza(genome, read)
    result = Hub(hub, genome, {}, {}, {}, [])
    for track in tracks:
        check_labels(track)
        check_track(track, result, read)
    names = [track["track"].lower() for track in tracks]
    for values in (names, *([track[key].lower() for track in tracks]
                            for key in ("shortLabel", "longLabel"))):  # fmt: skip
        assert not [value for value, count in Counter(values).items() if count > 1]
    check_composites(result, read)
    parents = {track.get("parent", "").split(" ")[0] for track in tracks}
    assert set(result.supers) <= parents, "every superTrack has children"
    assert 1 <= len(result.visible) <= 40
    return result


def check_hub_stanza(hub: Stanza, read: Callable[[str], str]) -> None:
    """Check the stanza of the hub."""
    required = ["hub", "shortLabel", "longLabel", "useOneFile", "email", "descriptionUrl"]
    assert list(hub) == required
    assert re.fullmatch(r"[A-Za-z0-9_]+", hub["hub"])
    assert len(hub["shortLabel"]) <= 20
    assert len(hub["longLabel"]) <= 70
    assert hub["useOneFile"] == "on"
    assert re.fullmatch(r"[^@\s]+@[^@\s]+", hub["email"])
    check_page(read(hub["descriptionUrl"]))


def check_genome_stanza(genome: Stanza, read: Callable[[str], str]) -> None:
    """Check the stanza of the genome: a name of UCSC's, or a genome with its own sequence."""
    if "twoBitPath" not in genome:
        assert list(genome) == ["genome"]
        return
    assert {"genome", "twoBitPath", "organism", "defaultPos", "htmlPath"} <= set(genome)
    assert re.fullmatch(r"[A-Za-z0-9_]+", genome["genome"])
    assert re.fullmatch(r".+:\d+-\d+", genome["defaultPos"])
    check_page(read(genome["htmlPath"]))
    if "chromAlias" in genome:
        header, *rows = (line.split("\t") for line in read(genome["chromAlias"]).splitlines())
        assert header[0].startswith("# ")
        assert {len(row) for row in rows} == {len(header)}


class Page(HTMLParser):
    """A page whose tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        assert tag in {"h2", "p", "ul", "li", "table", "tr", "td", "th"}, tag
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_page(text: str) -> None:
    """Check a page of HTML as UCSC shows it."""
    assert text.isascii()
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open
    assert "<h2>Description</h2>" in text
    assert "<h2>Methods</h2>" in text


def check_labels(track: Stanza) -> None:
    """Check the name and the labels of a track."""
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", track["track"]), track
    for key, limit in (("shortLabel", 17), ("longLabel", 76)):
        assert 1 <= len(track[key]) <= limit, track
        assert not set("<>\\") & set(track[key])


def check_track(track: Stanza, hub: Hub, read: Callable[[str], str]) -> None:
    """Check a stanza and add it to the hub."""
    kind = (
        "super" if "superTrack" in track
        else "composite" if "compositeTrack" in track
        else track["type"].split()[0]
    )  # fmt: skip
    assert set(track) <= SETTINGS[kind], set(track) - SETTINGS[kind]
    if "html" in track:
        check_page(read(f"{track['html']}.html"))
    if kind == "super":
        assert track["superTrack"] == "on show"
        hub.supers[track["track"]] = track
        return
    if "color" in track:
        assert re.fullmatch(r"\d+,\d+,\d+", track["color"])
        assert all(int(value) < 256 for value in track["color"].split(","))
    if track["type"].startswith("bigWig"):
        low, high = limits(track)
        assert low <= 0 < high
    assert track.get("alwaysZero", "on") == "on"
    assert track.get("windowingFunction", "maximum") in ("maximum", "minimum", "mean")
    assert track.get("negateValues", "on") == "on"
    parent, _, state = track.get("parent", "").partition(" ")
    if kind == "composite":
        assert parent in hub.supers
        assert not state
        assert "bigDataUrl" not in track
        assert track["visibility"] in ("full", "hide")
        assert track["autoScale"] in ("group", "on")
        hub.composites[track["track"]] = track
        return
    assert re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)*", track["bigDataUrl"], re.ASCII), "relative"
    if parent in hub.composites:
        assert parent == [*hub.composites][-1], "subtracks follow their list"
        assert state in ("on", "off")
        assert not {"visibility", "autoScale"} & set(track), "that is the list's to say"
    else:
        assert not parent or parent in hub.supers
        assert not state, "only subtracks of a list are on or off"
        assert track["visibility"] in ("full", "dense", "pack", "hide")
        assert track.get("autoScale") != "group"
    if kind == "bigBed":
        assert track["type"] == "bigBed 12 +"
    hub.tracks[track["track"]] = track
    hub.files.append(track["bigDataUrl"])


def limits(track: Stanza) -> tuple[float, float]:
    """Return the limits in the type of a bigWig or of a list of them."""
    match = re.fullmatch(r"bigWig (-?[\d.]+) (-?[\d.]+)", track["type"])
    assert match, track["type"]
    return float(match[1]), float(match[2])


def check_composites(hub: Hub, read: Callable[[str], str]) -> None:
    """Check lists of tracks against their subtracks and tables."""
    children: dict[str, list[Stanza]] = {name: [] for name in hub.composites}
    for track in hub.bigwigs:
        children.get(track.get("parent", "").split(" ")[0], []).append(track)
    for name, composite in hub.composites.items():
        assert len(children[name]) >= 2, "a list of one track"
        low, high = limits(composite)
        for track in children[name]:
            assert low <= limits(track)[0] < limits(track)[1] <= high
        shown = any(track["parent"].endswith(" on") for track in children[name])
        assert (composite["visibility"] == "full") == shown
        if composite["compositeTrack"] == "faceted":
            check_facets(name, composite, children[name], read(composite["metaDataUrl"]))
        else:
            assert composite["compositeTrack"] == "on"
            assert "metaDataUrl" not in composite
            assert len(children[name]) <= MOST_SUBTRACKS


def check_facets(
    name: str, composite: Mapping[str, str], children: list[Stanza], text: str
) -> None:
    """Check the table of a faceted list."""
    table = list(csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    header, *rows = table
    assert len(set(header)) == len(header)
    assert header[0] == composite["primaryKey"]
    assert all(len(row) == len(header) and all(row) for row in rows), "no cell is empty"
    assert [f"{name}_{row[0]}" for row in rows] == [track["track"] for track in children]
    assert text.isascii()
