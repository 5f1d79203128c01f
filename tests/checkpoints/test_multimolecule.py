"""The format of multimolecule: its channel for N, its config.json, its gamma tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from goldens.common import GOLDENS_FOLDER
from seqcov_models import load_model, save_model
from support.checkpoints import (
    GOLDENS,
    are_equal,
    check_prediction,
    edit_json,
    load_golden,
    refusal,
)

pytestmark = pytest.mark.usefixtures("no_hang")


MULTIMOLECULE = [name for name in GOLDENS if name.startswith("multimolecule")]


@pytest.mark.parametrize("name", MULTIMOLECULE)
def test_the_n_channel_is_kept_if_asked_for(
    name: str, goldens: Callable[[str], Path], tmp_path: Path
) -> None:
    model = load_golden(name, goldens(name), n_encoding="multimolecule")
    golden = np.load(GOLDENS_FOLDER / name / "golden.npz")
    check_prediction(model, name, "as_converted")
    assert np.abs(golden["as_converted"] - golden["coverage"]).max() > 1e-3  # and it matters
    save_model(model, tmp_path)
    assert are_equal(model, load_model(GOLDENS[name][0], tmp_path))


def test_an_n_channel_that_a_file_does_not_have_is_refused(goldens: Callable[[str], Path]) -> None:
    folder = goldens("enformer_pytorch")
    assert "multimolecule" in refusal("enformer", folder, n_encoding="multimolecule")
    assert "choose" in refusal("enformer", folder, n_encoding="nulls")


def test_gamma_tables_that_differ_between_layers_are_refused(
    copy_golden: Callable[[str], Path],
) -> None:
    folder = copy_golden("multimolecule_enformer_table")
    state = load_file(folder / "model.safetensors")
    state["model.encoder.layers.1.attention.gamma_position_basis"] += 1
    save_file(state, folder / "model.safetensors")
    refusal("enformer", folder, "should be equal")


@pytest.mark.parametrize(
    ("name", "values", "pattern"),
    [
        ("enformer_pytorch", {"depth": 3}, "depth: 3, but the weights have 2"),
        ("enformer_pytorch", {"heads": 3}, "heads: 3"),
        ("enformer_pytorch", {"output_heads": {"human": 6, "mouse": 3}}, "output_heads"),
        ("enformer_pytorch", {"target_length": 41}, "41"),
        ("enformer_pytorch", {"target_length": "40"}, "target_length"),
        ("borzoi_pytorch", {"dim": 24}, "dim: 24"),
        ("borzoi_pytorch", {"flashed": True}, "flashed"),
        ("borzoi_pytorch", {"bins_to_return": 20_000}, "bins_to_return"),
        ("multimolecule_basenji", {"num_labels": 6}, r"head.weight is \(5, 13\), not \(6, 13\)"),
        ("multimolecule_basenji", {"stem_channels": 7}, r"stem.blocks.0.conv.weight is \(6, 4, 15"),
        ("multimolecule_basenji", {"vocab_size": 4}, "vocab_size: 4 is not 5"),
        ("multimolecule_basenji", {"conv_tower_channels": [7, 9]}, "5 unexpected: .*conv_tower.2."),
        ("multimolecule_basenji", {"model_type": "bert"}, "bert"),
        ("multimolecule_basenji", {"blocks": {"num_blocks": 10**9}}, "num_blocks: .* to 1,000"),
        ("multimolecule_borzoi", {"num_hidden_layers": 3}, r"missing: .*layers\.2\.\* \(16\)"),
        ("multimolecule_borzoi", {"species": "mouse"}, "mouse"),
        ("multimolecule_borzoi", {"hidden_size": None}, "1536"),
        ("multimolecule_borzoi", {"conv_tower_channels": "abc"}, "conv_tower_channels"),
        ("multimolecule_enformer", {"batch_norm_eps": float("inf")}, "batch_norm_eps"),
        ("multimolecule_enformer", {"use_precomputed_gamma_basis": True}, "gamma_position_basis"),
        ("multimolecule_enformer", {"num_downsamples": 10**9}, "num_downsamples: .* to 1,000"),
        ("multimolecule_enformer_table", {"use_precomputed_gamma_basis": False}, "unexpected"),
        ("multimolecule_basenji", {"stem_channels": 10**400}, "stem_channels"),
        ("multimolecule_basenji", {"blocks": {"dilation_rate": 10**400}}, "dilation_rate"),
        ("multimolecule_borzoi", {"num_labels": 300_000_000}, "num_labels"),
        ("multimolecule_borzoi", {"conv_tower_channels": [10**400]}, "conv_tower_channels"),
        ("multimolecule_borzoi", {"head_hidden_size": 0}, "head_hidden_size"),
        ("multimolecule_borzoi", {"batch_norm_eps": 10**400}, "batch_norm_eps"),
        ("multimolecule_enformer", {"hidden_size": 10**400}, "hidden_size"),
        ("multimolecule_enformer", {"hidden_dropout": -(10**400)}, "hidden_dropout"),
        ("multimolecule_enformer_table", {"num_hidden_layers": 0}, "unexpected"),
        ("multimolecule_bpnet", {"id2label": {"0": "a\tb", "1": "b", "2": "c"}}, "tasks"),
        ("multimolecule_bpnet", {"id2label": {"0": "\ud800", "1": "b", "2": "c"}}, "tasks"),
        ("multimolecule_bpnet", {"num_tasks": 4}, "profile.3.weight"),
        ("multimolecule_bpnet", {"id2label": [1]}, "id2label"),
    ],
)
def test_a_config_json_that_does_not_fit_is_refused(
    name: str, values: dict[str, Any], pattern: str, copy_golden: Callable[[str], Path]
) -> None:
    folder = copy_golden(name)
    edit_json(folder / "config.json", **values)
    refusal(GOLDENS[name][0], folder, pattern)
