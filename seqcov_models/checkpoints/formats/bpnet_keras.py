"""BPNet as its authors saved it: a Keras 2.2 .h5, numbered from 1 (conv1d_1, dense_1, …).

The first convolution that has a bias is the stem, the others are the dilated ones; the transposed
convolutions are the profile heads, the dense layers with a bias the count heads, in the order of
the tasks. What has no bias belongs to the branches that read control tracks: they add exactly 0
where no control is given, and are left out.
"""

from typing import Any

from seqcov_models.checkpoints.containers.hdf5 import (
    KERAS,
    layer_configs,
    layers_of,
    window_of,
)
from seqcov_models.checkpoints.format import Files, Format
from seqcov_models.checkpoints.keymap import Part, Row, Shapes, rows_of
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.bpnet.config import BPNetConfig

OSKN = BPNetConfig.tasks
_PARTS = {"profile": ("conv2d_transpose", "transposed conv"), "counts": ("dense", "dense")}


def matches(files: Files) -> str | None:
    """Return 'bpnet' for a Keras file with transposed convolutions and no params.json."""
    if files.description or files.container != "hdf5":
        return None
    known = any(name.startswith("conv2d_transpose") for name in files.shapes())
    return "bpnet" if known else None


def _layers(found: Shapes, kind: str) -> list[str]:
    return [layer for layer in layers_of(list(found), kind) if f"{layer}/bias" in found]


def ignores(name: str, config: Any, shapes: Shapes) -> bool:
    """Return whether a weight is of a branch that reads control tracks."""
    layer = name.partition("/")[0]
    kind = layer.rpartition("_")[0]
    control = kind in ("conv1d", "dense", "separable_conv1d")
    return control and f"{layer}/bias" not in shapes and "kernel" in name


def rows(config: Any, shapes: Shapes) -> list[Row]:
    """Return the key map of a BPNet; the shapes in the file give the layers' numbers."""
    convs = _layers(shapes, "conv1d")
    parts = [Part("model.stem.conv", convs[0], "stem")] if convs else []
    parts += [Part(f"model.trunk.convs.{i}", layer, "conv") for i, layer in enumerate(convs[1:])]
    mapped = rows_of(parts, KERAS)
    for ours, (kind, described) in _PARTS.items():
        mapped += [
            Row(ours + leaf.ours, tuple(layer + leaf.theirs for layer in _layers(shapes, kind)),
                leaf.layout)
            for leaf in KERAS[described]
        ]  # fmt: skip
    return mapped


def config(files: Files, architecture: str, species: str) -> BPNetConfig:
    """Return the config of a file, from its shapes and what its `model_config` says.

    Raises SeqcovError for a file that is not a BPNet's.
    """
    path = files.weights[0]
    found, layers = files.shapes(), layer_configs(path)
    convs, tasks = _layers(found, "conv1d"), len(_layers(found, "conv2d_transpose"))
    if len(convs) < 2 or tasks < 1:
        raise SeqcovError(f"{path}: its layers are not those of a BPNet")
    kernels = {
        "stem": found.get(f"{convs[0]}/kernel", ()),
        "dilated": found.get(f"{convs[1]}/kernel", ()),
        "profile": found.get(f"{_layers(found, 'conv2d_transpose')[0]}/kernel", ()),
    }
    if [len(shape) for shape in kernels.values()] != [3, 3, 4]:
        raise SeqcovError(f"{path}: its kernels are not those of a BPNet: {kernels}")
    window = window_of(layers) or 1_000
    values: dict[str, Any] = {
        "sequence_length": window,
        "target_length": window,
        "tasks": _tasks(layers, tasks),
        "num_strands": kernels["profile"][2],
        "hidden_size": kernels["stem"][2],
        "stem_kernel_size": kernels["stem"][0],
        "num_dilated_layers": len(convs) - 1,
        "dilated_kernel_size": kernels["dilated"][0],
        "profile_kernel_size": kernels["profile"][0],
    }
    try:
        return BPNetConfig.from_dict(values)
    except SeqcovError as error:
        raise SeqcovError(f"{path}: {error}") from None


def _tasks(layers: list[dict[str, Any]], count: int) -> tuple[str, ...]:
    """Return the tasks of the output layers `<task>/profile`, else the published four."""
    ends = [str(layer.get("name", "")) for layer in layers]
    named = [name.removesuffix("/profile") for name in ends if name.endswith("/profile")]
    named = [name for name in dict.fromkeys(named) if not name.startswith("bias/")]
    if len(named) == count:
        return tuple(named)
    return OSKN if count == len(OSKN) else tuple(f"task_{task}" for task in range(count))


FORMAT = Format(
    "bpnet-keras", "Keras .h5 of kundajelab/bpnet", matches, config, rows, ignores=ignores
)
