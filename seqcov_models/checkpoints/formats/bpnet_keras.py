"""BPNet as its authors saved it: a Keras 2.2 .h5, numbered from 1 (conv1d_1, dense_1, …).

The first convolution that has a bias is the stem, the others are the dilated ones; the transposed
convolutions are the profile heads, the dense layers with a bias the count heads, in the order of
the tasks. What has no bias belongs to the branches that read control tracks: they add exactly 0
if no control is given, and are left out.
"""

from typing import Any

from seqcov_models.checkpoints.format import Files, Format, name_source
from seqcov_models.checkpoints.formats._keras import (
    KERAS,
    layer_configs,
    list_layers,
    read_window,
    transposed_convolution,
)
from seqcov_models.checkpoints.infer import infer_fields
from seqcov_models.checkpoints.keymap import KeyMap, Row, Shapes, key_map, reverse_axes
from seqcov_models.networks.bpnet.config import BPNetConfig

PROFILE, COUNTS = "conv2d_transpose", "dense"


def matches(files: Files) -> str | None:
    """Return 'bpnet' for a Keras file with transposed convolutions and no params.json."""
    if files.description or files.container != "hdf5":
        return None
    return "bpnet" if list_layers(files.shapes(), PROFILE) else None


def _layers(shapes: Shapes, kind: str) -> list[str]:
    """Return the layers of a kind that have a bias; the first by name if there is none."""
    layers = [layer for layer in list_layers(shapes, kind) if f"{layer}/bias" in shapes]
    return layers or [f"{kind}_1"]


def ignores(name: str, config: Any, shapes: Shapes) -> bool:
    """Return whether a weight is of a branch that reads control tracks."""
    layer = name.partition("/")[0]
    kind = layer.rpartition("_")[0]
    is_control = kind in ("conv1d", "dense", "separable_conv1d")
    return is_control and f"{layer}/bias" not in shapes and "kernel" in name


def keys(config: Any, shapes: Shapes) -> KeyMap:
    """Return the key map of a BPNet; the shapes in the file give the layers' numbers."""
    stem, *convs = _layers(shapes, "conv1d")
    trunk = {f"model.trunk.convs.{i}": layer for i, layer in enumerate(convs)}
    rows = key_map({"model.stem.conv": stem, **trunk}, KERAS)
    for head, kind, layout in (
        ("profile", PROFILE, transposed_convolution),
        ("counts", COUNTS, reverse_axes),
    ):
        layers = _layers(shapes, kind)
        rows[f"{head}.weight"] = Row(tuple(f"{layer}/kernel" for layer in layers), layout)
        rows[f"{head}.bias"] = Row(tuple(f"{layer}/bias" for layer in layers))
    return rows


def config(files: Files, architecture: str, species: str) -> BPNetConfig:
    """Return the config of a file, from its shapes and what its `model_config` says.

    Raises SeqcovError for a file that is not a BPNet's.
    """
    path, shapes = files.weights[0], files.shapes()
    layers, tasks = layer_configs(path), len(_layers(shapes, PROFILE))
    values = infer_fields(architecture, keys(None, shapes), shapes, files.source)
    window = read_window(layers) or 1_000
    values |= {
        "sequence_length": window,
        "target_length": window,
        "tasks": _tasks(layers, tasks),
        "num_strands": shapes[f"{_layers(shapes, PROFILE)[0]}/kernel"][2],
    }
    with name_source(path):
        return BPNetConfig.from_dict(values)


def _tasks(layers: list[dict[str, Any]], count: int) -> tuple[str, ...]:
    """Return the tasks of the output layers `<task>/profile`, else the published four."""
    layer_names = [str(layer.get("name", "")) for layer in layers]
    task_names = [
        name.removesuffix("/profile") for name in layer_names if name.endswith("/profile")
    ]
    task_names = [name for name in dict.fromkeys(task_names) if not name.startswith("bias/")]
    if len(task_names) == count:
        return tuple(task_names)
    published_tasks = BPNetConfig.tasks
    return (
        published_tasks
        if count == len(published_tasks)
        else tuple(f"task_{task}" for task in range(count))
    )


FORMAT = Format(
    "bpnet-keras", "Keras .h5 of kundajelab/bpnet", matches, config, keys, ignores=ignores
)
