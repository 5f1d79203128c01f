"""The arrays in a file of weights, for any container: names, shapes, numbers on request."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqcov_models.checkpoints.keymap import Array, Shape
from seqcov_models.errors import SeqcovError

MAX_NUMBERS = 2**33
"""Numbers in the compressed arrays of one file; the largest published network has 0.3 billion."""
MAX_NAME_LENGTH = 500


@dataclass(frozen=True)
class Arrays:
    """The arrays of a file; their shapes are known before their numbers are read."""

    shapes: dict[str, Shape]
    read: Callable[[str], Array]
    """Return an array as float32. Raises SeqcovError if it is damaged, or not finite floats."""


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


def to_float32(value: npt.NDArray[np.generic], name: str, path: Path) -> Array:
    """Return an array as float32. Raises SeqcovError for other kinds, NaN and infinity."""
    if value.dtype.kind != "f" or value.dtype.itemsize > 8:
        raise SeqcovError(f"{path}: {name} holds {value.dtype}, not floating-point numbers")
    with np.errstate(over="ignore"):  # too large values become infinite
        numbers = np.asarray(value, np.float32)
    if not np.isfinite(numbers).all():
        raise SeqcovError(f"{path}: {name} holds values that are not finite; download it again")
    return numbers
