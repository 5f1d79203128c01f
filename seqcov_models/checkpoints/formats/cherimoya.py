"""Cherimoya as `Cherimoya.save` writes it: {"config": …, "state_dict": …} by torch.save.

CATv1 (programmable-genomics/CATv1 on the Hugging Face Hub) has such a file per experiment and fold.
A signal group is a task: an unstranded track, or the two strands of one. Names:
`cherimoya/cherimoya.py`, version 0.3.1.
"""

from typing import Any

from seqcov_models.checkpoints.format import Files, Format, name_source, without_module
from seqcov_models.checkpoints.infer import infer_fields
from seqcov_models.checkpoints.keymap import (
    TORCH,
    KeyMap,
    Row,
    Shapes,
    key_map,
    repeat_layers,
    reverse_axes,
)
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.cherimoya.config import CherimoyaConfig
from seqcov_models.networks.shared.config import count_layers
from seqcov_models.networks.shared.fields import MAX_INT, is_integer

ENDS = {"model.stem.conv": "iconv", "profile": "fconv", "counts": "linear"}
BLOCK = {
    "model.trunk.blocks.{i}.expand": "blocks.{i}.linear1",
    "model.trunk.blocks.{i}.contract": "blocks.{i}.linear2",
}
STEM_AND_PROFILE_REACH = 46
"""Bases that their trimming adds to the reach of the blocks, at each side."""


def canonical(name: str) -> str | None:
    """'blocks.0.conv.conv_weight' → 'blocks.0.conv_weight', as files have it since the first."""
    return (without_module(name) or name).replace(".conv.conv_weight", ".conv_weight")


def matches(files: Files) -> str | None:
    """Return 'cherimoya' for the names of the first convolution and of the first block."""
    if files.description or not files.is_state_dict:
        return None
    names = {"iconv.weight", "blocks.0.conv_weight", "fconv.weight"}
    return "cherimoya" if names <= files.shapes(canonical).keys() else None


def ignores(name: str, config: Any, shapes: Shapes) -> bool:
    """Return whether an array is a weight of the training's losses."""
    return name in ("lw0", "lw1")


def keys(config: Any, shapes: Shapes) -> KeyMap:
    """Return the key map of a Cherimoya."""
    count = count_layers("blocks.", shapes)
    convs = {
        f"model.trunk.blocks.{i}.conv.weight": Row((f"blocks.{i}.conv_weight",), reverse_axes)
        for i in range(count)
    }
    return {**key_map({**ENDS, **repeat_layers(BLOCK, count)}, TORCH), **convs}


def config(files: Files, architecture: str, species: str) -> CherimoyaConfig:
    """Return the config of a file, from its shapes and its own `config`.

    Raises SeqcovError for impossible shapes, and for signal groups of several sizes.
    """
    from seqcov_models.checkpoints.containers.torch_file import read_entry

    shapes, source = files.shapes(canonical), files.source
    is_safetensors = files.container == "safetensors"
    saved = {} if is_safetensors else read_entry(files.weights[0], "config")
    values = infer_fields(architecture, keys(None, shapes), shapes, source)
    width, outputs = values["hidden_size"], shapes["fconv.weight"][0]
    groups = (
        saved.get("signal_groups")
        or [outputs // shapes["linear.weight"][0]] * (shapes["linear.weight"][0])
    )
    if not isinstance(groups, list) or groups not in ([1] * len(groups), [2] * len(groups)):
        raise SeqcovError(
            f"{source}: signal groups {groups}: expected groups of one size, 1 or 2 channels each"
        )
    layers = min(values["num_dilated_layers"], 100)  # more are refused, whatever the window
    trimming = saved.get("trimming", STEM_AND_PROFILE_REACH + 2**layers - 1)
    if not is_integer(trimming, 0, MAX_INT):
        raise SeqcovError(f"{source}: trimming {trimming!r}: expected a whole number")
    tasks = [f"signal_{number}" for number in range(len(groups))]
    values |= {
        "sequence_length": 1_000 + 2 * trimming,
        "target_length": 1_000,
        "tasks": tasks if len(tasks) > 1 else ["signal"],
        "num_strands": groups[0],
        "num_control_tracks": max(shapes["fconv.weight"][1] - width, 0),
        "expansion": shapes["blocks.0.linear1.weight"][0] // width if layers else 2,
        "residual_scale": saved.get("residual_scale", CherimoyaConfig.residual_scale),
    }
    with name_source(source):
        return CherimoyaConfig.from_dict(values)


FORMAT = Format(
    "cherimoya",
    "Cherimoya.save, as in CATv1",
    matches,
    config,
    keys,
    canonical=canonical,
    ignores=ignores,
)
