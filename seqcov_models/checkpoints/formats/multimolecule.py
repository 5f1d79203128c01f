"""Checkpoints as the multimolecule project publishes them: config.json and model.safetensors.

Their stems read a fifth channel for N, set on conversion to the mean of the four letters'. It is
dropped, so that N is what the original network has for it, unless `n_encoding` 'multimolecule'
asks to keep it. Their logits come before the softplus, as in this package.

The fields of their config.json have the names and defaults of this package's configs, which follow
the same model cards; only those that differ are listed here.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from seqcov_models.checkpoints.format import Files, Format, name_source
from seqcov_models.checkpoints.infer import check_species
from seqcov_models.checkpoints.keymap import (
    TORCH,
    KeyMap,
    Leaf,
    Row,
    Shapes,
    as_convolution,
    drop_n,
    key_map,
    repeat_layers,
)
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.basenji.config import BasenjiBlockConfig
from seqcov_models.networks.bpnet.config import BPNetConfig
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.networks.shared.config import Config
from seqcov_models.networks.shared.fields import MAX_LAYERS, MAX_TRACKS, ValidatedFields

_E = "model.encoder"
HEAD = {"head": "token_head.decoder"}
BLOCK = {
    "model.trunk.blocks.{i}.attention_norm": f"{_E}.layers.{{i}}.attention.layer_norm",
    "model.trunk.blocks.{i}.attention": f"{_E}.layers.{{i}}.attention",
    "model.trunk.blocks.{i}.ffn_norm": f"{_E}.layers.{{i}}.intermediate.layer_norm",
    "model.trunk.blocks.{i}.ffn_in": f"{_E}.layers.{{i}}.intermediate.dense1",
    "model.trunk.blocks.{i}.ffn_out": f"{_E}.layers.{{i}}.intermediate.dense2",
}


def matches(files: Files) -> str | None:
    """Return the architecture of a config.json's `model_type`."""
    description = files.described
    if "architecture" in description or "dim" in description:
        return None
    kind = description.get("model_type")
    return next((name for name, record in PUBLISHED.items() if record.model_type == kind), None)


def keys(config: Any, shapes: Shapes) -> KeyMap:
    """Return the key map of one of their networks."""
    rows: KeyMap = PUBLISHED[config.ARCHITECTURE].keys(config)
    if config.vocab_size == 5:
        return rows
    for stem in (config.STEM_WEIGHT, f"bias.{config.STEM_WEIGHT}"):  # ChromBPNet has two
        rows = drop_n(rows, stem, shapes)
    return rows


def config(files: Files, architecture: str, species: str) -> Config:
    """Return the config that a config.json describes, with N as in the original network.

    Raises SeqcovError if it is of another species, or no network can be built from it.
    """
    if files.integer("vocab_size", 5) != 5:
        raise files.error("vocab_size", "5, which all multimolecule models known here have")
    description, config_class = files.described, NETWORKS[architecture].config_class
    species_of_file = description.get("species", species)
    if species_of_file != species:
        raise SeqcovError(
            f"{files.config}: its head is for {species_of_file!r}; the species asked for is"
            f" {species!r}"
        )
    values = _known_fields(config_class, description) | PUBLISHED[architecture].fields(files)
    if "species" in config_class.__dataclass_fields__:
        values["species"] = species
    with name_source(files.config):
        config = config_class.from_dict(values)
    if "species" not in description:
        check_species(architecture, config.num_labels, species, files.source)
    return config


def _known_fields(kind: type[ValidatedFields], description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for the fields of a config, but those that say what N is."""
    names = kind.__dataclass_fields__.keys() - {"vocab_size", "n_encoding", "output_contexts"}
    return {name: description[name] for name in names if description.get(name) is not None}


# Basenji2

BASENJI_ENDS = {
    "model.stem.blocks.0.conv": f"{_E}.stem.conv1",
    "model.stem.blocks.0.norm": f"{_E}.stem.batch_norm1",
    "model.trunk.final.conv": f"{_E}.head.conv1",
    "model.trunk.final.norm": f"{_E}.head.batch_norm1",
}
BASENJI_TOWER = {
    "model.stem.blocks.{next}.conv": f"{_E}.conv_tower.{{i}}.conv1",
    "model.stem.blocks.{next}.norm": f"{_E}.conv_tower.{{i}}.batch_norm1",
}
BASENJI_BLOCK = {
    "model.trunk.blocks.{i}.narrow.conv": f"{_E}.blocks.{{i}}.conv1.conv1",
    "model.trunk.blocks.{i}.narrow.norm": f"{_E}.blocks.{{i}}.conv1.batch_norm1",
    "model.trunk.blocks.{i}.wide.conv": f"{_E}.blocks.{{i}}.conv2.conv1",
    "model.trunk.blocks.{i}.wide.norm": f"{_E}.blocks.{{i}}.conv2.batch_norm1",
}


def _basenji_keys(config: Any) -> dict[str, Row]:
    tower = repeat_layers(BASENJI_TOWER, len(config.conv_tower_channels))
    blocks = repeat_layers(BASENJI_BLOCK, config.blocks.num_blocks)
    return key_map({**BASENJI_ENDS, **tower, **blocks, **HEAD}, TORCH)


def _basenji_fields(files: Files) -> dict[str, Any]:
    blocks = files.described.get("blocks", {})
    if not isinstance(blocks, dict):
        raise files.error("blocks", "an object")
    return {"blocks": _known_fields(BasenjiBlockConfig, blocks)}


# Enformer

ENFORMER_ENDS = {
    "model.stem.conv": f"{_E}.stem.conv1",
    "model.stem.pointwise.norm": f"{_E}.stem.conv_block.batch_norm1",
    "model.stem.pointwise.conv": f"{_E}.stem.conv_block.conv1",
    "model.stem.pool.to_logits": f"{_E}.stem.pool.to_attn_logits",
    "model.trunk.final.norm": f"{_E}.head.conv_block.batch_norm1",
    "model.trunk.final.conv": f"{_E}.head.conv_block.conv1",
}
_STAGE, _RESIDUAL = f"{_E}.conv_tower.{{i}}", f"{_E}.conv_tower.{{i}}.conv_block_residual"
ENFORMER_STAGE = {
    "model.stem.tower.{i}.widen.norm": f"{_STAGE}.conv_block.batch_norm1",
    "model.stem.tower.{i}.widen.conv": f"{_STAGE}.conv_block.conv1",
    "model.stem.tower.{i}.pointwise.norm": f"{_RESIDUAL}.batch_norm1",
    "model.stem.tower.{i}.pointwise.conv": f"{_RESIDUAL}.conv1",
    "model.stem.tower.{i}.pool.to_logits": f"{_STAGE}.pool.to_attn_logits",
}


def _enformer_keys(config: Any) -> dict[str, Row]:
    tower = repeat_layers(ENFORMER_STAGE, len(config.conv_tower_channels))
    blocks = repeat_layers(BLOCK, config.num_hidden_layers)
    layers = range(max(config.num_hidden_layers, 1))
    tables = tuple(f"{_E}.layers.{i}.attention.gamma_position_basis" for i in layers)
    return {
        **key_map({**ENFORMER_ENDS, **tower, **blocks, **HEAD}, TORCH),
        "model.trunk.gamma_basis": Row(tables, copies=True),
    }


def _enformer_fields(files: Files) -> dict[str, Any]:
    hidden = files.integer("hidden_size", 1_536, minimum=2)
    heads = files.integer("num_attention_heads", 8)
    stages = files.integer("num_downsamples", 7, minimum=2, maximum=MAX_LAYERS) - 1
    unit = files.integer("dim_divisible_by", 128)
    dropout = files.described.get("hidden_dropout", 0.4)
    if not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
        raise files.error("hidden_dropout", "a number from 0 to 1")
    return {
        "stem_channels": hidden // 2,
        "conv_tower_channels": _exponential_widths(hidden // 2, hidden, stages, unit),
        "attention_value_size": hidden // heads,
        "num_rel_pos_features": hidden // heads,
        "intermediate_size": 2 * hidden,
        "head_hidden_size": files.integer("head_hidden_size", 2 * hidden),
        "head_dropout": dropout / 8,
    }


def _exponential_widths(first: int, last: int, count: int, unit: int) -> tuple[int, ...]:
    """Return `count` widths in geometric steps, rounded to multiples of `unit`.

    Source: deepmind-research `enformer/enformer.py`, `exponential_linspace_int`.
    """
    growth = math.exp(math.log(last / first) / max(count - 1, 1))
    return tuple(round(first * growth**step / unit) * unit for step in range(count))


# Borzoi

BORZOI_ENDS = {
    "model.stem.conv": f"{_E}.stem.conv1",
    "model.trunk.final.norm": f"{_E}.head.batch_norm1",
    "model.trunk.final.conv": f"{_E}.head.conv1",
}
BORZOI_STAGE = {
    "model.stem.tower.{i}.norm": f"{_STAGE}.batch_norm1",
    "model.stem.tower.{i}.conv": f"{_STAGE}.conv1",
}
BORZOI_UPSAMPLE = {
    "model.trunk.upsamples.{i}.norm": f"{_E}.upsample{{back}}.batch_norm1",
    "model.trunk.upsamples.{i}.dense": f"{_E}.upsample{{back}}.conv1",
    "model.trunk.upsamples.{i}.skip_norm": f"{_E}.skip{{back}}_proj.batch_norm1",
    "model.trunk.upsamples.{i}.skip_dense": f"{_E}.skip{{back}}_proj.conv1",
    "model.trunk.upsamples.{i}.separable.depthwise": f"{_E}.separable{{back}}.depthwise",
    "model.trunk.upsamples.{i}.separable.pointwise": f"{_E}.separable{{back}}.pointwise",
}


def _borzoi_keys(config: Any) -> dict[str, Row]:
    last = len(config.conv_tower_channels) - 1
    layers = {
        **BORZOI_ENDS,
        **repeat_layers(BORZOI_STAGE, last),
        f"model.stem.tower.{last}.norm": f"{_E}.unet_bottleneck.batch_norm1",
        f"model.stem.tower.{last}.conv": f"{_E}.unet_bottleneck.conv1",
        **repeat_layers(BLOCK, config.num_hidden_layers),
        **repeat_layers(BORZOI_UPSAMPLE, 2),
        **HEAD,
    }
    return key_map(layers, TORCH)


def _borzoi_fields(files: Files) -> dict[str, Any]:
    hidden = files.integer("hidden_size", 1_536)
    files.integer("head_hidden_size", 1_920)  # they always have that layer
    widths = files.described.get("conv_tower_channels") or (608, 736, 896, 1056, 1280)
    if not isinstance(widths, list | tuple):
        raise files.error("conv_tower_channels", "a list of widths")
    length = files.integer("sequence_length", 524_288)
    return {
        "conv_tower_channels": (*widths, hidden),
        "position_length": max(length >> (2 + len(widths)), 1),
        "intermediate_size": 2 * hidden,
        "upsample_kernel_size": files.integer("unet_kernel_size", 3),
    }


# BPNet

BPNET_LAYER = {"model.trunk.convs.{i}": f"{_E}.layer.{{i}}.conv"}
BPNET_HEADS = {
    "profile.weight": ("profile", Leaf(".weight", as_convolution)),
    "profile.bias": ("profile", Leaf(".bias")),
    "counts.weight": ("count", Leaf(".weight")),
    "counts.bias": ("count", Leaf(".bias")),
}
"""One layer per task in the file, one for all tasks in the network."""


def _bpnet_keys(config: Any) -> dict[str, Row]:
    layers = repeat_layers(BPNET_LAYER, config.num_dilated_layers)
    rows = key_map({"model.stem.conv": f"{_E}.stem.conv", **layers}, TORCH)
    for name, (head, leaf) in BPNET_HEADS.items():
        pattern = f"profile_count_head.{head}.{{}}{leaf.name}"
        rows[name] = Row(tuple(map(pattern.format, range(len(config.tasks)))), leaf.layout)
    return rows


def _bpnet_fields(files: Files) -> dict[str, Any]:
    tasks = files.integer("num_tasks", 4, maximum=MAX_TRACKS)
    labels = files.described.get("id2label") or {}
    if not isinstance(labels, dict):
        raise files.error("id2label", "an object")
    published_tasks = BPNetConfig.tasks
    default = (
        published_tasks
        if tasks == len(published_tasks)
        else tuple(f"task_{task}" for task in range(tasks))
    )
    names = tuple(str(labels.get(str(task), default[task])) for task in range(tasks))
    has_placeholders = any(name.startswith("LABEL_") for name in names)
    weight = files.described.get("count_loss_weight", 1.0)
    return {"tasks": default if has_placeholders else names, "count_loss_weight": weight}


# ChromBPNet and ProCapNet

PROCAPNET_HEADS = {
    "profile": "profile_count_head.profile",
    "counts": "profile_count_head.count",
}


def _chrombpnet_keys(config: Any) -> dict[str, Row]:
    rows = _branch_keys("accessibility", config)
    if config.bias_hidden_size:
        bias = _branch_keys("bias", config.bias_config)
        rows |= {f"bias.{name}": row for name, row in bias.items()}
    return rows


def _branch_keys(branch: str, config: Any) -> dict[str, Row]:
    prefix = f"model.{branch}"
    layers = {f"model.trunk.convs.{i}": f"{prefix}.layer.{i}.conv"
              for i in range(config.num_dilated_layers)}  # fmt: skip
    rows = key_map({"model.stem.conv": f"{prefix}.stem.conv", **layers}, TORCH)
    for head, name in (("profile", "profile"), ("counts", "count")):
        for weight in ("weight", "bias"):
            arrays = (f"{prefix}.{name}.{task}.{weight}" for task in range(len(config.tasks)))
            rows[f"{head}.{weight}"] = Row(tuple(arrays))
    return rows


def _procapnet_keys(config: Any) -> dict[str, Row]:
    layers = repeat_layers(BPNET_LAYER, config.num_dilated_layers)
    return key_map({"model.stem.conv": f"{_E}.stem.conv", **layers, **PROCAPNET_HEADS}, TORCH)


def _profile_fields(files: Files) -> dict[str, Any]:
    tasks = files.integer("num_tasks", 1, maximum=MAX_TRACKS)
    names = {} if tasks == 1 else {"tasks": tuple(f"task_{task}" for task in range(tasks))}
    return {"target_length": files.integer("profile_length", 1_000), **names}


class Published(NamedTuple):
    """One of their networks."""

    model_type: str
    """Its name in config.json."""
    keys: Callable[[Any], dict[str, Row]]
    """The key map of a config."""
    fields: Callable[[Files], dict[str, Any]]
    """The fields of a config that config.json has under another name or with another default."""


PUBLISHED = {
    "basenji2": Published("basenji", _basenji_keys, _basenji_fields),
    "enformer": Published("enformer", _enformer_keys, _enformer_fields),
    "borzoi": Published("borzoi", _borzoi_keys, _borzoi_fields),
    "bpnet": Published("bpnet", _bpnet_keys, _bpnet_fields),
    "bpnetlite": Published("procapnet", _procapnet_keys, _profile_fields),
    "chrombpnet": Published("chrombpnet", _chrombpnet_keys, _profile_fields),
}
"""The networks that they publish, by name in the registry."""

FORMAT = Format(
    "multimolecule",
    "config.json and weights of multimolecule",
    matches,
    config,
    keys,
    has_n_channel=True,
)
