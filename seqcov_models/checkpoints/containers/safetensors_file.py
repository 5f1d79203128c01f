"""Safetensors files, whole or in parts as Hugging Face splits large ones.

Source: the format's description at github.com/huggingface/safetensors.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqcov_models.checkpoints.arrays import (
    KINDS,
    Arrays,
    bytes_of,
    finite,
    fitting,
    numbers,
    plain,
)
from seqcov_models.checkpoints.keymap import Array, Shape
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.shared.config import read_json

MOST_BYTES = 4 << 20  # of a header; 10,000 tensors need 1.5 MB
WIDTHS = {**KINDS, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


class _Entry(NamedTuple):
    kind: str
    shape: Shape
    begin: int
    end: int


def safetensors_shapes(path: Path) -> dict[str, Shape]:
    """Names and shapes of a file's tensors, from its header.

    Raises SeqcovError for a cut or foreign file.
    """
    return fitting({name: entry.shape for name, entry in _entries(path).items()}, path)


def _entries(path: Path) -> dict[str, _Entry]:
    """A file's tensors with their first byte and the one behind their last.

    Raises SeqcovError unless they fill the file without a gap and without overlapping.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(MOST_BYTES, size - 8):
                raise SeqcovError(f"{path}: not a whole safetensors file")
            header = json.loads(file.read(length))
        found = {
            name: _entry(name, of, path) for name, of in header.items() if name != "__metadata__"
        }
    except OSError as error:
        raise SeqcovError(f"{path}: {error.strerror}") from None
    except SeqcovError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SeqcovError(f"{path}: not a whole safetensors file: {error}") from None
    at = 0
    for name, entry in sorted(found.items(), key=lambda item: item[1][2:]):
        if entry.begin != at:
            raise SeqcovError(f"{path}: {name} begins at byte {entry.begin:,}, not {at:,}")
        at = entry.end
    if at != size - 8 - length:
        raise SeqcovError(f"{path}: not a whole safetensors file")
    return {
        name: entry._replace(begin=entry.begin + 8 + length, end=entry.end + 8 + length)
        for name, entry in found.items()
    }


def _entry(name: str, of: dict[str, Any], path: Path) -> _Entry:
    plain(name, path)
    kind, shape, (begin, end) = of["dtype"], tuple(of["shape"]), of["data_offsets"]
    if kind not in WIDTHS:
        raise ValueError(f"{name} holds {kind!r}")
    if len(shape) > 8 or any(type(one) is not int or one < 0 for one in (*shape, begin, end)):
        raise ValueError(f"{name} has no possible shape or place")
    if end - begin != WIDTHS[kind] * math.prod(shape):
        raise ValueError(f"{name} has {end - begin} bytes for a shape of {shape}")
    return _Entry(kind, shape, begin, end)


def parts_of(index: Path) -> list[Path]:
    """The files that a Hugging Face index (`….index.json`) names.

    Raises SeqcovError where it names anything but files beside it.
    """
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not named or set(map(type, named.values())) != {str}:
        raise SeqcovError(f"{index}: no weight_map")
    here = {file.name for file in index.parent.iterdir() if file.is_file()}
    for name in named.values():
        if name not in here:
            raise SeqcovError(f"{index}: {name[:100]!r} is not there")
    return [index.parent / name for name in sorted(set(named.values()))]


def open_safetensors(path: Path) -> Arrays:
    """The tensors of a file.

    Raises SeqcovError for a damaged file and for other than finite floating-point numbers.
    """
    entries = _entries(path)

    def read(names: Sequence[str]) -> dict[str, Array]:
        return {name: _array(name, entries[name], path) for name in names}

    return Arrays(fitting({name: of.shape for name, of in entries.items()}, path), read)


def _array(name: str, entry: _Entry, path: Path) -> Array:
    if entry.kind not in KINDS:
        raise SeqcovError(f"{path}: {name} holds {entry.kind}, not floating-point numbers")
    raw = bytes_of(name, path, entry.begin, entry.end - entry.begin)
    return finite(name, numbers(raw, entry.kind).reshape(entry.shape), path)
