"""Keras' .h5 files: names, shapes and numbers of their weights, and what they say of the network.

A layer's weights lie at `model_weights/<layer>/<layer>/<variable>:0`; a file of weights alone has
no `model_weights`. Two generations of names exist in calico's files: the released Borzoi ones say
`sync_batch_normalization` and keep the attention biases directly under their layer; newer ones say
`batch_normalization` and repeat the layer's name.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.arrays import Arrays, as_float32, check_finite, check_shapes
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

MAX_CONFIG_LETTERS = 4 << 20  # of model_config; Borzoi's has 0.2 million

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
    """Read the weights of a Keras file as 'layer/variable', both generations of names as one.

    Only hard links are followed, so nothing outside the file is read. Raises SeqcovError for a file
    that is cut, foreign, holds other than floating-point numbers, or holds a weight twice.
    """
    import h5py

    places: dict[str, str] = {}
    shapes: dict[str, Shape] = {}
    compressed = False

    with _opened(path) as file:
        for place, item in _datasets(file):
            name = _normal_name(place)
            if name in places:
                raise SeqcovError(f"{path}: {place} and {places[name]} are the same weight twice")
            if item.dtype.kind != "f" or item.dtype.itemsize > 8 or item.shape is None:
                raise SeqcovError(f"{path}: {place} holds {item.dtype}, not floating-point numbers")
            if item.is_virtual or item.external:
                raise SeqcovError(f"{path}: {place} points outside its file")
            if item.size and not item.id.get_storage_size():
                raise SeqcovError(f"{path}: {place} was never written")
            compressed |= item.id.get_create_plist().get_nfilters() > 0
            places[name], shapes[name] = place, item.shape
    if not places:
        raise SeqcovError(f"{path}: no Keras weights in this HDF5 file")
    check_shapes(shapes, path, compressed=compressed)

    def read(names: Sequence[str]) -> dict[str, Array]:
        found = {}
        with _opened(path) as file:
            for name in names:
                item = file[places[name]]
                assert isinstance(item, h5py.Dataset)
                found[name] = check_finite(name, as_float32(item[()]), path)
        return found

    return Arrays(shapes, read)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an HDF5 file; every fault inside the block is a SeqcovError."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except SeqcovError:
        raise
    except Exception as error:  # OSError, RuntimeError, KeyError, … for damage
        reason = str(error).partition("\n")[0]
        raise SeqcovError(f"{path}: not a complete HDF5 file: {reason}") from None


def _weights_group(file: Any) -> Any:
    """Return `model_weights`, the root of a file of weights alone, or None if that is no group."""
    import h5py

    link = file.get("model_weights", getlink=True)
    if link is None:
        return file
    inside = isinstance(link, h5py.HardLink)  # another link may point outside the file
    return (
        file["model_weights"] if inside and isinstance(file["model_weights"], h5py.Group) else None
    )


def _datasets(file: Any) -> list[tuple[str, Any]]:
    """Return every dataset with weights, and its full name."""
    import h5py

    if (top := _weights_group(file)) is None:
        return []
    found: list[tuple[str, Any]] = []

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.append((f"{top.name}/{name}".strip("/"), item))

    top.visititems(collect)
    return found


def _normal_name(place: str) -> str:
    """'model_weights/sync_x/sync_x/gamma:0' → 'x/gamma'."""
    parts = [part.removesuffix(":0").removeprefix("sync_") for part in place.split("/")]
    parts = parts[1:] if parts[0] == "model_weights" else parts
    if len(parts) > 2 and parts[1] == parts[0]:
        parts = parts[1:]
    return "/".join(parts)


def layers_of(names: Sequence[str], kind: str) -> list[str]:
    """Return the layers of a kind by their numbers: conv1d, conv1d_1, conv1d_2, …"""
    layers = dict.fromkeys(name.partition("/")[0] for name in names)
    pattern = re.compile(rf"{re.escape(kind)}(?:_\d{{1,6}})?")
    return sorted((layer for layer in layers if pattern.fullmatch(layer)), key=layer_number)


def complete_layers(names: Sequence[str], kind: str, source: str) -> list[str]:
    """As `layers_of`. Raises SeqcovError if a number is left out."""
    layers = layers_of(names, kind)
    for expected, layer in enumerate(layers):
        if layer_number(layer) != expected:
            raise SeqcovError(f"{source}: {kind}{f'_{expected}' if expected else ''} is missing")
    return layers


def layer_number(layer: str) -> int:
    """Return the number that Keras put behind a layer's name: 0 for `dense`, 1 for `dense_1`."""
    last = layer.rpartition("_")[2]
    return int(last) if last.isdecimal() else 0


class LayerNames:
    """Keras layer names in order of creation."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def next(self, kind: str) -> str:
        """Return the name of the next layer of a kind."""
        number = self.counts[kind]
        self.counts[kind] += 1
        return f"{kind}_{number}" if number else kind


# What a file says of its network


def layer_configs(path: Path) -> list[dict[str, Any]]:
    """Return the layers of a file's `model_config`, those of inner models included.

    A file of weights alone lists the names of its layers: they come as {'name': …}.
    Raises SeqcovError for a file that cannot be read.
    """
    with _opened(path) as file:
        text = file.attrs.get("model_config")
        top = _weights_group(file)
        listed = () if top is None else top.attrs.get("layer_names", ())
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in listed]
    if text is None:
        return [{"name": name} for name in names]
    try:
        if len(text) > MAX_CONFIG_LETTERS:
            raise ValueError(f"{len(text):,} letters")
        return list(_layers(json.loads(text), 0))
    except (ValueError, RecursionError, TypeError, AttributeError) as error:
        raise SeqcovError(f"{path}: model_config is not Keras': {error}") from None


def _layers(model: Any, depth: int) -> Iterator[dict[str, Any]]:
    config = model.get("config", {})
    inner = config.get("layers", []) if isinstance(config, dict) else config
    for layer in inner if isinstance(inner, list) and depth < 8 else []:
        if isinstance(layer, dict):
            yield layer
            yield from _layers(layer, depth + 1)


def setting(layer: dict[str, Any], key: str) -> Any:
    """Return a value of a layer's config, None if it has none."""
    config = layer.get("config")
    return config.get(key) if isinstance(config, dict) else None


def window_of(layers: Sequence[dict[str, Any]]) -> int | None:
    """Return the length (bp) of the input of four channels, if the file fixes it."""
    for layer in layers:
        shape = setting(layer, "batch_input_shape") or setting(layer, "batch_shape")
        if isinstance(shape, list) and len(shape) == 3 and shape[2] == 4:
            return shape[1] if isinstance(shape[1], int) else None
    return None


def strand_pairs_of(layers: Sequence[dict[str, Any]], tracks: int) -> list[int] | None:
    """Return each track's row of the other strand, if a SwitchReverse layer lists them."""
    for layer in layers:
        pairs = setting(layer, "strand_pair")
        if isinstance(pairs, list) and [type(row) for row in pairs] == [int] * tracks:
            return pairs
    return None


def cropping_of(layers: Sequence[dict[str, Any]]) -> int | None:
    """Return how many bins the one Cropping1D layer cuts off at each side, 0 without a layer."""
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
    """Return which GELU a calico file was saved with, None if it does not say.

    A layer class `GELU` (named gelu, gelu_1, …) is calico's x·sigmoid(1.702x) of before April 2022;
    afterwards it is `tf.nn.gelu`, with approximate=True.
    """
    for layer in layers:
        name, kind = str(layer.get("name", "")), str(layer.get("class_name", ""))
        if kind == "GELU" or (not kind and re.fullmatch(r"gelu(_\d+)?", name)):
            return "quick_gelu"
        if "nn.gelu" in name or "nn.gelu" in str(setting(layer, "function")):
            approximate = not kind or '"approximate": true' in json.dumps(
                layer.get("inbound_nodes")
            )
            return "gelu_new" if approximate else "gelu"
    return None
