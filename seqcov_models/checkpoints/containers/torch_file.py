"""State dicts as torch.save writes them (.pth, .bin, .pt, .torch): a zip, before 1.6 pickles.

`torch.load(weights_only=True)` runs no code that a file brings along. What it refuses to load is
mostly a pickle of a module instead of its weights: the error then says what to run.
"""

import argparse
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from seqcov_models.checkpoints.arrays import Arrays, check_shapes, to_float32
from seqcov_models.checkpoints.keymap import Array
from seqcov_models.errors import SeqcovError


def open_torch(path: Path) -> Arrays:
    """Read the tensors of a state dict; a zip's numbers stay on disk until they are used.

    Raises SeqcovError for a damaged or foreign file and for pickles of anything but tensors.
    Reading raises it for wrong checksums and for other than finite floating-point numbers.
    """
    is_zip = zipfile.is_zipfile(path)
    tensors = _state_dict(_load(path, is_zip), path)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    check_shapes(shapes, path)
    is_checked = not is_zip  # the older container has no checksums

    def read(name: str) -> Array:
        nonlocal is_checked
        if not is_checked:
            _check_sums(path)
            is_checked = True
        return to_array(tensors[name].detach(), name, path)

    return Arrays(shapes, read)


def read_entry(path: Path, name: str) -> dict[str, Any]:
    """Return the dict that lies beside the state dict of a file under a name; empty if none does.

    Raises SeqcovError as `open_torch`.
    """
    content = _load(path, zipfile.is_zipfile(path))
    entry = content.get(name) if isinstance(content, dict) else None
    return entry if isinstance(entry, dict) else {}


def to_array(tensor: torch.Tensor, name: str, path: Path) -> Array:
    """Return a tensor as float32. Raises SeqcovError for other than finite floating-point ones."""
    if tensor.dtype not in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        kind = str(tensor.dtype).removeprefix("torch.")
        raise SeqcovError(f"{path}: {name} holds {kind}, not floating-point numbers")
    return to_float32(tensor.float().numpy(), name, path)


def _load(path: Path, is_zip: bool) -> Any:
    """Return what the file holds, with its tensors on the CPU."""
    try:
        if is_zip:
            with zipfile.ZipFile(path) as archive:
                if "model.weights.h5" in archive.namelist():
                    raise _keras_error(path)
                if not any(name.endswith("data.pkl") for name in archive.namelist()):
                    raise SeqcovError(
                        f"{path}: a zip of other files. Name a file in it as {path.name}::FILE, or"
                        " unpack it; a folder in it is named in the same way"
                    )
                if any(entry.compress_type for entry in archive.infolist()):
                    raise ValueError("entries are compressed, which those of torch.save are not")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a pickle of another protocol than torch's
            with torch.serialization.safe_globals([argparse.Namespace]):  # Lightning's settings
                return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip or None)
    except SeqcovError:
        raise
    except pickle.UnpicklingError as error:
        match = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise _code_error(path, match[1][:100] if match else "an object") from None
    except Exception:  # torch, zipfile and pickle raise many kinds for damage
        raise SeqcovError(
            f"{path}: not a complete file of torch.save; copy or download it again"
        ) from None


def _check_sums(path: Path) -> None:
    """Compare every entry of a zip with its CRC-32, which torch.load(mmap=True) does not."""
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.testzip()
    except Exception:  # zipfile raises many kinds for damage
        raise SeqcovError(
            f"{path}: not a complete file of torch.save; copy or download it again"
        ) from None
    if entry:
        raise SeqcovError(
            f"{path}: the checksum of {entry} is wrong: the file is damaged; fetch it again"
        )


def _state_dict(content: Any, path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict in what a file holds: itself, or its one entry 'state_dict'."""
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content:
        kind = "an empty dict" if content == {} else f"a {type(content).__name__}"
        raise SeqcovError(f"{path}: holds {kind}, not a state dict; save model.state_dict()")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise SeqcovError(
                f"{path}: {repr(name)[:100]} is not a tensor. A state dict holds nothing else;"
                " save it alone"
            )
    return content


def _code_error(path: Path, name: str) -> SeqcovError:
    """Return the error for a pickle that needs code to be read, with what to do about it."""
    return SeqcovError(
        f"{path}: a pickle that holds {name}, not weights alone. Reading it would run code that"
        " the file brings along, so it is not read. If you trust its source, save its weights"
        " alone once, where that package is installed. If it is a pickle of a whole module:"
        f' python -c "import torch; torch.save(torch.load({path.name!r}, map_location={"cpu"!r},'
        f' weights_only=False).state_dict(), {path.stem + ".state.pt"!r})"; of a Lightning'
        " checkpoint, write ['state_dict'] instead of .state_dict()"
    )


def _keras_error(path: Path) -> SeqcovError:
    """Return the error for an archive of Keras 3, with what to do about it."""
    return SeqcovError(
        f"{path}: a .keras archive of Keras 3, which numbers layers instead of naming them. If you"
        " trust its source, save it as .h5 once, where Keras is installed:"
        f' python -c "import keras; keras.saving.load_model({path.name!r}, compile=False,'
        f' safe_mode=False).save({path.stem + ".h5"!r})"'
    )
