"""Key maps: which array of a file becomes which weight of a network, and how its axes are turned.

A format lists its layers (`Layers`) and says how it stores the weights of a layer (a `Dialect`);
`key_map` makes a `KeyMap` of both. Layouts (the turning of axes) are views of NumPy arrays and cost
no memory, so a file's shapes are checked by the same map before its numbers are read.

Axes of length 1 count for nothing: a kernel of width 1 (out, in, 1) fits a dense layer (out, in),
and Sonnet's statistics (1, 1, channels) fit (channels,).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError

Array = npt.NDArray[np.float32]
Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
Layout = Callable[[Array], Array]


def as_stored(value: Array) -> Array:
    """Return `value` as it is."""
    return value


def reverse_axes(kernel: Array) -> Array:
    """Turn Keras' and Sonnet's (k, in, out) into (out, in, k), and (in, out) into (out, in)."""
    return kernel.T


def as_convolution(kernel: Array) -> Array:
    """Turn a transposed convolution (in, out, k) into the convolution it equals, (out, in, k)."""
    return kernel.transpose(1, 0, 2)[..., ::-1]


def without_n(kernel: Array) -> Array:
    """Drop N, the fifth input channel of a stem (out, in, k)."""
    return kernel[:, :4]


class Leaf(NamedTuple):
    """A weight of a layer as a file names it, and the layout from the file's axes to torch's."""

    name: str
    layout: Layout = as_stored


class Dialect(NamedTuple):
    """How a format stores weights, by the network's name within a layer ('.weight')."""

    weights: Mapping[str, Leaf]
    norms: Mapping[str, Leaf]
    """Those of layers whose name in the network ends in 'norm'."""


Layers = Mapping[str, str]
"""The layers of a file by their names in the network."""


@dataclass(frozen=True)
class Row:
    """Where one weight comes from."""

    arrays: tuple[str, ...]
    """The arrays in the file that make the weight, one after another along the first axis."""
    layout: Layout = as_stored
    copies: bool = False
    """Whether the arrays are copies of one array instead."""
    combine: Callable[..., Array] | None = None
    """Computes the weight from the arrays instead, in their order."""

    def build(self, arrays: Mapping[str, Array]) -> Array:
        """Return the weight, from the file's arrays; a view of them if that is possible.

        Raises SeqcovError if copies of one array differ.
        """
        if self.combine:
            return self.combine(*(arrays[name] for name in self.arrays))
        first, *remainder = (self.layout(arrays[name]) for name in self.arrays)
        if self.copies:
            for name, copy in zip(self.arrays[1:], remainder, strict=True):
                if not np.array_equal(first, copy):
                    raise SeqcovError(f"{self.arrays[0]} and {name} should be equal, but differ")
        elif remainder:
            return np.concatenate([first, *remainder])
        return first

    def shape(self, shapes: Shapes) -> Shape:
        """Return the weight's shape. Raises ValueError if the file's shapes do not fit."""
        stubs = {name: np.broadcast_to(np.float32(0), shapes[name]) for name in self.arrays}
        return self.build(stubs).shape


KeyMap = Mapping[str, Row]
"""Where each weight of a network comes from, by its name in the network.

It may have rows for weights that a network does not have: those of its config are used. A file fits
if it has all arrays that these need, and no others.

Example:
    >>> key_map({"model.stem.conv": "stem.0"}, TORCH)["model.stem.conv.weight"].arrays
    ('stem.0.weight',)
"""

_PROJECTIONS = ("to_q", "to_k", "to_v", "to_rel_k", "to_out")
_TORCH = {
    name: Leaf(name)
    for name in (
        ".weight", ".bias", ".running_mean", ".running_var", ".to_out.bias",
        ".rel_content_bias", ".rel_pos_bias", *(f".{name}.weight" for name in _PROJECTIONS),
    )
}  # fmt: skip
TORCH = Dialect(_TORCH, _TORCH)
"""PyTorch's own names and layouts, as the PyTorch projects have them."""


def key_map(layers: Layers, dialect: Dialect) -> dict[str, Row]:
    """Return a row for every weight that `dialect` knows in each of `layers`."""
    return {
        layer + weight: Row((name + leaf.name,), leaf.layout)
        for layer, name in layers.items()
        for weight, leaf in (
            dialect.norms if layer.endswith("norm") else dialect.weights
        ).items()
    }  # fmt: skip


def drop_n(keys: KeyMap, stem: str, shapes: Shapes) -> KeyMap:
    """Return `keys` with the fifth channel of the weight `stem` dropped, if its array has one."""
    row = keys.get(stem)
    if row is None or shapes.get(row.arrays[0], ())[1:2] != (5,):
        return keys
    return {**keys, stem: replace(row, layout=without_n)}


def repeat_layers(layers: Layers, count: int) -> dict[str, str]:
    """Return `layers` once for each number below `count`, put in for `{i}` in their names.

    `{next}` is i + 1, `{twice}` 2 · i, and `{back}` counts from the last layer: count − 1 − i.
    """
    rows: dict[str, str] = {}
    for i in range(count):
        numbers = {"i": i, "next": i + 1, "twice": 2 * i, "back": count - 1 - i}
        rows |= {k.format(**numbers): v.format(**numbers) for k, v in layers.items()}
    return rows


def check_fit(keys: KeyMap, shapes: Shapes, expected: Shapes, source: str) -> None:
    """Refuse a file whose arrays are not those that a network needs.

    Args:
        keys: Where the network's weights come from.
        shapes: The shapes of the file's arrays.
        expected: The shapes of the network's weights.
        source: What messages call the file.

    Raises:
        SeqcovError: With every missing, unexpected and misshapen array, in the network's order,
            layers before single weights: what comes first mostly explains the rest.
    """
    rows = {name: keys.get(name) or Row((name,)) for name in expected}
    required = {name for row in rows.values() for name in row.arrays}
    problems = []
    for word, names, present in (
        ("missing", [n for row in rows.values() for n in row.arrays if n not in shapes], shapes),
        ("unexpected", [name for name in shapes if name not in required], required),
    ):
        if names:
            problems.append(f"{len(names)} {word}: {', '.join(_summarise(names, present))}")
    misfits = []
    for name, row in rows.items():
        if not shapes.keys() >= set(row.arrays):
            continue
        try:
            shape = row.shape(shapes)
            fits = without_ones(shape) == without_ones(expected[name])
            text = str(shape)
        except (ValueError, IndexError):
            fits, text = False, " + ".join(str(tuple(shapes[array])) for array in row.arrays[:3])
        if not fits:
            source_of_row = f" (from {row.arrays[0]})" if row.arrays[0] != name else ""
            misfits.append(f"{name} is {text}, not {tuple(expected[name])}{source_of_row}")
    if misfits:
        omission = f"; and {len(misfits) - 8} more" if len(misfits) > 8 else ""
        problems.append(f"{len(misfits)} of another shape: {'; '.join(misfits[:8])}{omission}")
    if problems:
        raise SeqcovError(f"{source}: {'; '.join(problems)}")


def without_ones(shape: Shape) -> Shape:
    """Return a shape without its axes of length 1."""
    return tuple(length for length in shape if length != 1)


def _summarise(names: Sequence[str], present: Iterable[str]) -> list[str]:
    """Shorten a layer of five names or more, none of which is in `present`, to one; these first."""
    prefixes = {prefix for name in present for prefix in _prefixes(name)}
    groups: dict[str, list[str]] = {}
    for name in names:
        layer = next((prefix for prefix in _prefixes(name) if prefix not in prefixes), name)
        groups.setdefault(layer, []).append(name)
    layers = [f"{name}* ({len(group)})" for name, group in groups.items() if len(group) > 4]
    return layers + [name for group in groups.values() if len(group) <= 4 for name in group]


def _prefixes(name: str) -> list[str]:
    """'a.b.c' → ['a.', 'a.b.'], shortest first; slashes count as dots."""
    return [name[: index + 1] for index, letter in enumerate(name) if letter in "./"]
