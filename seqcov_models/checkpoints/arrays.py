"""What a file of weights offers, whatever its format: names, shapes, and the numbers on request."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqcov_models.checkpoints.keymap import Array, Shape
from seqcov_models.errors import SeqcovError

Bytes = npt.NDArray[np.uint8]

KINDS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""The kinds of numbers weights may be, by safetensors' names, with their bytes."""


@dataclass(frozen=True)
class Arrays:
    """The arrays of a file, their shapes known before their numbers are read."""

    shapes: dict[str, Shape]
    read: Callable[[Sequence[str]], dict[str, Array]]
    """The arrays of some names, as float32. Raises SeqcovError for damaged ones."""


def fitting(shapes: dict[str, Shape], *files: Path) -> dict[str, Shape]:
    """`shapes` itself, of arrays in some files, any of which may be there twice.

    Raises SeqcovError for more numbers than the files can hold.
    """
    size = sum(file.stat().st_size for file in files)
    if sum(math.prod(max(n, 1) for n in shape) for shape in shapes.values()) > 4 * size:
        raise SeqcovError(f"{files[0]}: its arrays have more numbers than fit into it")
    return shapes


def plain(name: str, path: Path) -> str:
    """`name`, an array's, itself. Raises SeqcovError for one that would spoil a message."""
    if len(name) > 500 or not name.isprintable():
        raise SeqcovError(f"{path}: {name[:50]!r} is no possible name of an array")
    return name


def as_float32(value: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Array:
    """`value` as float32 in this machine's byte order; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(value, np.float32)


def bytes_of(name: str, path: Path, first: int, size: int) -> Bytes:
    """The bytes of an array in a file. Raises SeqcovError where the file ends before them."""
    try:
        held = max(path.stat().st_size - first, 0)
        raw = np.fromfile(path, np.uint8, min(size, held), offset=first)
    except (OSError, ValueError, OverflowError) as error:
        raise SeqcovError(f"{path}: {error}") from None
    if len(raw) != size:
        raise SeqcovError(f"{path}: cut before the end of {name}")
    return raw


def numbers(raw: Bytes, kind: str) -> Array:
    """Little-endian numbers of one of KINDS as float32."""
    if kind == "BF16":
        return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    return as_float32(raw.view(f"<f{KINDS[kind]}"))


def finite(name: str, value: Array, path: Path) -> Array:
    """`value` itself. Raises SeqcovError where it holds NaN or infinity."""
    if not np.isfinite(value).all():
        raise SeqcovError(f"{path}: {name} holds values that are not finite")
    return value


def kind_of(path: Path) -> str | None:
    """What a file is by its content: 'hdf5', 'zip', 'pickle', 'safetensors', 'bundle' or None.

    'zip' is what torch.save writes since PyTorch 1.6, 'pickle' what it wrote before, 'bundle' the
    index of a TensorFlow checkpoint. Raises SeqcovError for a file that cannot be read.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise SeqcovError(f"weights {path}: not a file")
        with path.open("rb") as file:
            head = file.read(16)
            size = file.seek(0, 2)
            file.seek(max(size - 8, 0))
            tail = file.read(8)
    except OSError as error:
        raise SeqcovError(f"weights {path}: {error.strerror}") from None
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= size - 8:
        return "safetensors"
    if tail == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb":  # LevelDB's table magic
        return "bundle"
    if head.startswith(b"\x80") and head[1:2] in b"\x02\x03\x04\x05":
        return "pickle"
    return None
