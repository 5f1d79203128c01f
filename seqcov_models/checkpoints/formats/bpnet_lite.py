"""BPNet as bpnet-lite trains it: its state dict, by torch.save or as safetensors.

bpnet-lite itself saves the whole module: such a pickle is refused, because reading it means running
what it says. What a state dict does not tell has bpnet-lite's defaults: 1,000 positions come out,
of a window that is longer by the trimming at both sides. Names: `bpnetlite/bpnet.py`.

ProCapNet and the single networks of chrombpnet-pytorch have the same names. As a ChromBPNet the
window is 2,114 bp, whatever the depth, and counts are averaged over all of it.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from seqcov_models.checkpoints.format import Files, Format, name_source, without_module
from seqcov_models.checkpoints.infer import infer_fields
from seqcov_models.checkpoints.keymap import (
    TORCH,
    Array,
    KeyMap,
    Row,
    Shapes,
    key_map,
    repeat_layers,
)
from seqcov_models.networks.bpnet.config import BPNetLiteConfig
from seqcov_models.networks.chrombpnet.config import ChromBPNetConfig
from seqcov_models.networks.shared.config import count_layers

ENDS = {"model.stem.conv": "iconv", "profile": "fconv", "counts": "linear"}
BLOCK = {"model.trunk.convs.{i}": "rconvs.{i}"}
PREDICTED = 1_000
"""Positions of the profile."""


def canonical(name: str) -> str | None:
    """Drop the prefixes of DataParallel and of Lightning."""
    return (without_module(name) or name).removeprefix("model.")


def matches(files: Files) -> str | None:
    """Return 'bpnetlite' for the names of the first and last layers, which Cherimoya has, too."""
    if files.description or not files.is_state_dict:
        return None
    names = files.shapes(canonical).keys()
    is_bpnet = {"iconv.weight", "fconv.weight", "linear.weight"} <= names
    return "bpnetlite" if is_bpnet and "blocks.0.conv_weight" not in names else None


def _keys(shapes: Shapes) -> dict[str, Row]:
    layers = repeat_layers(BLOCK, count_layers("rconvs.", shapes))
    return key_map({**ENDS, **layers}, TORCH)


def keys(config: Any, shapes: Shapes) -> KeyMap:
    """Return the key map of a BPNet."""
    columns = config.hidden_size + (config.num_control_tracks > 0)

    def select_columns(weight: Array) -> Array:
        """Drop the column that older files have for controls although they have none."""
        return weight[:, :columns]

    rows = _keys(shapes)
    rows["counts.weight"] = replace(rows["counts.weight"], layout=select_columns)
    for layer in ("profile", "counts"):  # profile_output_bias=False, count_output_bias=False
        if rows[f"{layer}.bias"].arrays[0] not in shapes:
            rows[f"{layer}.bias"] = Row(rows[f"{layer}.weight"].arrays, combine=_zero_bias)
    return rows


def _zero_bias(weight: Array) -> Array:
    """Return the bias of a layer that has none."""
    return np.zeros(len(weight), np.float32)


def config(files: Files, architecture: str, species: str) -> BPNetLiteConfig:
    """Return the config of a file from its shapes. Raises SeqcovError for impossible shapes."""
    shapes = files.shapes(canonical)
    values = infer_fields(architecture, _keys(shapes), shapes, files.source)
    values["num_strands"] = shapes["fconv.weight"][0]
    if architecture == "chrombpnet":
        with name_source(files.source):
            return ChromBPNetConfig.from_dict(
                values | {"tasks": BPNetLiteConfig.tasks, "bias_hidden_size": 0}
            )
    layers = min(values["num_dilated_layers"], 100)  # more are refused, whatever the window
    trimming = 47 + sum(2**layer for layer in range(1, layers + 1))
    channels = shapes["fconv.weight"][1]
    values |= {
        "sequence_length": PREDICTED + 2 * trimming,
        "target_length": PREDICTED,
        "num_control_tracks": max(channels - values["hidden_size"], 0),
    }
    with name_source(files.source):
        return BPNetLiteConfig.from_dict(values)


FORMAT = Format(
    "bpnet-lite",
    "state dict of bpnet-lite",
    matches,
    config,
    keys,
    canonical=canonical,
    other_architectures=("chrombpnet",),
)
