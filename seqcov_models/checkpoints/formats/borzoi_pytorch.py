"""Borzoi and Flashzoi as borzoi-pytorch saves them: a folder with config.json, or a state dict.

The convolutions before the transformer have fixed widths there and are not
in config.json; here they come from the weights. Their positions are made for a training window of
4,096 positions whatever the window is.
"""

from typing import Any

from seqcov_models.checkpoints.described import Described
from seqcov_models.checkpoints.format import Files, Format
from seqcov_models.checkpoints.infer import infer_fields, our_shapes, species_tracks
from seqcov_models.checkpoints.keymap import (
    TORCH,
    Dialect,
    Leaf,
    Part,
    Row,
    Shapes,
    count_layers,
    repeated,
    rows_of,
)
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.borzoi.config import BorzoiConfig

DIALECT: Dialect = {
    **TORCH,
    "rotary attention": [
        Leaf(".to_qkv.weight", ".Wqkv.weight"),
        Leaf(".to_qkv.bias", ".Wqkv.bias"),
        Leaf(".to_out.weight", ".out_proj.weight"),
        Leaf(".to_out.bias", ".out_proj.bias"),
    ],
}

STAGE = [  # theirs has a pooling between two
    Part("model.stem.tower.{i}.norm", "res_tower.{twice}.norm", "norm"),
    Part("model.stem.tower.{i}.conv", "res_tower.{twice}.conv_layer", "conv"),
]
LAST_STAGE = [
    Part("model.stem.tower.{i}.norm", "unet1.1.norm", "norm"),
    Part("model.stem.tower.{i}.conv", "unet1.1.conv_layer", "conv"),
]
BLOCK = [
    Part("model.trunk.blocks.{i}.attention_norm", "transformer.{i}.0.fn.0", "layer norm"),
    Part("model.trunk.blocks.{i}.ffn_norm", "transformer.{i}.1.fn.0", "layer norm"),
    Part("model.trunk.blocks.{i}.ffn_in", "transformer.{i}.1.fn.1", "dense"),
    Part("model.trunk.blocks.{i}.ffn_out", "transformer.{i}.1.fn.4", "dense"),
]
RELATIVE = Part("model.trunk.blocks.{i}.attention", "transformer.{i}.0.fn.1", "attention")
ROTARY = Part("model.trunk.blocks.{i}.attention", "transformer.{i}.0.fn.1.mha", "rotary attention")
_OURS = "model.trunk.upsamples.{i}"
UPSAMPLE = [  # theirs are numbered from the last
    Part(f"{_OURS}.norm", "upsampling_unet{back}.0.norm", "norm"),
    Part(f"{_OURS}.dense", "upsampling_unet{back}.0.conv_layer", "pointwise"),
    Part(f"{_OURS}.skip_norm", "horizontal_conv{back}.norm", "norm"),
    Part(f"{_OURS}.skip_dense", "horizontal_conv{back}.conv_layer", "pointwise"),
    Part(f"{_OURS}.separable.depthwise", "separable{back}.conv_layer.0", "bare conv"),
    Part(f"{_OURS}.separable.pointwise", "separable{back}.conv_layer.1", "conv"),
]
ENDS = [
    Part("model.stem.conv", "conv_dna.conv_layer", "stem"),
    Part("model.trunk.final.norm", "final_joined_convs.0.norm", "norm"),
    Part("model.trunk.final.conv", "final_joined_convs.0.conv_layer", "conv"),
]
HEAD = "{}_head"
ROTARY_SIZE, ROTARY_BASE = 128, 20_000.0


def matches(files: Files) -> str | None:
    """Return 'borzoi' for a config.json with a `dim`, or the name of the stem."""
    if files.description:
        given = files.described.values
        return "borzoi" if "dim" in given and given.get("model_type") in (None, "borzoi") else None
    if files.container not in ("zip", "pickle", "safetensors"):
        return None
    return "borzoi" if "conv_dna.conv_layer.weight" in files.shapes() else None


def _parts(stages: int, blocks: int, rotary: bool) -> list[Part]:
    block = [*BLOCK, ROTARY if rotary else RELATIVE]
    last = [Part(p.ours.format(i=stages - 1), p.theirs, p.kind) for p in LAST_STAGE]
    return [
        *ENDS,
        *repeated(STAGE, stages - 1, twice=lambda i: 2 * i),
        *last,
        *repeated(block, blocks),
        *repeated(UPSAMPLE, 2, back=lambda i: 1 - i),
    ]


def rows(config: Any, shapes: Shapes) -> list[Row]:
    """Return the key map of a Borzoi or Flashzoi."""
    del shapes
    parts = _parts(
        len(config.conv_tower_channels),
        config.num_hidden_layers,
        config.attention_type == "rotary",
    )
    return rows_of([*parts, Part("head", HEAD.format(config.species), "pointwise")], DIALECT)


def ignores(name: str, config: Any, shapes: Shapes) -> bool:
    """Return whether an array is another species' head."""
    layer = name.split(".")[0]
    return layer.endswith("_head") and layer != HEAD.format(config.species)


def config(files: Files, architecture: str, species: str) -> BorzoiConfig:
    """Return the config of a file with these shapes and, if there is one, its config.json.

    Raises SeqcovError if the two disagree, or if there is no head of the species.
    """
    found, described, source = files.shapes(), files.described, files.source
    stages = 1 + count_layers("res_tower.", [_halved(name) for name in found])
    blocks = count_layers("transformer.", found)
    rotary = any(name.startswith("transformer.0.0.fn.1.mha.") for name in found)
    parts = _parts(stages, blocks, rotary)
    shapes = our_shapes(rows_of(parts, DIALECT), found, source)
    values = infer_fields("borzoi", shapes, source)
    heads = {
        name.removesuffix("_head.weight"): shape[0]
        for name, shape in found.items()
        if name.endswith("_head.weight") and len(shape) == 3
    }
    values |= {"num_labels": species_tracks(heads, species, source), "species": species}
    separable = shapes.get("model.trunk.upsamples.0.separable.depthwise.weight", (3,))
    values["upsample_kernel_size"] = separable[-1]
    try:
        if rotary:
            values |= _rotary(found["transformer.0.0.fn.1.mha.Wqkv.weight"], described)
        config = BorzoiConfig.from_dict({**values, "crop_bins": 0})
        crop = {"crop_bins": _crop(config, described), "target_length": None}
        config = BorzoiConfig.from_dict({**config.to_dict(), **crop})
    except SeqcovError as error:
        raise SeqcovError(f"{source}: {error}") from None
    described.check_agreement(
        dim=("channels", config.hidden_size),
        depth=("transformer blocks", config.num_hidden_layers),
        heads=("attention heads", config.num_attention_heads),
        flashed=("(whether its attention is Flashzoi's)", rotary),
        enable_human_head=("(whether the head is there)", "human" in heads),
        enable_mouse_head=("(whether the head is there)", "mouse" in heads),
    )
    if not rotary:
        described.check_agreement(
            attn_dim_key=("channels of a key", config.attention_head_size),
            attn_dim_value=("channels of a value", config.attention_value_size),
        )
    return config


def _halved(name: str) -> str:
    """'res_tower.4.x' → 'res_tower.2.x'; other names as they are."""
    first, _, rest = name.partition(".")
    number, _, last = rest.partition(".")
    if first == "res_tower" and number.isdecimal() and int(number) % 2 == 0:
        return f"res_tower.{int(number) // 2}.{last}"
    return name if first != "res_tower" else ""


def _rotary(wqkv: tuple[int, ...], described: Described) -> dict[str, object]:
    """Return the fields of Flashzoi's attention: fewer heads of keys and values than of queries."""
    rows, width = wqkv if len(wqkv) == 2 else (0, 0)
    heads = described.integer("heads", 8)
    size = width // heads if heads > 0 else 0
    if size < 1 or width % heads or (rows - width) % (2 * size):
        raise SeqcovError(f"Wqkv is {wqkv}, which {heads} heads do not divide")
    return {
        "attention_type": "rotary",
        "num_attention_heads": heads,
        "attention_head_size": size,
        "attention_value_size": size,
        "num_key_value_heads": (rows - width) // (2 * size),
        "rotary_size": ROTARY_SIZE,
        "rotary_base": ROTARY_BASE,
    }


def _crop(config: BorzoiConfig, described: Described) -> int:
    """Return the bins cut off at each side so that `bins_to_return` are left, else 16."""
    if not described.boolean("return_center_bins_only", True):
        return 16
    kept = described.integer("bins_to_return", 6_144)
    lost = config.num_bins - kept
    if lost < 0 or lost % 2:
        raise described.error("bins_to_return", f"the middle of {config.num_bins:,} bins")
    return lost // 2


FORMAT = Format(
    "borzoi-pytorch", "weights of borzoi-pytorch", matches, config, rows, ignores=ignores
)
