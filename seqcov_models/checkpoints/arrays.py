"""The arrays in a file of weights, whatever its container: names, shapes, numbers on request."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqcov_models.checkpoints.keymap import Array, Shape
from seqcov_models.errors import SeqcovError

Bytes = npt.NDArray[np.uint8]

MAX_NUMBERS = 2**33
"""Numbers in the compressed arrays of one file; the largest published network has 0.3 billion."""
MAX_NAME_LENGTH = 500


@dataclass(frozen=True)
class Arrays:
    """The arrays of a file; their shapes are known before their numbers are read."""

    shapes: dict[str, Shape]
    read: Callable[[Sequence[str]], dict[str, Array]]
    """Read the arrays of some names as float32. Raises SeqcovError for damaged ones."""


def check_shapes(shapes: Mapping[str, Shape], *files: Path, compressed: bool = False) -> None:
    """Refuse arrays that cannot be in `files`, before anything is allocated for them.

    A number of an uncompressed array takes a byte or more, and a state dict may name an array
    twice; twice that is granted. Raises SeqcovError for names that would spoil a message, too.
    """
    for name in shapes:
        if len(name) > MAX_NAME_LENGTH or not name.isprintable():
            raise SeqcovError(f"{files[0]}: {name[:50]!r} is not a possible name of an array")
    size = sum(file.stat().st_size for file in files)
    numbers = sum(math.prod(max(length, 1) for length in shape) for shape in shapes.values())
    if numbers > (MAX_NUMBERS if compressed else 4 * size):
        raise SeqcovError(f"{files[0]}: its arrays have more numbers than fit into it")


def check_finite(name: str, value: Array, path: Path) -> Array:
    """Return `value`. Raises SeqcovError if it holds NaN or infinity."""
    if not np.isfinite(value).all():
        raise SeqcovError(f"{path}: {name} holds values that are not finite")
    return value


def as_float32(value: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Array:
    """Return `value` as float32 in this machine's byte order; too large values become infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(value, np.float32)
