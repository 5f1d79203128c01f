"""Enformer as DeepMind saved it: a Sonnet model in a TensorFlow checkpoint.

Weights are found by their object-graph keys; variable names are ambiguous. Of each moving average
the checkpoint keeps a hidden sum, a counter and the debiased average: the average is what is used.
"""

from typing import Any

from seqcov_models.checkpoints.format import Files, Format
from seqcov_models.checkpoints.formats.enformer_pytorch import enformer_config, with_heads
from seqcov_models.checkpoints.keymap import (
    Dialect,
    KeyMap,
    Layers,
    Leaf,
    Shapes,
    key_map,
    repeat_layers,
    reverse_axes,
)
from seqcov_models.networks.enformer.config import EnformerConfig
from seqcov_models.networks.shared.config import count_layers

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"

SONNET = Dialect(
    weights={
        ".weight": Leaf("/w", reverse_axes),
        ".bias": Leaf("/b"),
        ".rel_content_bias": Leaf("/_r_w_bias"),
        ".rel_pos_bias": Leaf("/_r_r_bias"),
        ".to_q.weight": Leaf("/_q_layer/w", reverse_axes),
        ".to_k.weight": Leaf("/_k_layer/w", reverse_axes),
        ".to_v.weight": Leaf("/_v_layer/w", reverse_axes),
        ".to_rel_k.weight": Leaf("/_r_k_layer/w", reverse_axes),
        ".to_out.weight": Leaf("/_embedding_layer/w", reverse_axes),
        ".to_out.bias": Leaf("/_embedding_layer/b"),
    },
    norms={
        ".weight": Leaf("/scale"),
        ".bias": Leaf("/offset"),
        ".running_mean": Leaf("/moving_mean/average"),
        ".running_var": Leaf("/moving_variance/average"),
    },
)

_T = "_trunk/_layers"
_TOWER, _LAYER = f"{_T}/1/_layers/{{i}}/_layers", f"{_T}/2/_layers/{{i}}/_layers"
_STEM, _FINAL = f"{_T}/0/_layers", f"{_T}/4/_layers/0/_layers"
ENDS = {
    "model.stem.conv": f"{_STEM}/0",
    "model.stem.pointwise.norm": f"{_STEM}/1/_module/_layers/0",
    "model.stem.pointwise.conv": f"{_STEM}/1/_module/_layers/2",
    "model.stem.pool.to_logits": f"{_STEM}/2/_logit_linear",
    "model.trunk.final.norm": f"{_FINAL}/0",
    "model.trunk.final.conv": f"{_FINAL}/2",
}
STAGE = {
    "model.stem.tower.{i}.widen.norm": f"{_TOWER}/0/_layers/0",
    "model.stem.tower.{i}.widen.conv": f"{_TOWER}/0/_layers/2",
    "model.stem.tower.{i}.pointwise.norm": f"{_TOWER}/1/_module/_layers/0",
    "model.stem.tower.{i}.pointwise.conv": f"{_TOWER}/1/_module/_layers/2",
    "model.stem.tower.{i}.pool.to_logits": f"{_TOWER}/2/_logit_linear",
}
BLOCK = {
    "model.trunk.blocks.{i}.attention_norm": f"{_LAYER}/0/_module/_layers/0",
    "model.trunk.blocks.{i}.attention": f"{_LAYER}/0/_module/_layers/1",
    "model.trunk.blocks.{i}.ffn_norm": f"{_LAYER}/1/_module/_layers/0",
    "model.trunk.blocks.{i}.ffn_in": f"{_LAYER}/1/_module/_layers/1",
    "model.trunk.blocks.{i}.ffn_out": f"{_LAYER}/1/_module/_layers/4",
}
HEAD = "_heads/{}/_layers/0"


def canonical(name: str) -> str | None:
    """Return a key without the path to the module and the suffix; None if it is not a weight.

    The published checkpoint keeps the network under `module`.
    """
    for marker in ("_trunk/_layers/", "_heads/"):
        prefix, separator, suffix = name.removesuffix(SUFFIX).partition(marker)
        if separator and name.endswith(SUFFIX) and prefix in ("", "module/"):
            key = marker + suffix
            return None if key.endswith(("/_hidden", "/_counter")) else key
    return None


def matches(files: Files) -> str | None:
    """Return 'enformer' for a TensorFlow checkpoint with the stem of Sonnet's trunk."""
    if files.container != "bundle":
        return None
    return "enformer" if f"{_STEM}/0/w" in files.shapes(canonical) else None


def trunk(shapes: Shapes) -> Layers:
    """Return the layers of an Enformer before its heads, as many as the file has."""
    return {
        **ENDS,
        **repeat_layers(STAGE, count_layers(f"{_T}/1/_layers/", shapes)),
        **repeat_layers(BLOCK, count_layers(f"{_T}/2/_layers/", shapes)),
    }


def keys(config: Any, shapes: Shapes) -> KeyMap:
    """Return the key map of an Enformer."""
    return key_map(with_heads(trunk(shapes), HEAD, config), SONNET)


def config(files: Files, architecture: str, species: str) -> EnformerConfig:
    """Return the config of a checkpoint from its shapes.

    Raises SeqcovError if there is no head of the species.
    """
    shapes = files.shapes(canonical)
    heads = {
        name.split("/")[1]: shape[-1]
        for name, shape in shapes.items()
        if name.startswith("_heads/") and name.endswith("/w") and len(shape) == 2
    }
    return enformer_config(trunk(shapes), SONNET, shapes, heads, species, files.source)


FORMAT = Format("sonnet", "DeepMind's Sonnet checkpoint", matches, config, keys, canonical)
