"""What lies at a path: which file, which species, which track table."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from seqcov_models import SeqcovError, load_model
from seqcov_models.networks.shared.base import TokenPredictionModel
from support.calico import Tiny, draw_keras_weights, write_calico
from support.checkpoints import are_equal, check_refusal, refusal

pytestmark = pytest.mark.usefixtures("no_hang")


def test_the_path_may_be_the_weights_file(
    tiny_folder: Path, saved_folder: Path, tiny_model: TokenPredictionModel
) -> None:
    (tiny_folder / "model.h5").rename(tiny_folder / "fold 3.h5")
    shutil.copy(tiny_folder / "fold 3.h5", tiny_folder / "fold 4.h5")
    assert are_equal(load_model("borzoi", tiny_folder / "fold 3.h5"), tiny_model)
    assert are_equal(load_model("borzoi", str(saved_folder / "model.safetensors")), tiny_model)


def test_published_names_tell_which_of_several_files_is_of_the_species(tiny_folder: Path) -> None:
    params = Tiny().params()
    params["model"]["head_mouse"] = {"units": 7}
    (tiny_folder / "params.json").write_text(json.dumps(params))
    weights = draw_keras_weights(Tiny(), seed=2)
    write_calico(tiny_folder / "mouse", Tiny(), weights)
    (tiny_folder / "model.h5").rename(tiny_folder / "model0_best.h5")
    shutil.copy(tiny_folder / "mouse/model.h5", tiny_folder / "model1_best.h5")
    bias = load_model("borzoi", tiny_folder, species="mouse").head.bias
    assert torch.equal(bias, torch.from_numpy(weights["dense_8/bias"]))


def test_several_weight_files_are_refused_with_their_names(tiny_folder: Path) -> None:
    shutil.copy(tiny_folder / "model.h5", tiny_folder / "other.h5")
    assert "other.h5" in refusal("borzoi", tiny_folder, r"model\.h5")


def test_folders_under_the_names_of_files_are_refused(
    tiny_folder: Path, saved_folder: Path
) -> None:
    for path in (tiny_folder / "model.h5", saved_folder / "model.safetensors"):
        path.unlink()
        path.mkdir()
        assert str(path.parent) in refusal("borzoi", path.parent)


def test_a_missing_table_path_or_file_is_refused(tiny_folder: Path, saved_folder: Path) -> None:
    assert "absent.txt" in refusal("borzoi", tiny_folder, targets=tiny_folder / "absent.txt")
    assert "absent" in refusal("borzoi", tiny_folder / "absent")
    (saved_folder / "model.safetensors").unlink()
    assert "model.safetensors" in refusal("borzoi", saved_folder)
    (tiny_folder / "model.h5").unlink()
    assert ".h5" in refusal("borzoi", tiny_folder)
    (tiny_folder / "params.json").unlink()
    assert "params.json" in refusal("borzoi", tiny_folder)


def test_targets_names_the_track_table(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("identifier\n" + "".join(f"x{i}\n" for i in range(7)))
    model = load_model("borzoi", tiny_folder, targets=tmp_path / "mine.txt")
    assert [track.identifier for track in model.tracks] == [f"x{i}" for i in range(7)]


def test_a_head_without_a_table_is_loaded(tiny_folder: Path) -> None:
    (tiny_folder / "targets.txt").unlink()
    assert len(load_model("borzoi", tiny_folder).tracks) == 7


@pytest.mark.parametrize("rows", [0, 6, 8, 100])
def test_a_table_with_another_number_of_rows_is_refused(
    rows: int, tiny_folder: Path, saved_folder: Path
) -> None:
    table = "identifier\n" + "".join(f"id{row}\n" for row in range(rows))
    for folder in (tiny_folder, saved_folder):
        (folder / "targets.txt").write_text(table)
        assert str(rows) in refusal("borzoi", folder, "7")


def test_a_table_of_some_of_the_tracks_is_refused_with_advice(
    real_input: Callable[[str], Path],
) -> None:
    table = real_input("targets/borzoi_targets_gtex.txt")
    assert "file:" in refusal("borzoi", real_input("models/mini_borzoi"), "89", targets=table)


@pytest.mark.parametrize("species", ["mouse", "fly", ""])
def test_a_species_without_a_head_is_refused_with_the_species_of_the_file(
    species: str, tiny_folder: Path, saved_folder: Path
) -> None:
    for folder in (tiny_folder, saved_folder):
        assert "human" in refusal("borzoi", folder, species=species)


def test_an_unknown_architecture_is_refused_with_the_known_ones(tiny_folder: Path) -> None:
    with pytest.raises(SeqcovError, match="borzoi"):
        load_model("borzio", tiny_folder)


def test_a_savedmodel_is_refused_with_other_sources(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\n")
    (tmp_path / "variables").mkdir()
    assert "EleutherAI/enformer-official-rough" in refusal("enformer", tmp_path, "Sonnet")


@pytest.mark.parametrize("name", ["model.safetensors", "x.h5", "x.pt", "x.index"])
def test_a_pipe_is_refused_at_once(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / name)
    check_refusal(tmp_path / name, "not a file", capsys)
    check_refusal(Path("/dev/zero"), "not a file", capsys)
