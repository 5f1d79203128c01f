"""The track table: which output channel is what, which are chosen, what their files are called.

Tables are tab-separated with a header, as calico publishes them (`targets_human.txt` and so on of
calico/basenji and calico/borzoi): an index (its header may be empty), identifier, file, clip,
clip_soft, scale, sum_stat, strand_pair, description; only identifier is required here. The output
channel is the *row number*; the index is what the publication calls the track (mouse tables of
Basenji2 and Enformer count on from the human ones; subset tables keep the original numbers).
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from seqcov_models.errors import SeqcovError


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
    """Row of the other strand; its own row if unstranded, -1 if the table lacks the other one."""

    @property
    def assay(self) -> str:
        """The text before the first colon of the description (CAGE, DNASE, …), or ''."""
        head, colon, _ = self.description.partition(":")
        return head.strip() if colon else ""


def make_url_safe(name: str) -> str:
    """Return `name` in [A-Za-z0-9_.-], a final strand sign spelt out, without leading . or -."""
    for sign, word in (("+", ".plus"), ("-", ".minus")):
        if name.endswith(sign) and len(name) > 1:
            name = name[: -len(sign)] + word
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip(".-")[:120] or "_"


def assign_file_names(tracks: Iterable[tuple[int, str]]) -> list[str]:
    """Return one file name per (index, identifier), with the index added to equal names.

    Names are compared without regard to case, as some file systems do.
    """
    pairs = list(tracks)
    names = [make_url_safe(identifier) for _, identifier in pairs]
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


def build_default_tracks(count: int) -> list[Track]:
    """Return tracks for a head that comes without a table: track_0, track_1, …"""
    return [
        Track(row, row, f"track_{row}", file_name=f"track_{row}", pair=row) for row in range(count)
    ]


def set_strand_pairs(tracks: Sequence[Track], pairs: Sequence[int] | None) -> list[Track]:
    """Return `tracks` with strand pairs, for a table that does not state them.

    Args:
        tracks: All tracks of a table.
        pairs: Per track the row of its other strand; None if that is not known.

    Raises:
        SeqcovError: If two tracks are not each other's pair.
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


def build_strand_tracks(tasks: Sequence[str], strands: int) -> list[Track]:
    """Return one track per task and strand (1 or 2) of a BPNet: Oct4+, Oct4-, …"""
    signs = ("+", "-") if strands == 2 else ("",)
    names = [task + sign for task in tasks for sign in signs]
    pairs = [row ^ 1 if strands == 2 else row for row in range(len(names))]
    return [
        Track(row, row, name, f"{name} profile", file, {"strand_pair": str(pair)}, pair)
        for row, (name, file, pair) in enumerate(
            zip(names, assign_file_names(enumerate(names)), pairs, strict=True)
        )
    ]


def read_tracks(path: Path) -> list[Track]:
    """Read a track table.

    Args:
        path: Tab-separated file with a header; the column 'identifier' is required.

    Returns:
        The tracks, in the order of the table.

    Raises:
        SeqcovError: If the table cannot be read; the message names the line.
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
            raise SeqcovError(f"track table {path}, line {number}: index {index!r} is not a number")
        if not row["identifier"]:
            raise SeqcovError(f"track table {path}, line {number}: empty identifier")
        rows.append((int(index), row))
    names = assign_file_names((index, row["identifier"]) for index, row in rows)
    pairs = _strand_pairs(rows, path)
    return [
        Track(at, index, row.pop("identifier"), row.pop("description", ""), name, row, pair)
        for at, ((index, row), name, pair) in enumerate(zip(rows, names, pairs, strict=True))
    ]


def _strand_pairs(rows: Sequence[tuple[int, dict[str, str]]], path: Path) -> list[int]:
    """Return per row the row of its other strand, from the indices in column strand_pair."""
    row_of = {index: at for at, (index, _) in enumerate(rows)}
    pairs = []
    for at, (_, row) in enumerate(rows):
        text = row.get("strand_pair", "")
        if text and not re.fullmatch(r"\d{1,9}", text):
            raise SeqcovError(
                f"track table {path}, {row['identifier']}: strand_pair {text!r} is not an index"
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
    """Write `tracks` as a table that `read_tracks` can read; rows are numbered from 0."""
    extra = list(dict.fromkeys(name for track in tracks for name in track.columns))
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(
            handle, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n"
        )
        writer.writerow(["index", "identifier", *extra, "description"])
        for track in tracks:
            cells = [track.columns.get(name, "") for name in extra]
            writer.writerow([track.index, track.identifier, *cells, track.description])
