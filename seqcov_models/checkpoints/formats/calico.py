"""Calico's Keras checkpoints of Basenji2 and Borzoi: an .h5, mostly with a params.json beside it.

Layers are found by name. Keras numbers every layer of a kind in the order of its creation
(`conv1d`, `conv1d_1`, …), which follows from the network. Without params.json
the widths come from the weights, window and crop from the file's `model_config` where it has one,
else they are the published ones.
"""

from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.arrays import Arrays
from seqcov_models.checkpoints.containers.hdf5 import (
    KERAS,
    Names,
    cropping_of,
    gelu_of,
    layer_configs,
    layers_of,
    number,
    numbered,
    open_h5,
    setting,
    window_of,
)
from seqcov_models.checkpoints.infer import check_species, inferred, our_shapes
from seqcov_models.checkpoints.keymap import Part, Row, Shapes, rows_of
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.shared.config import Config


def rows(config: Config, found: Shapes) -> list[Row]:
    """The key map of a file. `found`, the file's shapes, is only used to find the head.

    Raises SeqcovError where no head of the config's size is there.
    """
    if isinstance(config, BasenjiConfig):
        parts, head = _basenji_parts(len(config.conv_tower_channels), config.blocks.num_blocks)
    else:
        assert isinstance(config, BorzoiConfig)
        parts, head = _borzoi_parts(
            len(config.conv_tower_channels),
            config.num_hidden_layers,
            config.num_upsamples,
            config.upsample_conv,
            bool(config.head_hidden_size),
        )
    tracks = getattr(config, "num_labels")
    sizes = _heads(found, head)
    fitting = [layer for layer, size in sizes.items() if size == tracks]
    if len(fitting) != 1:
        there = ", ".join(f"{layer} ({size} tracks)" for layer, size in sizes.items()) or "none"
        raise SeqcovError(
            f"no head of {tracks} {getattr(config, 'species')} tracks; heads in this file: {there}"
        )
    return rows_of([*parts, Part("head", fitting[0], "dense")], KERAS)


def _heads(found: Shapes, first: str) -> dict[str, int]:
    """The dense layers from `first` on, with their tracks."""
    layers = [layer for layer in layers_of(list(found), "dense") if number(layer) >= number(first)]
    biases = {layer: found.get(f"{layer}/bias", ()) for layer in layers}
    return {layer: bias[0] for layer, bias in biases.items() if len(bias) == 1}


def _basenji_parts(stages: int, blocks: int) -> tuple[list[Part], str]:
    """The layers of Basenji2 but for the head, and the name of its first dense layer."""
    ours = [
        *(f"model.stem.blocks.{at}" for at in range(1 + stages)),
        *(f"model.trunk.blocks.{k}.{part}" for k in range(blocks) for part in ("narrow", "wide")),
        "model.trunk.final",
    ]
    names, parts = Names(), []
    for at, layer in enumerate(ours):
        conv = names.next("conv1d")
        parts.append(Part(f"{layer}.conv", conv, "bare conv" if at else "bare stem"))
        parts.append(Part(f"{layer}.norm", names.next("batch_normalization"), "norm"))
    return parts, names.next("dense")


def _borzoi_parts(
    stages: int, blocks: int, upsamples: int, upsample_conv: bool, final: bool
) -> tuple[list[Part], str]:
    """The layers of Borzoi but for the heads, and the name of its first head."""
    names, parts = Names(), list[Part]()

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


# Files without params.json


def architecture_of_h5(names: list[str]) -> str | None:
    """Which of calico's networks a file's weights are of, None for neither."""
    if any(name.startswith("multihead_attention") for name in names):
        return "borzoi"
    return "basenji2" if "conv1d/kernel" in names else None


def h5_config(architecture: str, path: Path, species: str) -> Config:
    """The config of a file without params.json.

    Raises SeqcovError where the weights are not this network's, or of another species' size.
    """
    arrays, layers = open_h5(path), layer_configs(path)
    of_network = {"basenji2": _basenji_fields, "borzoi": _borzoi_fields}[architecture]
    values = of_network(arrays, str(path))
    if (window := window_of(layers)) is not None:
        values["sequence_length"] = window
    if (crop := cropping_of(layers)) is not None:
        values["crop_bins"] = crop
    check_species(architecture, values["num_labels"], species, str(path))
    try:
        if architecture == "borzoi":
            config = BorzoiConfig.from_dict({**values, "species": species})
            positions = {"position_length": config.num_positions}
            return BorzoiConfig.from_dict({**config.to_dict(), **positions})
        basenji = BasenjiConfig.from_dict({**values, "species": species})
    except SeqcovError as error:
        raise SeqcovError(f"{path}: {error}") from None
    return with_h5_activation(basenji, path)


def with_h5_activation(config: BasenjiConfig, path: Path) -> BasenjiConfig:
    """`config` with the GELU that the file was saved with, where it says so.

    Raises SeqcovError where the file's dilations are not the config's.
    """
    layers = layer_configs(path)
    dilations = [
        rate[0]
        for layer in layers
        if layer.get("class_name") == "Conv1D"
        and isinstance(rate := setting(layer, "dilation_rate"), list)
        and rate
    ]
    expected = [1] * (1 + len(config.conv_tower_channels))
    expected += [rate for dilation in config.blocks.dilations for rate in (dilation, 1)] + [1]
    if dilations and dilations != expected:
        said = f"{path}: its model_config has dilations {dilations}, expected {expected}"
        raise SeqcovError(said)
    if (gelu := gelu_of(layers)) is None:
        return config
    return BasenjiConfig.from_dict({**config.to_dict(), "hidden_act": gelu})


def _one_head(arrays: Arrays, first: str, source: str) -> int:
    heads = _heads(arrays.shapes, first)
    if len(heads) != 1:
        there = ", ".join(f"{layer} ({size} tracks)" for layer, size in heads.items()) or "none"
        raise SeqcovError(f"{source}: which head? there are: {there}; params.json would tell")
    return next(iter(heads.values()))


def _basenji_fields(arrays: Arrays, source: str) -> dict[str, Any]:
    convs = numbered(list(arrays.shapes), "conv1d", source)
    kernels = [arrays.shapes.get(f"{layer}/kernel", ()) for layer in convs]
    if len(kernels) < 2 or any(len(kernel) != 3 for kernel in kernels):
        raise SeqcovError(f"{source}: its conv1d layers are not those of Basenji2")
    blocks = 0  # pairs before the last layer: narrower with a width, wider again without
    for narrow, wide in zip(kernels[-3::-2], kernels[-2::-2], strict=False):
        if wide[0] != 1 or narrow[1:] != wide[:0:-1]:
            break
        blocks += 1
    parts, first = _basenji_parts(len(kernels) - 2 - 2 * blocks, blocks)
    shapes = our_shapes(rows_of(parts, KERAS), arrays.shapes, source)
    values = inferred("basenji2", shapes, source)
    return {**values, "num_labels": _one_head(arrays, first, source)}


def _borzoi_fields(arrays: Arrays, source: str) -> dict[str, Any]:
    names = list(arrays.shapes)
    convs, dense = numbered(names, "conv1d", source), layers_of(names, "dense")
    blocks, upsamples = (
        len(numbered(names, kind, source)) for kind in ("multihead_attention", "separable_conv1d")
    )
    final = bool(convs) and arrays.shapes.get(f"{convs[-1]}/kernel", ())[:1] == (1,)
    upsample_conv = len(dense) - 2 * blocks > 2 * upsamples
    stages = max(len(convs) - 1 - final, 0)
    parts, first = _borzoi_parts(stages, blocks, upsamples, upsample_conv, final)
    shapes = our_shapes(rows_of(parts, KERAS), arrays.shapes, source)
    values = inferred("borzoi", shapes, source)
    if upsamples:
        separable = shapes.get("model.trunk.upsamples.0.separable.depthwise.weight", (0, 0, 0))
        values["upsample_kernel_size"] = separable[-1]
    return {
        **values,
        "num_labels": _one_head(arrays, first, source),
        "num_upsamples": upsamples,
        "upsample_conv": upsample_conv,
    }
