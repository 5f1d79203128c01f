"""Keras' .h5 files: names, shapes and numbers of their weights, and what they say of the network.

A layer's weights lie at `model_weights/<layer>/<layer>/<variable>:0`; a file of weights alone has
no `model_weights`. Two generations of names exist in calico's files: the released Borzoi ones say
`sync_batch_normalization` and keep the attention biases directly under their layer; newer ones say
`batch_normalization` and repeat the layer's name.
"""

import json
import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.arrays import Arrays, as_float32, finite, fitting, plain
from seqcov_models.checkpoints.keymap import (
    Array,
    Dialect,
    Leaf,
    Shape,
    head_bias,
    keras_conv,
    keras_depthwise,
    keras_transposed_conv,
    transposed,
)
from seqcov_models.errors import SeqcovError

TEXTS, NAMES = b"GCOL\x01", b"HEAP\0"  # how HDF5's global and local heaps begin
HEAP_OBJECTS = 1_000_000  # in both; Keras writes some hundreds
MOST_LETTERS = 4 << 20  # of model_config; Borzoi's has 0.2 million
DEPTH = 12  # of groups in groups; Keras needs 4, and one more for each slash in a layer's name

KERAS: Dialect = {
    "stem": [Leaf(".weight", "/kernel", keras_conv), Leaf(".bias", "/bias")],
    "conv": [Leaf(".weight", "/kernel", keras_conv), Leaf(".bias", "/bias")],
    "bare stem": [Leaf(".weight", "/kernel", keras_conv)],
    "bare conv": [Leaf(".weight", "/kernel", keras_conv)],
    "dense": [Leaf(".weight", "/kernel", transposed), Leaf(".bias", "/bias")],
    "norm": [
        Leaf(".weight", "/gamma"),
        Leaf(".bias", "/beta"),
        Leaf(".running_mean", "/moving_mean"),
        Leaf(".running_var", "/moving_variance"),
    ],
    "layer norm": [Leaf(".weight", "/gamma"), Leaf(".bias", "/beta")],
    "separable conv": [
        Leaf(".depthwise.weight", "/depthwise_kernel", keras_depthwise),
        Leaf(".pointwise.weight", "/pointwise_kernel", keras_conv),
        Leaf(".pointwise.bias", "/bias"),
    ],
    "attention": [
        Leaf(".rel_content_bias", "/r_w_bias", head_bias),
        Leaf(".rel_pos_bias", "/r_r_bias", head_bias),
        Leaf(".to_q.weight", "/q_layer/kernel", transposed),
        Leaf(".to_k.weight", "/k_layer/kernel", transposed),
        Leaf(".to_v.weight", "/v_layer/kernel", transposed),
        Leaf(".to_rel_k.weight", "/r_k_layer/kernel", transposed),
        Leaf(".to_out.weight", "/embedding_layer/kernel", transposed),
        Leaf(".to_out.bias", "/embedding_layer/bias"),
    ],
    "transposed conv": [
        Leaf(".weight", "/kernel", keras_transposed_conv),
        Leaf(".bias", "/bias"),
    ],
}


def open_h5(path: Path) -> Arrays:
    """The weights of a Keras file as 'layer/variable', names of both generations made one.

    Raises SeqcovError for a file that is cut, foreign, holds other than floating-point numbers,
    points outside itself, or holds a weight twice.
    """
    import h5py

    places: dict[str, str] = {}
    shapes: dict[str, Shape] = {}
    with _opened(path) as file:
        for place, item in _datasets(file, _weights_group(file, path), path):
            name = _normal(place)
            if name in places:
                raise SeqcovError(f"{path}: {place} and {places[name]} are the same weight twice")
            if item.dtype.kind != "f" or item.dtype.itemsize > 8 or item.shape is None:
                raise SeqcovError(f"{path}: {place} holds {item.dtype}, not floating-point numbers")
            if item.is_virtual or item.external:
                raise SeqcovError(f"{path}: {place} points outside its file")
            if item.id.get_create_plist().get_nfilters():
                raise SeqcovError(f"{path}: {place} is compressed, which Keras' weights are not")
            if item.size and not item.id.get_storage_size():
                raise SeqcovError(f"{path}: {place} was never written")
            places[name], shapes[name] = place, item.shape
    if not places:
        raise SeqcovError(f"{path}: no Keras weights in this HDF5 file")

    def read(names: Sequence[str]) -> dict[str, Array]:
        found = {}
        with _opened(path) as file:
            for name in names:
                item = file[places[name]]
                assert isinstance(item, h5py.Dataset)
                found[name] = finite(name, as_float32(item[()]), path)
        return found

    return Arrays(fitting(shapes, path), read)


class _opened:
    """An HDF5 file open for reading, whose every fault inside the block is a SeqcovError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        import h5py

        try:
            _check_heaps(self.path)
            self.file = h5py.File(self.path, "r")
        except (OSError, RuntimeError, ValueError) as error:
            raise SeqcovError(f"{self.path}: not a whole HDF5 file: {error}") from None
        return self.file

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.file.close()
        if isinstance(error, Exception) and not isinstance(error, SeqcovError):
            said = (
                f"{self.path}: not a whole HDF5 file: {error}"  # OSError, RuntimeError, KeyError …
            )
            raise SeqcovError(said) from None


def _check_heaps(path: Path) -> None:
    """Refuse heaps of texts and of names in which HDF5 would go round for ever.

    Raises ValueError.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        widths = data[13:15] if data[8:9] < b"\2" else data[9:11]
        if data[:8] != b"\x89HDF\r\n\x1a\n" or widths != b"\x08\x08":
            raise ValueError("it does not begin as Keras' files do")

        def word(at: int) -> int:
            return int.from_bytes(data[at : at + 8], "little")

        heap, left = data.find(TEXTS), HEAP_OBJECTS
        while heap >= 0:
            at, end = heap + 16, heap + word(heap + 8)
            while at + 16 <= end:  # each object has its number and size before it, the rest has 0
                step = 16 + -(-word(at + 8) // 8) * 8 if any(data[at : at + 2]) else word(at + 8)
                left -= 1
                if step < 16 or at + step > min(end, len(data)) or left < 0:
                    raise ValueError("a heap of texts is damaged")
                at += step
            heap = data.find(TEXTS, heap + 1)
        heap = data.find(NAMES)
        while heap >= 0:
            size, at, start = (word(heap + after) for after in (8, 16, 24))
            while at != 1 and at < size:  # each free block points to the next, the last to 1
                at, left = word(start + at), left - 1
                if left < 0:
                    raise ValueError("a heap of names is damaged")
            heap = data.find(NAMES, heap + 1)


def _weights_group(file: Any, path: Path) -> str:
    """Where a file's weights are: 'model_weights', or the root of a file of weights alone."""
    import h5py

    if "model_weights" not in file:
        return ""
    if not isinstance(file.get("model_weights", getlink=True), h5py.HardLink):
        raise SeqcovError(f"{path}: model_weights points outside its file")
    if not isinstance(file["model_weights"], h5py.Group):
        raise SeqcovError(f"{path}: model_weights are no Keras weights")
    return "model_weights"


def _datasets(file: Any, top: str, path: Path) -> Iterator[tuple[str, Any]]:
    """Every dataset below the group `top` with its full name."""
    import h5py

    waiting, seen = [(top, 0)], set()
    while waiting:
        place, depth = waiting.pop(0)
        group = file[place] if place else file
        for name in group:
            inner = plain(f"{place}/{name}" if place else name, path)
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise SeqcovError(f"{path}: {inner} points elsewhere")
            item = group[name]
            if (address := h5py.h5o.get_info(item.id).addr) in seen:
                raise SeqcovError(f"{path}: {inner} is there under another name, too")
            seen.add(address)
            if isinstance(item, h5py.Dataset):
                yield inner, item
            elif isinstance(item, h5py.Group) and depth < DEPTH:
                waiting.append((inner, depth + 1))
            else:
                raise SeqcovError(f"{path}: {inner} is no Keras weight")


def _normal(place: str) -> str:
    """'model_weights/sync_x/sync_x/gamma:0' → 'x/gamma'."""
    parts = [part.removesuffix(":0").removeprefix("sync_") for part in place.split("/")]
    parts = parts[1:] if parts[0] == "model_weights" else parts
    if len(parts) > 2 and parts[1] == parts[0]:
        parts = parts[1:]
    return "/".join(parts)


def layers_of(names: Sequence[str], kind: str) -> list[str]:
    """The layers of a kind in the order of their numbers: conv1d, conv1d_1, conv1d_2, …"""
    layers = dict.fromkeys(name.partition("/")[0] for name in names)
    pattern = re.compile(rf"{re.escape(kind)}(?:_\d{{1,6}})?")
    return sorted((layer for layer in layers if pattern.fullmatch(layer)), key=number)


def numbered(names: Sequence[str], kind: str, source: str) -> list[str]:
    """As `layers_of`. Raises SeqcovError where one is left out."""
    layers = layers_of(names, kind)
    for at, layer in enumerate(layers):
        if number(layer) != at:
            raise SeqcovError(f"{source}: {kind}{f'_{at}' if at else ''} is missing")
    return layers


def number(layer: str) -> int:
    """The number Keras put behind a layer's name: 0 for `dense`, 1 for `dense_1`."""
    last = layer.rpartition("_")[2]
    return int(last) if last.isdecimal() else 0


class Names:
    """Keras layer names in order of creation."""

    def __init__(self) -> None:
        self.made: dict[str, int] = {}

    def next(self, kind: str) -> str:
        at = self.made.get(kind, 0)
        self.made[kind] = at + 1
        return f"{kind}_{at}" if at else kind


# What a file says of its network


def layer_configs(path: Path) -> list[dict[str, Any]]:
    """The layers of a file's `model_config`, inner models' too; of a file without it, nothing.

    A file of weights alone still lists its layers' names: they come as {'name': …}.
    Raises SeqcovError for a file that cannot be read.
    """
    with _opened(path) as file:
        text = file.attrs.get("model_config")
        group = file[_weights_group(file, path)] if _weights_group(file, path) else file
        listed = group.attrs.get("layer_names", ())
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in listed]
    if text is None:
        return [{"name": name} for name in names]
    try:
        if len(text) > MOST_LETTERS:
            raise ValueError(f"{len(text):,} letters")
        layers = list(_layers(json.loads(text), 0))
    except (ValueError, RecursionError, TypeError, AttributeError) as error:
        raise SeqcovError(f"{path}: model_config is not Keras': {error}") from None
    return layers


def _layers(model: Any, depth: int) -> Iterator[dict[str, Any]]:
    config = model.get("config", {})
    inner = config.get("layers", []) if isinstance(config, dict) else config
    for layer in inner if isinstance(inner, list) and depth < 8 else []:
        if isinstance(layer, dict):
            yield layer
            yield from _layers(layer, depth + 1)


def setting(layer: dict[str, Any], key: str) -> Any:
    """A value of a layer's config, None where it has none."""
    config = layer.get("config")
    return config.get(key) if isinstance(config, dict) else None


def window_of(layers: Sequence[dict[str, Any]]) -> int | None:
    """Bases of the input of four channels, where the file fixes it."""
    for layer in layers:
        shape = setting(layer, "batch_input_shape") or setting(layer, "batch_shape")
        if isinstance(shape, list) and len(shape) == 3 and shape[2] == 4:
            return shape[1] if isinstance(shape[1], int) else None
    return None


def strand_pairs_of(layers: Sequence[dict[str, Any]], tracks: int) -> list[int] | None:
    """Of each track the row of its other strand, where a SwitchReverse layer of a head lists it."""
    for layer in layers:
        pairs = setting(layer, "strand_pair")
        if isinstance(pairs, list) and [type(row) for row in pairs] == [int] * tracks:
            return pairs
    return None


def cropping_of(layers: Sequence[dict[str, Any]]) -> int | None:
    """Bins that the network's one Cropping1D layer cuts off at each side, 0 for none."""
    crops = [
        setting(layer, "cropping") for layer in layers if layer.get("class_name") == "Cropping1D"
    ]
    if not crops:
        return 0 if any("class_name" in layer for layer in layers) else None
    side = crops[0] if len(crops) == 1 else None
    if not isinstance(side, list) or len(side) != 2 or side[0] != side[1]:
        return None
    return side[0] if isinstance(side[0], int) else None


def gelu_of(layers: Sequence[dict[str, Any]]) -> str | None:
    """Which GELU a calico file was saved with, None where it does not say.

    A layer class `GELU` (named gelu, gelu_1, …) is calico's x·sigmoid(1.702x) of before April 2022;
    afterwards it is `tf.nn.gelu`, with approximate=True.
    """
    for layer in layers:
        name, kind = str(layer.get("name", "")), str(layer.get("class_name", ""))
        if kind == "GELU" or (not kind and re.fullmatch(r"gelu(_\d+)?", name)):
            return "quick_gelu"
        if "nn.gelu" in name or "nn.gelu" in str(setting(layer, "function")):
            said = not kind or '"approximate": true' in json.dumps(layer.get("inbound_nodes"))
            return "gelu_new" if said else "gelu"
    return None
