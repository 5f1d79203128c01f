"""Several networks, folds and assays in one run; unique files, one hub, one table."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from seqcov_models import load_model, save_model
from seqcov_models.checkpoints.load import build
from seqcov_models.run.track_table import read_table
from support.fasta import write_fasta
from support.networks import TINY
from support.runs import bigwigs, every_base, snakemake

pytestmark = pytest.mark.workflow


@pytest.fixture
def letters() -> str:
    return "".join(np.random.default_rng(5).choice(list("ACGTacgtN"), 3_001))


def test_enformer_and_folds_of_basenji2_in_one_run(letters: str, tmp_path: Path) -> None:
    write_fasta(tmp_path / "g.fa", {"c": letters})
    for seed, (name, config) in enumerate([("b0", TINY[0]), ("b1", TINY[0]), ("e", TINY[1])]):
        torch.manual_seed(seed)
        save_model(build(config), tmp_path / name)
    models = {
        "basenji2": {"architecture": "basenji2", "weights": ["b0", "b1"], "tracks": [2, 0]},
        "enformer": {"architecture": "enformer", "weights": "e"},
    }
    run = {"genome": {"name": "g", "fasta": "g.fa"}, "models": models}
    process = snakemake(tmp_path, run)
    assert process.returncode == 0, process.stderr
    files = bigwigs(tmp_path)
    assert len(files) == 2 + 1 + 3 + 1
    rows = read_table(tmp_path / "results/g/tracks.tsv")
    assert {row["file"] for row in rows} == {
        str(path.relative_to(tmp_path / "results/g")) for path in files.values()
    }
    hub = (tmp_path / "results/g/hub.txt").read_text()
    assert all(row["file"] in hub for row in rows)
    cards = json.loads((tmp_path / "results/g/provenance.json").read_text())["models"]
    assert [len(cards[name]) for name in ("basenji2", "enformer")] == [2, 1]
    for name, architecture, folds in (
        ("basenji2", "basenji2", ["b0", "b1"]),
        ("enformer", "enformer", ["e"]),
    ):
        networks = [load_model(architecture, tmp_path / fold) for fold in folds]
        geometry = networks[0].geometry
        padded = "N" * geometry.context + letters + "N" * geometry.window
        for start in range(0, len(letters), geometry.core):
            window = padded[start : start + geometry.window]
            expected = np.mean([network.predict([window])[0] for network in networks], 0)
            for track in (0, 2):
                coverage = every_base(files[f"{name}.track_{track}.bw"], "c", len(letters))
                coverage = coverage[start : start + geometry.core : geometry.bin]
                has_value = ~np.isnan(coverage)
                np.testing.assert_allclose(
                    coverage[has_value], expected[: len(coverage), track][has_value], rtol=1e-5
                )
