"""Calico's params.json as a config. Needs no torch, so a run can be planned from it."""

import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from seqcov_models.checkpoints.format import name_source
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.shared.config import Config, read_json
from seqcov_models.networks.shared.fields import MAX_INT, MAX_LAYERS, is_integer

_TRAINING = {
    "l1_scale", "l2_scale", "mha_l2_scale", "kernel_initializer", "mha_initializer", "bn_momentum",
    "norm_gamma", "dropout", "dropout_residual",
}  # fmt: skip
"""Keys of any layer that do not change what it predicts."""
_CONVOLUTION = {
    "stride": 1, "dilation_rate": 1, "padding": "same", "pool_type": "max", "conv_type": "standard",
    "residual": False, "se": False,
}  # fmt: skip
"""Keys of convolutions in baskerville, with the only value that the network here has."""
_BATCH_NORM = {"norm_type": ("batch", "batch-sync")}


class Block:
    """An object of params.json. What is read is taken out, so that what is unknown is left."""

    def __init__(self, values: Mapping[str, Any], path: Path) -> None:
        self.values, self.path = dict(values), path
        self.name = str(self.values.pop("name", "model"))

    def take(self, key: str, default: object = None) -> Any:
        """Return a value. Without a default, None raises SeqcovError."""
        value = self.values.pop(key, None)
        value = default if value is None else value
        if value is None:
            raise self.error(key, "is missing")
        return value

    def rename(self, **keys: str | tuple[str, object]) -> dict[str, Any]:
        """Return the values for fields of a config; a key may come with its default."""
        pairs = {name: (key, None) if isinstance(key, str) else key for name, key in keys.items()}
        return {name: self.take(key, default) for name, (key, default) in pairs.items()}

    def take_integer(self, key: str, default: int | None = None, maximum: int = MAX_INT) -> int:
        """Return a whole number from 1 to `maximum`; raise SeqcovError for any other value."""
        value = self.take(key, default)
        if not is_integer(value, 1, maximum):
            text = f"{reprlib.repr(value)} is not a whole number from 1 to {maximum:,}"
            raise self.error(key, text)
        return int(value)

    def take_widths(self) -> tuple[int, ...]:
        """Return the channels of each stage of a tower, rounded to multiples of divisible_by.

        The steps are geometric. They come from the last width (filters_end) or are given
        (filters_mult); Basenji2's 1.1776 carries the unrounded width on. Source: `blocks.py` of
        calico/basenji and calico/baskerville.
        """
        repeat = self.take_integer("repeat", maximum=MAX_LAYERS)
        first, unit = self.take_integer("filters_init"), self.take_integer("divisible_by", 1)
        if "filters_mult" in self.values:
            growth = self.take("filters_mult")
            if not isinstance(growth, int | float) or not 0 < growth < 100:
                raise self.error("filters_mult", f"{reprlib.repr(growth)} is not from 0 to 100")
        else:
            growth = (self.take_integer("filters_end") / first) ** (1 / max(repeat - 1, 1))
        try:
            return tuple(round(first * growth**stage / unit) * unit for stage in range(repeat))
        except OverflowError:
            raise self.error("filters_mult", "widths beyond any number") from None

    def expect(self, **expected: object) -> None:
        """Refuse other values than those expected. Raises SeqcovError; an absent key agrees."""
        for key, choices in expected.items():
            allowed = choices if isinstance(choices, tuple) else (choices,)
            value = self.values.pop(key, allowed[0])
            if value not in allowed:
                text = " or ".join(map(repr, allowed))
                raise self.error(
                    key, f"{reprlib.repr(value)} is not supported; expected only {text}"
                )

    def check_taken(self) -> None:
        """Refuse a layer with keys that were not read. Raises SeqcovError for the first."""
        for key in self.values:
            if key not in _TRAINING:
                raise self.error(key, "not known here, and it may change what the layer computes")

    def error(self, key: str, problem: str) -> SeqcovError:
        """Return the error for a value; `problem` says what is wrong."""
        return SeqcovError(f"{self.path}: {self.name}.{key}: {problem}")


def _borzoi_fields(blocks: list[Block]) -> dict[str, Any]:
    fields: dict[str, Any] = {"conv_tower_channels": (), "num_hidden_layers": 0}
    fields |= {"num_upsamples": 0, "crop_bins": 0, "head_hidden_size": 0}
    upsample: dict[str, Any] = {}
    for block in blocks:
        match block.name:
            case "conv_dna":
                block.expect(pool_size=2, activation="linear", norm_type=None, **_CONVOLUTION)
                block.expect(use_bias=(True, None))
                fields |= block.rename(stem_channels="filters", stem_kernel_size="kernel_size")
            case "res_tower":
                block.expect(pool_size=2, num_convs=1, **_BATCH_NORM, **_CONVOLUTION)
                fields["conv_tower_channels"] = block.take_widths()
                fields |= block.rename(conv_tower_kernel_size="kernel_size")
            case "transformer_tower":
                block.expect(qkv_width=1, block_type="transformer", content_position_bias=True)
                fields |= block.rename(
                    num_hidden_layers="repeat",
                    num_attention_heads="heads",
                    attention_head_size="key_size",
                    num_rel_pos_features="num_position_features",
                    intermediate_dropout=("dropout", 0),
                    attention_dropout=("attention_dropout", 0.05),
                    position_dropout=("position_dropout", 0.01),
                    dense_expansion=("dense_expansion", 2.0),
                    position_length=("seqlen_train", 0),
                )
            case "unet_conv":
                block.expect(stride=2, **_BATCH_NORM)
                first = upsample
                upsample = block.rename(
                    upsample_kernel_size="kernel_size", upsample_conv=("upsample_conv", False)
                )
                if upsample != (first or upsample):
                    raise block.error("kernel_size", "all unet_conv layers must be alike")
                fields |= {"num_upsamples": fields["num_upsamples"] + 1, **upsample}
            case "Cropping1D":
                fields |= block.rename(crop_bins="cropping")
            case "conv_nac":
                block.expect(kernel_size=1, pool_size=1, **_BATCH_NORM, **_CONVOLUTION)
                fields |= block.rename(head_hidden_size="filters", hidden_dropout=("dropout", 0))
    return fields


def borzoi_config(fields: dict[str, Any]) -> BorzoiConfig:
    """Return the config; some sizes follow from the others."""
    length_in_training = fields.pop("position_length", 0)
    expansion = fields.pop("dense_expansion", 2.0)
    if not isinstance(expansion, int | float) or not 0 < expansion <= 100:
        raise SeqcovError(
            f"transformer_tower.dense_expansion: {reprlib.repr(expansion)}: expected a number"
            " above 0, up to 100"
        )
    config = BorzoiConfig.from_dict({**fields, "position_length": length_in_training or 1})
    sizes: dict[str, Any] = {}
    if "intermediate_size" not in fields:
        sizes["intermediate_size"] = int(expansion * config.hidden_size)
    if config.num_hidden_layers:
        sizes["attention_value_size"] = config.hidden_size // config.num_attention_heads
    return replace(config, position_length=length_in_training or config.num_positions, **sizes)


def _basenji_fields(blocks: list[Block]) -> dict[str, Any]:
    fields: dict[str, Any] = {"conv_tower_channels": (), "crop_bins": 0}
    fields["blocks"] = {"num_blocks": 0}
    for block in blocks:
        match block.name:
            case "conv_block" if block is blocks[0]:
                fields |= block.rename(
                    stem_channels="filters",
                    stem_kernel_size="kernel_size",
                    stem_pool_size=("pool_size", 1),
                )
                block.take("dropout", 0)
            case "conv_tower":
                block.values.setdefault("pool_size", 1)  # calico's default
                block.expect(pool_size=fields["stem_pool_size"])
                fields["conv_tower_channels"] = block.take_widths()
                fields |= block.rename(conv_tower_kernel_size="kernel_size")
            case "dilated_residual":
                fields["blocks"] = block.rename(
                    num_blocks="repeat",
                    kernel_size=("kernel_size", 3),
                    bottleneck_size="filters",
                    dilation_rate=("rate_mult", 2),
                    round_dilation=("round", False),
                    dropout=("dropout", 0),
                )
            case "Cropping1D":
                fields |= block.rename(crop_bins="cropping")
            case "conv_block":
                block.expect(kernel_size=1, pool_size=1)
                fields |= block.rename(head_hidden_size="filters", hidden_dropout=("dropout", 0))
    return fields


class _Trunk(NamedTuple):
    """How params.json describes a network."""

    order: str
    """Its layers, as a regular expression."""
    fields: Callable[[list[Block]], dict[str, Any]]
    config: Callable[[dict[str, Any]], Config]


_TRUNKS = {
    "borzoi": _Trunk(
        "conv_dna( res_tower)?( transformer_tower)?( unet_conv)*( Cropping1D)?( conv_nac)?",
        _borzoi_fields,
        borzoi_config,
    ),
    "basenji2": _Trunk(
        "conv_block( conv_tower)?( dilated_residual)?( Cropping1D)? conv_block",
        _basenji_fields,
        BasenjiConfig.from_dict,
    ),
}


def architecture_of_params(path: Path) -> str:
    """Return which network a params.json describes, by its layers and their order.

    Raises SeqcovError if it is none of the known ones.
    """
    names = " ".join(block.name for block in _read(path)[1])
    for architecture, trunk in _TRUNKS.items():
        if re.fullmatch(trunk.order, names):
            return architecture
    if re.search(r"\b(ConvDNA|ConvTower|HydraTower)\b", names):
        raise SeqcovError(
            f"{path}: model.trunk: {names!r} are layers of baskerville for PyTorch, which cannot be"
            " read; use the .h5 of calico's bucket with the older params.json, or borzoi-pytorch's"
            " weights of the same network"
        )
    orders = (f"'{re.sub('[()?*]', '', trunk.order)}'" for trunk in _TRUNKS.values())
    raise SeqcovError(
        f"{path}: model.trunk: the layers {names!r} are not those of a known network:"
        f" {' or '.join(orders)}"
    )


def params_config(architecture: str, path: Path, species: str) -> Config:
    """Return the config of a params.json with the head of `species`.

    Raises SeqcovError for an entry that this network cannot be built with.
    """
    model, blocks = _read(path)
    model.expect(activation="gelu", padding="same", **_BATCH_NORM)
    head = model.values.get(f"head_{species}")
    if isinstance(head, list) and len(head) == 1:
        head = head[0]
    if not isinstance(head, dict):
        heads = ", ".join(key[5:] for key in model.values if key.startswith("head_")) or "none"
        raise SeqcovError(f"{path}: no head for species {species!r}; heads in this file: {heads}")
    fields = _TRUNKS[architecture].fields(blocks)
    for block in blocks:
        block.check_taken()
    final = Block({"name": "final", **head}, path)
    if final.name != "final":
        raise final.error("name", f"{final.name!r}: expected a head of a layer 'final'")
    final.expect(flatten=False)
    fields |= {
        "species": species,
        "sequence_length": model.take("seq_length"),
        "num_labels": final.take("units"),
        "output_act": final.take("activation", "linear"),  # as in baskerville's `final`
    }
    final.check_taken()
    momentum = model.take("bn_momentum", 0.9)
    if not isinstance(momentum, int | float) or not 0 <= momentum <= 1:
        raise model.error("bn_momentum", f"{reprlib.repr(momentum)} is not a number from 0 to 1")
    fields["batch_norm_momentum"] = round(1 - momentum, 9)  # Keras counts what stays, torch the new
    with name_source(path):
        return _TRUNKS[architecture].config(fields)


def _read(path: Path) -> tuple[Block, list[Block]]:
    """Return the model and its layers. Raises SeqcovError if they are not there."""
    model = read_json(path).get("model")
    trunk = model.get("trunk") if isinstance(model, dict) else None
    is_layer_list = isinstance(trunk, list) and all(
        isinstance(block, dict) and isinstance(block.get("name"), str) for block in trunk
    )
    if not isinstance(model, dict) or not isinstance(trunk, list) or not is_layer_list:
        raise SeqcovError(
            f"{path}: model.trunk is not a list of layers; is this a calico params.json?"
        )
    return Block(model, path), [Block(block, path) for block in trunk]
