"""Enformer as enformer-pytorch saves it: a state dict, or a Hugging Face folder with config.json.

A state dict lists every weight of the trunk twice, once under `_trunk.<number>.`; a safetensors
file may keep either of the two. Both heads lie in one file. The window is not in config.json: it is
the published 1,536 positions.
"""

from collections.abc import Mapping
from typing import Any

from seqcov_models.checkpoints.format import Files, Format, name_source
from seqcov_models.checkpoints.infer import infer_fields, species_tracks
from seqcov_models.checkpoints.keymap import (
    TORCH,
    Dialect,
    KeyMap,
    Layers,
    Shapes,
    key_map,
    repeat_layers,
)
from seqcov_models.networks.enformer.config import EnformerConfig
from seqcov_models.networks.shared.config import count_layers

POSITIONS = 1_536
"""Positions of the published window after all poolings."""

ENDS = {
    "model.stem.conv": "stem.0",
    "model.stem.pointwise.norm": "stem.1.fn.0",
    "model.stem.pointwise.conv": "stem.1.fn.2",
    "model.stem.pool.to_logits": "stem.2.to_attn_logits",
    "model.trunk.final.norm": "final_pointwise.1.0",
    "model.trunk.final.conv": "final_pointwise.1.2",
}
STAGE = {
    "model.stem.tower.{i}.widen.norm": "conv_tower.{i}.0.0",
    "model.stem.tower.{i}.widen.conv": "conv_tower.{i}.0.2",
    "model.stem.tower.{i}.pointwise.norm": "conv_tower.{i}.1.fn.0",
    "model.stem.tower.{i}.pointwise.conv": "conv_tower.{i}.1.fn.2",
    "model.stem.tower.{i}.pool.to_logits": "conv_tower.{i}.2.to_attn_logits",
}
BLOCK = {
    "model.trunk.blocks.{i}.attention_norm": "transformer.{i}.0.fn.0",
    "model.trunk.blocks.{i}.attention": "transformer.{i}.0.fn.1",
    "model.trunk.blocks.{i}.ffn_norm": "transformer.{i}.1.fn.0",
    "model.trunk.blocks.{i}.ffn_in": "transformer.{i}.1.fn.1",
    "model.trunk.blocks.{i}.ffn_out": "transformer.{i}.1.fn.4",
}
HEAD = "_heads.{}.0"

_TRUNK = {"1": "stem", "2": "conv_tower", "4": "transformer", "6": "final_pointwise"}
"""The parts of their sequential trunk by number; the others have no weights."""


def canonical(name: str) -> str:
    """Return the one name of a weight that has two."""
    name = name.removeprefix("module.")  # which a DataParallel puts before each
    start, _, remainder = name.partition(".")
    number, _, name_in_part = remainder.partition(".")
    return f"{_TRUNK[number]}.{name_in_part}" if start == "_trunk" and number in _TRUNK else name


def matches(files: Files) -> str | None:
    """Return 'enformer' for config.json's model_type with a `dim`, or the names of the trunk."""
    if files.description:
        description = files.described
        return (
            "enformer"
            if "dim" in description and description.get("model_type") == "enformer"
            else None
        )
    if not files.is_state_dict:
        return None
    is_enformer = {"stem.0.weight", "final_pointwise.1.2.weight"} <= files.shapes(canonical).keys()
    return "enformer" if is_enformer else None


def trunk(shapes: Shapes) -> Layers:
    """Return the layers of an Enformer before its heads, as many as the file has."""
    return {
        **ENDS,
        **repeat_layers(STAGE, count_layers("conv_tower.", shapes)),
        **repeat_layers(BLOCK, count_layers("transformer.", shapes)),
    }


def with_heads(layers: Layers, head: str, config: Any) -> Layers:
    """Return the layers of an Enformer with the selected head and the others."""
    other_heads = {f"other_heads.{name}": head.format(name) for name in config.other_heads}
    return {**layers, "head": head.format(config.species), **other_heads}


def keys(config: Any, shapes: Shapes) -> KeyMap:
    """Return the key map of an Enformer."""
    return key_map(with_heads(trunk(shapes), HEAD, config), TORCH)


def enformer_config(
    layers: Layers,
    dialect: Dialect,
    shapes: Shapes,
    heads: Mapping[str, int],
    species: str,
    source: str,
    **other_fields: Any,
) -> EnformerConfig:
    """Return the config of an Enformer from the shapes in its file.

    heads: tracks by species. Raises SeqcovError for other weights, or if there is no such head.
    """
    values = infer_fields("enformer", key_map(layers, dialect), shapes, source)
    window = POSITIONS * 2 ** (1 + len(values["conv_tower_channels"]))
    values |= {"num_labels": species_tracks(heads, species, source), "species": species}
    values["other_heads"] = {name: size for name, size in heads.items() if name != species}
    with name_source(source):
        return EnformerConfig.from_dict({"sequence_length": window, **values, **other_fields})


def config(files: Files, architecture: str, species: str) -> EnformerConfig:
    """Return the config of a file with these shapes and, if there is one, its config.json.

    Raises SeqcovError if the two disagree, or if there is no head of the species.
    """
    shapes = files.shapes(canonical)
    heads = {
        name.split(".")[1]: shape[0]
        for name, shape in shapes.items()
        if name.startswith("_heads.") and name.endswith(".0.weight") and len(shape) == 2
    }
    other_fields = (
        {"target_length": files.described.get("target_length", 896)} if files.config else {}
    )
    config = enformer_config(
        trunk(shapes), TORCH, shapes, heads, species, files.source, **other_fields
    )
    files.check_agreement(
        dim=("channels", config.hidden_size),
        depth=("transformer blocks", config.num_hidden_layers),
        heads=("attention heads", config.num_attention_heads),
        attn_dim_key=("channels of a key", config.attention_head_size),
        num_downsamples=("poolings", config.num_downsamples),
        output_heads=("heads", heads),
    )
    return config


FORMAT = Format(
    "enformer-pytorch", "state dict of enformer-pytorch", matches, config, keys, canonical
)
