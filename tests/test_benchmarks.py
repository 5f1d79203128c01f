"""The benchmarks run: a GPU or a quiet machine is rarely at hand when the library changes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.data import REPOSITORY

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def run(folder: Path, script: str, *arguments: str) -> str:
    """Run a script of benchmarks/ as its docstring says; return what it printed."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "benchmarks" / script), *arguments],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_measurement_of_a_gpu_runs_on_a_cpu(tmp_path: Path) -> None:
    networks = ["Enformer", "BPNet"]
    run(tmp_path, "gpu.py", "--device", "cpu", "--small", "--no-peers", "--networks", *networks)
    results = json.loads((tmp_path / "gpu.json").read_text())
    assert results["left out"] == []
    assert set(results["errors"]) == set(networks)
    for network in networks:
        assert results["errors"][network]["float32"]["largest"] < 1e-5
        assert results["errors"][network]["bfloat16"]["largest"] < 0.1
    assert {f"{name}/seqcov/{p}" for name in networks for p in ("float32", "bfloat16")} == set(
        results["speed"]
    )
    assert len(results["sweep"]) == 4  # 10 tracks and all of them, in two precisions
    assert all(sweep["windows per second"] > 0 for sweep in results["sweep"].values())
    assert results["end to end"]["bigWigs"] > 0


def test_the_rehearsal_runs(tmp_path: Path) -> None:
    output = run(tmp_path, "rehearsal.py", "run", "--bases", "2e6", "--tracks", "3")
    assert "| values in 4 bigWigs | 250,000 |" in output
    assert not (tmp_path / "run").exists()
