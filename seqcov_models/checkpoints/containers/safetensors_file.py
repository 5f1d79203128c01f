"""Safetensors files, in one piece or in the shards that Hugging Face splits large ones into."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from seqcov_models.checkpoints.arrays import Arrays, check_shapes
from seqcov_models.checkpoints.keymap import Array
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.shared.config import read_json


def open_safetensors(path: Path) -> Arrays:
    """Read the header of a file, without torch; numbers are read through torch, for bfloat16.

    Raises SeqcovError for a cut or foreign file. Reading raises it for a tensor that is damaged or
    holds other than finite floating-point numbers.
    """
    with _open(path, "numpy") as file:
        names = list(file.keys())
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    check_shapes(shapes, path)

    def read(name: str) -> Array:
        from seqcov_models.checkpoints.containers.torch_file import to_array

        with _open(path, "pt") as file:
            return to_array(file.get_tensor(name), name, path)

    return Arrays(shapes, read)


@contextmanager
def _open(path: Path, framework: str) -> Iterator[Any]:
    """Open a file; every fault inside the block is a SeqcovError."""
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except SeqcovError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        if kind := re.search(r"unknown variant `(\w+)`", str(error)):
            raise SeqcovError(
                f"{path}: numbers of the kind {kind[1]} cannot be read; save them as float32"
            ) from None
        raise SeqcovError(
            f"{path}: not a complete safetensors file; copy or download it again"
        ) from None


def shards_in_index(index: Path) -> list[Path]:
    """Return the files that a Hugging Face index (`….index.json`) names.

    Raises SeqcovError if it names anything but files in its own folder.
    """
    weight_map = read_json(index).get("weight_map")
    if (
        not isinstance(weight_map, dict)
        or not weight_map
        or set(map(type, weight_map.values())) != {str}
    ):
        raise SeqcovError(f"{index}: no weight_map")
    names_in_folder = {file.name for file in index.parent.iterdir() if file.is_file()}
    for name in weight_map.values():
        if name not in names_in_folder:
            raise SeqcovError(f"{index}: {name[:100]!r} is not in its folder")
    return [index.parent / name for name in sorted(set(weight_map.values()))]
