"""Calico's Keras checkpoints of Basenji2 and Borzoi: an .h5, mostly with a params.json beside it.

Layers are found by name. Keras numbers every layer of a kind in the order of its creation
(`conv1d`, `conv1d_1`, …), which follows from the network. Without params.json the widths come from
the weights, window and crop from the file's `model_config` if it has one, else they are the
published ones.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from seqcov_models.checkpoints.format import Files, Format, name_source
from seqcov_models.checkpoints.formats._calico_params import (
    architecture_of_params,
    borzoi_config,
    params_config,
)
from seqcov_models.checkpoints.formats._keras import (
    KERAS,
    is_class,
    layer_configs,
    layer_name,
    layer_number,
    list_layers,
    read_window,
    setting,
)
from seqcov_models.checkpoints.infer import check_species, infer_fields
from seqcov_models.checkpoints.keymap import KeyMap, Shapes, key_map
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.shared.config import Config


def matches(files: Files) -> str | None:
    """Return 'borzoi' or 'basenji2' by params.json, else by the layers of a Keras file."""
    if files.params:
        return architecture_of_params(files.params)
    if files.container != "hdf5":
        return None
    shapes = files.shapes()
    if list_layers(shapes, "multihead_attention"):
        return "borzoi"
    heads = (
        *list_layers(shapes, "conv2d_transpose"),
        *list_layers(shapes, "logcounts"),
    )  # a BPNet's
    return "basenji2" if "conv1d/kernel" in shapes and not heads else None


def config(files: Files, architecture: str, species: str) -> Config:
    """Return the config by params.json or the file itself, with the GELU that the file says.

    Raises SeqcovError if the weights are not this network's, or of another species' size.
    """
    path, network = files.weights[0], PUBLISHED[architecture]
    if files.params:
        config = params_config(architecture, files.params, species)
    else:
        layers = layer_configs(path)
        fields = _inferred_fields(files, architecture) | {"species": species}
        check_species(architecture, fields["num_labels"], species, files.source)
        settings = {"sequence_length": read_window(layers), "crop_bins": _cropping(layers)}
        fields |= {name: value for name, value in settings.items() if value is not None}
        with name_source(path):
            config = network.build_config(fields)
    return network.complete(config, path)


def keys(config: Any, shapes: Shapes) -> KeyMap:
    """Return the key map of a Basenji2 or Borzoi; the shapes tell which head is of its size.

    Raises SeqcovError if not exactly one head has the config's size.
    """
    layers = PUBLISHED[config.ARCHITECTURE].layers(config)
    sizes = _head_sizes(shapes, layers)
    heads = [layer for layer, size in sizes.items() if size == config.num_labels]
    if len(heads) != 1:
        _check_layer_counts(shapes, layers)  # it explains why heads are not at their numbers
        raise SeqcovError(
            f"{'more than one' if heads else 'no'} head of {config.num_labels} {config.species}"
            f" tracks; heads in this file: {_list_heads(sizes)}"
        )
    return key_map({**_numbered(layers), "head": heads[0]}, KERAS)


def strand_pairs(files: Files, tracks: int) -> list[int] | None:
    """Return the row of each track's other strand, if the .h5 has a SwitchReverse layer."""
    for layer in layer_configs(files.weights[0]) if files.container == "hdf5" else []:
        pairs = setting(layer, "strand_pair")
        if isinstance(pairs, list) and [type(row) for row in pairs] == [int] * tracks:
            return pairs
    return None


# Layers: pairs of the network's name and Keras' kind, in the order of their creation

Created = Sequence[tuple[str, str]]


def _numbered(layers: Created) -> dict[str, str]:
    """Return the layers by the names that Keras gives them."""
    counts: Counter[str] = Counter()
    numbered = {}
    for name, kind in layers:
        numbered[name] = layer_name(kind, counts[kind])
        counts[kind] += 1
    return numbered


def _basenji_layers(config: Any) -> Created:
    stages, blocks = range(1 + len(config.conv_tower_channels)), range(config.blocks.num_blocks)
    names = [
        *(f"model.stem.blocks.{stage}" for stage in stages),
        *(f"model.trunk.blocks.{k}.{conv}" for k in blocks for conv in ("narrow", "wide")),
        "model.trunk.final",
    ]
    kinds = (("conv", "conv1d"), ("norm", "batch_normalization"))
    return [(f"{name}.{part}", kind) for name in names for part, kind in kinds]


def _borzoi_layers(config: Any) -> Created:
    stages, blocks = range(len(config.conv_tower_channels)), range(config.num_hidden_layers)
    upsamples = range(config.num_upsamples)
    stage = [("norm", "batch_normalization"), ("conv", "conv1d")]
    block = [
        ("attention_norm", "layer_normalization"),
        ("attention", "multihead_attention"),
        ("ffn_norm", "layer_normalization"),
        ("ffn_in", "dense"),
        ("ffn_out", "dense"),
    ]
    step = [
        ("norm", "batch_normalization"),
        *([("dense", "dense")] if config.upsample_conv else []),
        ("skip_norm", "batch_normalization"),
        ("skip_dense", "dense"),
        ("separable", "separable_conv1d"),
    ]
    return [
        ("model.stem.conv", "conv1d"),
        *((f"model.stem.tower.{i}.{name}", kind) for i in stages for name, kind in stage),
        *((f"model.trunk.blocks.{i}.{name}", kind) for i in blocks for name, kind in block),
        *((f"model.trunk.upsamples.{i}.{n}", kind) for i in upsamples for n, kind in step),
        *((f"model.trunk.final.{name}", kind) for name, kind in stage if config.head_hidden_size),
    ]


def _head_sizes(shapes: Shapes, layers: Created) -> dict[str, int]:
    """Return the dense layers after those of the trunk, with their tracks."""
    start = sum(kind == "dense" for _, kind in layers)
    heads = [layer for layer in list_layers(shapes, "dense") if layer_number(layer) >= start]
    biases = {layer: shapes.get(f"{layer}/bias", ()) for layer in heads}
    return {layer: bias[0] for layer, bias in biases.items() if len(bias) == 1}


def _list_heads(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{layer} ({size} tracks)" for layer, size in sizes.items()) or "none"


def _check_layer_counts(shapes: Shapes, layers: Created) -> None:
    """Refuse a file with other numbers of layers than a config. Raises SeqcovError with both.

    Heads are dense layers, too, and a config names one of them: dense layers are not compared.
    """
    counts = Counter(kind for _, kind in layers if kind != "dense")
    differences = [
        f"{count} {kind} layers (this file: {number})"
        for kind, count in sorted(counts.items())
        if (number := len(list_layers(shapes, kind))) != count
    ]
    if differences:
        raise SeqcovError(f"the described network has {', '.join(differences)}")


# Files without params.json

Counts = SimpleNamespace


def _inferred_fields(files: Files, architecture: str) -> dict[str, Any]:
    """Return what the shapes in a file tell. Raises SeqcovError for layers that are missing."""
    shapes, source, network = files.shapes(), files.source, PUBLISHED[architecture]
    layers = network.layers(network.counts(shapes, source))
    values = infer_fields(architecture, key_map(_numbered(layers), KERAS), shapes, source)
    sizes = _head_sizes(shapes, layers)
    if len(sizes) != 1:
        raise SeqcovError(
            f"{source}: expected one head, but its heads are: {_list_heads(sizes)};"
            " add its params.json"
        )
    return {**values, "num_labels": next(iter(sizes.values()))}


def _complete_layers(shapes: Shapes, kind: str, source: str) -> list[str]:
    """As `list_layers`. Raises SeqcovError if a number is left out."""
    layers = list_layers(shapes, kind)
    for number, layer in enumerate(layers):
        if layer != layer_name(kind, number):
            raise SeqcovError(f"{source}: {layer_name(kind, number)} is missing")
    return layers


def _basenji_counts(shapes: Shapes, source: str) -> Counts:
    """Count tower stages and dilated blocks, as a config does."""
    convs = _complete_layers(shapes, "conv1d", source)
    kernels = [shapes.get(f"{layer}/kernel", ()) for layer in convs]
    if len(kernels) < 2 or any(len(kernel) != 3 for kernel in kernels):
        raise SeqcovError(f"{source}: its conv1d layers are not those of Basenji2")
    blocks = 0  # pairs before the last layer: narrower with a width, wider again without
    for narrow, following in zip(kernels[-3::-2], kernels[-2::-2], strict=False):
        if following[0] != 1 or narrow[1:] != following[:0:-1]:
            break
        blocks += 1
    stages = range(len(kernels) - 2 - 2 * blocks)
    return Counts(conv_tower_channels=stages, blocks=Counts(num_blocks=blocks))


def _borzoi_counts(shapes: Shapes, source: str) -> Counts:
    """Count tower stages, blocks and upsamples, as a config does."""
    convs, dense = _complete_layers(shapes, "conv1d", source), list_layers(shapes, "dense")
    blocks = len(_complete_layers(shapes, "multihead_attention", source))
    upsamples = len(_complete_layers(shapes, "separable_conv1d", source))
    final = bool(convs) and shapes.get(f"{convs[-1]}/kernel", ())[:1] == (1,)
    return Counts(
        conv_tower_channels=range(max(len(convs) - 1 - final, 0)),
        num_hidden_layers=blocks,
        num_upsamples=upsamples,
        upsample_conv=len(dense) - 2 * blocks > 2 * upsamples,
        head_hidden_size=final,
    )


def _cropping(layers: Sequence[dict[str, Any]]) -> int | None:
    """Return the bins that the one Cropping1D layer cuts off at each side, 0 without a layer."""
    crops = [setting(layer, "cropping") for layer in layers if is_class(layer, "Cropping1D")]
    if not crops:
        return 0 if any("class_name" in layer for layer in layers) else None
    left, right = crops[0] if isinstance(crops[0], list) and len(crops[0]) == 2 else (0, 1)
    return left if len(crops) == 1 and left == right and isinstance(left, int) else None


# What differs between the networks


def _complete_basenji(config: Any, path: Path) -> Config:
    """Return the config with the GELU that the file was saved with, if it says so.

    Raises SeqcovError if the file's dilations are not the config's.
    """
    layers = layer_configs(path)
    rates = [setting(layer, "dilation_rate") for layer in layers if is_class(layer, "Conv1D")]
    dilations = [rate[0] for rate in rates if isinstance(rate, list) and rate]
    expected = [1] * (1 + len(config.conv_tower_channels))
    expected += [rate for dilation in config.blocks.dilations for rate in (dilation, 1)] + [1]
    if dilations and dilations != expected:
        raise SeqcovError(
            f"{path}: its model_config has the dilations {dilations}, but expected are {expected}"
        )
    completed: Config = replace(config, hidden_act=_gelu(layers) or config.hidden_act)
    return completed


def _gelu(layers: Sequence[dict[str, Any]]) -> str | None:
    """Return which GELU a calico file was saved with, None if it does not say.

    A layer class `GELU` (named gelu, gelu_1, …) is calico's x·sigmoid(1.702x) of before April 2022;
    afterwards it is `tf.nn.gelu`, with approximate=True.
    """
    for layer in layers:
        name, kind = str(layer.get("name", "")), str(layer.get("class_name", ""))
        if kind == "GELU" or (not kind and re.fullmatch(r"gelu(_\d+)?", name)):
            return "quick_gelu"
        if "nn.gelu" in name or "nn.gelu" in str(setting(layer, "function")):
            calls = json.dumps(layer.get("inbound_nodes"))
            return "gelu_new" if not kind or '"approximate": true' in calls else "gelu"
    return None


class Published(NamedTuple):
    """One of their networks."""

    layers: Callable[[Any], Created]
    """Its layers before the heads, by a config or by `counts`."""
    counts: Callable[[Shapes, str], Counts]
    """Which layers a file has."""
    build_config: Callable[[dict[str, Any]], Config]
    complete: Callable[[Any, Path], Config]
    """The config with what only the .h5 says, whether there is a params.json or not."""


PUBLISHED = {
    "basenji2": Published(
        _basenji_layers, _basenji_counts, BasenjiConfig.from_dict, _complete_basenji
    ),
    "borzoi": Published(_borzoi_layers, _borzoi_counts, borzoi_config, lambda config, path: config),
}
"""The networks that calico publishes, by name in the registry."""

FORMAT = Format(
    "calico",
    "Keras .h5 of calico/basenji or calico/baskerville",
    matches,
    config,
    keys,
    strand_pairs=strand_pairs,
    species_files={"human": "model0*.h5", "mouse": "model1*.h5"},
)
