"""Select tracks by row, identifier, assay, description or file."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from seqcov_models.errors import SeqcovError
from seqcov_models.files import describe_encoding_error
from seqcov_models.tracks.table import Track


def select(tracks: Sequence[Track], selectors: str | Sequence[str | int]) -> list[Track]:
    """Select the tracks that match any selector, in the order of the table, each once.

    Args:
        tracks: All tracks of a table.
        selectors: One selector or several. A selector is 'all', an identifier, a number (the
            table's index; a text of digits is an identifier if there is such one), 'assay:CAGE' or
            'CAGE:' (the text before the first colon of the description), 'file:PATH' (a file with
            an index in the first column of each line), or else a regular expression that is
            searched in descriptions without regard to case.

    Returns:
        The selected tracks, with the rows of the table.

    Raises:
        SeqcovError: If a selector does not match any track; the message names similar tracks.

    Example:
        >>> select(read_tracks(Path("targets_human.txt")), ["assay:CAGE", 12])
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
    """Return the rows that one selector matches; raise SeqcovError if it does not match any."""
    text = str(selector)
    if text == "all":
        return [track.row for track in tracks]
    kind, colon, value = text.partition(":")
    if kind == "file" and colon:
        return _rows_of_file(tracks, Path(value))
    if not text.strip():
        raise SeqcovError("track selector '' is empty")
    rows = [track.row for track in tracks if track.identifier == text]
    if rows and isinstance(selector, str):
        return rows
    if re.fullmatch(r"-?\d+", text):
        hint = f"; for the identifier, write it in quotes: '{text}'" if rows else ""
        return _rows_of_indices(tracks, {int(text)}, f"track selector {text}", hint)
    if kind == "assay" or (colon and not value):
        assay = value.rstrip(":") if kind == "assay" else kind
        rows = [track.row for track in tracks if assay and track.assay.lower() == assay.lower()]
    else:
        try:
            pattern = re.compile(text, re.IGNORECASE)
        except re.error as error:
            raise SeqcovError(
                f"track selector {text!r} is not a regular expression: {error}; write \\ before"
                " characters that are meant as such"
            ) from None
        rows = [track.row for track in tracks if pattern.search(track.description)]
    if not rows:
        raise SeqcovError(
            f"track selector {text!r} does not match any track; {_suggest(tracks, text)}"
        )
    return rows


def _suggest(tracks: Sequence[Track], text: str) -> str:
    """Return a hint at the tracks whose names are similar to `text`, and at the assays."""
    names: dict[str, str] = {}
    for track in tracks:
        for name in (track.identifier, track.description, track.description.partition(":")[2]):
            names.setdefault(name.lower(), name)
    assays = list(dict.fromkeys(track.assay for track in tracks if track.assay))
    similar = difflib.get_close_matches(text.lower(), list(names), n=3, cutoff=0.5)
    hint = "no name is similar"
    strands = [track.identifier for track in tracks if track.identifier in (text + "+", text + "-")]
    if strands:
        hint = f"with its strand it is {' and '.join(map(repr, strands))}; write what you want"
    elif similar:
        hint = f"similar names: {', '.join(names[name] for name in similar)}"
    return f"{hint}; assays: {', '.join(f'assay:{a}' for a in assays[:12])}" if assays else hint


def _rows_of_indices(
    tracks: Sequence[Track], indices: set[int], source: str, hint: str = ""
) -> list[int]:
    """Return the rows with these indices; raise SeqcovError, with a hint, if one is missing."""
    rows = [track.row for track in tracks if track.index in indices]
    if missing := sorted(indices - {track.index for track in tracks}):
        existing = [track.index for track in tracks]
        raise SeqcovError(
            f"{source}: no track has index {missing[0]};"
            f" the table has {len(existing)} from {min(existing)} to {max(existing)}{hint}"
        )
    return rows


def _rows_of_file(tracks: Sequence[Track], path: Path) -> list[int]:
    """Return the rows whose indices are in the first column of a file."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        message = describe_encoding_error(error)
        raise SeqcovError(f"track selector file:{path}: {message}") from None
    except OSError as error:
        raise SeqcovError(
            f"track selector file:{path}: {error.strerror}; name a file of indices"
        ) from None
    indices: set[int] = set()
    for number, line in enumerate(lines, 1):
        cell = line.split("\t")[0].strip()
        if re.fullmatch(r"\d{1,9}", cell):
            indices.add(int(cell))
        elif number > 1 and cell and not cell.startswith("#"):
            raise SeqcovError(
                f"{path}, line {number}: {cell!r} is not a track index; write the table's index"
            )
    if not indices:
        raise SeqcovError(f"track selector file:{path}: the selection is empty; add indices")
    return _rows_of_indices(tracks, indices, str(path))
