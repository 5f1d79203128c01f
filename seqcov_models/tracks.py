"""The track table: which output channel is what, which are chosen, what their files are called.

Tables are tab-separated with a header, as calico publishes them (`targets_human.txt` and so on of
calico/basenji and calico/borzoi): an index (its header may be empty), identifier, file, clip,
clip_soft, scale, sum_stat, strand_pair, description; only identifier is required here. The output
channel is the *row number*; the index is what the publication calls the track (mouse tables of
Basenji2 and Enformer count on from the human ones; subset tables keep the original numbers).
"""

import csv
import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .errors import SeqcovError


@dataclass(frozen=True)
class Track:
    """One output channel. `columns` holds the other columns of its row, as text."""

    row: int
    index: int
    identifier: str
    description: str = ""
    file_name: str = ""
    """Unique in its table, of [A-Za-z0-9_.-] only, without an ending."""
    columns: dict[str, str] = field(default_factory=dict)
    pair: int = -1
    """Row of the other strand, its own where there is none; -1 where the table lacks that row."""

    @property
    def assay(self) -> str:
        """What stands before the first colon of the description (CAGE, DNASE, …), or ''."""
        head, colon, _ = self.description.partition(":")
        return head.strip() if colon else ""


def url_safe(name: str) -> str:
    """`name` in [A-Za-z0-9_.-], a strand sign at its end spelt out, no . or - at its start."""
    for sign, word in (("+", ".plus"), ("-", ".minus")):
        if name.endswith(sign) and len(name) > 1:
            name = name[: -len(sign)] + word
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip(".-")[:120] or "_"


def file_names(tracks: Iterable[tuple[int, str]]) -> list[str]:
    """A file name for each (index, identifier), told apart by the index where two would be one.

    Compared without regard to case, since some file systems do.
    """
    pairs = list(tracks)
    names = [url_safe(identifier) for _, identifier in pairs]
    seen = Counter(name.lower() for name in names)
    names = [
        name if seen[name.lower()] == 1 else f"{name}.{index}"
        for name, (index, _) in zip(names, pairs, strict=True)
    ]
    taken: set[str] = set()
    for at in range(len(names)):
        while names[at].lower() in taken:
            names[at] = f"{names[at]}_{at}"
        taken.add(names[at].lower())
    return names


def default_tracks(count: int) -> list[Track]:
    """Tracks for a head that comes without a table: track_0, track_1, …"""
    return [
        Track(row, row, f"track_{row}", file_name=f"track_{row}", pair=row) for row in range(count)
    ]


def with_strand_pairs(tracks: Sequence[Track], pairs: Sequence[int] | None) -> list[Track]:
    """`tracks` whose table says nothing of strands, with `pairs`, each one's other strand's row.

    None where that is not known. Raises SeqcovError for pairs that are none.
    """
    if pairs is None:
        return [replace(track, pair=-1) for track in tracks]
    rows = range(len(tracks))
    if any(pair not in rows or pairs[pair] != row for row, pair in enumerate(pairs)):
        raise SeqcovError(f"strand_pair: {list(pairs[:9])} … does not pair {len(tracks):,} tracks")
    return [
        replace(track, pair=pair, columns=track.columns | {"strand_pair": str(tracks[pair].index)})
        for track, pair in zip(tracks, pairs, strict=True)
    ]


def strand_tracks(tasks: Sequence[str], strands: int) -> list[Track]:
    """A track for each of BPNet's tasks and strands (1 or 2), named by both: Oct4+, Oct4-, …"""
    signs = ("+", "-") if strands == 2 else ("",)
    names = [task + sign for task in tasks for sign in signs]
    pairs = [row ^ 1 if strands == 2 else row for row in range(len(names))]
    return [
        Track(row, row, name, f"{name} profile", file, {"strand_pair": str(pair)}, pair)
        for row, (name, file, pair) in enumerate(
            zip(names, file_names(enumerate(names)), pairs, strict=True)
        )
    ]


def read_tracks(path: Path) -> list[Track]:
    """The tracks of a table, in its order.

    Raises SeqcovError, naming the line, where it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            lines = list(csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
    except OSError as error:
        raise SeqcovError(f"track table {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SeqcovError(f"track table {path}: not a text table: {error}") from None
    if not lines:
        raise SeqcovError(f"track table {path}: empty")
    header = [name or "index" for name in lines[0]]
    if "identifier" not in header:
        raise SeqcovError(
            f"track table {path}: no column 'identifier' among {', '.join(map(repr, header))};"
            " expected tab-separated columns as in calico's targets tables"
        )
    rows: list[tuple[int, dict[str, str]]] = []
    for number, cells in enumerate(lines[1:], 2):
        if not any(cells):
            continue
        if len(cells) != len(header):
            raise SeqcovError(
                f"track table {path}, line {number}: {len(cells)} columns, the header has"
                f" {len(header)}"
            )
        row = dict(zip(header, cells, strict=True))
        index = row.pop("index", str(len(rows)))
        if not re.fullmatch(r"\d{1,9}", index):
            raise SeqcovError(f"track table {path}, line {number}: index {index!r} is no number")
        if not row["identifier"]:
            raise SeqcovError(f"track table {path}, line {number}: empty identifier")
        rows.append((int(index), row))
    names = file_names((index, row["identifier"]) for index, row in rows)
    pairs = _strand_pairs(rows, path)
    return [
        Track(at, index, row.pop("identifier"), row.pop("description", ""), name, row, pair)
        for at, ((index, row), name, pair) in enumerate(zip(rows, names, pairs, strict=True))
    ]


def _strand_pairs(rows: Sequence[tuple[int, dict[str, str]]], path: Path) -> list[int]:
    """The row of each row's other strand. The column holds indices; without it there are none."""
    row_of = {index: at for at, (index, _) in enumerate(rows)}
    pairs = []
    for at, (_, row) in enumerate(rows):
        text = row.get("strand_pair", "")
        if text and not re.fullmatch(r"\d{1,9}", text):
            raise SeqcovError(
                f"track table {path}, {row['identifier']}: strand_pair {text!r} is no index"
            )
        pairs.append(row_of.get(int(text), -1) if text else at)
    for at, pair in enumerate(pairs):
        if pair >= 0 and pairs[pair] != at:
            names = rows[at][1]["identifier"], rows[pair][1]["identifier"]
            raise SeqcovError(
                f"track table {path}: strand_pair of {names[0]} is {names[1]}, whose own is another"
            )
    return pairs


def write_tracks(path: Path, tracks: Sequence[Track]) -> None:
    """Write `tracks` as a table that `read_tracks` reads back, rows renumbered from 0."""
    extra = list(dict.fromkeys(name for track in tracks for name in track.columns))
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(
            handle, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n"
        )
        writer.writerow(["index", "identifier", *extra, "description"])
        for track in tracks:
            cells = [track.columns.get(name, "") for name in extra]
            writer.writerow([track.index, track.identifier, *cells, track.description])


def select(tracks: Sequence[Track], selectors: str | Sequence[str | int]) -> list[Track]:
    """The tracks that any of `selectors` names, in the table's order, each once.

    'all'; a number (the table's index); an identifier; 'assay:CAGE' or 'CAGE:' (what stands before
    the description's first colon); 'file:PATH' (a file of indices, the first column of each line);
    else a regular expression, searched in the descriptions without regard to case.
    Raises SeqcovError, with near matches, for a selector that matches nothing.
    """
    if isinstance(selectors, str):
        selectors = [selectors]
    chosen: set[int] = set()
    for selector in selectors:
        chosen.update(_matches(tracks, selector))
    if not chosen:
        raise SeqcovError("tracks: the selection is empty; write 'all' or at least one selector")
    return [track for track in tracks if track.row in chosen]


def _matches(tracks: Sequence[Track], selector: str | int) -> list[int]:
    text = str(selector)
    if text == "all":
        return [track.row for track in tracks]
    kind, colon, value = text.partition(":")
    if kind == "file" and colon:
        return _rows_of_file(tracks, Path(value))
    if not text.strip():
        raise SeqcovError("track selector '' is empty")
    if re.fullmatch(r"-?\d+", text):
        return _rows_of_indices(tracks, {int(text)}, f"track selector {text}")
    if rows := [track.row for track in tracks if track.identifier == text]:
        return rows
    if kind == "assay" or (colon and not value):
        assay = value.rstrip(":") if kind == "assay" else kind
        rows = [track.row for track in tracks if assay and track.assay.lower() == assay.lower()]
    else:
        try:
            pattern = re.compile(text, re.IGNORECASE)
        except re.error as error:
            raise SeqcovError(f"track selector {text!r}: no regular expression: {error}") from None
        rows = [track.row for track in tracks if pattern.search(track.description)]
    if not rows:
        raise SeqcovError(f"track selector {text!r} matches no track; {_near(tracks, text)}")
    return rows


def _near(tracks: Sequence[Track], text: str) -> str:
    names: dict[str, str] = {}
    for track in tracks:
        for name in (track.identifier, track.description, track.description.partition(":")[2]):
            names.setdefault(name.lower(), name)
    assays = list(dict.fromkeys(track.assay for track in tracks if track.assay))
    near = difflib.get_close_matches(text.lower(), list(names), n=3, cutoff=0.5)
    said = f"near: {', '.join(names[name] for name in near)}" if near else "nothing is near it"
    return f"{said}; assays: {', '.join(f'assay:{a}' for a in assays[:12])}" if assays else said


def _rows_of_indices(tracks: Sequence[Track], indices: set[int], where: str) -> list[int]:
    rows = [track.row for track in tracks if track.index in indices]
    if missing := sorted(indices - {track.index for track in tracks}):
        known = [track.index for track in tracks]
        raise SeqcovError(
            f"{where}: no track has index {missing[0]};"
            f" the table has {len(known)} from {min(known)} to {max(known)}"
        )
    return rows


def _rows_of_file(tracks: Sequence[Track], path: Path) -> list[int]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SeqcovError(f"track selector file:{path}: {error}") from None
    indices: set[int] = set()
    for number, line in enumerate(lines, 1):
        cell = line.split("\t")[0].strip()
        if re.fullmatch(r"\d{1,9}", cell):
            indices.add(int(cell))
        elif number > 1 and cell and not cell.startswith("#"):
            raise SeqcovError(f"{path}, line {number}: {cell!r} is no track index")
    return _rows_of_indices(tracks, indices, str(path))
