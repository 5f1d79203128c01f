"""Select tracks by row, identifier, assay, description or file."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from seqcov_models.errors import SeqcovError
from seqcov_models.tracks.table import Track


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
