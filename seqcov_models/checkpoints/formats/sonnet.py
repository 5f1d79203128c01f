"""Enformer as DeepMind saved it: a Sonnet model in a TensorFlow checkpoint.

Weights are found by their object-graph keys; variable names are ambiguous. Of each moving average
the checkpoint keeps a hidden sum, a counter and the debiased average: the average is what is used.
"""

from typing import Any

from seqcov_models.checkpoints.format import Files, Format
from seqcov_models.checkpoints.formats.enformer_pytorch import (
    enformer_config,
    head_parts,
    trunk_parts,
)
from seqcov_models.checkpoints.keymap import (
    Dialect,
    Leaf,
    Part,
    Row,
    Shapes,
    count_layers,
    flat_channels,
    head_bias,
    keras_conv,
    rows_of,
    transposed,
)
from seqcov_models.networks.enformer.config import EnformerConfig

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"

DIALECT: Dialect = {
    "stem": [Leaf(".weight", "/w", keras_conv), Leaf(".bias", "/b")],
    "conv": [Leaf(".weight", "/w", keras_conv), Leaf(".bias", "/b")],
    "dense": [Leaf(".weight", "/w", transposed), Leaf(".bias", "/b")],
    "pool": [Leaf(".weight", "/w", transposed)],
    "norm": [
        Leaf(".weight", "/scale", flat_channels),
        Leaf(".bias", "/offset", flat_channels),
        Leaf(".running_mean", "/moving_mean/average", flat_channels),
        Leaf(".running_var", "/moving_variance/average", flat_channels),
    ],
    "layer norm": [Leaf(".weight", "/scale"), Leaf(".bias", "/offset")],
    "attention": [
        Leaf(".rel_content_bias", "/_r_w_bias", head_bias),
        Leaf(".rel_pos_bias", "/_r_r_bias", head_bias),
        Leaf(".to_q.weight", "/_q_layer/w", transposed),
        Leaf(".to_k.weight", "/_k_layer/w", transposed),
        Leaf(".to_v.weight", "/_v_layer/w", transposed),
        Leaf(".to_rel_k.weight", "/_r_k_layer/w", transposed),
        Leaf(".to_out.weight", "/_embedding_layer/w", transposed),
        Leaf(".to_out.bias", "/_embedding_layer/b"),
    ],
}

_T = "_trunk/_layers"
_TOWER, _LAYER = f"{_T}/1/_layers/{{i}}/_layers", f"{_T}/2/_layers/{{i}}/_layers"
_STEM, _FINAL = f"{_T}/0/_layers", f"{_T}/4/_layers/0/_layers"
STAGE = [
    Part("model.stem.tower.{i}.widen.norm", f"{_TOWER}/0/_layers/0", "norm"),
    Part("model.stem.tower.{i}.widen.conv", f"{_TOWER}/0/_layers/2", "conv"),
    Part("model.stem.tower.{i}.pointwise.norm", f"{_TOWER}/1/_module/_layers/0", "norm"),
    Part("model.stem.tower.{i}.pointwise.conv", f"{_TOWER}/1/_module/_layers/2", "conv"),
    Part("model.stem.tower.{i}.pool.to_logits", f"{_TOWER}/2/_logit_linear", "pool"),
]
BLOCK = [
    Part("model.trunk.blocks.{i}.attention_norm", f"{_LAYER}/0/_module/_layers/0", "layer norm"),
    Part("model.trunk.blocks.{i}.attention", f"{_LAYER}/0/_module/_layers/1", "attention"),
    Part("model.trunk.blocks.{i}.ffn_norm", f"{_LAYER}/1/_module/_layers/0", "layer norm"),
    Part("model.trunk.blocks.{i}.ffn_in", f"{_LAYER}/1/_module/_layers/1", "dense"),
    Part("model.trunk.blocks.{i}.ffn_out", f"{_LAYER}/1/_module/_layers/4", "dense"),
]
ENDS = [
    Part("model.stem.conv", f"{_STEM}/0", "stem"),
    Part("model.stem.pointwise.norm", f"{_STEM}/1/_module/_layers/0", "norm"),
    Part("model.stem.pointwise.conv", f"{_STEM}/1/_module/_layers/2", "conv"),
    Part("model.stem.pool.to_logits", f"{_STEM}/2/_logit_linear", "pool"),
    Part("model.trunk.final.norm", f"{_FINAL}/0", "norm"),
    Part("model.trunk.final.conv", f"{_FINAL}/2", "conv"),
]
HEAD = "_heads/{}/_layers/0"


def canonical(name: str) -> str | None:
    """Return a key without the path to the module and the suffix; None if it is not a weight.

    The published checkpoint keeps the network under `module`.
    """
    for part in ("_trunk/_layers/", "_heads/"):
        before, found, after = name.removesuffix(SUFFIX).partition(part)
        if found and name.endswith(SUFFIX) and before in ("", "module/"):
            key = part + after
            return None if key.endswith(("/_hidden", "/_counter")) else key
    return None


def matches(files: Files) -> str | None:
    """Return 'enformer' for a TensorFlow checkpoint with the stem of Sonnet's trunk."""
    if files.container != "bundle":
        return None
    return "enformer" if f"{_STEM}/0/w" in files.shapes(canonical) else None


def rows(config: Any, shapes: Shapes) -> list[Row]:
    """Return the key map of an Enformer."""
    del shapes
    stages, blocks = len(config.conv_tower_channels), config.num_hidden_layers
    parts = trunk_parts(ENDS, STAGE, BLOCK, stages, blocks)
    return rows_of([*parts, *head_parts(config, HEAD)], DIALECT)


def config(files: Files, architecture: str, species: str) -> EnformerConfig:
    """Return the config of a checkpoint from its shapes.

    Raises SeqcovError if there is no head of the species.
    """
    found = files.shapes(canonical)
    stages = count_layers(f"{_T}/1/_layers/", found)
    blocks = count_layers(f"{_T}/2/_layers/", found)
    heads = {
        name.split("/")[1]: shape[-1]
        for name, shape in found.items()
        if name.startswith("_heads/") and name.endswith("/w") and len(shape) == 2
    }
    parts = trunk_parts(ENDS, STAGE, BLOCK, stages, blocks)
    return enformer_config(parts, DIALECT, found, heads, species, files.source)


FORMAT = Format("sonnet", "DeepMind's Sonnet checkpoint", matches, config, rows, canonical)
