"""Calico's Keras checkpoints of Basenji2 and Borzoi: an .h5, mostly with a params.json beside it.

Layers are found by name. Keras numbers every layer of a kind in the order of its creation
(`conv1d`, `conv1d_1`, …), which follows from the network. Without params.json
the widths come from the weights, window and crop from the file's `model_config` if it has one,
else they are the published ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.containers.hdf5 import (
    KERAS,
    LayerNames,
    complete_layers,
    cropping_of,
    gelu_of,
    layer_configs,
    layer_number,
    layers_of,
    setting,
    strand_pairs_of,
    window_of,
)
from seqcov_models.checkpoints.format import Files, Format
from seqcov_models.checkpoints.formats._calico_params import (
    architecture_of_params,
    params_config,
)
from seqcov_models.checkpoints.infer import check_species, infer_fields, our_shapes
from seqcov_models.checkpoints.keymap import Part, Row, Shapes, rows_of
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.shared.config import Config


def matches(files: Files) -> str | None:
    """Return 'borzoi' or 'basenji2' by params.json, else by the layers of a Keras file."""
    if files.params:
        return architecture_of_params(files.params)
    if files.container != "hdf5":
        return None
    names = files.shapes()
    if any(name.startswith("multihead_attention") for name in names):
        return "borzoi"
    other = any(name.startswith("conv2d_transpose") for name in names)  # a BPNet's
    return "basenji2" if "conv1d/kernel" in names and not other else None


def config(files: Files, architecture: str, species: str) -> Config:
    """Return the config by params.json or the file itself, with the GELU that the file says.

    Raises SeqcovError if the weights are not this network's, or of another species' size.
    """
    if files.params is None:
        return _h5_config(architecture, files, species)
    config = params_config(architecture, files.params, species)
    return _with_h5_activation(config, files.weights[0])


def rows(config: Any, shapes: Shapes) -> list[Row]:
    """Return the key map of a Basenji2 or Borzoi; the shapes tell which head is of its size.

    Raises SeqcovError if no head of the config's size is there.
    """
    parts, first = _PARTS[config.ARCHITECTURE](config)
    sizes = _heads(shapes, first)
    fitting = [layer for layer, size in sizes.items() if size == config.num_labels]
    if len(fitting) != 1:
        raise SeqcovError(
            f"no head of {config.num_labels} {config.species} tracks; heads in this file:"
            f" {_listed(sizes)}"
        )
    return rows_of([*parts, Part("head", fitting[0], "dense")], KERAS)


def strand_pairs(files: Files, tracks: int) -> list[int] | None:
    """Return each track's row of the other strand, if the .h5 says it."""
    path = files.weights[0]
    return strand_pairs_of(layer_configs(path), tracks) if files.container == "hdf5" else None


def _listed(heads: Mapping[str, int]) -> str:
    return ", ".join(f"{layer} ({size} tracks)" for layer, size in heads.items()) or "none"


def _heads(found: Shapes, first: str) -> dict[str, int]:
    """Return the dense layers from `first` on, with their tracks."""
    layers = [
        layer
        for layer in layers_of(list(found), "dense")
        if layer_number(layer) >= layer_number(first)
    ]
    biases = {layer: found.get(f"{layer}/bias", ()) for layer in layers}
    return {layer: bias[0] for layer, bias in biases.items() if len(bias) == 1}


def _basenji_parts(stages: int, blocks: int) -> tuple[list[Part], str]:
    """Return the layers of Basenji2 except the head, and the name of its first dense layer."""
    ours = [
        *(f"model.stem.blocks.{stage}" for stage in range(1 + stages)),
        *(f"model.trunk.blocks.{k}.{conv}" for k in range(blocks) for conv in ("narrow", "wide")),
        "model.trunk.final",
    ]
    names, parts = LayerNames(), list[Part]()
    for layer in ours:
        kind = "bare conv" if parts else "bare stem"
        parts.append(Part(f"{layer}.conv", names.next("conv1d"), kind))
        parts.append(Part(f"{layer}.norm", names.next("batch_normalization"), "norm"))
    return parts, names.next("dense")


def _borzoi_parts(
    stages: int, blocks: int, upsamples: int, upsample_conv: bool, final: bool
) -> tuple[list[Part], str]:
    """Return the layers of Borzoi except the heads, and the name of its first head."""
    names, parts = LayerNames(), list[Part]()

    def add(ours: str, layer: str, kind: str) -> None:
        parts.append(Part(ours, names.next(layer), kind))

    add("model.stem.conv", "conv1d", "stem")
    for stage in range(stages):
        add(f"model.stem.tower.{stage}.norm", "batch_normalization", "norm")
        add(f"model.stem.tower.{stage}.conv", "conv1d", "conv")
    for block in range(blocks):
        ours = f"model.trunk.blocks.{block}"
        add(f"{ours}.attention_norm", "layer_normalization", "layer norm")
        add(f"{ours}.attention", "multihead_attention", "attention")
        add(f"{ours}.ffn_norm", "layer_normalization", "layer norm")
        add(f"{ours}.ffn_in", "dense", "dense")
        add(f"{ours}.ffn_out", "dense", "dense")
    for step in range(upsamples):
        ours = f"model.trunk.upsamples.{step}"
        add(f"{ours}.norm", "batch_normalization", "norm")
        if upsample_conv:
            add(f"{ours}.dense", "dense", "dense")
        add(f"{ours}.skip_norm", "batch_normalization", "norm")
        add(f"{ours}.skip_dense", "dense", "dense")
        add(f"{ours}.separable", "separable_conv1d", "separable conv")
    if final:
        add("model.trunk.final.norm", "batch_normalization", "norm")
        add("model.trunk.final.conv", "conv1d", "conv")
    return parts, names.next("dense")


_PARTS: Mapping[str, Callable[[Any], tuple[list[Part], str]]] = {
    "basenji2": lambda config: _basenji_parts(
        len(config.conv_tower_channels), config.blocks.num_blocks
    ),
    "borzoi": lambda config: _borzoi_parts(
        len(config.conv_tower_channels),
        config.num_hidden_layers,
        config.num_upsamples,
        config.upsample_conv,
        bool(config.head_hidden_size),
    ),
}


# Files without params.json


def _h5_config(architecture: str, files: Files, species: str) -> Config:
    path, shapes = files.weights[0], files.shapes()
    layers = layer_configs(path)
    fields = {"basenji2": _basenji_fields, "borzoi": _borzoi_fields}[architecture]
    values = {**fields(shapes, files.source), "species": species}
    if (window := window_of(layers)) is not None:
        values["sequence_length"] = window
    if (crop := cropping_of(layers)) is not None:
        values["crop_bins"] = crop
    check_species(architecture, values["num_labels"], species, files.source)
    try:
        if architecture == "basenji2":
            return _with_h5_activation(BasenjiConfig.from_dict(values), path)
        positions = {"position_length": BorzoiConfig.from_dict(values).num_positions}
        return BorzoiConfig.from_dict({**values, **positions})
    except SeqcovError as error:
        raise SeqcovError(_located(path, error)) from None


def _located(path: Path, error: SeqcovError) -> str:
    return str(error) if str(error).startswith(str(path)) else f"{path}: {error}"


def _with_h5_activation(config: Config, path: Path) -> Config:
    """Return a Basenji2's config with the GELU that the file was saved with, if it says so.

    Raises SeqcovError if the file's dilations are not the config's.
    """
    if config.ARCHITECTURE != "basenji2":
        return config
    basenji: Any = config
    layers = layer_configs(path)
    dilations = [
        rate[0]
        for layer in layers
        if layer.get("class_name") == "Conv1D"
        and isinstance(rate := setting(layer, "dilation_rate"), list)
        and rate
    ]
    expected = [1] * (1 + len(basenji.conv_tower_channels))
    expected += [rate for dilation in basenji.blocks.dilations for rate in (dilation, 1)] + [1]
    if dilations and dilations != expected:
        raise SeqcovError(
            f"{path}: its model_config has dilations {dilations}, expected {expected}"
        )
    gelu = gelu_of(layers)
    return config if gelu is None else replace(config, hidden_act=gelu)


def _single_head(shapes: Shapes, first: str, source: str) -> int:
    heads = _heads(shapes, first)
    if len(heads) != 1:
        raise SeqcovError(
            f"{source}: which head? There are: {_listed(heads)}; params.json would tell"
        )
    return next(iter(heads.values()))


def _basenji_fields(found: Shapes, source: str) -> dict[str, Any]:
    convs = complete_layers(list(found), "conv1d", source)
    kernels = [found.get(f"{layer}/kernel", ()) for layer in convs]
    if len(kernels) < 2 or any(len(kernel) != 3 for kernel in kernels):
        raise SeqcovError(f"{source}: its conv1d layers are not those of Basenji2")
    blocks = 0  # pairs before the last layer: narrower with a width, wider again without
    for narrow, wide in zip(kernels[-3::-2], kernels[-2::-2], strict=False):
        if wide[0] != 1 or narrow[1:] != wide[:0:-1]:
            break
        blocks += 1
    parts, first = _basenji_parts(len(kernels) - 2 - 2 * blocks, blocks)
    shapes = our_shapes(rows_of(parts, KERAS), found, source)
    values = infer_fields("basenji2", shapes, source)
    return {**values, "num_labels": _single_head(found, first, source)}


def _borzoi_fields(found: Shapes, source: str) -> dict[str, Any]:
    names = list(found)
    convs, dense = complete_layers(names, "conv1d", source), layers_of(names, "dense")
    blocks, upsamples = (
        len(complete_layers(names, kind, source))
        for kind in ("multihead_attention", "separable_conv1d")
    )
    final = bool(convs) and found.get(f"{convs[-1]}/kernel", ())[:1] == (1,)
    upsample_conv = len(dense) - 2 * blocks > 2 * upsamples
    stages = max(len(convs) - 1 - final, 0)
    parts, first = _borzoi_parts(stages, blocks, upsamples, upsample_conv, final)
    shapes = our_shapes(rows_of(parts, KERAS), found, source)
    values = infer_fields("borzoi", shapes, source)
    if upsamples:
        separable = shapes.get("model.trunk.upsamples.0.separable.depthwise.weight", (0, 0, 0))
        values["upsample_kernel_size"] = separable[-1]
    return {
        **values,
        "num_labels": _single_head(found, first, source),
        "num_upsamples": upsamples,
        "upsample_conv": upsample_conv,
    }


FORMAT = Format(
    "calico",
    "Keras .h5 of calico/basenji or calico/baskerville",
    matches,
    config,
    rows,
    strand_pairs=strand_pairs,
)
