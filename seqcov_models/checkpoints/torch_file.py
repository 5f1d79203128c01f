"""State dicts as torch.save writes them (.pth, .bin, .pt, .torch). Nothing is ever unpickled here.

Numbers are read by `torch.load(weights_only=True)` alone. Names and shapes, which a plan needs
without importing torch, are followed through the pickle's instructions on a stack of plain values:
no class is looked up and no function called. The same shows what a pickle is that holds other than
tensors, so that it can be refused with advice.
"""

import pickletools
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SeqcovError
from .arrays import Arrays, as_float32, finite, kind_of
from .keymap import Array, Shape

MOST_BYTES = 64 << 20  # of a pickle without its tensors' numbers; published ones have below 1 MB

_TENSORS = ("torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor")
_PASSED_ON = ("torch._utils _rebuild_parameter", "torch._tensor _rebuild_from_type_v2")
_DICTS = ("collections OrderedDict",)


@dataclass
class _Name:
    """A class or function that a pickle names."""

    name: str


@dataclass
class _Made:
    """Whatever a pickle would have made by calling `by`."""

    by: str


@dataclass
class _Tensor:
    shape: Shape


@dataclass
class _Machine:
    """A pickle's instructions, followed without doing anything.

    Raises ValueError, IndexError, KeyError, … for what no torch.save writes.
    """

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, pickled: bytes) -> Any:
        """What the pickle holds: dictionaries of texts to tensors' shapes, and opaque things."""
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
                stack.append(_Name(f"{first} {last}"))
            case "BINPERSID":
                stack[-1] = _Made("storage")
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
                stack.pop()
            case "APPENDS" | "ADDITEMS":
                self._since_mark()
            case _ if argument is not None and isinstance(argument, str | int | float | bytes):
                stack.append(argument)
            case _:
                raise ValueError(f"instruction {name}")


def _called(of: Any, arguments: Any) -> Any:
    name = of.name if isinstance(of, _Name) else "?"
    if name in _DICTS and not arguments:
        return {}
    if name in _TENSORS and isinstance(arguments, tuple) and len(arguments) > 3:
        shape = arguments[2]
        if isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape):
            return _Tensor(shape)
    if name in _PASSED_ON and isinstance(arguments, tuple) and arguments:
        return arguments[0]
    return _Made(name)


def _put(target: Any, items: Sequence[Any]) -> None:
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key if isinstance(key, str) else repr(key)] = value


def torch_shapes(path: Path) -> dict[str, Shape]:
    """Names and shapes of a state dict's tensors, without importing torch.

    Raises SeqcovError for a cut or foreign file, and for pickles of other things than tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(inside) != 1 or archive.getinfo(inside[0]).file_size > MOST_BYTES:
                raise SeqcovError(f"{path}: no file of torch.save")
            pickled = archive.read(inside[0])
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise SeqcovError(f"{path}: not a whole file of torch.save: {error}") from None
    except ValueError as error:  # SeqcovError is one
        raise error if isinstance(error, SeqcovError) else _foreign(path, error) from None
    try:
        found = _Machine().run(pickled)
    except Exception as error:  # pickletools raises many kinds for damage
        raise _foreign(path, error) from None
    return {name: tensor.shape for name, tensor in _state(found, path).items()}


def _foreign(path: Path, error: Exception) -> SeqcovError:
    return SeqcovError(f"{path}: no state dict of torch.save: {type(error).__name__}: {error}")


def _state(found: Any, path: Path) -> dict[str, Any]:
    """The state dict in what a pickle holds: itself, or its one entry 'state_dict'."""
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if isinstance(found, dict) and found:
        tensors = {name: value for name, value in found.items() if isinstance(value, _Tensor)}
        if len(tensors) == len(found):
            return tensors
        other = next(name for name in found if name not in tensors)
        raise SeqcovError(f"{path}: {other!r} is no tensor; a state dict holds nothing else")
    raise whole_module(path, found.by if isinstance(found, _Made) else type(found).__name__)


def whole_module(path: Path, of: str) -> SeqcovError:
    """The error for a pickle that holds a module instead of its weights."""
    name = of.replace(" ", ".")
    return SeqcovError(
        f"{path}: a pickle of a whole {name}, not of its weights. Reading it would run code that"
        " the file brings along, so it is not read. If you trust where it comes from, write its"
        " weights out once, where that package is installed:"
        f' python -c "import torch; torch.save(torch.load({path.name!r}, map_location={"cpu"!r},'
        f' weights_only=False).state_dict(), {path.stem + ".state.pt"!r})"'
    )


def open_torch(path: Path) -> Arrays:
    """The tensors of a state dict.

    Raises SeqcovError for whatever torch.load(weights_only=True) does not read, and for tensors of
    other than floating-point numbers.
    """
    import torch

    if kind_of(path) == "zip":
        torch_shapes(path)  # says what it is where it is no state dict
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats and byte orders
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # UnpicklingError, RuntimeError, EOFError, KeyError, …
        raise SeqcovError(
            f"{path}: not read by torch.load(weights_only=True): {_told(error)}"
        ) from None
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, Mapping) or not loaded:
        raise whole_module(path, type(loaded).__name__)
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise SeqcovError(f"{path}: {name!r} is no tensor; a state dict holds nothing else")
        if value.layout != torch.strided or value.is_quantized:
            raise SeqcovError(f"{path}: {name} is not a plain array")

    def read(names: Sequence[str]) -> dict[str, Array]:
        return {name: tensor_array(name, loaded[name], path) for name in names}

    return Arrays({name: tuple(value.shape) for name, value in loaded.items()}, read)


def _told(error: Exception) -> str:
    """What torch.load says in one line, without its advice to switch the safety off."""
    told = str(error)
    _, unsafe, reason = told.partition("WeightsUnpickler error:")
    line = (reason if unsafe else told).strip().partition("\n")[0]
    return line if unsafe or "weights_only" not in line else type(error).__name__


def tensor_array(name: str, tensor: Any, path: Path) -> Array:
    """A torch tensor as a float32 array.

    Raises SeqcovError where it holds other than finite floating-point numbers.
    """
    import torch

    if tensor.dtype not in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        kind = str(tensor.dtype).removeprefix("torch.")
        raise SeqcovError(f"{path}: {name} holds {kind}, not floating-point numbers")
    values = tensor.detach().float() if tensor.dtype == torch.bfloat16 else tensor.detach()
    return finite(name, as_float32(values.numpy()), path)
