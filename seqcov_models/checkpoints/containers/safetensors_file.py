"""Safetensors files, in one piece or in the shards that Hugging Face splits large ones into."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from seqcov_models.checkpoints.arrays import Arrays, check_finite, check_shapes
from seqcov_models.checkpoints.keymap import Array
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.shared.config import read_json

DTYPES = ("F64", "F32", "F16", "BF16")


@contextmanager
def _opened(path: Path, framework: str) -> Iterator[Any]:
    """Open a file; every fault inside the block is a SeqcovError."""
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise SeqcovError(f"{path}: not a complete safetensors file: {reason}") from None


def open_safetensors(path: Path) -> Arrays:
    """Read the header of a file, without torch; numbers are read through torch, for bfloat16.

    Raises SeqcovError for a cut or foreign file. Reading raises it for a tensor that is damaged or
    holds other than finite floating-point numbers.
    """
    with _opened(path, "numpy") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
        dtypes = {name: part.get_dtype() for name, part in slices.items()}
    check_shapes(shapes, path)

    def read(names: Sequence[str]) -> dict[str, Array]:
        found = {}
        with _opened(path, "pt") as file:
            for name in names:
                if dtypes[name] not in DTYPES:
                    raise SeqcovError(
                        f"{path}: {name} holds {dtypes[name]}, not floating-point numbers"
                    )
                found[name] = check_finite(name, file.get_tensor(name).float().numpy(), path)
        return found

    return Arrays(shapes, read)


def shards_in_index(index: Path) -> list[Path]:
    """Return the files that a Hugging Face index (`….index.json`) names.

    Raises SeqcovError if it names anything but files in its own folder.
    """
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not named or set(map(type, named.values())) != {str}:
        raise SeqcovError(f"{index}: no weight_map")
    present = {file.name for file in index.parent.iterdir() if file.is_file()}
    for name in named.values():
        if name not in present:
            raise SeqcovError(f"{index}: {name[:100]!r} is not in its folder")
    return [index.parent / name for name in sorted(set(named.values()))]
