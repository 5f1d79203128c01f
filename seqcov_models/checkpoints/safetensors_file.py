"""Safetensors files, whole or in parts as Hugging Face splits large ones."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..configs import read_json
from ..errors import SeqcovError
from .arrays import Arrays
from .keymap import Array, Shape

MOST_BYTES = 100 << 20  # of a header: the format's own limit


def safetensors_shapes(path: Path) -> dict[str, Shape]:
    """Names and shapes of a file's tensors, from its header, without importing torch.

    Raises SeqcovError for a cut or foreign file.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(MOST_BYTES, size - 8):
                raise SeqcovError(f"{path}: not a whole safetensors file")
            header = json.loads(file.read(length))
        shapes, end = {}, 0
        for name, entry in header.items():
            if name != "__metadata__":
                shapes[name] = tuple(int(one) for one in entry["shape"])
                end = max(end, int(entry["data_offsets"][1]))
        if end != size - 8 - length or any(one < 0 for shape in shapes.values() for one in shape):
            raise SeqcovError(f"{path}: not a whole safetensors file")
    except OSError as error:
        raise SeqcovError(f"{path}: {error.strerror}") from None
    except SeqcovError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise SeqcovError(f"{path}: not a whole safetensors file: {error}") from None
    return shapes


def parts_of(index: Path) -> list[Path]:
    """The files that a Hugging Face index (`….index.json`) names.

    Raises SeqcovError where it names anything but files beside it.
    """
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise SeqcovError(f"{index}: no weight_map")
    parts = [index.parent / name for name in sorted(set(named.values()))]
    for part in parts:
        if part.parent != index.parent or part.name.startswith(".") or not part.is_file():
            raise SeqcovError(f"{index}: {part.name} is not there")
    return parts


def open_safetensors(path: Path) -> Arrays:
    """The tensors of a file.

    Raises SeqcovError for a damaged file and for other than finite floating-point numbers.
    """
    from safetensors import SafetensorError, safe_open

    from .torch_file import tensor_array

    def read(names: Sequence[str]) -> dict[str, Array]:
        try:
            with safe_open(path, "pt") as file:
                return {name: tensor_array(name, file.get_tensor(name), path) for name in names}
        except SeqcovError:
            raise
        except (SafetensorError, OSError, ValueError, KeyError, AttributeError) as error:
            said = f"{path}: not a whole safetensors file: {error}"
            raise SeqcovError(said) from None

    return Arrays(safetensors_shapes(path), read)
