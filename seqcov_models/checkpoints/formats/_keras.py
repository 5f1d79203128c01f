"""What Keras' .h5 files have in common: names and layouts of weights, and their `model_config`.

Keras numbers the layers of a kind in the order of their creation: conv1d, conv1d_1, conv1d_2, …
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.containers.hdf5 import read_attributes
from seqcov_models.checkpoints.keymap import Array, Dialect, Leaf, as_convolution, reverse_axes
from seqcov_models.errors import SeqcovError

KERAS = Dialect(
    weights={
        ".weight": Leaf("/kernel", reverse_axes),
        ".bias": Leaf("/bias"),
        ".depthwise.weight": Leaf("/depthwise_kernel", reverse_axes),
        ".pointwise.weight": Leaf("/pointwise_kernel", reverse_axes),
        ".pointwise.bias": Leaf("/bias"),
        ".rel_content_bias": Leaf("/r_w_bias"),
        ".rel_pos_bias": Leaf("/r_r_bias"),
        ".to_q.weight": Leaf("/q_layer/kernel", reverse_axes),
        ".to_k.weight": Leaf("/k_layer/kernel", reverse_axes),
        ".to_v.weight": Leaf("/v_layer/kernel", reverse_axes),
        ".to_rel_k.weight": Leaf("/r_k_layer/kernel", reverse_axes),
        ".to_out.weight": Leaf("/embedding_layer/kernel", reverse_axes),
        ".to_out.bias": Leaf("/embedding_layer/bias"),
    },
    norms={
        ".weight": Leaf("/gamma"),
        ".bias": Leaf("/beta"),
        ".running_mean": Leaf("/moving_mean"),
        ".running_var": Leaf("/moving_variance"),
    },
)


def transposed_convolution(kernel: Array) -> Array:
    """Turn Keras' transposed convolution (k, 1, out, in) into the convolution (out, in, k)."""
    return as_convolution(reverse_axes(kernel[:, 0]))


def list_layers(names: Iterable[str], kind: str) -> list[str]:
    """Return the layers of a kind, in the order of their numbers."""
    layers = dict.fromkeys(name.partition("/")[0] for name in names)
    pattern = re.compile(rf"{re.escape(kind)}(?:_\d{{1,6}})?")
    return sorted((layer for layer in layers if pattern.fullmatch(layer)), key=layer_number)


def layer_number(layer: str) -> int:
    """Return the number that Keras put behind a layer's name: 0 for `dense`, 1 for `dense_1`."""
    last = layer.rpartition("_")[2]
    return int(last) if last.isdecimal() else 0


def layer_name(kind: str, number: int) -> str:
    """Return the name of the layer of a kind that was created after `number` others."""
    return f"{kind}_{number}" if number else kind


def layer_configs(path: Path) -> list[dict[str, Any]]:
    """Return the layers in a file's `model_config`, those of inner models included.

    A file of weights alone lists the names of its layers: they come as {'name': …}.
    Raises SeqcovError for a file that cannot be read.
    """
    text, names = read_attributes(path)
    if text is None:
        return [{"name": name} for name in names]
    objects: list[dict[str, Any]] = []

    def collect(item: dict[str, Any]) -> dict[str, Any]:
        objects.append(item)
        return item

    try:
        json.loads(text, object_hook=collect)
    except (ValueError, RecursionError, TypeError) as error:
        raise SeqcovError(f"{path}: its model_config is not JSON: {error}") from None
    return [item for item in objects if "class_name" in item]


def setting(layer: dict[str, Any], key: str) -> Any:
    """Return a value of a layer's config, None if it has none."""
    config = layer.get("config")
    return config.get(key) if isinstance(config, dict) else None


def is_class(layer: dict[str, Any], name: str) -> bool:
    """Return whether a layer is of a class."""
    return layer.get("class_name") == name


def read_window(layers: Iterable[dict[str, Any]]) -> int | None:
    """Return the length (bp) of the input of four channels, if the file fixes it."""
    for layer in layers:
        shape = setting(layer, "batch_input_shape") or setting(layer, "batch_shape")
        if isinstance(shape, list) and len(shape) == 3 and shape[2] == 4:
            return shape[1] if isinstance(shape[1], int) else None
    return None
