"""Enformer as enformer-pytorch saves it: a state dict, or a Hugging Face folder with config.json.

A state dict lists every weight of the trunk twice, once under `_trunk.<number>.`; a safetensors
file may keep either of the two. Both heads lie in one file. The window is not in config.json: it is
the published 1,536 positions.
"""

from collections.abc import Mapping
from typing import Any

from seqcov_models.checkpoints.format import Files, Format
from seqcov_models.checkpoints.infer import infer_fields, our_shapes, species_tracks
from seqcov_models.checkpoints.keymap import (
    TORCH,
    Dialect,
    Part,
    Row,
    Shapes,
    count_layers,
    repeated,
    rows_of,
)
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.enformer.config import EnformerConfig

POSITIONS = 1_536
"""Positions of the published window after all poolings."""

STAGE = [
    Part("model.stem.tower.{i}.widen.norm", "conv_tower.{i}.0.0", "norm"),
    Part("model.stem.tower.{i}.widen.conv", "conv_tower.{i}.0.2", "conv"),
    Part("model.stem.tower.{i}.pointwise.norm", "conv_tower.{i}.1.fn.0", "norm"),
    Part("model.stem.tower.{i}.pointwise.conv", "conv_tower.{i}.1.fn.2", "conv"),
    Part("model.stem.tower.{i}.pool.to_logits", "conv_tower.{i}.2.to_attn_logits", "pool"),
]
BLOCK = [
    Part("model.trunk.blocks.{i}.attention_norm", "transformer.{i}.0.fn.0", "layer norm"),
    Part("model.trunk.blocks.{i}.attention", "transformer.{i}.0.fn.1", "attention"),
    Part("model.trunk.blocks.{i}.ffn_norm", "transformer.{i}.1.fn.0", "layer norm"),
    Part("model.trunk.blocks.{i}.ffn_in", "transformer.{i}.1.fn.1", "dense"),
    Part("model.trunk.blocks.{i}.ffn_out", "transformer.{i}.1.fn.4", "dense"),
]
ENDS = [
    Part("model.stem.conv", "stem.0", "stem"),
    Part("model.stem.pointwise.norm", "stem.1.fn.0", "norm"),
    Part("model.stem.pointwise.conv", "stem.1.fn.2", "conv"),
    Part("model.stem.pool.to_logits", "stem.2.to_attn_logits", "pool"),
    Part("model.trunk.final.norm", "final_pointwise.1.0", "norm"),
    Part("model.trunk.final.conv", "final_pointwise.1.2", "conv"),
]
HEAD = "_heads.{}.0"

_TRUNK = {"1": "stem", "2": "conv_tower", "4": "transformer", "6": "final_pointwise"}
"""The parts of their sequential trunk by number; the others have no weights."""


def canonical(name: str) -> str:
    """Return the one name of a weight that has two."""
    name = name.removeprefix("module.")  # which a DataParallel puts before each
    first, _, rest = name.partition(".")
    number, _, last = rest.partition(".")
    return f"{_TRUNK[number]}.{last}" if first == "_trunk" and number in _TRUNK else name


def matches(files: Files) -> str | None:
    """Return 'enformer' for config.json's model_type with a `dim`, or the names of the trunk."""
    if files.description:
        given = files.described.values
        return "enformer" if "dim" in given and given.get("model_type") == "enformer" else None
    if files.container not in ("zip", "pickle", "safetensors"):
        return None
    known = {"stem.0.weight", "final_pointwise.1.2.weight"} <= files.shapes(canonical).keys()
    return "enformer" if known else None


def rows(config: Any, shapes: Shapes) -> list[Row]:
    """Return the key map of an Enformer."""
    del shapes
    parts = trunk_parts(ENDS, STAGE, BLOCK, len(config.conv_tower_channels),
                        config.num_hidden_layers)  # fmt: skip
    return rows_of([*parts, *head_parts(config, HEAD)], TORCH)


def trunk_parts(
    ends: list[Part], stage: list[Part], block: list[Part], stages: int, blocks: int
) -> list[Part]:
    """Return an Enformer's layers except its heads."""
    return [*ends, *repeated(stage, stages), *repeated(block, blocks)]


def head_parts(config: EnformerConfig, template: str) -> list[Part]:
    """Return the selected head and the others."""
    others = [Part(f"other_heads.{name}", template.format(name), "dense")
              for name in config.other_heads]  # fmt: skip
    return [Part("head", template.format(config.species), "dense"), *others]


def enformer_config(
    parts: list[Part],
    dialect: Dialect,
    found: Shapes,
    heads: Mapping[str, int],
    species: str,
    source: str,
    **further: Any,
) -> EnformerConfig:
    """Return the config of an Enformer from the shapes in its file.

    heads: tracks by species. Raises SeqcovError for other weights, or if there is no such head.
    """
    shapes = our_shapes(rows_of(parts, dialect), found, source)
    values = infer_fields("enformer", shapes, source)
    values["num_labels"] = species_tracks(heads, species, source)
    values["other_heads"] = {name: size for name, size in heads.items() if name != species}
    window = POSITIONS * 2 ** (1 + len(values["conv_tower_channels"]))
    try:
        return EnformerConfig.from_dict(
            {"sequence_length": window, **values, "species": species, **further}
        )
    except SeqcovError as error:
        raise SeqcovError(f"{source}: {error}") from None


def config(files: Files, architecture: str, species: str) -> EnformerConfig:
    """Return the config of a file with these shapes and, if there is one, its config.json.

    Raises SeqcovError if the two disagree, or if there is no head of the species.
    """
    found, described = files.shapes(canonical), files.described
    heads = {
        name.split(".")[1]: shape[0]
        for name, shape in found.items()
        if name.startswith("_heads.") and name.endswith(".0.weight") and len(shape) == 2
    }
    further = {"target_length": described.integer("target_length", 896)} if files.config else {}
    stages, blocks = count_layers("conv_tower.", found), count_layers("transformer.", found)
    parts = trunk_parts(ENDS, STAGE, BLOCK, stages, blocks)
    config = enformer_config(parts, TORCH, found, heads, species, files.source, **further)
    described.check_agreement(
        dim=("channels", config.hidden_size),
        depth=("transformer blocks", config.num_hidden_layers),
        heads=("attention heads", config.num_attention_heads),
        attn_dim_key=("channels of a key", config.attention_head_size),
        num_downsamples=("poolings", config.num_downsamples),
        output_heads=("heads", heads),
    )
    return config


FORMAT = Format(
    "enformer-pytorch", "state dict of enformer-pytorch", matches, config, rows, canonical
)
