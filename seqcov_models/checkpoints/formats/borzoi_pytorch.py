"""Borzoi and Flashzoi as borzoi-pytorch saves them: a folder with config.json, or a state dict.

The convolutions before the transformer have fixed widths there and are not in config.json; here
they come from the weights. Their positions are made for a training window of 4,096 positions,
whatever the window is.

Fine-tuned networks may come with the settings of their training instead, as those of the Tanay lab
(tanaylab/sns_paper `borzoi/code/src/model.py`): a config.yaml with `model.seq_len` and
`model.pred_len` in bp. One head was trained, the other one, if there is one, was left as it was.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

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
from seqcov_models.networks.shared.fields import MAX_INT, is_integer

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
    settings = _read_training(files)
    _check_trained_species(settings, heads, species, files)
    values |= {"num_labels": species_tracks(heads, species, source), "species": species}
    if settings:
        length = settings.get("seq_len")
        positions = length // 128 if isinstance(length, int) else 0  # more than 4,096 are allowed
        values |= {"sequence_length": length, "position_length": max(4_096, positions)}
    is_rotary = QKV in shapes
    with name_source(source):
        if is_rotary:
            values |= _rotary(shapes[QKV], files)
        uncropped = BorzoiConfig.from_dict({**values, "crop_bins": 0})
        crop = _trained_crop(uncropped, settings) if settings else _crop(uncropped, files)
        config = BorzoiConfig.from_dict({**values, "crop_bins": crop})
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


def _read_training(files: Files) -> dict[str, Any]:
    """Return the section `model` of config.yaml and the path of its genome; empty without a window.

    Raises SeqcovError for a file that is not YAML.
    """
    if files.training is None:
        return {}
    try:
        content = yaml.safe_load(files.training.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise SeqcovError(f"{files.training}: not YAML: {reason}; correct or move it") from None
    sections = content if isinstance(content, dict) else {}
    model, data = sections.get("model"), sections.get("data")
    if not isinstance(model, dict) or "seq_len" not in model:
        return {}
    genome = data.get("genome_fasta") if isinstance(data, dict) else None
    return {**model, "genome": str(genome)}


def _check_trained_species(
    settings: dict[str, Any], heads: Mapping[str, int], species: str, files: Files
) -> None:
    """Refuse the head that a training left as it was. Raises SeqcovError, with the other head.

    The species is that of the settings, else that of the genome's name, as the training did it.
    """
    if not settings or len(heads) < 2:
        return
    text = str(settings.get("species") or settings["genome"]).lower()
    trained = "mouse" if re.search("mm10|mm39|mouse", text) else "human"
    if species != trained and species in heads and trained in heads:
        raise SeqcovError(
            f"{files.training}: the head for {trained} was trained; the one for {species} was not."
            f" Set species: {trained}"
        )


def _trained_crop(config: BorzoiConfig, settings: dict[str, Any]) -> int:
    """Return the bins cut off at each side so that `pred_len` bp are left.

    Raises SeqcovError if these do not lie in the middle of the window.
    """
    if settings.get("bin_size", config.bin_size) != config.bin_size:
        raise SeqcovError(
            f"config.yaml: model.bin_size: {settings['bin_size']!r}, but these weights have bins of"
            f" {config.bin_size} bp; is it the config.yaml of another network?"
        )
    length: Any = settings.get("pred_len")
    if not is_integer(length, 1, MAX_INT) or length % config.bin_size:
        raise SeqcovError(
            f"config.yaml: model.pred_len: {length!r} is not a multiple of {config.bin_size} bp"
        )
    cropped: int = config.num_bins - min(length // config.bin_size, config.num_bins)
    if cropped % 2:
        raise SeqcovError(
            f"config.yaml: model.pred_len: {length:,} bp are not in the middle of the window;"
            f" expected an even number of bins of {config.bin_size} bp"
        )
    return cropped // 2


FORMAT = Format(
    "borzoi-pytorch", "weights of borzoi-pytorch", matches, config, keys, ignores=ignores
)
