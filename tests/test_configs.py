"""Configs and geometry: the published numbers, what is refused, what JSON keeps."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from seqcov_models.configs import BorzoiConfig, Geometry, read_json
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.borzoi import BorzoiForTokenPrediction

SMALL: dict[str, Any] = {
    "sequence_length": 512,
    "stem_channels": 6,
    "conv_tower_channels": (8, 10, 12),
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "attention_head_size": 5,
    "attention_value_size": 6,
    "num_rel_pos_features": 8,
    "position_length": 32,
    "intermediate_size": 24,
    "crop_bins": 5,
    "head_hidden_size": 14,
    "num_labels": 7,
}


def test_the_default_is_the_published_borzoi() -> None:
    geometry = BorzoiConfig().geometry
    assert geometry == Geometry(window=524_288, bin=32, bins=6_144, crop=5_120)
    assert geometry.core == 196_608
    assert geometry.context == 163_840


@pytest.mark.parametrize(
    ("tracks", "parameters"), [(7_611, 185_892_699), (2_608, 176_281_936)], ids=["human", "mouse"]
)
def test_the_published_networks_have_their_number_of_parameters(
    tracks: int, parameters: int
) -> None:
    with torch.device("meta"):
        model = BorzoiForTokenPrediction(BorzoiConfig(num_labels=tracks))
    assert sum(weight.numel() for weight in model.parameters()) == parameters


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
    ("n_encoding", "multimolecule"),
    ("upsample_conv", "no"),
    ("batch_norm_eps", -1.0),
    ("batch_norm_eps", "0.001"),
    ("layer_norm_eps", float("nan")),
    ("layer_norm_eps", None),
    ("hidden_dropout", 2.0),
    ("head_dropout", "0.1"),
]


@pytest.mark.parametrize(("field", "value"), IMPOSSIBLE, ids=lambda given: repr(given)[:30])
def test_an_impossible_value_is_refused_and_the_field_is_named(field: str, value: Any) -> None:
    assert BorzoiConfig(**SMALL)
    with pytest.raises(SeqcovError, match=field):
        BorzoiConfig.from_dict({**SMALL, field: value})


def test_a_refusal_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="513"):
        BorzoiConfig(**{**SMALL, "sequence_length": 513})


@pytest.mark.parametrize(
    "config",
    [
        BorzoiConfig(),
        BorzoiConfig(**SMALL),
        BorzoiConfig(num_labels=2_608, species="mouse", n_encoding="uniform", crop_bins=16),
        BorzoiConfig(head_hidden_size=0, upsample_conv=False, hidden_dropout=1e-7),
    ],
    ids=["published", "small", "mouse", "mini"],
)
def test_json_keeps_a_config(config: BorzoiConfig) -> None:
    stored = json.loads(json.dumps(config.to_dict()))
    assert stored["architecture"] == "borzoi"
    assert BorzoiConfig.from_dict(stored) == config


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
def test_what_is_no_json_object_is_refused_with_its_path(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(SeqcovError, match=r"config\.json"):
        read_json(path)


def test_a_missing_json_file_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SeqcovError, match=r"absent\.json"):
        read_json(tmp_path / "absent.json")
