"""Loaded models: their mode, tracks and device; the card that a run checks them by."""

from pathlib import Path

import pytest

from seqcov_models import SeqcovError, load_model
from seqcov_models.checkpoints.load import model_card
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.networks.shared.base import TokenPredictionModel
from support.calico import Weights


def test_selected_tracks_are_in_the_order_of_the_table(tiny_folder: Path) -> None:
    model = load_model("borzoi", tiny_folder, tracks=[5, "id0", "track 3"])
    assert [track.identifier for track in model.tracks] == ["id0", "id3", "id5"]


def test_a_loaded_model_is_in_evaluation_mode(tiny_folder: Path, saved_folder: Path) -> None:
    assert not load_model("borzoi", tiny_folder).training
    assert not load_model("borzoi", saved_folder).training


def test_an_unknown_track_is_refused_before_weights_are_read(tiny_folder: Path) -> None:
    (tiny_folder / "model.h5").write_bytes(b"")
    with pytest.raises(SeqcovError, match=r"id33.*id3"):
        load_model("borzoi", tiny_folder, tracks=["id33"])


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cuda:-1", "", "cpu:x"])
def test_an_unknown_device_is_refused_with_the_choices(name: str, saved_folder: Path) -> None:
    with pytest.raises(SeqcovError, match=rf"device '{name}'.*choose cpu"):
        load_model("borzoi", saved_folder, device=name)


def test_the_card_has_the_number_of_parameters_and_the_geometry(
    saved_folder: Path, tiny_model: TokenPredictionModel, tiny_weights: Weights
) -> None:
    card = model_card(recognise("borzoi", saved_folder), tiny_model)
    names = [name for name in tiny_weights if "/moving_" not in name]
    assert card["parameters"] == sum(tiny_weights[name].size for name in names)
    assert (card["window"], card["bin"], card["core"]) == (512, 4, 4 * 118)
