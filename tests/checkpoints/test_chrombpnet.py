"""ChromBPNet against its authors' own code, and in every form in which its weights are published.

The golden `keras_chrombpnet` holds the three files that chrombpnet 1.0.1 saved with TensorFlow, and
what it predicted from them (tests/goldens/make_chrombpnet.py).
"""

import argparse
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from goldens.common import GOLDENS_FOLDER, windows
from seqcov_models import SeqcovError, load_model
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.networks.chrombpnet.network import ChromBPNetForProfilePrediction
from seqcov_models.networks.shared.profiles import ProfileOutput
from seqcov_models.prediction.load import load_profile_ensemble
from seqcov_models.sequence import encode
from support.checkpoints import are_equal, refusal

pytestmark = pytest.mark.usefixtures("no_hang")

FILES = {
    "": "chrombpnet.h5",
    "nobias_": "chrombpnet_nobias.h5",
    "bias_": "bias_model_scaled.h5",
}
"""The authors' names of the files, by the golden's names of what each predicts."""
TASKS = {"": "chrombpnet", "nobias_": "chrombpnet_nobias", "bias_": "bias"}


@pytest.fixture
def folder(copy_golden: Callable[[str], Path]) -> Path:
    return copy_golden("keras_chrombpnet")


def predict(model: Any, letters: list[str]) -> ProfileOutput:
    codes = np.stack([encode(row) for row in letters])
    with torch.inference_mode():
        output: ProfileOutput = model(torch.from_numpy(codes))
    return output


@pytest.mark.parametrize("part", FILES)
def test_each_file_predicts_what_its_authors_code_predicted(
    part: str, goldens: Callable[[str], Path]
) -> None:
    golden = np.load(GOLDENS_FOLDER / "keras_chrombpnet/golden.npz")
    model = load_model("chrombpnet", goldens("keras_chrombpnet") / FILES[part])
    output = predict(model, windows(2_114, 1))
    logits, counts = golden[f"{part}logits"], golden[f"{part}counts"]
    predicted = output.profile_logits[:, :: int(golden["step"]), 0, 0].numpy()
    assert np.abs(predicted - logits).max() < 1e-4
    # the range of log counts: one window has one, so those of all three files
    span = np.ptp([golden[f"{name}counts"] for name in FILES])
    assert np.abs(output.count_logits.numpy().ravel() - counts.ravel()).max() < 1e-5 * span
    (track,) = model.tracks
    assert track.identifier == TASKS[part]
    expected = np.exp(output.profile_logits.numpy())
    expected *= np.exp(counts) / expected.sum()
    np.testing.assert_allclose(model.predict(windows(2_114, 1)), expected[:, :, 0], rtol=1e-4)


def test_the_golden_would_notice_counts_of_the_bias_over_the_wrong_positions(
    goldens: Callable[[str], Path],
) -> None:
    golden = np.load(GOLDENS_FOLDER / "keras_chrombpnet/golden.npz")
    model = load_model("chrombpnet", goldens("keras_chrombpnet") / FILES["bias_"])
    object.__setattr__(model.config, "valid_padding", False)  # 1,074 positions, not 2,034
    counts = predict(model, windows(2_114, 1)).count_logits.item()
    assert abs(counts - golden["bias_counts"].item()) > 1e-3


def rename_as_encode(folder: Path) -> Path:
    """Name the files of a fold as the ENCODE portal does, and put its other files beside them."""
    fold = folder.parent / "fold_0"
    fold.mkdir()
    names = {"": "chrombpnet", "nobias_": "chrombpnet_nobias", "bias_": "bias_scaled"}
    for part, name in names.items():
        shutil.copy(folder / FILES[part], fold / f"model.{name}.fold_0.ENCSR000EOT.h5")
        (fold / f"model.{name}.fold_0.ENCSR000EOT.tar").write_bytes(b"a SavedModel")
    (fold / "logs.txt").write_text("trained")
    return fold


def test_a_folder_is_the_full_model(folder: Path) -> None:
    full = load_model("chrombpnet", folder / "chrombpnet.h5")
    assert are_equal(load_model("chrombpnet", folder), full)
    assert are_equal(load_model("chrombpnet", rename_as_encode(folder)), full)
    (folder / "chrombpnet.h5").unlink()
    assert are_equal(load_model("chrombpnet", folder), full)
    (folder / "bias_model_scaled.h5").unlink()
    (folder / "chrombpnet_nobias.h5").rename(folder / "chrombpnet_wo_bias.h5")
    assert load_model("chrombpnet", folder).config.tasks == ("chrombpnet_nobias",)  # type: ignore[attr-defined]


def test_a_folder_with_two_files_of_one_kind_is_refused(folder: Path) -> None:
    shutil.copy(folder / "chrombpnet_nobias.h5", folder / "older.h5")
    assert "older.h5" in refusal("chrombpnet", folder, "name one of them")


def test_a_folder_of_folds_is_refused_with_the_folds(folder: Path) -> None:
    for number in range(2):
        shutil.copytree(folder, folder.parent / f"all/fold_{number}")
    assert "fold_0, fold_1" in refusal("chrombpnet", folder.parent / "all", "list")


def test_layers_that_keras_numbered_on_do_not_count(goldens: Callable[[str], Path]) -> None:
    """Keras numbers the Adds of one process: bpnet-lite takes the 11 of add_11 for a depth."""
    path = goldens("keras_chrombpnet") / "chrombpnet_nobias.h5"
    with h5py.File(path) as file:
        assert "add_11" in file["model_weights"]
    config: Any = load_model("chrombpnet", path).config
    assert (config.num_dilated_layers, config.bias_hidden_size) == (8, 0)


def test_optimizer_weights_and_a_damaged_lambda_make_no_difference(folder: Path) -> None:
    path = folder / "chrombpnet.h5"
    expected = load_model("chrombpnet", path)
    with h5py.File(path, "r+") as file:
        text = file.attrs["model_config"]
        assert "Lambda" in text
        file.attrs["model_config"] = text.replace("__lambda__", "__not_run__")
        file.create_group("optimizer_weights_2")["iterations"] = np.zeros(3)
    assert are_equal(load_model("chrombpnet", path), expected)


def test_a_file_without_model_config_has_the_published_window(folder: Path) -> None:
    path = folder / "bias_model_scaled.h5"
    expected = load_model("chrombpnet", path)
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
    assert are_equal(load_model("chrombpnet", path), expected)


def test_a_file_without_a_dilated_layer_is_refused(folder: Path) -> None:
    path = folder / "chrombpnet_nobias.h5"
    with h5py.File(path, "r+") as file:
        del file["model_weights/wo_bias_bpnet_3conv"]
    refusal("chrombpnet", path, r"missing: accessibility/3conv")


def test_a_fold_in_an_archive_of_encode_is_read_without_unpacking_the_others(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fold = rename_as_encode(folder)
    archive = tmp_path / "ENCFF574YLK.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for number in range(2):
            tar.add(fold, f"./fold_{number}")
    full = load_model("chrombpnet", f"{archive}::fold_1")
    assert are_equal(full, load_model("chrombpnet", folder / "chrombpnet.h5"))
    name = "fold_0/model.chrombpnet_nobias.fold_0.ENCSR000EOT.h5"
    nobias = load_model("chrombpnet", f"{archive}::{name}")
    assert are_equal(nobias, load_model("chrombpnet", folder / "chrombpnet_nobias.h5"))
    unpacked = [path for path in (tmp_path / "cache").rglob("*.h5") if path.is_file()]
    assert len(unpacked) == 3 + 1


# State dicts


def test_every_spelling_of_a_state_dict_is_one_network(
    goldens: Callable[[str], Path], tmp_path: Path
) -> None:
    expected = load_model("chrombpnet", goldens("bpnet_lite_chrombpnet"))
    state = torch.load(goldens("bpnet_lite_chrombpnet") / "model.torch", weights_only=True)
    names = {name: name.replace("accessibility.", "chrombpnet_wo_bias.") for name in state}
    torch.save({new: state[old] for old, new in names.items()}, tmp_path / "model.pt")
    lightning = {
        "epoch": 3,
        "state_dict": {f"model.{new}": state[old] for old, new in names.items()},
        "hyper_parameters": {"args": argparse.Namespace(alpha=1.0)},
    }
    torch.save(lightning, tmp_path / "model.ckpt")
    for name in ("model.pt", "model.ckpt"):
        assert are_equal(load_model("chrombpnet", tmp_path / name), expected)


def test_a_single_network_of_a_state_dict_is_a_chrombpnet_if_asked_for(
    goldens: Callable[[str], Path], folder: Path, tmp_path: Path
) -> None:
    """chrombpnet-pytorch saves the bias model so; its counts average over all 2,034 positions."""
    keras = load_model("chrombpnet", folder / "bias_model_scaled.h5")
    names = {"model.stem.conv": "iconv", "model.trunk.convs": "rconvs", "profile": "fconv"}
    names["counts"] = "linear"
    state = {}
    for name, value in keras.state_dict().items():
        prefix = next(prefix for prefix in names if name.startswith(prefix))
        state[name.replace(prefix, names[prefix], 1)] = value
    torch.save(state, tmp_path / "bias.pt")
    model = load_model("chrombpnet", tmp_path / "bias.pt")
    assert isinstance(model, ChromBPNetForProfilePrediction)
    letters = windows(2_114, 1)
    np.testing.assert_array_equal(model.predict(letters), keras.predict(letters))
    assert load_model("bpnetlite", tmp_path / "bias.pt").geometry.window == 1_154


def test_procapnet_is_the_same_under_both_names(
    goldens: Callable[[str], Path], tmp_path: Path
) -> None:
    """Joint strands, 8 layers: a state dict with bpnet-lite's names."""
    converted = load_model("bpnetlite", goldens("multimolecule_procapnet"))
    names = {"model.stem.conv": "iconv", "model.trunk.convs": "rconvs", "profile": "fconv"}
    names["counts"] = "linear"
    state = {}
    for name, value in converted.state_dict().items():
        prefix = next(prefix for prefix in names if name.startswith(prefix))
        state[name.replace(prefix, names[prefix], 1)] = value
    torch.save(state, tmp_path / "procapnet.state_dict.torch")
    letters = windows(2_114, 1)
    expected = converted.predict(letters)
    for architecture in ("bpnetlite", "chrombpnet"):
        model = load_model(architecture, tmp_path / "procapnet.state_dict.torch")
        np.testing.assert_allclose(model.predict(letters), expected, rtol=1e-5)


# Both strands, folds


def test_both_strands_flip_positions_only(folder: Path) -> None:
    checkpoint = recognise("chrombpnet", folder)
    model = load_model("chrombpnet", folder)
    letters = windows(2_114, 1)
    reverse = [letters[0].upper().translate(str.maketrans("ACGTR", "TGCAN"))[::-1]]
    forward, backward = predict(model, letters), predict(model, reverse)
    shares = (forward.profile_logits.softmax(1) + backward.profile_logits.softmax(1).flip(1)) / 2
    counts = (forward.count_logits + backward.count_logits) / 2
    ensemble = load_profile_ensemble([checkpoint], checkpoint.tracks, reverse_complement=True)
    expected = (shares * counts.exp()[:, None]).flatten(2).numpy()
    np.testing.assert_allclose(ensemble.predict(letters), expected, rtol=1e-5)


def test_folds_are_averaged_as_shares_and_log_counts(folder: Path) -> None:
    other = folder.parent / "fold_1"
    shutil.copytree(folder, other)
    (other / "chrombpnet.h5").unlink()
    with h5py.File(other / "chrombpnet_nobias.h5", "r+") as file:
        name = "model_weights/{0}/{0}/kernel:0".format("wo_bias_bpnet_prof_out_precrop")
        file[name][...] = file[name][()] * 0.5
    folds = [recognise("chrombpnet", path) for path in (folder, other)]
    letters = windows(2_114, 1)
    outputs = [predict(load_model("chrombpnet", path), letters) for path in (folder, other)]
    shares = sum(output.profile_logits.softmax(1) for output in outputs) / 2
    counts = sum(output.count_logits for output in outputs) / 2
    expected = (shares * counts.exp()[:, None]).flatten(2).numpy()
    ensemble = load_profile_ensemble(folds, folds[0].tracks)
    np.testing.assert_allclose(ensemble.predict(letters), expected, rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_prepared_network_agrees_up_to_its_precision(precision: str, folder: Path) -> None:
    checkpoint = recognise("chrombpnet", folder)
    ensemble = load_profile_ensemble([checkpoint], checkpoint.tracks)
    codes = np.stack([encode(row) for row in windows(2_114, 1)])
    with torch.inference_mode():
        shares, counts = ensemble.average(codes)
        prepared_shares, prepared_counts = ensemble.average(codes, precision=precision)
    limit = 1e-6 if precision == "float32" else 0.05
    assert (shares - prepared_shares).abs().max() < limit * shares.max()
    assert (counts - prepared_counts).abs().max() < limit


def test_another_architecture_is_refused(folder: Path) -> None:
    with pytest.raises(SeqcovError, match="'chrombpnet', asked for is 'bpnetlite'"):
        load_model("bpnetlite", folder / "chrombpnet_nobias.h5")
