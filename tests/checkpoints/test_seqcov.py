"""This package's format: nothing is lost, and a config.json that does not fit is refused."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqcov_models import SeqcovError, load_model, save_model
from seqcov_models.checkpoints.load import build
from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.bpnet.config import BPNetConfig
from seqcov_models.networks.shared.base import TokenPredictionModel
from seqcov_models.networks.shared.config import Config
from support.calico import Tiny
from support.checkpoints import are_equal, refusal

LETTERS = ["".join(np.random.default_rng(1).choice(list("ACGTN"), Tiny().length))]


def test_a_saved_model_is_loaded_bit_for_bit(
    saved_folder: Path, tiny_model: TokenPredictionModel
) -> None:
    saved_model = load_model("borzoi", saved_folder)
    assert are_equal(saved_model, tiny_model)
    assert np.array_equal(saved_model.predict(LETTERS), tiny_model.predict(LETTERS))
    assert saved_model.geometry == tiny_model.geometry


def test_saving_again_writes_identical_bytes(saved_folder: Path, tmp_path: Path) -> None:
    save_model(load_model("borzoi", saved_folder), tmp_path / "second")
    for file in saved_folder.iterdir():
        assert (tmp_path / "second" / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_model_of_selected_tracks_can_be_saved_and_loaded(
    tiny_folder: Path, tmp_path: Path, tiny_model: TokenPredictionModel
) -> None:
    model = load_model("borzoi", tiny_folder, tracks=["id2", "id5"])
    save_model(model, tmp_path / "selected")
    saved_model = load_model("borzoi", tmp_path / "selected")
    assert [track.identifier for track in saved_model.tracks] == ["id2", "id5"]
    assert np.array_equal(saved_model.predict(LETTERS), model.predict(LETTERS))


@pytest.mark.slow
def test_the_mini_checkpoint_is_unchanged_after_saving_and_loading(
    real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    model = load_model("borzoi", real_input("models/mini_borzoi"))
    save_model(model, tmp_path)
    saved_model = load_model("borzoi", tmp_path)
    assert are_equal(saved_model, model)
    letters = ["ACGTTGCATN" * 13_107 + "AC"]
    assert np.array_equal(saved_model.predict(letters), model.predict(letters))


def test_a_model_is_saved_over_an_earlier_one_but_not_over_other_files(
    goldens: Callable[[str], Path], tmp_path: Path
) -> None:
    enformer = load_model("enformer", goldens("enformer_pytorch"))
    bpnet = load_model("bpnetlite", goldens("bpnet_lite"))
    save_model(enformer, tmp_path / "out")
    save_model(bpnet, tmp_path / "out")
    assert are_equal(load_model("bpnetlite", tmp_path / "out"), bpnet)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "config.json", "model.safetensors", "targets.txt"
    }  # fmt: skip
    modes = {file.stat().st_mode for file in (tmp_path / "out").iterdir()}
    assert len(modes) == 1, "whoever may read one file may read all"
    (tmp_path / "out/params.json").write_text("{}")
    with pytest.raises(SeqcovError, match=r"holds params\.json"):
        save_model(bpnet, tmp_path / "out")


BAD_CONFIGS: dict[str, dict[str, Any]] = {
    "unknown field": {"num_lables": 7},
    "another architecture": {"architecture": "enformer"},
    "no architecture": {"architecture": None},
    "another species": {"species": "mouse"},
    "more tracks": {"num_labels": 8},
    "another width": {"stem_channels": 7},
    "no heads": {"num_attention_heads": 0},
    "channels text": {"conv_tower_channels": "abc"},
    "channels negative": {"conv_tower_channels": [8, -10, 12]},
    "channels number": {"conv_tower_channels": 8},
    "epsilon text": {"batch_norm_eps": "0.001"},
    "epsilon null": {"layer_norm_eps": None},
    "dropout text": {"hidden_dropout": "x"},
    "length list": {"sequence_length": [512]},
    "encoding object": {"n_encoding": {}},
    "wider than any memory": {"stem_channels": 10**14},
    "wider than torch counts": {"stem_channels": 2**63 - 1},
    "as wide as may be": {"stem_channels": 2**31 - 1, "stem_kernel_size": 2**31 - 1},
    "tracks without end": {"num_labels": 300_000_000},
    "epsilon without end": {"batch_norm_eps": 10**400},
    "dropout without end": {"hidden_dropout": 10**400},
    "length without end": {"sequence_length": 8 * 10**30},
    "no base": {"attention_type": "rotary", "rotary_base": 0.0},
}


@pytest.mark.parametrize("change_name", BAD_CONFIGS)
def test_a_config_json_that_does_not_fit_is_refused(change_name: str, saved_folder: Path) -> None:
    config = json.loads((saved_folder / "config.json").read_text())
    (saved_folder / "config.json").write_text(json.dumps({**config, **BAD_CONFIGS[change_name]}))
    refusal("borzoi", saved_folder)


SMALL_SIZES = {"sequence_length": 256, "stem_channels": 6, "num_labels": 3, "head_hidden_size": 12}


FIVE_CHANNELS: dict[str, Config] = {
    "borzoi": BorzoiConfig(
        **SMALL_SIZES, conv_tower_channels=(8, 8, 8), num_hidden_layers=0, crop_bins=5,
        n_encoding="multimolecule",
    ),
    "basenji2": BasenjiConfig(
        **SMALL_SIZES, conv_tower_channels=(8,), crop_bins=3, n_encoding="multimolecule",
    ),
    "bpnet": BPNetConfig(sequence_length=256, target_length=256, n_encoding="multimolecule"),
}  # fmt: skip


@pytest.mark.parametrize("architecture", FIVE_CHANNELS)
@pytest.mark.parametrize("n_encoding", ["zeros", "uniform"])
def test_the_n_channel_of_a_saved_model_is_kept_or_dropped_as_asked(
    architecture: str, n_encoding: str, tmp_path: Path
) -> None:
    letters = ["ACGTN" * 51 + "A"]
    model = build(FIVE_CHANNELS[architecture]).eval()
    save_model(model, tmp_path / "five")
    saved_model = load_model(architecture, tmp_path / "five", n_encoding="multimolecule")
    assert np.array_equal(saved_model.predict(letters), model.predict(letters))
    reduced = load_model(architecture, tmp_path / "five", n_encoding=n_encoding)
    assert reduced.config == dataclasses.replace(model.config, n_encoding=n_encoding, vocab_size=4)
    assert reduced.model.stem.state_dict().keys() == model.model.stem.state_dict().keys()
    state = model.state_dict()
    stem = next(name for name in state if name.startswith("model.stem"))
    state[stem] = state[stem][:, :4]
    expected = build(reduced.config).eval()
    expected.load_state_dict(state)
    assert np.array_equal(reduced.predict(letters), expected.predict(letters))
    save_model(reduced, tmp_path / "four")
    with pytest.raises(SeqcovError, match="reads 4 channels"):
        load_model(architecture, tmp_path / "four", n_encoding="multimolecule")
