"""Calico's checkpoints: Keras .h5 weights with a params.json beside them.

Layers are found by name. Keras numbers every layer of a kind in the order of its creation
(`conv1d`, `conv1d_1`, …), which follows from params.json. Two generations of names exist: the
released Borzoi files say `sync_batch_normalization` and keep the attention biases directly under
their layer; newer files say `batch_normalization` and repeat the layer's name.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..configs import BorzoiConfig
from ..errors import SeqcovError

Arrays = dict[str, npt.NDArray[np.float32]]


def read_h5(path: Path) -> Arrays:
    """Every weight of a Keras file as {'layer/variable': array}, names normalised.

    Raises SeqcovError for a file that is cut, foreign or holds other than numbers.
    """
    arrays: Arrays = {}

    def visit(name: str, item: object) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        parts = [part.removesuffix(":0") for part in name.split("/")]
        layer = parts[0].removeprefix("sync_")
        inner = parts[1:]
        if len(inner) > 1 and inner[0].removeprefix("sync_") == layer:
            inner = inner[1:]
        if item.dtype.kind != "f" or item.dtype.itemsize > 8:
            raise SeqcovError(f"{path}: {name} holds {item.dtype}, not floating-point numbers")
        if item.is_virtual or item.external:
            raise SeqcovError(f"{path}: {name} points outside its file")
        arrays["/".join([layer, *inner])] = np.asarray(item[()], np.float32)

    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            if not isinstance(group, h5py.Group):
                raise SeqcovError(f"{path}: no Keras weights in this HDF5 file")
            group.visititems(visit)
    except SeqcovError:
        raise
    except Exception as error:  # h5py raises OSError, RuntimeError, KeyError, … for damage
        raise SeqcovError(f"{path}: not a whole HDF5 file: {error}") from None
    if not arrays:
        raise SeqcovError(f"{path}: no Keras weights in this HDF5 file")
    return arrays


def _conv(kernel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(k, in, out) → (out, in, k)."""
    return kernel.transpose(2, 1, 0)


def _dense(kernel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(in, out) → (out, in)."""
    return kernel.T


def _depthwise(kernel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(k, in, 1) → (in, 1, k)."""
    return kernel.transpose(1, 2, 0)


def _as_is(value: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return value


Layout = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
Row = tuple[str, str, Layout]  # our name, Keras name, layout


class _Names:
    """Keras layer names in order of creation."""

    def __init__(self) -> None:
        self.made: dict[str, int] = {}

    def next(self, kind: str) -> str:
        number = self.made.get(kind, 0)
        self.made[kind] = number + 1
        return f"{kind}_{number}" if number else kind


def _norm(ours: str, keras: str) -> Iterator[Row]:
    leaves = ("weight", "gamma"), ("bias", "beta")
    running = ("running_mean", "moving_mean"), ("running_var", "moving_variance")
    for leaf, variable in (*leaves, *running):
        yield f"{ours}.{leaf}", f"{keras}/{variable}", _as_is


def _layer_norm(ours: str, keras: str) -> Iterator[Row]:
    yield f"{ours}.weight", f"{keras}/gamma", _as_is
    yield f"{ours}.bias", f"{keras}/beta", _as_is


def _weights(ours: str, keras: str, layout: Layout) -> Iterator[Row]:
    yield f"{ours}.weight", f"{keras}/kernel", layout
    yield f"{ours}.bias", f"{keras}/bias", _as_is


def borzoi_rows(config: BorzoiConfig) -> tuple[list[Row], str]:
    """The key map of a Borzoi file but for the head, and the Keras name of its first dense head."""
    names, rows = _Names(), list[Row]()
    rows += _weights("model.stem.conv", names.next("conv1d"), _conv)
    for stage in range(len(config.conv_tower_channels)):
        ours = f"model.stem.tower.{stage}"
        rows += _norm(f"{ours}.norm", names.next("batch_normalization"))
        rows += _weights(f"{ours}.conv", names.next("conv1d"), _conv)
    for block in range(config.num_hidden_layers):
        ours = f"model.trunk.blocks.{block}"
        rows += _layer_norm(f"{ours}.attention_norm", names.next("layer_normalization"))
        attention = names.next("multihead_attention")
        for ours_leaf, keras_leaf, layout in (
            ("rel_content_bias", "r_w_bias", _as_is),
            ("rel_pos_bias", "r_r_bias", _as_is),
            ("to_q.weight", "q_layer/kernel", _dense),
            ("to_k.weight", "k_layer/kernel", _dense),
            ("to_v.weight", "v_layer/kernel", _dense),
            ("to_rel_k.weight", "r_k_layer/kernel", _dense),
            ("to_out.weight", "embedding_layer/kernel", _dense),
            ("to_out.bias", "embedding_layer/bias", _as_is),
        ):
            rows.append((f"{ours}.attention.{ours_leaf}", f"{attention}/{keras_leaf}", layout))
        rows += _layer_norm(f"{ours}.ffn_norm", names.next("layer_normalization"))
        rows += _weights(f"{ours}.ffn_in", names.next("dense"), _dense)
        rows += _weights(f"{ours}.ffn_out", names.next("dense"), _dense)
    for step in range(config.num_upsamples):
        ours = f"model.trunk.upsamples.{step}"
        rows += _norm(f"{ours}.norm", names.next("batch_normalization"))
        if config.upsample_conv:
            rows += _weights(f"{ours}.dense", names.next("dense"), _dense)
        rows += _norm(f"{ours}.skip_norm", names.next("batch_normalization"))
        rows += _weights(f"{ours}.skip_dense", names.next("dense"), _dense)
        separable = names.next("separable_conv1d")
        rows += [
            (f"{ours}.separable.depthwise.weight", f"{separable}/depthwise_kernel", _depthwise),
            (f"{ours}.separable.pointwise.weight", f"{separable}/pointwise_kernel", _conv),
            (f"{ours}.separable.pointwise.bias", f"{separable}/bias", _as_is),
        ]
    if config.head_hidden_size:
        rows += _norm("model.trunk.final.norm", names.next("batch_normalization"))
        rows += _weights("model.trunk.final.conv", names.next("conv1d"), _conv)
    return rows, names.next("dense")


def borzoi_state(path: Path, config: BorzoiConfig) -> dict[str, Tensor]:
    """The weights of a Borzoi .h5, under our names.

    Raises SeqcovError, naming every missing and unexpected weight, where file and config disagree.
    """
    arrays = read_h5(path)
    rows, first_head = borzoi_rows(config)
    heads = [
        layer
        for layer in dict.fromkeys(name.partition("/")[0] for name in arrays)
        if layer.partition("_")[0] == "dense" and _number(layer) >= _number(first_head)
    ]
    fitting = [h for h in heads if _size(arrays, f"{h}/bias") == config.num_labels]
    if len(fitting) != 1:
        found = ", ".join(f"{h} ({_size(arrays, f'{h}/bias')} tracks)" for h in heads) or "none"
        raise SeqcovError(
            f"{path}: no head of {config.num_labels} {config.species} tracks as params.json has it;"
            f" heads in this file: {found}"
        )
    rows += _weights("head", fitting[0], _dense)
    state: dict[str, Tensor] = {}
    missing = [keras for _, keras, _ in rows if keras not in arrays]
    unexpected = sorted(set(arrays) - {keras for _, keras, _ in rows})
    if missing or unexpected:
        raise SeqcovError(f"{path} does not fit its params.json: {describe(missing, unexpected)}")
    for ours, keras, layout in rows:
        value = np.ascontiguousarray(layout(arrays[keras]))
        state[ours] = torch.from_numpy(value)
    return state


def _number(layer: str) -> int:
    """The number Keras put behind a layer's name: 0 for `dense`, 1 for `dense_1`."""
    number = layer.partition("_")[2]
    return int(number) if number.isdigit() else 0


def _size(arrays: Arrays, name: str) -> int:
    return arrays[name].size if name in arrays else 0


def describe(missing: list[str], unexpected: list[str]) -> str:
    """Both lists of weight names in one line, the first ten of each."""
    parts = []
    for word, names in (("missing", missing), ("unexpected", unexpected)):
        if names:
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            parts.append(f"{len(names)} {word}: {', '.join(names[:10])}{more}")
    return "; ".join(parts)
