"""Checkpoints as the multimolecule project publishes them: config.json and model.safetensors.

Their stems read a fifth channel for N, set on conversion to the mean of the four letters'. It is
dropped, so that N is what the original network has for it, unless `n_encoding` 'multimolecule'
asks to keep it. Their logits come before the softplus, as ours do.
"""

from collections.abc import Callable
from typing import Any

from seqcov_models.checkpoints.described import Described, exponential_widths
from seqcov_models.checkpoints.format import Files, Format
from seqcov_models.checkpoints.infer import check_species
from seqcov_models.checkpoints.keymap import (
    TORCH,
    Leaf,
    Part,
    Row,
    Shapes,
    five_letters,
    repeated,
    rows_of,
    torch_transposed_conv,
)
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.bpnet.config import BPNetConfig
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.networks.shared.config import Config

ARCHITECTURES = {
    "basenji": "basenji2",
    "enformer": "enformer",
    "borzoi": "borzoi",
    "bpnet": "bpnet",
}
"""Names in the registry by theirs (`model_type` in config.json)."""

OSKN = BPNetConfig.tasks

_E = "model.encoder"

_CONV = "bare conv"
BASENJI_TOWER = [
    Part("model.stem.blocks.{next}.conv", f"{_E}.conv_tower.{{i}}.conv1", _CONV),
    Part("model.stem.blocks.{next}.norm", f"{_E}.conv_tower.{{i}}.batch_norm1", "norm"),
]
BASENJI_BLOCK = [
    Part("model.trunk.blocks.{i}.narrow.conv", f"{_E}.blocks.{{i}}.conv1.conv1", _CONV),
    Part("model.trunk.blocks.{i}.narrow.norm", f"{_E}.blocks.{{i}}.conv1.batch_norm1", "norm"),
    Part("model.trunk.blocks.{i}.wide.conv", f"{_E}.blocks.{{i}}.conv2.conv1", _CONV),
    Part("model.trunk.blocks.{i}.wide.norm", f"{_E}.blocks.{{i}}.conv2.batch_norm1", "norm"),
]
BASENJI_ENDS = [
    Part("model.stem.blocks.0.conv", f"{_E}.stem.conv1", "bare stem"),
    Part("model.stem.blocks.0.norm", f"{_E}.stem.batch_norm1", "norm"),
    Part("model.trunk.final.conv", f"{_E}.head.conv1", _CONV),
    Part("model.trunk.final.norm", f"{_E}.head.batch_norm1", "norm"),
]

_LAYER = f"{_E}.layers.{{i}}"
TRANSFORMER_BLOCK = [
    Part("model.trunk.blocks.{i}.attention_norm", f"{_LAYER}.attention.layer_norm", "layer norm"),
    Part("model.trunk.blocks.{i}.attention", f"{_LAYER}.attention", "attention"),
    Part("model.trunk.blocks.{i}.ffn_norm", f"{_LAYER}.intermediate.layer_norm", "layer norm"),
    Part("model.trunk.blocks.{i}.ffn_in", f"{_LAYER}.intermediate.dense1", "dense"),
    Part("model.trunk.blocks.{i}.ffn_out", f"{_LAYER}.intermediate.dense2", "dense"),
]

_STAGE, _OURS = f"{_E}.conv_tower.{{i}}", "model.stem.tower.{i}"
ENFORMER_STAGE = [
    Part(f"{_OURS}.widen.norm", f"{_STAGE}.conv_block.batch_norm1", "norm"),
    Part(f"{_OURS}.widen.conv", f"{_STAGE}.conv_block.conv1", "conv"),
    Part(f"{_OURS}.pointwise.norm", f"{_STAGE}.conv_block_residual.batch_norm1", "norm"),
    Part(f"{_OURS}.pointwise.conv", f"{_STAGE}.conv_block_residual.conv1", "conv"),
    Part(f"{_OURS}.pool.to_logits", f"{_STAGE}.pool.to_attn_logits", "pool"),
]
ENFORMER_ENDS = [
    Part("model.stem.conv", f"{_E}.stem.conv1", "stem"),
    Part("model.stem.pointwise.norm", f"{_E}.stem.conv_block.batch_norm1", "norm"),
    Part("model.stem.pointwise.conv", f"{_E}.stem.conv_block.conv1", "conv"),
    Part("model.stem.pool.to_logits", f"{_E}.stem.pool.to_attn_logits", "pool"),
    Part("model.trunk.final.norm", f"{_E}.head.conv_block.batch_norm1", "norm"),
    Part("model.trunk.final.conv", f"{_E}.head.conv_block.conv1", "conv"),
]

BORZOI_STAGE = [
    Part(f"{_OURS}.norm", f"{_STAGE}.batch_norm1", "norm"),
    Part(f"{_OURS}.conv", f"{_STAGE}.conv1", "conv"),
]
_STEP = "model.trunk.upsamples.{i}"
BORZOI_UPSAMPLE = [  # theirs are numbered from the last
    Part(f"{_STEP}.norm", f"{_E}.upsample{{back}}.batch_norm1", "norm"),
    Part(f"{_STEP}.dense", f"{_E}.upsample{{back}}.conv1", "pointwise"),
    Part(f"{_STEP}.skip_norm", f"{_E}.skip{{back}}_proj.batch_norm1", "norm"),
    Part(f"{_STEP}.skip_dense", f"{_E}.skip{{back}}_proj.conv1", "pointwise"),
    Part(f"{_STEP}.separable.depthwise", f"{_E}.separable{{back}}.depthwise", "bare conv"),
    Part(f"{_STEP}.separable.pointwise", f"{_E}.separable{{back}}.pointwise", "conv"),
]
BORZOI_ENDS = [
    Part("model.stem.conv", f"{_E}.stem.conv1", "stem"),
    Part("model.trunk.final.norm", f"{_E}.head.batch_norm1", "norm"),
    Part("model.trunk.final.conv", f"{_E}.head.conv1", "conv"),
]
HEAD = Part("head", "token_head.decoder", "dense")

BPNET = [Part("model.stem.conv", f"{_E}.stem.conv", "stem")]
BPNET_LAYER = [Part("model.trunk.convs.{i}", f"{_E}.layer.{{i}}.conv", "conv")]


def matches(files: Files) -> str | None:
    """Return the architecture of a config.json's `model_type`."""
    if files.config is None or "architecture" in files.described.values:
        return None
    given = files.described.values
    return None if "dim" in given else ARCHITECTURES.get(str(given.get("model_type")))


def rows(config: Any, shapes: Shapes) -> list[Row]:
    """Return the key map of one of their networks."""
    del shapes
    dialect = TORCH if config.n_encoding == "multimolecule" else five_letters(TORCH)
    mapped = rows_of(_PARTS[config.ARCHITECTURE](config), dialect)
    if config.ARCHITECTURE == "bpnet":
        return mapped + _bpnet_heads(len(config.tasks))
    if getattr(config, "use_precomputed_gamma_basis", False):
        tables = [
            f"{_E}.layers.{block}.attention.gamma_position_basis"
            for block in range(max(config.num_hidden_layers, 1))
        ]
        mapped.append(Row("model.trunk.gamma_basis", tuple(tables), copies=True))
    return mapped


def _basenji_parts(config: Any) -> list[Part]:
    return [
        *BASENJI_ENDS,
        *repeated(BASENJI_TOWER, len(config.conv_tower_channels), next=lambda i: i + 1),
        *repeated(BASENJI_BLOCK, config.blocks.num_blocks),
        HEAD,
    ]


def _enformer_parts(config: Any) -> list[Part]:
    return [
        *ENFORMER_ENDS,
        *repeated(ENFORMER_STAGE, len(config.conv_tower_channels)),
        *repeated(TRANSFORMER_BLOCK, config.num_hidden_layers),
        HEAD,
    ]


def _borzoi_parts(config: Any) -> list[Part]:
    last = len(config.conv_tower_channels) - 1
    return [
        *BORZOI_ENDS,
        *repeated(BORZOI_STAGE, last),
        Part(f"model.stem.tower.{last}.norm", f"{_E}.unet_bottleneck.batch_norm1", "norm"),
        Part(f"model.stem.tower.{last}.conv", f"{_E}.unet_bottleneck.conv1", "conv"),
        *repeated(TRANSFORMER_BLOCK, config.num_hidden_layers),
        *repeated(BORZOI_UPSAMPLE, 2, back=lambda i: 1 - i),
        HEAD,
    ]


def _bpnet_parts(config: Any) -> list[Part]:
    return [*BPNET, *repeated(BPNET_LAYER, config.num_dilated_layers)]


_PARTS: dict[str, Callable[[Any], list[Part]]] = {
    "basenji2": _basenji_parts,
    "enformer": _enformer_parts,
    "borzoi": _borzoi_parts,
    "bpnet": _bpnet_parts,
}


def _bpnet_heads(tasks: int) -> list[Row]:
    """Map the heads: one layer per task in the file, one for all tasks in the network."""
    leaves = [
        ("profile", Leaf(".weight", ".weight", torch_transposed_conv)),
        ("profile", Leaf(".bias", ".bias")),
        ("count", Leaf(".weight", ".weight")),
        ("count", Leaf(".bias", ".bias")),
    ]
    ours = {"profile": "profile", "count": "counts"}
    return [
        Row(
            ours[head] + leaf.ours,
            tuple(f"profile_count_head.{head}.{task}{leaf.theirs}" for task in range(tasks)),
            leaf.layout,
        )
        for head, leaf in leaves
    ]


# config.json


def config(files: Files, architecture: str, species: str) -> Config:
    """Return the config that a config.json of theirs describes, N as in the original network.

    Raises SeqcovError if it is of another species, or no network can be built from it.
    """
    given = files.described
    if given.integer("vocab_size", 5) != 5:
        raise given.error("vocab_size", "5, which all multimolecule models known here have")
    if architecture in ("enformer", "borzoi"):
        stored = given.string("species", "human")
        if stored != species:
            raise SeqcovError(f"{given.path}: its head is for {stored!r}, asked for is {species!r}")
    values = _FIELDS[architecture](given)
    if architecture != "bpnet":
        values["species"] = species
        if given.values.get("num_labels") is not None:
            values["num_labels"] = given.integer("num_labels", 0)
    try:
        config = NETWORKS[architecture].config_class.from_dict(values)
    except SeqcovError as error:
        raise SeqcovError(f"{given.path}: {error}") from None
    if architecture == "basenji2":  # whose description does not say which species
        check_species(architecture, config.num_labels, species, files.source)
    return config


def _basenji(given: Described) -> dict[str, Any]:
    blocks = given.section("blocks")
    return {
        "sequence_length": given.integer("sequence_length", 131_072),
        "stem_channels": given.integer("stem_channels", 288),
        "stem_kernel_size": given.integer("stem_kernel_size", 15),
        "stem_pool_size": given.integer("stem_pool_size", 2),
        "conv_tower_channels": given.integers(
            "conv_tower_channels", BasenjiConfig().conv_tower_channels
        ),
        "conv_tower_kernel_size": given.integer("conv_tower_kernel_size", 5),
        "blocks": {
            "num_blocks": blocks.integer("num_blocks", 11),
            "kernel_size": blocks.integer("kernel_size", 3),
            "bottleneck_size": blocks.integer("bottleneck_size", 384),
            "dilation": blocks.integer("dilation", 1),
            "dilation_rate": blocks.number("dilation_rate", 1.5),
            "round_dilation": blocks.boolean("round_dilation", True),
            "dropout": blocks.number("dropout", 0.3),
        },
        "crop_bins": given.integer("crop_bins", 64),
        "head_hidden_size": given.integer("head_hidden_size", 1_536),
        "hidden_dropout": given.number("hidden_dropout", 0.05),
        **_common(given, "gelu_new", 1e-3),
    }


def _enformer(given: Described) -> dict[str, Any]:
    hidden, heads = given.integer("hidden_size", 1_536), given.integer("num_attention_heads", 8)
    stages = given.integer("num_downsamples", 7) - 1
    unit, dropout = given.integer("dim_divisible_by", 128), given.number("hidden_dropout", 0.4)
    if min(hidden // 2, heads, stages, unit) < 1 or stages > 60:
        raise SeqcovError(f"{given.path}: sizes from which no network can be built")
    return {
        "sequence_length": given.integer("sequence_length", 196_608),
        "stem_channels": hidden // 2,
        "stem_kernel_size": given.integer("stem_kernel_size", 15),
        "conv_tower_channels": exponential_widths(hidden // 2, hidden, stages, unit),
        "conv_tower_kernel_size": given.integer("conv_tower_kernel_size", 5),
        "num_hidden_layers": given.integer("num_hidden_layers", 11),
        "num_attention_heads": heads,
        "attention_head_size": given.integer("attention_head_size", 64),
        "attention_value_size": hidden // heads,
        "num_rel_pos_features": hidden // heads,
        "intermediate_size": 2 * hidden,
        "use_precomputed_gamma_basis": given.boolean("use_precomputed_gamma_basis", False),
        "target_length": given.integer("target_length", 896),
        "head_hidden_size": given.integer("head_hidden_size", 2 * hidden),
        "hidden_dropout": dropout,
        "head_dropout": dropout / 8,
        "attention_dropout": given.number("attention_dropout", 0.05),
        "position_dropout": given.number("position_dropout", 0.01),
        **_common(given, "quick_gelu", 1e-5),
    }


def _borzoi(given: Described) -> dict[str, Any]:
    hidden = given.integer("hidden_size", 1_536)
    length = given.integer("sequence_length", 524_288)
    widths = given.integers("conv_tower_channels", (608, 736, 896, 1056, 1280))
    pools = 2 + len(widths)
    if given.integer("head_hidden_size", 1_920) == 0:
        raise given.error("head_hidden_size", "a width; theirs always have that layer")
    return {
        "sequence_length": length,
        "stem_channels": given.integer("stem_channels", 512),
        "stem_kernel_size": given.integer("stem_kernel_size", 15),
        "conv_tower_channels": (*widths, hidden),
        "conv_tower_kernel_size": given.integer("conv_tower_kernel_size", 5),
        "num_hidden_layers": given.integer("num_hidden_layers", 8),
        "num_attention_heads": given.integer("num_attention_heads", 8),
        "attention_head_size": given.integer("attention_head_size", 64),
        "attention_value_size": given.integer("attention_value_size", 192),
        "num_rel_pos_features": given.integer("num_rel_pos_features", 32),
        "position_length": max(length >> pools, 1),
        "intermediate_size": 2 * hidden,
        "upsample_kernel_size": given.integer("unet_kernel_size", 3),
        "target_length": given.integer("target_length", 6_144),
        "head_hidden_size": given.integer("head_hidden_size", 1_920),
        "hidden_dropout": given.number("hidden_dropout", 0.1),
        "intermediate_dropout": given.number("intermediate_dropout", 0.2),
        "attention_dropout": given.number("attention_dropout", 0.05),
        "position_dropout": given.number("position_dropout", 0.01),
        **_common(given, "gelu_new", 1e-3),
    }


def _bpnet(given: Described) -> dict[str, Any]:
    tasks = given.integer("num_tasks", 4)
    if not 1 <= tasks <= 100_000:
        raise given.error("num_tasks", "a plausible number")
    labels = given.section("id2label").values
    default = OSKN if tasks == len(OSKN) else tuple(f"task_{task}" for task in range(tasks))
    names = tuple(str(labels.get(str(task), default[task])) for task in range(tasks))
    return {
        "tasks": default if any(name.startswith("LABEL_") for name in names) else names,
        "num_strands": given.integer("num_strands", 2),
        "hidden_size": given.integer("hidden_size", 64),
        "stem_kernel_size": given.integer("stem_kernel_size", 25),
        "num_dilated_layers": given.integer("num_dilated_layers", 9),
        "dilated_kernel_size": given.integer("dilated_kernel_size", 3),
        "profile_kernel_size": given.integer("profile_kernel_size", 25),
        "count_loss_weight": given.number("count_loss_weight", 1.0),
        "hidden_act": given.string("hidden_act", "relu"),
    }


def _common(given: Described, act: str, eps: float) -> dict[str, Any]:
    return {
        "hidden_act": given.string("hidden_act", act),
        "output_act": given.string("output_act", "softplus"),
        "batch_norm_eps": given.number("batch_norm_eps", eps),
        "batch_norm_momentum": given.number("batch_norm_momentum", 0.1),
    }


_FIELDS: dict[str, Callable[[Described], dict[str, Any]]] = {
    "basenji2": _basenji,
    "enformer": _enformer,
    "borzoi": _borzoi,
    "bpnet": _bpnet,
}

FORMAT = Format(
    "multimolecule",
    "config.json and weights of multimolecule",
    matches,
    config,
    rows,
    has_n_channel=True,
)
