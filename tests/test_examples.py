"""The examples in docstrings that need no file."""

import doctest
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch


@pytest.mark.parametrize(
    "module", ["bigwig.writer", "genome.regions", "sequence", "tiling", "tracks.units"]
)
def test_examples_in_docstrings_are_true(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"np": np, "torch": torch}
    result = doctest.testmod(import_module(f"seqcov_models.{module}"), extraglobs=names)
    assert result.attempted > 0
    assert result.failed == 0
