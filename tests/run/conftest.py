"""The config of a small run, for the tests of planning."""

from pathlib import Path

import pytest

from support.plans import GENOME, Config, complete, write_genome, write_weights


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
