"""The config of a small run, for the tests of planning, and stand-ins for programs."""

import stat
from pathlib import Path

import pytest

from support.plans import GENOME, Config, complete, write_genome, write_weights
from support.programs import Program


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A run of one model of coverage, with all defaults."""
    return complete(
        {
            "output": str(tmp_path / "results"),
            "genome": {"name": "tiny", "fasta": str(write_genome(tmp_path / "genome.fa", GENOME))},
            "models": {
                "borzoi": {
                    "architecture": "borzoi",
                    "weights": str(write_weights(tmp_path / "weights")),
                }
            },
            "prediction": {"windows_per_chunk": 4, "device": "cpu"},
            "bigwig": {"tracks_per_job": 3},
        }
    )


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return a function that installs a shell script as one of Slurm's programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def install(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(stat.S_IRWXU)

    return install
