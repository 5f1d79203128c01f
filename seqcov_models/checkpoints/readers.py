"""The published formats by name: which arrays of their files are which of our weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqcov_models.checkpoints.arrays import Arrays, kind_of
from seqcov_models.checkpoints.containers.hdf5 import open_h5
from seqcov_models.checkpoints.containers.safetensors_file import (
    open_safetensors,
    safetensors_shapes,
)
from seqcov_models.checkpoints.containers.tensor_bundle import open_bundle
from seqcov_models.checkpoints.containers.torch_zip import open_torch, torch_shapes
from seqcov_models.checkpoints.formats import (
    borzoi_pytorch,
    bpnet_keras,
    bpnet_lite,
    calico,
    enformer_pytorch,
    multimolecule,
    sonnet,
)
from seqcov_models.checkpoints.keymap import Array, Row, Shape, Shapes
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.shared.config import Config

OPENERS: Mapping[str, Callable[[Path], Arrays]] = {
    "hdf5": open_h5,
    "safetensors": open_safetensors,
    "zip": open_torch,
    "pickle": open_torch,
    "bundle": open_bundle,
}


def _bare(name: str) -> str | None:
    return name.removeprefix("module.")  # which a DataParallel puts before each


@dataclass(frozen=True)
class Reader:
    """How to read one format."""

    about: str
    rows: Callable[[Config, Shapes], list[Row]]
    """The key map of a network of this config; of a file with these shapes."""
    canonical: Callable[[str], str | None] = _bare
    """The one name of an array that may have several; None for what is no weight."""
    ignored: Callable[[str, Config, Shapes], bool] = lambda name, config, found: False
    """Whether an array is not needed for a network of this config."""


READERS: Mapping[str, Reader] = {
    "calico": Reader("Keras .h5 of calico/basenji or calico/baskerville", calico.rows),
    "multimolecule": Reader("config.json and weights of multimolecule", multimolecule.rows),
    "enformer-pytorch": Reader(
        "state dict of enformer-pytorch", enformer_pytorch.rows, enformer_pytorch.canonical
    ),
    "borzoi-pytorch": Reader(
        "weights of borzoi-pytorch",
        borzoi_pytorch.rows,
        ignored=lambda name, config, found: borzoi_pytorch.ignored(name, config),
    ),
    "sonnet": Reader("DeepMind's Sonnet checkpoint", sonnet.rows, sonnet.canonical),
    "bpnet-keras": Reader(
        "Keras .h5 of kundajelab/bpnet",
        bpnet_keras.rows,
        ignored=lambda name, config, found: bpnet_keras.ignored(name, found),
    ),
    "bpnet-lite": Reader("state dict of bpnet-lite", bpnet_lite.rows),
}


def canonical_shapes(path: Path, canonical: Callable[[str], str | None]) -> dict[str, Shape]:
    """Shapes of a file's arrays by their canonical names, without importing torch.

    Raises SeqcovError for a damaged or foreign file.
    """
    kind = kind_of(path)
    if kind == "safetensors":
        shapes = safetensors_shapes(path)
    elif kind in ("zip", "pickle"):
        shapes = torch_shapes(path)
    else:
        shapes = opened(path).shapes
    return {new: shape for name, shape in shapes.items() if (new := canonical(name))}


def opened(path: Path) -> Arrays:
    """The arrays of one file, whatever its kind. Raises SeqcovError for a foreign file."""
    kind = kind_of(path)
    if kind is None:
        raise SeqcovError(
            f"{path}: neither HDF5, safetensors, a file of torch.save nor a TensorFlow checkpoint"
        )
    return OPENERS[kind](path)


def open_weights(files: Sequence[Path], canonical: Callable[[str], str | None] = _bare) -> Arrays:
    """The arrays of one or several files under their canonical names.

    Counters of training steps are left out. Raises SeqcovError for a name in two files.
    """
    shapes: dict[str, Shape] = {}
    homes: dict[str, list[tuple[Arrays, str]]] = {}
    for path in files:
        arrays = opened(path)
        for name, shape in arrays.shapes.items():
            new = canonical(name)
            if new is None or new.endswith("num_batches_tracked"):
                continue
            if shapes.setdefault(new, shape) != shape:
                raise SeqcovError(f"{path}: {name} differs from the other array for {new}")
            if new in homes and any(name == other for _, other in homes[new]):
                raise SeqcovError(f"{path}: {name} is in two files")
            homes.setdefault(new, []).append((arrays, name))

    def read(names: Sequence[str]) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for name in names:
            for arrays, stored in homes[name]:
                value = arrays.read([stored])[stored]
                if name in found and not np.array_equal(found[name], value):
                    raise SeqcovError(f"{stored} differs from the other array for {name}")
                found[name] = value
        return found

    return Arrays(shapes, read)
