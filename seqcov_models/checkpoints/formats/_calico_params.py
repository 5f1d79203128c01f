"""Calico's params.json as a config. Needs no torch, so a run can be planned from it."""

import reprlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.shared.config import Config, read_json
from seqcov_models.networks.shared.fields import MAX_INT

_ORDERS = {
    "borzoi": (
        "conv_dna", "res_tower", "transformer_tower", "unet_conv", "Cropping1D", "conv_nac",
    ),
    "basenji2": ("conv_block", "conv_tower", "dilated_residual", "Cropping1D", "conv_block"),
}  # fmt: skip
"""The layers of each network as they follow one another; only unet_conv repeats, and only the
first must be there (in Basenji2, the last too)."""


_KNOWN = {
    "conv_dna": "filters kernel_size pool_size activation norm_type",
    "res_tower": "filters_init filters_end filters_mult divisible_by kernel_size num_convs"
    " pool_size repeat",
    "transformer_tower": "key_size heads num_position_features seqlen_train dropout"
    " attention_dropout repeat",
    "unet_conv": "kernel_size upsample_conv",
    "Cropping1D": "cropping",
    "conv_nac": "filters dropout",
    "conv_block": "filters kernel_size pool_size dropout",
    "conv_tower": "filters_init filters_end filters_mult divisible_by kernel_size pool_size repeat",
    "dilated_residual": "filters kernel_size rate_mult round dropout repeat",
}
"""What is read of each layer. Any other key may change what it computes."""

_TRAINING_KEYS = "name l2_scale mha_l2_scale kernel_initializer mha_initializer bn_momentum"
"""Keys of any layer that do not."""


def architecture_of_params(path: Path) -> str:
    """Return which network a params.json describes, by the kinds of its layers.

    Raises SeqcovError if it is none of the known ones.
    """
    kinds = {str(block.get("name")) for block in _trunk(path)}
    for architecture, known in _ORDERS.items():
        if kinds <= set(known):
            return architecture
    raise SeqcovError(f"{path}: layers {', '.join(sorted(kinds))} belong to no known network")


def params_config(architecture: str, path: Path, species: str) -> Config:
    """Return the config of a params.json with the head of `species`.

    Raises SeqcovError for an entry that this network cannot be built with.
    """
    model = _mapping(read_json(path), "model", path)
    _expect(model, path, activation="gelu", norm_type=("batch", "batch-sync"))
    _check_order(architecture, path)
    fields = {"borzoi": _borzoi_fields, "basenji2": _basenji_fields}[architecture]
    values = {"sequence_length": _int(model, "seq_length", path), **fields(path)}
    values |= _head(model, species, path)
    if "bn_momentum" in model:  # Keras counts what stays, torch what comes
        values["batch_norm_momentum"] = round(1 - _float(model, "bn_momentum", path, 0), 9)
    try:
        if architecture == "basenji2":
            return BasenjiConfig.from_dict({"species": species, **values})
        config = BorzoiConfig.from_dict({"species": species, "position_length": 1, **values})
        return BorzoiConfig.from_dict(
            {"species": species, "position_length": config.num_positions, **values}
        )
    except SeqcovError as error:
        raise SeqcovError(f"{path}: {error}") from None


def _borzoi_fields(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = {"conv_tower_channels": (), "num_hidden_layers": 0}
    values |= {"num_upsamples": 0, "crop_bins": 0, "head_hidden_size": 0}
    unet: list[tuple[int, bool]] = []
    for block in _trunk(path):
        match block["name"]:
            case "conv_dna":
                _expect(block, path, pool_size=2, activation="linear", norm_type=None)
                values["stem_channels"] = _int(block, "filters", path)
                values["stem_kernel_size"] = _int(block, "kernel_size", path)
            case "res_tower":
                _expect(block, path, pool_size=2, num_convs=1)
                values["conv_tower_channels"] = _widths(block, path)
                values["conv_tower_kernel_size"] = _int(block, "kernel_size", path)
            case "transformer_tower":
                values["num_hidden_layers"] = _int(block, "repeat", path)
                values["num_attention_heads"] = _int(block, "heads", path, least=1)
                values["attention_head_size"] = _int(block, "key_size", path)
                values["num_rel_pos_features"] = _int(block, "num_position_features", path)
                values["intermediate_dropout"] = _float(block, "dropout", path, 0)
                if "attention_dropout" in block:
                    values["attention_dropout"] = _float(block, "attention_dropout", path, 0)
                if block.get("seqlen_train") is not None:
                    values["position_length"] = _int(block, "seqlen_train", path, least=1)
            case "unet_conv":
                conv = block.get("upsample_conv", False)
                if not isinstance(conv, bool):
                    raise SeqcovError(f"{path}: unet_conv.upsample_conv: {conv!r}")
                unet.append((_int(block, "kernel_size", path), conv))
            case "Cropping1D":
                values["crop_bins"] = _int(block, "cropping", path)
            case "conv_nac":
                values["head_hidden_size"] = _int(block, "filters", path)
                values["hidden_dropout"] = _float(block, "dropout", path, 0)
    if len(set(unet)) > 1:
        raise SeqcovError(f"{path}: unet_conv: all of them must be alike")
    if unet:
        values["num_upsamples"] = len(unet)
        values["upsample_kernel_size"], values["upsample_conv"] = unet[0]
    hidden = (values["conv_tower_channels"] or (values["stem_channels"],))[-1]
    if values["num_hidden_layers"]:
        values["attention_value_size"] = hidden // values["num_attention_heads"]
    return values | {"intermediate_size": 2 * hidden}


def _basenji_fields(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = {"conv_tower_channels": (), "crop_bins": 0}
    blocks: dict[str, Any] = {"num_blocks": 0}
    trunk = _trunk(path)
    for index, block in enumerate(trunk):
        match block["name"]:
            case "conv_block" if index == 0:
                values["stem_channels"] = _int(block, "filters", path)
                values["stem_kernel_size"] = _int(block, "kernel_size", path)
                values["stem_pool_size"] = _int(block, "pool_size", path, 1)
            case "conv_tower":
                block = {"pool_size": 1, **block}  # calico's default
                _expect(block, path, pool_size=values["stem_pool_size"])
                values["conv_tower_channels"] = _widths(block, path)
                values["conv_tower_kernel_size"] = _int(block, "kernel_size", path)
            case "dilated_residual":
                rounded = block.get("round", False)
                if not isinstance(rounded, bool):
                    raise SeqcovError(
                        f"{path}: dilated_residual.round: {rounded!r} is not true or false"
                    )
                blocks = {
                    "num_blocks": _int(block, "repeat", path),
                    "kernel_size": _int(block, "kernel_size", path, 3),
                    "bottleneck_size": _int(block, "filters", path),
                    "dilation_rate": _float(block, "rate_mult", path, 2),
                    "round_dilation": rounded,
                    "dropout": _float(block, "dropout", path, 0),
                }
            case "Cropping1D":
                values["crop_bins"] = _int(block, "cropping", path)
            case "conv_block":
                _expect(block, path, kernel_size=1, pool_size=1)
                values["head_hidden_size"] = _int(block, "filters", path)
                values["hidden_dropout"] = _float(block, "dropout", path, 0)
    return {**values, "blocks": blocks}


def _head(model: Mapping[str, Any], species: str, path: Path) -> dict[str, Any]:
    heads = [key.removeprefix("head_") for key in model if key.startswith("head_")]
    head = model.get(f"head_{species}")
    if not isinstance(head, dict):
        raise SeqcovError(
            f"{path}: no head for species {species!r}; heads in this file:"
            f" {', '.join(heads) or 'none'}"
        )
    return {
        "num_labels": _int(head, "units", path),
        "output_act": str(head.get("activation", "softplus")),
    }


def _check_order(architecture: str, path: Path) -> None:
    """Refuse layers in another order than in their network."""
    order = _ORDERS[architecture]
    names = [str(block["name"]) for block in _trunk(path)]
    once = [name for i, name in enumerate(names) if name != "unet_conv" or name not in names[:i]]
    rest = iter(order)
    fits = all(name in rest for name in once)
    runs = sum(1 for i, name in enumerate(names) if name == "unet_conv" != names[i - 1])
    if not fits or runs > 1 or names[:1] != [order[0]]:
        raise SeqcovError(
            f"{path}: model.trunk: {', '.join(names) or 'no layers'}; this network has"
            f" {', '.join(order)}, in this order"
        )
    if architecture == "basenji2" and names.count("conv_block") != 2:
        raise SeqcovError(f"{path}: model.trunk: this network ends in a second conv_block")
    for block in _trunk(path):
        known = f"{_KNOWN[block['name']]} {_TRAINING_KEYS}".split()
        if unknown := [key for key in block if key not in known]:
            raise SeqcovError(
                f"{path}: {block['name']}.{unknown[0]}: not known here, and it may change what the"
                f" layer computes; known are {', '.join(known)}"
            )


def _trunk(path: Path) -> list[dict[str, Any]]:
    trunk = _mapping(read_json(path), "model", path).get("trunk")
    named = isinstance(trunk, list) and all(
        isinstance(block, dict) and isinstance(block.get("name"), str) for block in trunk
    )
    if not named:
        raise SeqcovError(
            f"{path}: model.trunk is not a list of layers; is this a calico params.json?"
        )
    return trunk  # type: ignore[return-value]


def _widths(block: dict[str, Any], path: Path) -> tuple[int, ...]:
    """Return the channels of each stage of a tower, rounded to multiples of divisible_by.

    The steps are geometric. They come from the last width (filters_end) or are given
    (filters_mult); Basenji2's 1.1776 carries the unrounded width on. Source: `blocks.py` of
    calico/basenji and calico/baskerville.
    """
    repeat, first = _int(block, "repeat", path), _int(block, "filters_init", path, least=1)
    unit = _int(block, "divisible_by", path, 1, least=1)
    if repeat > 1_000:
        raise SeqcovError(
            f"{path}: {block['name']}.repeat: {repeat:,} is not plausible (at most 1,000)"
        )
    if "filters_mult" in block:
        growth = _float(block, "filters_mult", path, 1)
    else:
        last = _int(block, "filters_end", path, first, least=1)
        growth = (last / first) ** (1 / max(repeat - 1, 1))
    try:
        return tuple(round(first * growth**stage / unit) * unit for stage in range(repeat))
    except OverflowError:
        raise SeqcovError(f"{path}: {block['name']}: widths beyond any number") from None


def _mapping(values: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    inner = values.get(key)
    if not isinstance(inner, dict):
        raise SeqcovError(f"{path}: no object {key!r}; is this a calico params.json?")
    return inner


def _int(
    block: dict[str, Any], key: str, path: Path, default: int | None = None, least: int = 0
) -> int:
    value = block.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_INT:
        where, given = block.get("name", "model"), reprlib.repr(value)
        wanted = f"a whole number from {least} to {MAX_INT:,}"
        raise SeqcovError(f"{path}: {where}.{key}: {given} is not {wanted}")
    return value


def _float(block: dict[str, Any], key: str, path: Path, default: float) -> float:
    value = block.get(key, default)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= sys.float_info.max:
        where = block.get("name", "model")
        raise SeqcovError(f"{path}: {where}.{key}: {value!r} is not a finite number ≥ 0")
    return float(value)


def _expect(block: dict[str, Any], path: Path, **wanted: object) -> None:
    for key, value in wanted.items():
        allowed = value if isinstance(value, tuple) else (value,)
        if block.get(key, allowed[0]) not in allowed:
            where = block.get("name", "model")
            choice = " or ".join(map(repr, allowed))
            raise SeqcovError(
                f"{path}: {where}.{key}: {block[key]!r} is not supported, only {choice}"
            )
