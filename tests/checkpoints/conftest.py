"""Checkpoints that several files of this room use, each fresh for the test that changes it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seqcov_models import load_model, save_model
from seqcov_models.networks.shared.base import TokenPredictionModel
from support.calico import Tiny, Weights, write_calico


@pytest.fixture(scope="session")
def tiny_model(
    tmp_path_factory: pytest.TempPathFactory, tiny_weights: Weights
) -> TokenPredictionModel:
    """Return a tiny Borzoi from calico's files; no test may change it."""
    return load_model("borzoi", write_calico(tmp_path_factory.mktemp("tiny"), Tiny(), tiny_weights))


@pytest.fixture
def saved_folder(tmp_path: Path, tiny_model: TokenPredictionModel) -> Path:
    """Return a fresh checkpoint in this package's format that a test may damage."""
    save_model(tiny_model, tmp_path / "saved")
    return tmp_path / "saved"


@pytest.fixture
def state_file(copy_golden: Callable[[str], Path]) -> Path:
    """Return the file of a folder with an Enformer's state dict, which a test may damage."""
    folder = copy_golden("enformer_pytorch")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder / "pytorch_model.bin"
