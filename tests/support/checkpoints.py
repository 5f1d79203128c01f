"""Checkpoints of every published format, and what tests do with them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from goldens.common import GOLDENS_FOLDER, windows
from seqcov_models import SeqcovError, load_model
from seqcov_models.checkpoints.formats.enformer_pytorch import canonical
from seqcov_models.checkpoints.load import load_checkpoint
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.cli import main
from seqcov_models.networks.shared.base import CoverageModel

GOLDENS = {
    "multimolecule_basenji": ("basenji2", "multimolecule"),
    "multimolecule_enformer": ("enformer", "multimolecule"),
    "multimolecule_enformer_table": ("enformer", "multimolecule"),
    "multimolecule_borzoi": ("borzoi", "multimolecule"),
    "multimolecule_bpnet": ("bpnet", "multimolecule"),
    "enformer_pytorch": ("enformer", "enformer-pytorch"),
    "sonnet_enformer": ("enformer", "sonnet"),
    "borzoi_pytorch": ("borzoi", "borzoi-pytorch"),
    "flashzoi": ("borzoi", "borzoi-pytorch"),
    "bpnet_lite": ("bpnetlite", "bpnet-lite"),
    "bpnet_lite_controls": ("bpnetlite", "bpnet-lite"),
    "keras_basenji_2020": ("basenji2", "calico"),
    "keras_basenji_2022": ("basenji2", "calico"),
    "keras_borzoi_prime": ("borzoi", "calico"),
    "keras_borzoi_micro": ("borzoi", "calico"),
    "keras_bpnet": ("bpnet", "bpnet-keras"),
    "keras_bpnet_encode": ("bpnet", "bpnet-encode"),
    "keras_chrombpnet": ("chrombpnet", "chrombpnet-keras"),
    "keras_chrombpnet_lite": ("bpnet", "chrombpnet-lite"),
    "keras_chrombpnet_lite_bias": ("bpnet", "chrombpnet-lite"),
    "multimolecule_chrombpnet": ("chrombpnet", "multimolecule"),
    "multimolecule_procapnet": ("bpnetlite", "multimolecule"),
    "cherimoya": ("cherimoya", "cherimoya"),
    "cherimoya_stranded": ("cherimoya", "cherimoya"),
    "bpnet_lite_chrombpnet": ("chrombpnet", "chrombpnet-pytorch"),
}
"""Architecture and format of each golden."""
CONTAINERS = {
    "saved": ("enformer", "seqcov"),
    "calico_borzoi": ("borzoi", "calico"),
    "enformer_bin": ("enformer", "enformer-pytorch"),
    "enformer_older_bin": ("enformer", "enformer-pytorch"),
    "borzoi_bin": ("borzoi", "borzoi-pytorch"),
}
"""Architecture and format of other files with their weights, which tests write."""
AGREEMENT = 1e-5
"""Largest difference to the original prediction, as a fraction of its range."""


def load_golden(name: str, folder: Path, **options: Any) -> CoverageModel:
    """Load a golden, or what a test made of it."""
    architecture, form = {**GOLDENS, **CONTAINERS}[name]
    checkpoint = recognise(None, folder, **options)
    assert checkpoint.format == form
    if not name.startswith("sonnet"):
        return load_model(architecture, folder, **options)
    values = {**checkpoint.config.to_dict(), "target_length": 40}  # its files do not say the crop
    object.__setattr__(checkpoint, "config", type(checkpoint.config).from_dict(values))
    return load_checkpoint(checkpoint, checkpoint.tracks)


def are_equal(first: CoverageModel, second: CoverageModel) -> bool:
    """Return whether two models have the same weights, config and tracks."""
    weights, expected = first.state_dict(), second.state_dict()
    return (
        weights.keys() == expected.keys()
        and all(torch.equal(weights[name], expected[name]) for name in weights)
        and first.config == second.config
        and first.tracks == second.tracks
    )


def check_prediction(model: CoverageModel, name: str, kind: str = "coverage") -> None:
    """Compare a prediction with that of the project that wrote the golden."""
    golden = np.load(GOLDENS_FOLDER / name / "golden.npz")
    expected, step = golden[kind], int(golden["step"])
    predicted = model.predict(windows(int(golden["length"]), 1))[:, ::step]
    assert predicted.shape == expected.shape
    assert np.abs(predicted - expected).max() <= AGREEMENT * np.ptp(expected)


def refusal(
    architecture: str | None, path: Path | str, pattern: str | None = None, **options: Any
) -> str:
    """Load a checkpoint that must be refused; return the message, one line that has `pattern`."""
    with pytest.raises(SeqcovError, match=pattern) as error:  # noqa: PT012, either may raise
        checkpoint = recognise(architecture, path, **options)
        load_checkpoint(checkpoint, checkpoint.tracks)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 2_000
    return message


def check_refusal(path: Path, pattern: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Load and `describe` a checkpoint; both must be refused, with `pattern` in the message."""
    refusal(None, path, pattern)
    assert main(["describe", str(path)]) == 1
    assert re.search(pattern, capsys.readouterr().err)


def edit_json(path: Path, **values: Any) -> None:
    """Change values of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict in a file of torch.save."""
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state


def read_saved_state(folder: Path) -> dict[str, torch.Tensor]:
    """Return enformer-pytorch's state dict as it is saved: weights of the trunk under two names."""
    weights = load_file(folder / "model.safetensors")
    state = {canonical(name): value for name, value in weights.items()}
    numbers = {"stem": 1, "conv_tower": 2, "transformer": 4, "final_pointwise": 6}
    copies = {}
    for name, value in state.items():
        first, _, remainder = name.partition(".")
        if first in numbers:
            copies[f"_trunk.{numbers[first]}.{remainder}"] = value
    return {**state, **copies}
