"""Key maps: which stored array becomes which of our weights, and how its axes are turned.

A reader says what lies where as `Part`s: a layer of ours, the same layer in the file, and its kind.
A *dialect* says how the file's format stores a layer of that kind. Both together give `Row`s, one a
weight. Layouts (the turning of axes) work on NumPy arrays and cost no memory, so the same rows tell
what shapes a file must have before any of its numbers are read.

Sources of the layouts: Keras' and Sonnet's documentation of their layers.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError

Array = npt.NDArray[np.float32]
Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
Layout = Callable[[Array], Array]


# Layouts


def as_stored(value: Array) -> Array:
    """Return `value` as it is."""
    return value


def keras_conv(kernel: Array) -> Array:
    """Convolution (k, in, out) → (out, in, k)."""
    return kernel.transpose(2, 1, 0)


def transposed(kernel: Array) -> Array:
    """Dense (in, out) → (out, in)."""
    return kernel.transpose(1, 0)


def keras_depthwise(kernel: Array) -> Array:
    """Depthwise convolution (k, in, 1) → (in, 1, k)."""
    return kernel.transpose(1, 2, 0)


def pointwise(kernel: Array) -> Array:
    """A convolution of width 1, (out, in, 1) or (out, in, 1, 1), as a dense layer (out, in)."""
    if kernel.ndim not in (3, 4) or kernel.shape[2:] != (1,) * (kernel.ndim - 2):
        raise ValueError("not of width 1")
    return kernel.reshape(kernel.shape[:2])


def keras_transposed_conv(kernel: Array) -> Array:
    """Transposed convolution (k, 1, out, in) as the convolution it equals, (out, in, k)."""
    return kernel[:, 0].transpose(1, 2, 0)[..., ::-1]


def torch_transposed_conv(kernel: Array) -> Array:
    """Transposed convolution (in, out, k) as the convolution it equals, (out, in, k)."""
    return kernel.transpose(1, 0, 2)[..., ::-1]


def flat_channels(value: Array) -> Array:
    """Sonnet's batch norm statistics (1, 1, channels) → (channels,)."""
    return value.reshape(value.shape[-1:]) if value.size == value.shape[-1] else value


def head_bias(value: Array) -> Array:
    """An attention bias (heads, key) or (1, heads, 1, key) → (1, heads, 1, key)."""
    return value[None, :, None] if value.ndim == 2 else value


def four_letters(kernel: Array) -> Array:
    """A stem of five input channels (A, C, G, T, N) without the fifth."""
    if kernel.ndim != 3 or kernel.shape[1] != 5:
        raise ValueError("not of 5 input channels")
    return kernel[:, :4]


# Rows


@dataclass(frozen=True)
class Row:
    """One weight of ours. Several of `theirs` lie one behind the other along the first axis."""

    ours: str
    theirs: tuple[str, ...]
    layout: Layout = as_stored
    copies: bool = False
    """Whether `theirs` are copies of one array instead."""

    def build(self, arrays: Mapping[str, Array]) -> Array:
        """Return the weight, from the file's arrays; a view of them if that is possible.

        Raises SeqcovError if copies of one array differ.
        """
        laid_out = [self.layout(arrays[name]) for name in self.theirs]
        if self.copies:
            for name, other in zip(self.theirs[1:], laid_out[1:], strict=True):
                if not np.array_equal(laid_out[0], other):
                    raise SeqcovError(f"{self.theirs[0]} and {name} should be one, but differ")
            return laid_out[0]
        return laid_out[0] if len(laid_out) == 1 else np.concatenate(laid_out)

    def shape(self, shapes: Shapes) -> Shape:
        """Return the weight's shape. Raises ValueError if the file's shapes do not fit."""
        stubs = [self.layout(_stub(shapes[name])).shape for name in self.theirs]
        if len({stub if self.copies else stub[1:] for stub in stubs}) > 1:
            raise ValueError("shapes that differ")
        if self.copies or len(stubs) == 1:
            return stubs[0]
        return (sum(stub[0] for stub in stubs), *stubs[0][1:])


def _stub(shape: Shape) -> Array:
    """An array of `shape` that takes no memory."""
    return np.broadcast_to(np.float32(0), shape)


class Part(NamedTuple):
    """A layer of ours, the same layer in a file, and what kind of layer it is."""

    ours: str
    theirs: str
    kind: str


class Leaf(NamedTuple):
    """A weight of a layer: our name, the file's, and the layout from theirs to ours."""

    ours: str
    theirs: str
    layout: Layout = as_stored


Dialect = Mapping[str, Sequence[Leaf]]
"""The weights of each kind of layer as a format names and stores them."""

_PROJECTIONS = ("to_q", "to_k", "to_v", "to_rel_k", "to_out")

TORCH: Dialect = {
    "stem": [Leaf(".weight", ".weight"), Leaf(".bias", ".bias")],
    "conv": [Leaf(".weight", ".weight"), Leaf(".bias", ".bias")],
    "bare conv": [Leaf(".weight", ".weight")],
    "bare stem": [Leaf(".weight", ".weight")],
    "dense": [Leaf(".weight", ".weight"), Leaf(".bias", ".bias")],
    "pointwise": [Leaf(".weight", ".weight", pointwise), Leaf(".bias", ".bias")],
    "pool": [Leaf(".weight", ".weight", pointwise)],
    "norm": [Leaf(f".{x}", f".{x}") for x in ("weight", "bias", "running_mean", "running_var")],
    "layer norm": [Leaf(".weight", ".weight"), Leaf(".bias", ".bias")],
    "attention": [
        *(Leaf(f".{name}", f".{name}", head_bias) for name in ("rel_content_bias", "rel_pos_bias")),
        *(Leaf(f".{name}.weight", f".{name}.weight") for name in _PROJECTIONS),
        Leaf(".to_out.bias", ".to_out.bias"),
    ],
    "transposed conv": [
        Leaf(".weight", ".weight", torch_transposed_conv),
        Leaf(".bias", ".bias"),
    ],
}
"""PyTorch's own names and layouts, as all PyTorch peers have them."""


def five_letters(dialect: Dialect) -> Dialect:
    """`dialect` for stems that read a fifth channel for N, which is dropped."""
    changed = {
        kind: [
            leaf._replace(layout=four_letters) if leaf.ours == ".weight" else leaf
            for leaf in dialect[kind]
        ]
        for kind in ("stem", "bare stem")
    }
    return {**dialect, **changed}


def rows_of(parts: Iterable[Part], dialect: Dialect) -> list[Row]:
    """One row for every weight of `parts`."""
    return [
        Row(part.ours + leaf.ours, (part.theirs + leaf.theirs,), leaf.layout)
        for part in parts
        for leaf in dialect[part.kind]
    ]


def repeated(parts: Iterable[Part], count: int, **derived: Callable[[int], int]) -> list[Part]:
    """`parts` once for each number below `count`, put in for `{i}` in their names.

    Further placeholders are computed from the number by `derived`.
    """
    return [
        Part(part.ours.format(i=i, **values), part.theirs.format(i=i, **values), part.kind)
        for i in range(count)
        for values in [{name: derive(i) for name, derive in derived.items()}]
        for part in parts
    ]


def count_layers(before: str, names: Iterable[str]) -> int:
    """How many numbers from 0 on follow `before` in `names`, without a gap: one for each layer."""
    rests = (name.removeprefix(before) for name in names if name.startswith(before))
    numbers, layers = {re.split("[./]", rest, maxsplit=1)[0] for rest in rests}, 0
    while str(layers) in numbers:
        layers += 1
    return layers


# What does not fit


def check_fit(rows: Sequence[Row], found: Shapes, wanted: Shapes, source: str) -> None:
    """Refuse a file whose arrays are not those that `rows` expect for weights shaped as `wanted`.

    Raises SeqcovError with every missing, unexpected and misshapen array. They come in the order of
    the network, whole layers before single weights: what comes first mostly explains the rest.
    """
    rows = [row for row in rows if row.ours in wanted]
    expected = {name for row in rows for name in row.theirs}
    mapped = {row.ours for row in rows}
    missing = [name for row in rows for name in row.theirs if name not in found]
    missing += [name for name in wanted if name not in mapped]
    unexpected = [name for name in found if name not in expected]
    wrong = []
    for row in rows:
        if any(name not in found for name in row.theirs):
            continue
        try:
            shape = str(tuple(row.shape(found)))
        except (ValueError, IndexError):
            shape = " + ".join(str(tuple(found[name])) for name in row.theirs[:3])
        if shape != (right := str(tuple(wanted[row.ours]))):
            origin = f" (from {row.theirs[0]})" if row.theirs[0] != row.ours else ""
            wrong.append(f"{row.ours} is {shape}, not {right}{origin}")
    problems = [
        f"{len(names)} {word}: {', '.join(summarise(names, others))}"
        for word, names, others in (
            ("missing", missing, found),
            ("unexpected", unexpected, expected),
        )
        if names
    ]
    if wrong:
        more = f"; and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        problems.append(f"{len(wrong)} of another shape: {'; '.join(wrong[:8])}{more}")
    if problems:
        raise SeqcovError(f"{source}: {'; '.join(problems)}")


def summarise(names: Sequence[str], others: Iterable[str]) -> list[str]:
    """Shorten a layer of five names or more, none of which is in `others`, to one; these first."""
    prefixes = {prefix for name in others for prefix in _prefixes(name)}
    groups: dict[str, list[str]] = {}
    for name in names:
        layer = next((prefix for prefix in _prefixes(name) if prefix not in prefixes), name)
        groups.setdefault(layer, []).append(name)
    layers, single = [], []
    for prefix, members in groups.items():
        if len(members) > 4:
            layers.append(f"{prefix}* ({len(members)})")
        else:
            single += members
    return layers + single


def _prefixes(name: str) -> list[str]:
    """'a.b.c' → ['a.', 'a.b.'], shortest first; slashes count as dots."""
    return [name[: index + 1] for index, letter in enumerate(name) if letter in "./"]
