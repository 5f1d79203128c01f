"""ChromBPNet as PyTorch projects save it: state dicts of two networks with bpnet-lite's names.

chrombpnet-pytorch (jsxlei) calls them `chrombpnet_wo_bias` and `bias`, bpnet-lite `accessibility`
and `bias`. Lightning's checkpoints put `model.` before each name. A state dict of a single network
has bpnet-lite's names of a BPNet, and its format reads it.
"""

from collections.abc import Mapping
from typing import Any

from seqcov_models.checkpoints.format import Files, Format, without_module
from seqcov_models.checkpoints.formats._chrombpnet import infer_config, join_keys, list_branches
from seqcov_models.checkpoints.keymap import (
    TORCH,
    KeyMap,
    Row,
    Shapes,
    key_map,
    repeat_layers,
)
from seqcov_models.networks.chrombpnet.config import ChromBPNetConfig
from seqcov_models.networks.shared.config import count_layers


def canonical(name: str) -> str | None:
    """'model.chrombpnet_wo_bias.iconv.bias' → 'accessibility.iconv.bias'."""
    name = (without_module(name) or name).removeprefix("model.")
    return name.replace("chrombpnet_wo_bias.", "accessibility.", 1)


def matches(files: Files) -> str | None:
    """Return 'chrombpnet' for the names of a network of accessibility."""
    if files.description or not files.is_state_dict:
        return None
    names = files.shapes(canonical).keys()
    return "chrombpnet" if "accessibility.iconv.weight" in names else None


def _branch_keys(branch: str, shapes: Shapes) -> Mapping[str, Row]:
    ends = {"model.stem.conv": "iconv", "profile": "fconv", "counts": "linear"}
    count = count_layers(f"{branch}.rconvs.", shapes)
    layers = {**ends, **repeat_layers({"model.trunk.convs.{i}": "rconvs.{i}"}, count)}
    return key_map({layer: f"{branch}.{name}" for layer, name in layers.items()}, TORCH)


def keys(config: Any, shapes: Shapes) -> KeyMap:
    """Return the key map of a ChromBPNet."""
    return join_keys(list_branches(shapes, "."), _branch_keys, shapes)


def config(files: Files, architecture: str, species: str) -> ChromBPNetConfig:
    """Return the config of a file from its shapes. Raises SeqcovError for impossible shapes."""
    shapes = files.shapes(canonical)
    return infer_config(list_branches(shapes, "."), _branch_keys, shapes, files.source)


FORMAT = Format(
    "chrombpnet-pytorch",
    "state dict of chrombpnet-pytorch, or of bpnet-lite's ChromBPNet",
    matches,
    config,
    keys,
    canonical=canonical,
)
