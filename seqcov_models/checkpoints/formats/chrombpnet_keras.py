"""ChromBPNet as its authors save it: Keras' .h5, read without TensorFlow.

`chrombpnet_nobias.h5` holds the network of accessibility, whose layers begin with `wo_bias_bpnet_`;
`bias_model_scaled.h5` holds that of the enzyme's bias; `chrombpnet.h5` holds both. A folder with
the files of a fold is the full model. Layers are found by the last two parts of their path:
the name of the inner model that holds them differs from file to file. The Lambda layer that adds
both counts is code in the file's `model_config`; it is never run.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.containers import detect_container, open_files
from seqcov_models.checkpoints.format import Files, Format, name_source
from seqcov_models.checkpoints.formats._chrombpnet import (
    ACCESSIBILITY,
    BIAS,
    infer_config,
    join_keys,
    list_branches,
)
from seqcov_models.checkpoints.formats._keras import (
    KERAS,
    is_class,
    layer_configs,
    read_window,
    setting,
)
from seqcov_models.checkpoints.keymap import KeyMap, Row, Shapes, key_map
from seqcov_models.networks.chrombpnet.config import ChromBPNetConfig
from seqcov_models.networks.shared.fields import MAX_INT, is_integer

_LAYER = re.compile(
    r"(wo_bias_)?(?:bpnet_)?(1st_conv|\d{1,6}conv|prof_out_precrop|logcount_predictions)"
)
_CROP = re.compile(r"(?:wo_bias_bpnet_logitt_before|logits_profile_predictions_pre)_?flatten")


def canonical(name: str) -> str | None:
    """'model_wo_bias/wo_bias_bpnet_1st_conv/kernel' → 'accessibility/1st_conv/kernel'."""
    *_, layer, variable = ("", *name.split("/"))
    match = _LAYER.fullmatch(layer)
    if match is None:
        return name
    return f"{ACCESSIBILITY if match[1] else BIAS}/{match[2]}/{variable}"


def matches(files: Files) -> str | None:
    """Return 'chrombpnet' for a Keras file with the first convolution of either network."""
    if files.description or files.container != "hdf5":
        return None
    names = files.shapes(canonical)
    firsts = {f"{branch}/1st_conv/kernel" for branch in (ACCESSIBILITY, BIAS)}
    return "chrombpnet" if firsts & names.keys() else None


def combine(files: list[Path]) -> tuple[Path, ...]:
    """Return the full model among a folder's files: one file, or one of each network."""
    by_branches: dict[tuple[str, ...], Path] = {}
    for file in files:
        if detect_container(file) != "hdf5":
            return ()
        branches = tuple(list_branches(open_files([file], canonical).shapes, "/"))
        if not branches or branches in by_branches:
            return ()
        by_branches[branches] = file
    full = by_branches.get((ACCESSIBILITY, BIAS))
    return (full,) if full else tuple(by_branches[key] for key in sorted(by_branches))


def _branch_keys(branch: str, shapes: Shapes) -> Mapping[str, Row]:
    numbers = [
        int(match[1]) for name in shapes if (match := re.match(rf"{branch}/(\d+)conv/", name))
    ]
    layers = {
        f"model.trunk.convs.{number - 1}": f"{branch}/{number}conv"
        for number in range(1, min(max(numbers, default=0), 100) + 1)
    }
    ends = {
        "model.stem.conv": f"{branch}/1st_conv",
        "profile": f"{branch}/prof_out_precrop",
        "counts": f"{branch}/logcount_predictions",
    }
    return key_map({**ends, **layers}, KERAS)


def keys(config: Any, shapes: Shapes) -> KeyMap:
    """Return the key map of a ChromBPNet."""
    return join_keys(list_branches(shapes, "/"), _branch_keys, shapes)


def config(files: Files, architecture: str, species: str) -> ChromBPNetConfig:
    """Return the config of files, from their shapes and what their `model_config` says.

    Raises SeqcovError for files that are not a ChromBPNet's.
    """
    shapes = files.shapes(canonical)
    layers = layer_configs(files.weights[0])
    branches = list_branches(shapes, "/")
    window = read_window(layers) or 2_114
    config = infer_config(
        branches, _branch_keys, shapes, files.source,
        sequence_length=window, target_length=-1, valid_padding=False,
    )  # fmt: skip
    crop = _read_crop(layers, branches[0])
    if crop is None:
        target = 1_000
    else:
        target = window - 2 * (config.reach + config.profile_kernel_size // 2 + crop)
    with name_source(files.source):
        return replace(config, target_length=target, valid_padding=True)


def _read_crop(layers: list[dict[str, Any]], branch: str) -> int | None:
    """Return the bases that a network crops at each side of its profile, if the file says it."""
    prefix = "wo_bias_" if branch == ACCESSIBILITY else "logits_"
    for layer in layers:
        name, crop = str(setting(layer, "name")), setting(layer, "cropping")
        is_profile = is_class(layer, "Cropping1D") and _CROP.fullmatch(name)
        if is_profile and name.startswith(prefix) and isinstance(crop, list):
            return crop[0] if crop and is_integer(crop[0], 0, MAX_INT) else None
    return None


FORMAT = Format(
    "chrombpnet-keras",
    "Keras .h5 of kundajelab/chrombpnet",
    matches,
    config,
    keys,
    canonical=canonical,
    combine=combine,
)
