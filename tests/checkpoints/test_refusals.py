"""Files that are refused although they hold weights, each with what to do about it."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from support.checkpoints import check_refusal

pytestmark = pytest.mark.usefixtures("no_hang")


def pickled_module(path: Path) -> Path:
    """Write what bpnet-lite's fit() writes: the module itself."""
    torch.save(torch.nn.Conv1d(4, 8, 21), path / "K562.torch")
    return path / "K562.torch"


def lightning_with_code(path: Path) -> Path:
    weights = {"model.iconv.weight": torch.ones(3)}
    torch.save(
        {"state_dict": weights, "hyper_parameters": {"x": torch.nn.ReLU()}}, path / "last.ckpt"
    )
    return path / "last.ckpt"


def saved_model(path: Path) -> Path:
    (path / "variables").mkdir()
    (path / "saved_model.pb").write_bytes(b"\n")
    return path


def saved_model_tar(path: Path) -> Path:
    """Write what lies beside each .h5 in ENCODE's archives."""
    tar = path / "model.chrombpnet_nobias.fold_0.ENCSR000EOT.tar"
    with tarfile.open(tar, "w") as archive:
        archive.addfile(tarfile.TarInfo("./chrombpnet_wo_bias/saved_model.pb"), io.BytesIO())
    return tar


def archive_of_folds(path: Path) -> Path:
    with tarfile.open(path / "ENCFF574YLK.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("./fold_0/model.h5"), io.BytesIO())
    return path / "ENCFF574YLK.tar.gz"


def keras_3(path: Path) -> Path:
    with zipfile.ZipFile(path / "chrombpnet.keras", "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, "{}")
    return path / "chrombpnet.keras"


def keras_3_weights(path: Path) -> Path:
    with h5py.File(path / "model.weights.h5", "w") as file:
        file["layers/conv1d/vars/0"] = np.ones((21, 4, 8), np.float32)
        file["layers/conv1d/vars/1"] = np.ones(8, np.float32)
    return path / "model.weights.h5"


@pytest.mark.parametrize(
    ("write", "pattern"),
    [
        (
            pickled_module,
            r"holds torch\.nn\.\S+\.Conv1d.*state_dict\(\), 'K562.state.pt'",
        ),
        (lightning_with_code, r"holds torch\.nn\.modules\.activation\.ReLU.*\['state_dict'\]"),
        (saved_model, r"SavedModel cannot be read\. Name the \.h5"),
        (saved_model_tar, r"a tar.*SavedModel in it cannot be read, but an \.h5 can"),
        (archive_of_folds, r"Name a file in a tar as ENCFF574YLK\.tar\.gz::FILE"),
        (keras_3, r"Keras 3.*\.save\('chrombpnet\.h5'\)"),
        (keras_3_weights, r"Keras 3.*model\.save\('model\.h5'\)"),
    ],
)
def test_the_message_says_what_to_do(
    write: Callable[[Path], Path],
    pattern: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_refusal(write(tmp_path), pattern, capsys)
