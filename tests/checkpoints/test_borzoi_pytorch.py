"""Fine-tuned Borzois of borzoi-pytorch: config.yaml of a training beside model.safetensors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from seqcov_models import Geometry, load_model
from seqcov_models.checkpoints.recognise import recognise
from support.checkpoints import refusal

pytestmark = pytest.mark.usefixtures("no_hang")

SETTINGS: dict[str, Any] = {
    "data": {"genome_fasta": "mm10/mm10.fa"},
    "model": {"name": "johahi/borzoi-replicate-0", "seq_len": 131_072, "pred_len": 49_152,
              "bin_size": 32, "num_output_tasks": None},
}  # fmt: skip
"""As tanaylab/sns_paper `borzoi/configs/borzoi_finetuned_rf/borzoi_finetuned_rf128k.yaml`."""


@pytest.fixture
def folder(copy_golden: Callable[[str], Path]) -> Path:
    """Return a Borzoi that was fine-tuned on two tracks of mouse; its human head is left over."""
    folder = copy_golden("borzoi_pytorch")
    (folder / "config.json").unlink()
    state = load_file(folder / "model.safetensors")
    state["mouse_head.weight"] = state["human_head.weight"][:2] * 2
    state["mouse_head.bias"] = state["human_head.bias"][:2] * 2
    save_file(state, folder / "model.safetensors")
    (folder / "config.yaml").write_text(yaml.safe_dump(SETTINGS))
    return folder


def write_settings(folder: Path, **model: Any) -> None:
    text = yaml.safe_dump({**SETTINGS, "model": {**SETTINGS["model"], **model}})
    (folder / "config.yaml").write_text(text)


def test_the_settings_of_the_training_give_window_and_crop(folder: Path) -> None:
    model: Any = load_model("borzoi", folder, species="mouse")
    assert model.geometry == Geometry(131_072, 32, 1_536, 1_280)
    assert model.config.position_length == 4_096  # as borzoi-pytorch has it for every window
    assert len(model.tracks) == 2
    assert torch.equal(model.head.bias, load_file(folder / "model.safetensors")["mouse_head.bias"])
    checkpoint = recognise("borzoi", folder / "model.safetensors", species="mouse")
    assert checkpoint.config == model.config
    assert folder / "config.yaml" in checkpoint.files


@pytest.mark.parametrize(
    ("length", "predicted", "geometry"),
    [
        (1_024, 1_024, Geometry(1_024, 32, 32, 0)),
        (524_288, 196_608, Geometry(524_288, 32, 6_144, 5_120)),
        (1_048_576, 196_608, Geometry(1_048_576, 32, 6_144, 13_312)),
    ],
)
def test_windows_from_1_kb_to_1_mb(
    length: int, predicted: int, geometry: Geometry, folder: Path
) -> None:
    write_settings(folder, seq_len=length, pred_len=predicted)
    config: Any = recognise("borzoi", folder, species="mouse").config
    assert config.geometry == geometry
    assert config.position_length == max(4_096, length // 128)


def test_the_head_that_was_not_trained_is_refused(folder: Path) -> None:
    refusal("borzoi", folder, "head for mouse was trained.*Set species: mouse")
    write_settings(folder, species="hg38")
    refusal("borzoi", folder, "head for human was trained", species="mouse")


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ({"seq_len": 1_000}, "sequence_length"),
        ({"seq_len": "long"}, "sequence_length"),
        ({"pred_len": 100}, "pred_len: 100 is not a multiple"),
        ({"pred_len": 49_152 - 32}, "pred_len: 49,120 bp are not in the middle"),
        ({"pred_len": None}, "pred_len"),
        ({"bin_size": 16}, "bin_size: 16"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    values: dict[str, Any], pattern: str, folder: Path
) -> None:
    write_settings(folder, **values)
    refusal("borzoi", folder, pattern, species="mouse")


def test_another_config_yaml_beside_weights_is_not_read(folder: Path) -> None:
    (folder / "config.yaml").write_text("genome: {fasta: hg38.fa}\nmodels: {}\n")
    assert recognise("borzoi", folder).config.geometry.window == 524_288
    (folder / "config.yaml").write_text("a: [")
    refusal("borzoi", folder, "not YAML")
