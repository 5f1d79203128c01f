"""Keras' .h5 files: names, shapes and numbers of their weights.

A layer's weights lie at `model_weights/<layer>/<layer>/<variable>:0`; a file of weights alone has
no `model_weights`. Two generations of names exist in calico's files: the released Borzoi ones say
`sync_batch_normalization` and keep the attention biases directly under their layer; newer ones say
`batch_normalization` and repeat the layer's name.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from seqcov_models.checkpoints.arrays import Arrays, check_shapes, to_float32
from seqcov_models.checkpoints.keymap import Array, Shape
from seqcov_models.errors import SeqcovError

ROOT = "model_weights"


def open_h5(path: Path) -> Arrays:
    """Read the weights of a Keras file as 'layer/variable', both generations of names as one.

    Only hard links are followed, so nothing outside the file is read. Raises SeqcovError for a file
    that is cut, foreign, holds other than floating-point numbers, or holds a weight twice.
    """
    paths: dict[str, str] = {}
    shapes: dict[str, Shape] = {}
    is_compressed = False

    with _open(path) as file:
        for path_in_file, item in _datasets(file):
            name = _normal_name(path_in_file)
            if name in paths:
                raise SeqcovError(f"{path}: {path_in_file} and {paths[name]} are the same weight")
            if item.is_virtual or item.external:
                raise SeqcovError(f"{path}: {path_in_file} points outside its file")
            if item.size and not item.id.get_storage_size():
                raise SeqcovError(f"{path}: {path_in_file} was never written")
            is_compressed |= item.id.get_create_plist().get_nfilters() > 0
            paths[name], shapes[name] = path_in_file, item.shape or ()
    if not paths:
        raise SeqcovError(f"{path}: no Keras weights in this HDF5 file")
    check_shapes(shapes, path, compressed=is_compressed)

    def read(name: str) -> Array:
        with _open(path) as file:
            return to_float32(np.asarray(file[paths[name]][()]), name, path)

    return Arrays(shapes, read)


def read_attributes(path: Path) -> tuple[Any, list[str]]:
    """Return what a file says of its network: `model_config` (JSON or None), names of layers."""
    with _open(path) as file:
        layer_names = dict(_items(file)).get(ROOT, file).attrs.get("layer_names", ())
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in layer_names]
        return file.attrs.get("model_config"), names


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open an HDF5 file; every fault inside the block is a SeqcovError."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except SeqcovError:
        raise
    except Exception:  # OSError, RuntimeError, KeyError, … for damage
        raise SeqcovError(f"{path}: not a complete HDF5 file; copy or download it again") from None


def _items(file: Any) -> list[tuple[str, Any]]:
    """Return every group and dataset that hard links lead to, and its full name."""
    items: list[tuple[str, Any]] = []
    file.visititems(lambda name, item: items.append((name, item)))
    return items


def _datasets(file: Any) -> list[tuple[str, Any]]:
    """Return every dataset with weights: those in `model_weights`, or all if there is none."""
    import h5py

    datasets = [(name, item) for name, item in _items(file) if isinstance(item, h5py.Dataset)]
    return [pair for pair in datasets if ROOT not in file or pair[0].startswith(f"{ROOT}/")]


def _normal_name(path_in_file: str) -> str:
    """'model_weights/sync_x/sync_x/gamma:0' → 'x/gamma'."""
    parts = [
        name_part.removesuffix(":0").removeprefix("sync_") for name_part in path_in_file.split("/")
    ]
    parts = parts[1:] if parts[0] == ROOT else parts
    if len(parts) > 2 and parts[1] == parts[0]:
        parts = parts[1:]
    return "/".join(parts)
