"""The examples in docstrings that need no other files than the demo."""

import doctest
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from support.data import REPOSITORY

MODULES = ["", ".bigwig.writer", ".genome.regions", ".sequence", ".tiling", ".tracks.units"]


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_are_true(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").symlink_to(REPOSITORY / "demo")
    monkeypatch.chdir(tmp_path)
    names = {"np": np, "torch": torch}
    result = doctest.testmod(import_module(f"seqcov_models{module}"), extraglobs=names)
    assert result.attempted > 0
    assert result.failed == 0
