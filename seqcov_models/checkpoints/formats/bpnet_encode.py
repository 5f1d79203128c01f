"""BPNets of ChIP-seq by ENCODE and JASPAR: Keras' .h5 of kundajelab/bpnet-refactor.

The heads are two linear layers each: the first reads the trunk, the second (`profile_predictions`,
`logcounts_predictions`) its output and the controls. Both are one layer of our network. Of models
without controls, the second layers do not exist. Names and layers: `bpnet/model/arch.py`.
"""

from typing import Any

import numpy as np

from seqcov_models.checkpoints.format import Files, Format, name_source
from seqcov_models.checkpoints.formats._keras import KERAS, layer_configs, read_window
from seqcov_models.checkpoints.infer import infer_fields
from seqcov_models.checkpoints.keymap import Array, KeyMap, Row, Shapes, key_map, repeat_layers
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.bpnet.config import BPNetConfig
from seqcov_models.networks.shared.config import count_layers

MAIN_PROFILE, MAIN_COUNTS = "main_profile_head", "main_counts_head"
PROFILE, COUNTS = "profile_predictions", "logcounts_predictions"


def matches(files: Files) -> str | None:
    """Return 'bpnet' for a Keras file with the names of the first layer and the profile head."""
    if files.description or files.container != "hdf5":
        return None
    names = {"main_conv_0/kernel", f"{MAIN_PROFILE}/kernel"}
    return "bpnet" if names <= files.shapes().keys() else None


def keys(config: Any, shapes: Shapes) -> KeyMap:
    """Return the key map of a network with or without controls."""
    count = count_layers("main_dil_conv_", (_number_from_zero(name) for name in shapes))
    layers = {
        "model.stem.conv": "main_conv_0",
        **repeat_layers({"model.trunk.convs.{i}": "main_dil_conv_{next}"}, count),
    }
    if f"{PROFILE}/kernel" not in shapes:
        return key_map({**layers, "profile": MAIN_PROFILE, "counts": COUNTS}, KERAS)
    profile, counts = f"{MAIN_PROFILE}/bias", f"{MAIN_COUNTS}/bias"
    kernels = (f"{MAIN_PROFILE}/kernel", f"{PROFILE}/kernel")
    count_kernels = (f"{MAIN_COUNTS}/kernel", f"{COUNTS}/kernel")
    rows = {
        "profile.weight": Row(kernels, combine=_profile_weight),
        "profile.bias": Row((profile, kernels[1], f"{PROFILE}/bias"), combine=_profile_bias),
        "counts.weight": Row(count_kernels, combine=_counts_weight),
        "counts.bias": Row((counts, count_kernels[1], f"{COUNTS}/bias"), combine=_counts_bias),
    }
    return {**key_map(layers, KERAS), **rows}


def _number_from_zero(name: str) -> str:
    """'main_dil_conv_1/bias' → 'main_dil_conv_0'."""
    layer, _, number = name.partition("/")[0].rpartition("_")
    return f"{layer}_{int(number) - 1}" if number.isdecimal() else name


def _profile_weight(main: Array, last: Array) -> Array:
    """Return the profile head (strands, hidden + controls, kernel).

    main: (kernel, hidden, strands); last: (1, strands + controls, strands).
    """
    strands = main.shape[2]
    hidden = np.einsum("kio,os->sik", main, last[0, :strands])
    controls = np.zeros((last.shape[2], last.shape[1] - strands, main.shape[0]), np.float32)
    controls[:, :, main.shape[0] // 2] = last[0, strands:].T
    return np.concatenate([hidden, controls], 1)


def _profile_bias(main: Array, kernel: Array, bias: Array) -> Array:
    return np.asarray(main @ kernel[0, : len(main)] + bias)


def _counts_weight(main: Array, last: Array) -> Array:
    """Return the count head (1, hidden + 1); main: (hidden, 1), last: (2, 1)."""
    return np.asarray(np.concatenate([main * last[0], last[1:]]).T)


def _counts_bias(main: Array, kernel: Array, bias: Array) -> Array:
    return np.asarray(main * kernel[0] + bias)


def config(files: Files, architecture: str, species: str) -> BPNetConfig:
    """Return the config of a file, from its shapes and the window in its `model_config`.

    Raises SeqcovError for a file that is not such a BPNet.
    """
    shapes = files.shapes()
    last = shapes.get(f"{PROFILE}/kernel")
    if last is not None and (len(last) != 3 or last[0] != 1):
        raise SeqcovError(f"{files.source}: {PROFILE} is {last}; only a width of 1 can be read")
    values = infer_fields(architecture, keys(None, shapes), shapes, files.source)
    strands = shapes[f"{MAIN_PROFILE}/kernel"][-1]
    values |= {
        "sequence_length": read_window(layer_configs(files.weights[0])) or 2_114,
        "target_length": 1_000,
        "n_encoding": "zeros",
        "tasks": ("signal",),
        "num_strands": strands,
        "num_control_tracks": last[1] - strands if last else 0,
        "joint_strands": True,
        "pre_activation": True,
        "one_per_track": True,
        "valid_padding": True,
    }
    with name_source(files.source):
        return BPNetConfig.from_dict(values)


FORMAT = Format(
    "bpnet-encode", "Keras .h5 of ENCODE's and JASPAR's BPNets of ChIP-seq", matches, config, keys
)
