"""Files that hold weights in a form that is refused, as projects write them."""

import io
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import torch


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


def grelu_borzoi(path: Path) -> Path:
    """Write what gReLU's LightningModel saves: Genentech/gReLU `model/trunks/borzoi.py`."""
    weights = {
        "model.embedding.conv_tower.blocks.0.conv.weight": torch.ones(512, 4, 15),
        "model.head.channel_transform.conv.layer.weight": torch.ones(8, 1920, 1),
    }
    torch.save(
        {"state_dict": weights, "hyper_parameters": {"model_params": {"n_tasks": 8}}},
        path / "human_fold0.ckpt",
    )
    return path / "human_fold0.ckpt"


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


def zip_of_models(path: Path) -> Path:
    """Write what Zenodo has of ChromBPNet."""
    with zipfile.ZipFile(path / "bias_models.zip", "w") as archive:
        archive.writestr("ATAC/K562/bias.h5", "")
    return path / "bias_models.zip"


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
