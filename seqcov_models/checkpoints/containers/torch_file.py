"""State dicts as torch.save writes them (.pth, .bin, .pt, .torch): a zip, before 1.6 pickles.

`torch.load(weights_only=True)` runs no code that a file brings along. What it refuses to load is
mostly a pickle of a module instead of its weights: the error then says what to run.
"""

import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.arrays import Arrays, check_finite, check_shapes
from seqcov_models.checkpoints.keymap import Array
from seqcov_models.errors import SeqcovError


def open_torch(path: Path) -> Arrays:
    """Read the tensors of a state dict; a zip's numbers stay on disk until they are used.

    Raises SeqcovError for a damaged or foreign file and for pickles of anything but tensors.
    Reading raises it for wrong checksums and for other than finite floating-point numbers.
    """
    import torch

    floats = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    zipped = zipfile.is_zipfile(path)
    tensors = _state_dict(_load(path, zipped), path)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    check_shapes(shapes, path)
    checked = not zipped  # the older container has no checksums

    def read(names: Sequence[str]) -> dict[str, Array]:
        nonlocal checked
        if not checked:
            _check_sums(path)
            checked = True
        found = {}
        for name in names:
            tensor = tensors[name].detach()
            if tensor.dtype not in floats:
                kind = str(tensor.dtype).removeprefix("torch.")
                raise SeqcovError(f"{path}: {name} holds {kind}, not floating-point numbers")
            found[name] = check_finite(name, tensor.float().numpy(), path)
        return found

    return Arrays(shapes, read)


def _load(path: Path, zipped: bool) -> Any:
    """Return what the file holds, with its tensors on the CPU."""
    import torch

    try:
        if zipped:
            _check_entries(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a pickle of another protocol than torch's
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped or None)
    except SeqcovError:
        raise
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise _module_error(path, refused[1] if refused else "", zipped) from None
    except Exception as error:  # torch, zipfile and pickle raise many kinds for damage
        reason = str(error).partition("\n")[0][:200]
        raise SeqcovError(
            f"{path}: not a complete file of torch.save: {type(error).__name__}: {reason}"
        ) from None


def _check_entries(path: Path) -> None:
    """Refuse entries that torch would read from the wrong place: it takes none as compressed."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if any(entry.compress_type or entry.compress_size != entry.file_size for entry in entries):
        raise ValueError("entries are compressed, which those of torch.save are not")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError("entries overlap")


def _check_sums(path: Path) -> None:
    """Compare every entry of a zip with its CRC-32, which torch.load(mmap=True) does not."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # zipfile raises many kinds for damage
        raise SeqcovError(f"{path}: not a complete file of torch.save: {error}") from None
    if damaged:
        raise SeqcovError(
            f"{path}: the checksum of {damaged} is wrong: the file is damaged; fetch it again"
        )


def _state_dict(found: Any, path: Path) -> dict[str, Any]:
    """Return the state dict in what a file holds: itself, or its one entry 'state_dict'."""
    import torch

    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not found:
        what = "an empty dict" if found == {} else f"a {type(found).__name__}"
        raise SeqcovError(f"{path}: holds {what}, not a state dict (names and their tensors)")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise _entry_error(path, repr(name)[:100])
    return found


def _entry_error(path: Path, what: str) -> SeqcovError:
    return SeqcovError(
        f"{path}: {what} is not a tensor. A state dict holds nothing else: write it out alone"
    )


def _module_error(path: Path, name: str, zipped: bool) -> SeqcovError:
    """Return the error for a pickle that needs code to be read, with what to do about it."""
    if _is_dict(path, zipped):
        return _entry_error(path, f"something in it ({name or 'an object'})")
    return SeqcovError(
        f"{path}: a pickle of a whole {name[:100] or 'object'}, not of its weights. Reading it"
        " would run code that the file brings along, so it is not read. If you trust its source,"
        " write its weights out once, where that package is installed:"
        f' python -c "import torch; torch.save(torch.load({path.name!r}, map_location={"cpu"!r},'
        f' weights_only=False).state_dict(), {path.stem + ".state.pt"!r})"'
    )


def _is_dict(path: Path, zipped: bool) -> bool:
    """Return whether the first object of a pickle is a dict, by its instructions alone."""
    try:
        if zipped:
            with zipfile.ZipFile(path) as archive:
                (entry,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
                return _starts_with_dict(archive.read(entry))
        content = path.read_bytes()
        for _ in range(3):  # the older container's magic number, version and machine
            content = content[content.index(b".") + 1 :]
        return _starts_with_dict(content)
    except (ValueError, OSError, zipfile.BadZipFile):
        return False


def _starts_with_dict(pickled: bytes) -> bool:
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name not in ("PROTO", "FRAME"):
            return opcode.name == "EMPTY_DICT" or argument == "collections OrderedDict"
    return False
