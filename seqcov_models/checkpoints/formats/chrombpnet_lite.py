"""ChromBPNet as its forerunner chrombpnet-lite saved it: Keras' .h5 of a BPNet with same padding.

A file of the bias holds its layers alone: conv1d_1, conv1d_2, …, logcounts. A file of the network
of accessibility holds them in an inner model, whose layers TensorFlow 1 numbers once more:
model_1/conv1d_1_1, …, model_1/logcounts_1; predictions of the bias are inputs of that file, and
are not needed. The first convolution is the stem, the last one is the profile head. The profile has
the length of the window, and counts are averaged over all of it.
"""

import re
from typing import Any

from seqcov_models.checkpoints.format import Files, Format, name_source
from seqcov_models.checkpoints.formats._chrombpnet import ACCESSIBILITY, BIAS, TASKS
from seqcov_models.checkpoints.formats._keras import KERAS, layer_configs, read_window
from seqcov_models.checkpoints.infer import infer_fields
from seqcov_models.checkpoints.keymap import KeyMap, Shapes, key_map
from seqcov_models.networks.bpnet.config import BPNetConfig

_INNER = re.compile(r"model(_\d{1,6})?/")
_COUNTS = re.compile(r"logcounts(_1)?/kernel")
_CONV = re.compile(r"conv1d(_\d{1,6}){0,2}")
PUBLISHED = 2_000
"""Bases of a window, of a file that does not say it."""


def canonical(name: str) -> str | None:
    """'model_1/conv1d_2_1/kernel' → 'conv1d_2_1/kernel'."""
    return _INNER.sub("", name, count=1)


def matches(files: Files) -> str | None:
    """Return 'bpnet' for a Keras file with a layer `logcounts` besides convolutions."""
    if files.description or files.container != "hdf5":
        return None
    names = files.shapes(canonical)
    return "bpnet" if any(map(_COUNTS.fullmatch, names)) and _convolutions(names) else None


def _convolutions(shapes: Shapes) -> list[str]:
    """Return the convolutions in the order in which Keras numbered them."""
    layers = {name.partition("/")[0] for name in shapes}
    return sorted(
        filter(_CONV.fullmatch, layers),
        key=lambda layer: [int(number) for number in layer.split("_")[1:]],
    )


def keys(config: Any, shapes: Shapes) -> KeyMap:
    """Return the key map of a BPNet; the shapes in the file give the layers' numbers."""
    stem, *convs = _convolutions(shapes)
    trunk = {f"model.trunk.convs.{i}": layer for i, layer in enumerate(convs[:-1])}
    (counts,) = (name.partition("/")[0] for name in shapes if _COUNTS.fullmatch(name))
    profile = convs[-1] if convs else "conv1d_2"
    return key_map({"model.stem.conv": stem, **trunk, "profile": profile, "counts": counts}, KERAS)


def config(files: Files, architecture: str, species: str) -> BPNetConfig:
    """Return the config of a file, from its shapes and the window in its `model_config`.

    Raises SeqcovError for a file that is not such a network's.
    """
    path, shapes = files.weights[0], files.shapes(canonical)
    values = infer_fields(architecture, keys(None, shapes), shapes, files.source)
    window = read_window(layer_configs(path)) or PUBLISHED
    is_inner = any(map(_INNER.match, files.shapes()))
    values |= {
        "sequence_length": window,
        "target_length": window,
        "tasks": (TASKS[frozenset([ACCESSIBILITY if is_inner else BIAS])],),
        "num_strands": 1,
        "n_encoding": "zeros",
    }
    with name_source(path):
        return BPNetConfig.from_dict(values)


FORMAT = Format(
    "chrombpnet-lite", "Keras .h5 of chrombpnet-lite", matches, config, keys, canonical=canonical
)
