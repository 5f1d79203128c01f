"""Configs and geometry: published numbers, computed fields, invalid values, JSON."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.basenji.config import BasenjiBlockConfig, BasenjiConfig
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.bpnet.config import BPNetConfig
from seqcov_models.networks.enformer.config import EnformerConfig
from seqcov_models.networks.shared.config import Config, read_json
from seqcov_models.tiling import Geometry
from support.networks import EVERY_NETWORK, SMALL_BORZOI


def test_the_crop_of_params_pred_json_keeps_16352_bins() -> None:
    assert BorzoiConfig(crop_bins=16).geometry.bins == 16_352


@pytest.mark.parametrize("pools", [1, 3, 6])
@pytest.mark.parametrize("upsamples", [0, 1])
def test_each_pooling_halves_and_each_upsample_doubles(pools: int, upsamples: int) -> None:
    config = BorzoiConfig(
        sequence_length=4096, conv_tower_channels=(8,) * pools, num_upsamples=upsamples, crop_bins=2
    )
    bin_size = 2 ** (1 + pools - upsamples)
    assert config.geometry == Geometry(4096, bin_size, 4096 // bin_size - 4, 2)


IMPOSSIBLE = [
    ("sequence_length", 513),
    ("sequence_length", 512 + 8),
    ("sequence_length", 0),
    ("sequence_length", -512),
    ("sequence_length", 512.0),
    ("sequence_length", "512"),
    ("sequence_length", None),
    ("crop_bins", 64),
    ("crop_bins", 10**9),
    ("crop_bins", -1),
    ("stem_kernel_size", 4),
    ("stem_kernel_size", 0),
    ("conv_tower_kernel_size", 2),
    ("upsample_kernel_size", 6),
    ("num_upsamples", 4),
    ("num_upsamples", 100),
    ("conv_tower_channels", ()),
    ("conv_tower_channels", (8, 0, 12)),
    ("conv_tower_channels", (8, -10, 12)),
    ("conv_tower_channels", (8, 10.5, 12)),
    ("conv_tower_channels", (8, "10", 12)),
    ("conv_tower_channels", "abc"),
    ("conv_tower_channels", 3),
    ("stem_channels", 0),
    ("num_attention_heads", 0),
    ("attention_head_size", 0),
    ("attention_value_size", 0),
    ("intermediate_size", 0),
    ("num_rel_pos_features", 0),
    ("num_rel_pos_features", 7),
    ("num_labels", 0),
    ("vocab_size", 5),
    ("hidden_act", "swish"),
    ("output_act", ""),
    ("output_act", None),
    ("n_encoding", "random"),
    ("upsample_conv", "no"),
    ("batch_norm_eps", -1.0),
    ("batch_norm_eps", "0.001"),
    ("layer_norm_eps", float("nan")),
    ("layer_norm_eps", None),
    ("hidden_dropout", 2.0),
    ("hidden_dropout", "0.1"),
    ("intermediate_dropout", -0.1),
    ("num_labels", 300_000_000),
    ("sequence_length", 8 * 10**30),
    ("stem_channels", 2**31),
    ("conv_tower_channels", (8, 2**31, 12)),
    ("conv_tower_channels", (8,) * 1_001),
    ("num_hidden_layers", 10**9),
    ("intermediate_size", 10**400),
    ("batch_norm_eps", 10**400),
    ("batch_norm_eps", 2),
    ("batch_norm_momentum", 10**400),
    ("hidden_dropout", 10**400),
    ("rotary_base", 0.0),
    ("rotary_base", 1),
    ("rotary_base", 1e300),
    ("rotary_base", 10**400),
    ("target_length", 23),
    ("target_length", 2.0),
    ("target_length", -1.0),
    ("target_length", 0),
    ("species", None),
]


@pytest.mark.parametrize(("field", "value"), IMPOSSIBLE, ids=lambda setting: repr(setting)[:30])
def test_an_invalid_value_is_refused_and_the_field_is_named(field: str, value: Any) -> None:
    assert BorzoiConfig(**SMALL_BORZOI)
    with pytest.raises(SeqcovError, match=field):
        BorzoiConfig.from_dict({**SMALL_BORZOI, field: value})


def test_the_error_of_a_field_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="513"):
        BorzoiConfig(**{**SMALL_BORZOI, "sequence_length": 513})


CONFIGS: list[Config] = [
    *(config for _, config in EVERY_NETWORK.values()),
    BorzoiConfig(),
    BorzoiConfig(num_labels=2_608, species="mouse", n_encoding="uniform", crop_bins=16),
    BorzoiConfig(head_hidden_size=0, upsample_conv=False, hidden_dropout=1e-7),
    EnformerConfig(other_heads={"mouse": 3}),
    BPNetConfig(tasks=("a", "b"), target_length=40),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.ARCHITECTURE)
def test_a_config_survives_json(config: Config) -> None:
    values = json.loads(json.dumps(config.to_dict()))
    assert values["architecture"] == config.ARCHITECTURE
    assert type(config).from_dict(values) == config


def test_values_of_numpy_are_stored_as_built_in_values() -> None:
    widths = np.array([8, 10, 12])
    config = BorzoiConfig(
        **{
            **SMALL_BORZOI,
            "conv_tower_channels": [np.int64(8), 10, np.int32(12)],
            "stem_channels": np.int64(6),
            "batch_norm_eps": np.float32(0.5),
            "layer_norm_eps": 1,
            "upsample_conv": np.bool_(True),
        }
    )
    expected = {"batch_norm_eps": 0.5, "layer_norm_eps": 1.0, "upsample_conv": True}
    assert config == BorzoiConfig(**{**SMALL_BORZOI, **expected})
    assert config == BorzoiConfig(**{**SMALL_BORZOI, **expected, "conv_tower_channels": widths})
    assert json.loads(json.dumps(config.to_dict()))["conv_tower_channels"] == [8, 10, 12]
    assert type(config.layer_norm_eps) is float
    assert type(config.stem_channels) is int


def test_blocks_can_be_the_object_of_the_model_card() -> None:
    card = {
        "num_blocks": 3, "kernel_size": 3, "bottleneck_size": 8, "dilation": 2,
        "dilation_rate": 2, "round_dilation": True, "dropout": 0.1,
    }  # fmt: skip
    blocks = BasenjiConfig(blocks=card).blocks  # type: ignore[arg-type]
    assert blocks == BasenjiBlockConfig(**card)  # type: ignore[arg-type]
    assert blocks.dilations == (2, 4, 8)
    with pytest.raises(SeqcovError, match="bottleneck"):
        BasenjiConfig(blocks={"bottleneck": 8})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cls", "num_human_tracks", "num_mouse_tracks"),
    [
        (BasenjiConfig, 5_313, 1_643),
        (EnformerConfig, 5_313, 1_643),
        (BorzoiConfig, 7_611, 2_608),
    ],
)
def test_the_number_of_tracks_follows_the_species(
    cls: Any, num_human_tracks: int, num_mouse_tracks: int
) -> None:
    assert cls().num_labels == num_human_tracks
    assert cls(species="mouse").num_labels == num_mouse_tracks
    assert cls(species="mouse", num_labels=7).num_labels == 7
    assert cls.from_dict({"species": "mouse", "num_labels": None}).num_labels == num_mouse_tracks
    assert dataclasses.replace(cls(), species="mouse").num_labels == num_mouse_tracks
    assert dataclasses.replace(cls(num_labels=7), species="mouse").num_labels == 7
    assert type(cls().to_dict()["num_labels"]) is int
    assert cls(species="fly", num_labels=7).num_labels == 7
    with pytest.raises(SeqcovError, match=r"num_labels.*'fly'.*human, mouse"):
        cls(species="fly")


def test_the_channels_of_the_stem_follow_from_the_encoding_of_unknown_bases() -> None:
    assert BorzoiConfig().vocab_size == 4
    assert BorzoiConfig(n_encoding="multimolecule").vocab_size == 5
    assert BorzoiConfig(n_encoding="multimolecule", vocab_size=5).vocab_size == 5
    assert dataclasses.replace(BorzoiConfig(), n_encoding="multimolecule").vocab_size == 5
    with pytest.raises(SeqcovError, match=r"vocab_size: 5, but n_encoding 'uniform'"):
        BorzoiConfig(n_encoding="uniform", vocab_size=5)


def test_the_crop_and_the_kept_bins_determine_each_other() -> None:
    assert (BorzoiConfig().target_length, BorzoiConfig().crop_bins) == (6_144, 5_120)
    for config in (BorzoiConfig(crop_bins=16), BorzoiConfig(target_length=16_352)):
        assert (config.target_length, config.crop_bins, config.num_bins) == (16_352, 16, 16_352)
    uncropped = BorzoiConfig(target_length=-1)
    assert (uncropped.crop_bins, uncropped.num_bins) == (0, 16_384)
    assert BorzoiConfig(target_length=6_144, crop_bins=5_120) == BorzoiConfig()
    assert dataclasses.replace(BorzoiConfig(), crop_bins=16).target_length == 16_352
    assert dataclasses.replace(BorzoiConfig(), target_length=16_352).crop_bins == 16
    shorter = dataclasses.replace(BorzoiConfig(crop_bins=16), sequence_length=2**18)
    assert shorter.target_length == 2**13 - 32
    with pytest.raises(SeqcovError, match=r"crop_bins.*16,352.*6,144"):
        BorzoiConfig(crop_bins=16, target_length=6_144)


def test_defaults_are_the_values_of_the_cards_and_publications() -> None:
    basenji, enformer, borzoi = BasenjiConfig(), EnformerConfig(), BorzoiConfig()
    assert (basenji.hidden_dropout, basenji.blocks.dropout) == (0.05, 0.3)
    assert (enformer.hidden_dropout, enformer.head_dropout) == (0.4, 0.05)
    assert (borzoi.hidden_dropout, borzoi.intermediate_dropout) == (0.1, 0.2)
    for config in (basenji, enformer, borzoi):
        assert config.num_pool_layers == config.num_downsamples == 7
        assert config.pool_factor == 128
        assert not config.output_contexts
    assert [config.hidden_size for config in (basenji, enformer, borzoi)] == [768, 1536, 1536]


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(SeqcovError, match="num_lables"):
        BorzoiConfig.from_dict({"num_lables": 3})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1]",
        b"3",
        b'{"a": 1',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
    ],
    ids=["empty", "list", "number", "cut", "binary", "deep list", "deep object", "long number"],
)
def test_a_file_that_is_not_a_json_object_is_refused_with_its_path(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(SeqcovError, match=r"config\.json"):
        read_json(path)


def test_a_missing_json_file_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SeqcovError, match=r"absent\.json"):
        read_json(tmp_path / "absent.json")
