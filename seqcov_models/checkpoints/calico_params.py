"""Calico's params.json as a config. Needs no torch, so a run can be planned from it."""

from pathlib import Path
from typing import Any

from ..configs import BorzoiConfig, read_json
from ..errors import SeqcovError

_KINDS = {
    "borzoi": {"conv_dna", "res_tower", "transformer_tower", "unet_conv", "Cropping1D", "conv_nac"},
    "basenji": {"conv_block", "conv_tower", "dilated_residual", "Cropping1D"},
}


def architecture_of_params(path: Path) -> str:
    """Which network a params.json describes, judged by the kinds of its layers.

    Raises SeqcovError where it is none of the known ones.
    """
    kinds = {str(block.get("name")) for block in _trunk(path)}
    for architecture, known in _KINDS.items():
        if kinds <= known:
            return architecture
    raise SeqcovError(f"{path}: layers {', '.join(sorted(kinds))} belong to no known network")


def borzoi_config(path: Path, species: str) -> BorzoiConfig:
    """The config of a Borzoi params.json with the head of `species`.

    Raises SeqcovError for what this network cannot be built with, naming the entry.
    """
    model = _mapping(read_json(path), "model", path)
    values: dict[str, Any] = {"sequence_length": _int(model, "seq_length", path)}
    if model.get("activation", "gelu") != "gelu":
        raise SeqcovError(
            f"{path}: model.activation {model['activation']!r} is not supported, only 'gelu'"
        )
    values |= {"conv_tower_channels": (), "num_hidden_layers": 0, "num_upsamples": 0}
    values |= {"crop_bins": 0, "head_hidden_size": 0}
    for block in _trunk(path):
        kind = block.get("name")
        if kind == "conv_dna":
            _expect(block, path, pool_size=2, activation="linear", norm_type=None)
            values["stem_channels"] = _int(block, "filters", path)
            values["stem_kernel_size"] = _int(block, "kernel_size", path)
        elif kind == "res_tower":
            _expect(block, path, pool_size=2, num_convs=1)
            values["conv_tower_channels"] = _widths(block, path)
            values["conv_tower_kernel_size"] = _int(block, "kernel_size", path)
        elif kind == "transformer_tower":
            values["num_hidden_layers"] = _int(block, "repeat", path)
            values["num_attention_heads"] = _int(block, "heads", path)
            values["attention_head_size"] = _int(block, "key_size", path)
            values["num_rel_pos_features"] = _int(block, "num_position_features", path)
            values["hidden_dropout"] = float(block.get("dropout", 0))
        elif kind == "unet_conv":
            values["num_upsamples"] += 1
            values["upsample_kernel_size"] = _int(block, "kernel_size", path)
            values["upsample_conv"] = bool(block.get("upsample_conv", False))
        elif kind == "Cropping1D":
            values["crop_bins"] = _int(block, "cropping", path)
        elif kind == "conv_nac":
            values["head_hidden_size"] = _int(block, "filters", path)
            values["head_dropout"] = float(block.get("dropout", 0))
        else:
            raise SeqcovError(f"{path}: {kind!r} is no layer of Borzoi")
    heads = [key for key in model if key.startswith("head")]
    head = model.get(f"head_{species}")
    if not isinstance(head, dict):
        names = ", ".join(key.removeprefix("head_") for key in heads) or "none"
        raise SeqcovError(f"{path}: no head for species {species!r}; heads in this file: {names}")
    values["num_labels"] = _int(head, "units", path)
    values["output_act"] = str(head.get("activation", "softplus"))
    hidden = (values["conv_tower_channels"] or (values.get("stem_channels", 0),))[-1]
    if values["num_hidden_layers"]:
        values["attention_value_size"] = hidden // max(values["num_attention_heads"], 1)
    values["intermediate_size"] = 2 * hidden
    pools = 2 ** (1 + len(values["conv_tower_channels"]))
    values["position_length"] = values["sequence_length"] // pools
    try:
        return BorzoiConfig(species=species, **values)
    except SeqcovError as error:
        raise SeqcovError(f"{path}: {error}") from None


def _trunk(path: Path) -> list[dict[str, Any]]:
    trunk = _mapping(read_json(path), "model", path).get("trunk")
    if not isinstance(trunk, list) or not all(isinstance(block, dict) for block in trunk):
        raise SeqcovError(
            f"{path}: model.trunk is no list of layers; is this a calico params.json?"
        )
    return trunk


def _widths(block: dict[str, Any], path: Path) -> tuple[int, ...]:
    """Channels of each stage of a tower: geometric steps rounded to multiples of divisible_by."""
    repeat, first = _int(block, "repeat", path), _int(block, "filters_init", path)
    last, unit = int(block.get("filters_end", first)), int(block.get("divisible_by", 1))
    if min(repeat, first, last, unit) < 1:
        raise SeqcovError(f"{path}: {block.get('name')}: widths and repeats must be at least 1")
    growth = (last / first) ** (1 / max(repeat - 1, 1))
    return tuple(round(first * growth**stage / unit) * unit for stage in range(repeat))


def _mapping(values: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    inner = values.get(key)
    if not isinstance(inner, dict):
        raise SeqcovError(f"{path}: no object {key!r}; is this a calico params.json?")
    return inner


def _int(block: dict[str, Any], key: str, path: Path) -> int:
    value = block.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        where = block.get("name", "model")
        raise SeqcovError(f"{path}: {where}.{key}: {value!r} is not a whole number ≥ 0")
    return value


def _expect(block: dict[str, Any], path: Path, **wanted: object) -> None:
    for key, value in wanted.items():
        if block.get(key, value) != value:
            raise SeqcovError(
                f"{path}: {block['name']}.{key}: {block[key]!r} is not supported, only {value!r}"
            )
