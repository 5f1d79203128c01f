"""State dicts as torch.save writes them (.pth, .bin, .pt, .torch). Nothing is ever unpickled here.

The pickle's instructions are followed on a stack of plain values: no class is looked up and no
function called. That tells names, shapes and where each tensor's numbers lie in the file, from
where they are read. The same shows what a pickle is that holds other than tensors, so that it can
be refused with advice.

Sources: PyTorch's `torch/serialization.py` for both containers: a zip since 1.6, before that five
pickles one behind the other and then the storages, each with its length before it.
"""

import io
import pickletools
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from seqcov_models.checkpoints.arrays import (
    KINDS,
    Arrays,
    bytes_of,
    finite,
    fitting,
    kind_of,
    numbers,
    plain,
)
from seqcov_models.checkpoints.keymap import Array, Shape
from seqcov_models.errors import SeqcovError

MOST_BYTES = 2 << 20  # of a pickle without its tensors' numbers; 10,000 tensors need 1.5 MB
MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older container

_TENSORS = ("torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor")
_PASSED_ON = ("torch._utils _rebuild_parameter",)
_DICTS = ("collections OrderedDict",)
_OTHERS = {"Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1}
_STORAGES = {"Double": "F64", "Float": "F32", "Half": "F16", "BFloat16": "BF16"}
_WIDTHS = {**_OTHERS, **{of: KINDS[kind] for of, kind in _STORAGES.items()}}
"""Bytes of the numbers in a storage of each class, those of floating-point numbers last."""


@dataclass
class _Name:
    """A class or function that a pickle names."""

    name: str


@dataclass
class _Made:
    """Whatever a pickle would have made by calling `by`."""

    by: str


@dataclass
class _Storage:
    key: str
    of: str
    """The kind of its numbers as in _WIDTHS."""


@dataclass
class _Tensor:
    storage: _Storage
    first: int
    shape: Shape
    strides: Shape


@dataclass
class _Machine:
    """A pickle's instructions, followed without doing anything.

    Raises ValueError, IndexError, KeyError, … for what no torch.save writes.
    """

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    storages: dict[str, _Storage] = field(default_factory=dict)

    def run(self, pickled: IO[bytes]) -> Any:
        """What the next pickle holds: dictionaries of texts to tensors, and opaque things."""
        self.stack, self.marks, self.memo = [], [], {}
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name == "STOP":
                return self.stack.pop()
            self._step(opcode.name, argument)
        raise ValueError("no end")

    def _since_mark(self) -> list[Any]:
        at = self.marks.pop()
        items, self.stack[at:] = self.stack[at:], []
        return items

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self.marks.append(len(stack))
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_SET":
                stack.append(_Made("set"))
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "TUPLE":
                items = self._since_mark()
                stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                items = [stack.pop() for _ in range(count)]
                stack.append(tuple(reversed(items)))
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "GLOBAL":
                stack.append(_Name(str(argument)))
            case "STACK_GLOBAL":
                last, first = stack.pop(), stack.pop()
                stack.append(_Name(" ".join((first, last))))
            case "BINPERSID":
                stack[-1] = _persistent(stack[-1])
                if isinstance(storage := stack[-1], _Storage):
                    self.storages[storage.key] = storage
            case "REDUCE" | "NEWOBJ":
                arguments, of = stack.pop(), stack.pop()
                stack.append(_called(of, arguments))
            case "BUILD":
                stack.pop()
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _put(stack[-1], [key, value])
            case "SETITEMS":
                items = self._since_mark()
                _put(stack[-1], items)
            case "APPEND":
                value = stack.pop()
                _append(stack[-1], [value])
            case "APPENDS" | "ADDITEMS":
                items = self._since_mark()
                _append(stack[-1], items)
            case _ if argument is not None and isinstance(argument, str | int | float | bytes):
                stack.append(argument)
            case _:
                raise ValueError(f"instruction {name}")


def _persistent(named: Any) -> Any:
    """What a pickle keeps outside of itself: a storage, or the class of a module."""
    match named:
        case ("storage", _Name(name), str(key), _, _, *view) if view in ([], [None]):
            of = name.removeprefix("torch ").removesuffix("Storage")
            if of in _WIDTHS:
                return _Storage(key, of)
        case ("module", _Name() as of, *_):
            return of
    raise ValueError("what it keeps outside of itself is no storage of numbers")


def _called(of: Any, arguments: Any) -> Any:
    name = of.name if isinstance(of, _Name) else of.by if isinstance(of, _Made) else "?"
    if name in _DICTS and not arguments:
        return {}
    match arguments:
        case (_Storage() as storage, first, tuple(shape), tuple(strides), *_) if name in _TENSORS:
            sizes = (first, *shape, *strides)
            if len(shape) == len(strides) <= 8 and all(type(n) is int and n >= 0 for n in sizes):
                return _Tensor(storage, first, shape, strides)
        case (value, *_) if name in _PASSED_ON:
            return value
    return _Made(name)


def _put(target: Any, items: Sequence[Any]) -> None:
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key if isinstance(key, str) else type(key).__name__] = value


def _append(target: Any, items: Sequence[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)


def torch_shapes(path: Path) -> dict[str, Shape]:
    """Names and shapes of a state dict's tensors.

    Raises SeqcovError for a cut or foreign file, and for pickles of other things than tensors.
    """
    return _shapes(_held(path, whole=False)[0], path)


def _shapes(tensors: Mapping[str, _Tensor], path: Path) -> dict[str, Shape]:
    return fitting({name: tensor.shape for name, tensor in tensors.items()}, path)


_Places = Mapping[str, tuple[int, int]]
"""Where a file has its storages: the first byte, and how many."""


def _held(path: Path, whole: bool) -> tuple[dict[str, _Tensor], _Places]:
    """The tensors of a state dict and the places of their storages.

    With `whole`, these are checked as far as the container allows; without, there are none.
    """
    of_container = _in_zip if kind_of(path) == "zip" else _in_older
    try:
        with path.open("rb") as file:
            found, places = of_container(file, whole)
    except Exception as error:  # zipfile and pickletools raise many kinds for damage
        said = f"{type(error).__name__}: {error}"[:200]
        raise SeqcovError(f"{path}: not a whole file of torch.save: {said}") from None
    return _state(found, path), places


def _in_zip(file: IO[bytes], whole: bool) -> tuple[Any, _Places]:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        (pickled,) = (entry for entry in entries if entry.filename.endswith("/data.pkl"))
        if any(entry.compress_type or entry.compress_size != entry.file_size for entry in entries):
            raise ValueError("entries are compressed, which torch.save's are not")
        if sum(entry.file_size for entry in entries) > file.seek(0, 2):
            raise ValueError("entries overlap")
        if pickled.file_size > MOST_BYTES:
            raise ValueError(f"{pickled.filename} has {pickled.file_size:,} bytes")
        found = _Machine().run(io.BytesIO(archive.read(pickled)))
        if not whole:
            return found, {}
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is wrong")
        root = pickled.filename.removesuffix("data.pkl")
        order = f"{root}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ValueError("its numbers are big-endian")
    places = {}
    for entry in entries:
        file.seek(entry.header_offset + 26)
        lengths = np.frombuffer(file.read(4), "<u2")  # of the name and the field behind it
        start = entry.header_offset + 30 + int(lengths.sum())
        places[entry.filename.removeprefix(f"{root}data/")] = start, entry.file_size
    return found, places


def _in_older(file: IO[bytes], whole: bool) -> tuple[Any, _Places]:
    head, machine = io.BytesIO(file.read(MOST_BYTES)), _Machine()
    if (first := machine.run(head)) != MAGIC:
        return first, {}  # what pickle alone wrote, which is no state dict
    machine.run(head)  # a version
    if machine.run(head).get("little_endian") is not True:
        raise ValueError("its numbers are big-endian")
    found = machine.run(head)
    if not whole:
        return found, {}
    keys = machine.run(head)
    at, size, places = head.tell(), file.seek(0, 2), {}
    for key in keys:
        file.seek(at)
        count = int.from_bytes(file.read(8), "little")
        if not isinstance(key, str):
            raise ValueError("its storages have no names")
        places[key] = at + 8, count * _WIDTHS[machine.storages[key].of]
        at += 8 + places[key][1]
        if at > size:
            raise ValueError("cut before the end of its numbers")
    return found, places


def _state(found: Any, path: Path) -> dict[str, Any]:
    """The state dict in what a pickle holds: itself, or its one entry 'state_dict'."""
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if isinstance(found, dict) and found:
        tensors = {name: value for name, value in found.items() if isinstance(value, _Tensor)}
        if len(tensors) == len(found):
            return {plain(name, path): tensor for name, tensor in tensors.items()}
        other = next(name for name in found if name not in tensors)
        raise SeqcovError(
            f"{path}: {other[:100]!r} is no tensor; a state dict holds nothing else, so write it"
            " out alone"
        )
    raise whole_module(path, found.by if isinstance(found, _Made) else type(found).__name__)


def whole_module(path: Path, of: str) -> SeqcovError:
    """The error for a pickle that holds a module instead of its weights."""
    name = "".join(filter(str.isprintable, of[:100])).replace(" ", ".")
    return SeqcovError(
        f"{path}: a pickle of a whole {name}, not of its weights. Reading it would run code that"
        " the file brings along, so it is not read. If you trust where it comes from, write its"
        " weights out once, where that package is installed:"
        f' python -c "import torch; torch.save(torch.load({path.name!r}, map_location={"cpu"!r},'
        f' weights_only=False).state_dict(), {path.stem + ".state.pt"!r})"'
    )


def open_torch(path: Path) -> Arrays:
    """The tensors of a state dict.

    Raises SeqcovError for a damaged or foreign file, and for other than finite floating-point
    numbers.
    """
    tensors, places = _held(path, whole=True)

    def read(names: Sequence[str]) -> dict[str, Array]:
        return {name: _array(name, tensors[name], places, path) for name in names}

    return Arrays(_shapes(tensors, path), read)


def _array(name: str, tensor: _Tensor, places: _Places, path: Path) -> Array:
    of = tensor.storage.of
    if of not in _STORAGES:
        raise SeqcovError(f"{path}: {name} holds {of.lower()}, not floating-point numbers")
    last = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
    count = last + 1 if all(tensor.shape) else 0
    at, size = places.get(tensor.storage.key, (0, 0))
    if (tensor.first + count) * _WIDTHS[of] > size:
        raise SeqcovError(f"{path}: {name} reaches beyond its storage")
    raw = bytes_of(name, path, at + tensor.first * _WIDTHS[of], count * _WIDTHS[of])
    values = numbers(raw, _STORAGES[of])
    strides = [min(step, count) * values.itemsize for step in tensor.strides]  # of 1: any step
    return finite(name, np.lib.stride_tricks.as_strided(values, tensor.shape, strides), path)
