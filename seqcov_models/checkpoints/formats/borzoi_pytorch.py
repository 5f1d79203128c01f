"""Borzoi and Flashzoi as borzoi-pytorch saves them: a folder with config.json, or a state dict.

The convolutions before the transformer have fixed widths there and are not in config.json; here
they come from the weights. Their positions are made for a training window of 4,096 positions,
whatever the window is.
"""

from typing import Any

from seqcov_models.checkpoints.format import Files, Format, name_source
from seqcov_models.checkpoints.formats.enformer_pytorch import BLOCK  # after the same code
from seqcov_models.checkpoints.infer import infer_fields, species_tracks
from seqcov_models.checkpoints.keymap import (
    TORCH,
    KeyMap,
    Layers,
    Shapes,
    key_map,
    repeat_layers,
)
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.shared.config import count_layers

ENDS = {
    "model.stem.conv": "conv_dna.conv_layer",
    "model.trunk.final.norm": "final_joined_convs.0.norm",
    "model.trunk.final.conv": "final_joined_convs.0.conv_layer",
}
STAGE = {  # a pooling lies between two of them
    "model.stem.tower.{i}.norm": "res_tower.{twice}.norm",
    "model.stem.tower.{i}.conv": "res_tower.{twice}.conv_layer",
}
RELATIVE = BLOCK
ROTARY = {name: layer for name, layer in BLOCK.items() if not name.endswith(".attention")} | {
    "model.trunk.blocks.{i}.attention.to_qkv": "transformer.{i}.0.fn.1.mha.Wqkv",
    "model.trunk.blocks.{i}.attention.to_out": "transformer.{i}.0.fn.1.mha.out_proj",
}
UPSAMPLE = {
    "model.trunk.upsamples.{i}.norm": "upsampling_unet{back}.0.norm",
    "model.trunk.upsamples.{i}.dense": "upsampling_unet{back}.0.conv_layer",
    "model.trunk.upsamples.{i}.skip_norm": "horizontal_conv{back}.norm",
    "model.trunk.upsamples.{i}.skip_dense": "horizontal_conv{back}.conv_layer",
    "model.trunk.upsamples.{i}.separable.depthwise": "separable{back}.conv_layer.0",
    "model.trunk.upsamples.{i}.separable.pointwise": "separable{back}.conv_layer.1",
}
QKV = "transformer.0.0.fn.1.mha.Wqkv.weight"


def matches(files: Files) -> str | None:
    """Return 'borzoi' for a config.json with a `dim`, or the name of the stem."""
    if files.description:
        description = files.described
        return (
            "borzoi"
            if "dim" in description and description.get("model_type") in (None, "borzoi")
            else None
        )
    if not files.is_state_dict:
        return None
    return "borzoi" if "conv_dna.conv_layer.weight" in files.shapes() else None


def _trunk(shapes: Shapes) -> Layers:
    """Return the layers before the heads, as many as the file has."""
    stages = len({name.split(".")[1] for name in shapes if name.startswith("res_tower.")})
    block = ROTARY if any(".mha." in name for name in shapes) else RELATIVE
    return {
        **ENDS,
        **repeat_layers(STAGE, stages),
        f"model.stem.tower.{stages}.norm": "unet1.1.norm",
        f"model.stem.tower.{stages}.conv": "unet1.1.conv_layer",
        **repeat_layers(block, count_layers("transformer.", shapes)),
        **repeat_layers(UPSAMPLE, 2),
    }


def keys(config: Any, shapes: Shapes) -> KeyMap:
    """Return the key map of a Borzoi or Flashzoi."""
    return key_map({**_trunk(shapes), "head": f"{config.species}_head"}, TORCH)


def ignores(name: str, config: Any, shapes: Shapes) -> bool:
    """Return whether an array is another species' head."""
    layer = name.split(".")[0]
    return layer.endswith("_head") and layer != f"{config.species}_head"


def config(files: Files, architecture: str, species: str) -> BorzoiConfig:
    """Return the config of a file with these shapes and, if there is one, its config.json.

    Raises SeqcovError if the two disagree, or if there is no head of the species.
    """
    shapes, source = files.shapes(), files.source
    values = infer_fields(architecture, key_map(_trunk(shapes), TORCH), shapes, source)
    heads = {
        name.removesuffix("_head.weight"): shape[0]
        for name, shape in shapes.items()
        if name.endswith("_head.weight") and len(shape) == 3
    }
    values |= {"num_labels": species_tracks(heads, species, source), "species": species}
    is_rotary = QKV in shapes
    with name_source(source):
        if is_rotary:
            values |= _rotary(shapes[QKV], files)
        uncropped = BorzoiConfig.from_dict({**values, "crop_bins": 0})
        config = BorzoiConfig.from_dict({**values, "crop_bins": _crop(uncropped, files)})
    files.check_agreement(
        dim=("channels", config.hidden_size),
        depth=("transformer blocks", config.num_hidden_layers),
        heads=("attention heads", config.num_attention_heads),
        flashed=("(whether its attention is Flashzoi's)", is_rotary),
        enable_human_head=("(whether the head is there)", "human" in heads),
        enable_mouse_head=("(whether the head is there)", "mouse" in heads),
    )
    if not is_rotary:
        files.check_agreement(
            attn_dim_key=("channels of a key", config.attention_head_size),
            attn_dim_value=("channels of a value", config.attention_value_size),
        )
    return config


def _rotary(shape: tuple[int, ...], files: Files) -> dict[str, object]:
    """Return the fields of Flashzoi's attention: fewer heads of keys and values than of queries."""
    heads = files.integer("heads", 8)
    rows, width = shape if len(shape) == 2 else (0, 0)
    size = width // heads
    if size < 1 or width % heads or (rows - width) % (2 * size):
        raise SeqcovError(f"Wqkv is {shape}, which {heads} heads do not divide")
    return {
        "attention_type": "rotary",
        "num_attention_heads": heads,
        "attention_head_size": size,
        "attention_value_size": size,
        "num_key_value_heads": (rows - width) // (2 * size),
    }


def _crop(config: BorzoiConfig, files: Files) -> int:
    """Return the bins cut off at each side so that `bins_to_return` are left, else 16."""
    if not files.described.get("return_center_bins_only", True):
        return 16
    cropped = config.num_bins - files.integer("bins_to_return", 6_144)
    if cropped < 0 or cropped % 2:
        raise files.error("bins_to_return", f"the middle of {config.num_bins:,} bins")
    return cropped // 2


FORMAT = Format(
    "borzoi-pytorch", "weights of borzoi-pytorch", matches, config, keys, ignores=ignores
)
