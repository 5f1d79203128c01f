"""The files that weights come in: thin adapters on h5py, safetensors, torch and google-crc32c."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from seqcov_models.checkpoints.arrays import Arrays
from seqcov_models.checkpoints.keymap import Array, Shape
from seqcov_models.errors import SeqcovError

_READERS: Mapping[str, str] = {
    "hdf5": "hdf5.open_h5",
    "safetensors": "safetensors_file.open_safetensors",
    "zip": "torch_file.open_torch",
    "pickle": "torch_file.open_torch",
    "bundle": "tensor_bundle.open_bundle",
}


def detect_container(path: Path) -> str | None:
    """Return what a file is by its content: 'hdf5', 'zip', 'pickle', 'safetensors', 'bundle'.

    'zip' is what torch.save writes since PyTorch 1.6, 'pickle' what it wrote before, 'bundle' the
    index of a TensorFlow checkpoint; None is anything else. Raises SeqcovError for a file that
    cannot be read, and for a tar.
    """
    try:
        if not path.is_file():  # opening a pipe would wait
            raise SeqcovError(f"weights {path}: not a file; name a file or a folder")
        with path.open("rb") as file:
            head = file.read(512)
            size = file.seek(0, 2)
            file.seek(max(size - 8, 0))
            end = file.read(8)
    except OSError as error:
        raise SeqcovError(f"weights {path}: {error.strerror}") from None
    if head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        raise SeqcovError(
            f"weights {path}: a compressed file or a tar. Name a file in a tar as"
            f" {path.name}::FILE, or unpack it; a TensorFlow SavedModel in it cannot be read, but"
            " an .h5 can"
        )
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= size - 8:
        return "safetensors"
    if end == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb":  # LevelDB's table magic
        return "bundle"
    if head.startswith(b"\x80") and head[1:2] in b"\x02\x03\x04\x05":
        return "pickle"
    return None


def open_file(path: Path) -> Arrays:
    """Open one file of weights of any container. Raises SeqcovError for a foreign file."""
    container = detect_container(path)
    if container is None:
        raise SeqcovError(
            f"{path}: not HDF5, safetensors, a file of torch.save or a TensorFlow checkpoint;"
            " download it again, or name another file"
        )
    module, _, function = _READERS[container].partition(".")
    reader: Callable[[Path], Arrays] = getattr(import_module(f"{__name__}.{module}"), function)
    return reader(path)


def open_files(files: Sequence[Path], canonical: Callable[[str], str | None]) -> Arrays:
    """Open several files as one, each array under its canonical name; None leaves an array out.

    Batch norm's counters of training steps are left out. Raises SeqcovError for a name in two
    files, and for two arrays of one canonical name that differ.
    """
    shapes: dict[str, Shape] = {}
    sources: dict[str, list[tuple[Arrays, str]]] = {}
    for path in files:
        arrays = open_file(path)
        for name, shape in arrays.shapes.items():
            new = canonical(name)
            if new is None or new.endswith("num_batches_tracked"):
                continue
            if shapes.setdefault(new, shape) != shape:
                raise SeqcovError(f"{path}: {name} and another array for {new} differ in shape")
            if new in sources and any(name == array for _, array in sources[new]):
                raise SeqcovError(f"{path}: {name} is in another shard, too")
            sources.setdefault(new, []).append((arrays, name))

    def read(name: str) -> Array:
        (arrays, name_in_file), *others = sources[name]
        value = arrays.read(name_in_file)
        for array, copy in others:
            if not np.array_equal(value, array.read(copy)):
                raise SeqcovError(f"{name_in_file} differs from {copy}, which is the same weight")
        return value

    return Arrays(shapes, read)
