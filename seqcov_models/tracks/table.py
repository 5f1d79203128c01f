"""The track table: the output channels of a head, their strand pairs and file names.

Tables are tab-separated with a header, as calico publishes them (`targets_human.txt` and so on of
calico/basenji and calico/borzoi): an index (its header may be empty), identifier, file, clip,
clip_soft, scale, sum_stat, strand_pair, description; only identifier is required here. The output
channel is the *row number*; the index is the track's number in the publication (mouse tables of
Basenji2 and Enformer continue the human ones; subset tables keep the original numbers).
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from seqcov_models.errors import SeqcovError
from seqcov_models.files import describe_encoding_error


@dataclass(frozen=True)
class Track:
    """One output channel of a head, with its row of the track table.

    Attributes:
        row: Number of the output channel and of the table's row, counted from 0.
        index: Number of the track in the publication; selectors use it.
        identifier: Short name, such as an ENCODE or FANTOM accession.
        description: Assay and sample, such as "CAGE:liver, adult".
        file_name: Name for files, without an ending: unique in its table, of [A-Za-z0-9_.-].
        columns: Text of the other columns by name, such as clip_soft, scale, sum_stat.
        pair: Row of the other strand; `row` if the track is unstranded, -1 if the table lacks it.

    Example:
        >>> Track(0, 0, "CNhs1+", "CAGE:liver", "CNhs1.plus", pair=1).assay
        'CAGE'
    """

    row: int
    index: int
    identifier: str
    description: str = ""
    file_name: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    pair: int = -1

    @property
    def assay(self) -> str:
        """The text before the first colon of the description (CAGE, DNASE, …), or ''."""
        head, colon, _ = self.description.partition(":")
        return head.strip() if colon else ""


def make_url_safe(name: str) -> str:
    """Return a name that is safe in file names and URLs.

    Args:
        name: Any text.

    Returns:
        1 to 120 characters of [A-Za-z0-9_.-] that do not begin with . or -; a strand sign at the
        end becomes ".plus" or ".minus".

    Example:
        >>> make_url_safe("CNhs1+")
        'CNhs1.plus'
    """
    for sign, word in (("+", ".plus"), ("-", ".minus")):
        if name.endswith(sign) and len(name) > 1:
            name = name[: -len(sign)] + word
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip(".-")[:120] or "_"


def assign_file_names(tracks: Iterable[tuple[int, str]]) -> list[str]:
    """Return a unique file name per track, without an ending.

    Names are compared without regard to case, as some file systems do. The index is added to equal
    names.

    Args:
        tracks: Index and identifier of each track.

    Returns:
        Names as `make_url_safe` returns them, in the order of the tracks.
    """
    pairs = list(tracks)
    names = [make_url_safe(identifier) for _, identifier in pairs]
    counts = Counter(name.lower() for name in names)
    names = [
        name if counts[name.lower()] == 1 else f"{name}.{index}"
        for name, (index, _) in zip(names, pairs, strict=True)
    ]
    assigned: set[str] = set()
    for row in range(len(names)):
        while names[row].lower() in assigned:
            names[row] = f"{names[row]}_{row}"
        assigned.add(names[row].lower())
    return names


def build_default_tracks(count: int) -> list[Track]:
    """Return `count` unstranded tracks, track_0 and so on, for a head without a table."""
    return [
        Track(row, row, f"track_{row}", file_name=f"track_{row}", pair=row) for row in range(count)
    ]


def set_strand_pairs(tracks: Sequence[Track], pairs: Sequence[int] | None) -> list[Track]:
    """Return `tracks` with strand pairs, for a table that does not state them.

    Args:
        tracks: All tracks of a table.
        pairs: Row of the other strand per track; None if that is unknown.

    Returns:
        The tracks with `pair` and the column strand_pair set; with `pair` -1 if `pairs` is None.

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
    """Return one track per task and strand of a BPNet, such as Oct4+ and Oct4-.

    Args:
        tasks: Names of the tasks.
        strands: Strands per task, 1 or 2.

    Returns:
        Tracks in the order of the network's channels: tasks, and within a task strands.
    """
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

    Example:
        >>> read_tracks(Path("targets_human.txt"))[0].identifier
        'CNhs10608+'
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            lines = list(csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
    except OSError as error:
        raise SeqcovError(f"track table {path}: {error.strerror}; correct targets") from None
    except UnicodeDecodeError as error:
        raise SeqcovError(f"track table {path}: {describe_encoding_error(error)}") from None
    except csv.Error as error:
        raise SeqcovError(f"track table {path} is not a text table: {error}") from None
    if not lines:
        raise SeqcovError(f"track table {path} is empty; copy it again")
    header = [name or "index" for name in lines[0]]
    if "identifier" not in header:
        raise SeqcovError(
            f"track table {path}: no column 'identifier' among {', '.join(map(repr, header))};"
            " expected tab-separated columns as in calico's targets tables"
        )
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise SeqcovError(f"track table {path}: column {twice!r} appears twice; remove one")
    rows: list[tuple[int, dict[str, str]]] = []
    line_by_index: dict[int, int] = {}
    for number, cells in enumerate(lines[1:], 2):
        if not any(cells):
            continue
        if len(cells) != len(header):
            raise SeqcovError(
                f"track table {path}, line {number}: {len(cells)} columns, the header has"
                f" {len(header)}; separate cells by one tab each"
            )
        row = dict(zip(header, cells, strict=True))
        index = row.pop("index", str(len(rows)))
        if not re.fullmatch(r"\d{1,9}", index):
            raise SeqcovError(
                f"track table {path}, line {number}: index {index!r} is not a number; write digits"
            )
        if int(index) in line_by_index:
            raise SeqcovError(
                f"track table {path}, line {number}: index {index} is already that of line"
                f" {line_by_index[int(index)]}; number the tracks differently"
            )
        line_by_index[int(index)] = number
        if not row["identifier"]:
            raise SeqcovError(f"track table {path}, line {number}: empty identifier; write a name")
        if "\0" in "".join(cells):
            raise SeqcovError(f"track table {path}, line {number}: a NUL character; remove it")
        rows.append((int(index), row))
    names = assign_file_names((index, row["identifier"]) for index, row in rows)
    pairs = _strand_pairs(rows, path)
    return [
        Track(number, index, row.pop("identifier"), row.pop("description", ""), name, row, pair)
        for number, ((index, row), name, pair) in enumerate(zip(rows, names, pairs, strict=True))
    ]


def _strand_pairs(rows: Sequence[tuple[int, dict[str, str]]], path: Path) -> list[int]:
    """Return the row of each track's other strand, from the indices in column strand_pair."""
    row_by_index = {index: number for number, (index, _) in enumerate(rows)}
    pairs = []
    for number, (_, row) in enumerate(rows):
        text = row.get("strand_pair", "")
        if text and not re.fullmatch(r"\d{1,9}", text):
            raise SeqcovError(
                f"track table {path}, {row['identifier']}: strand_pair {text!r} is not an index"
            )
        pairs.append(row_by_index.get(int(text), -1) if text else number)
    for number, pair in enumerate(pairs):
        if pair >= 0 and pairs[pair] != number:
            names = rows[number][1]["identifier"], rows[pair][1]["identifier"]
            raise SeqcovError(
                f"track table {path}: strand_pair of {names[0]} is {names[1]}, but the pair of"
                f" {names[1]} is another track; each must be the pair of the other"
            )
    return pairs


def write_tracks(path: Path, tracks: Sequence[Track]) -> None:
    """Write tracks as a table that `read_tracks` can read.

    Args:
        path: File to write.
        tracks: Tracks in the order of the table; `row` and `pair` are not written, the columns
            with strand_pair are.
    """
    extra = list(dict.fromkeys(name for track in tracks for name in track.columns))
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(
            handle, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n"
        )
        writer.writerow(["index", "identifier", *extra, "description"])
        for track in tracks:
            cells = [track.columns.get(name, "") for name in extra]
            writer.writerow([track.index, track.identifier, *cells, track.description])
