"""The demo: its files come from its scripts, and the network really learned the simulation."""

import importlib
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
from runs import REPOSITORY, every_base, snakemake

from seqcov_models import load_model

DEMO = REPOSITORY / "demo"
BIN, TRACKS = 32, 8
Array = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def simulate() -> ModuleType:
    sys.path.insert(0, str(DEMO))
    try:
        return importlib.import_module("simulate")
    finally:
        sys.path.remove(str(DEMO))


@pytest.fixture(scope="module")
def genome() -> dict[str, str]:
    records = (DEMO / "genome.fa").read_text().split(">")[1:]
    return {name: "".join(lines.split()) for name, _, lines in (r.partition("\n") for r in records)}


@pytest.fixture(scope="module")
def simulated(genome: dict[str, str]) -> dict[str, Array]:
    return {name: np.load(DEMO / "simulated" / f"{name}.npy").astype(np.float32) for name in genome}


@pytest.fixture(scope="module")
def stated() -> list[float]:
    """Pearson's r of each track as demo/README.md states it."""
    lines = (DEMO / "README.md").read_text().splitlines()
    return [float(line.split("|")[3]) for line in lines if line.startswith("| DEMO")]


def test_the_committed_files_are_what_the_script_writes(
    simulate: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulate.py", "--out", str(tmp_path)])
    simulate.main()
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert len(made) == 7
    for path in made:
        assert (tmp_path / path).read_bytes() == (DEMO / path).read_bytes(), path


def test_the_other_strand_has_the_same_tracks_mirrored(
    simulate: ModuleType, genome: dict[str, str]
) -> None:
    letters = genome["chrC"][: 60_000 // BIN * BIN]
    complement = str.maketrans("ACGTRYSWKMacgtryswkm", "TGCAYRSWMKtgcayrswmk")
    forward = simulate.simulate_tracks(letters)
    other = simulate.simulate_tracks(letters.translate(complement)[::-1])
    np.testing.assert_allclose(other[::-1, simulate.STRAND_PAIR], forward, rtol=1e-4, atol=1e-4)


def test_the_genome_holds_what_makes_genomes_hard(genome: dict[str, str]) -> None:
    window = load_model("borzoi", DEMO / "borzoi").geometry.window
    assert len(genome) >= 4
    assert any(BIN < len(letters) < window for letters in genome.values())
    assert any(len(letters) < BIN for letters in genome.values())
    assert all(len(letters) % BIN for letters in genome.values())
    everything = "".join(genome.values())
    assert "N" * 5_000 in everything.upper()  # a gap may be soft-masked
    assert set("acgt") < set(everything)
    assert set("RYSWKM") <= set(everything.upper())


def test_the_weights_are_small(genome: dict[str, str]) -> None:
    assert (DEMO / "borzoi" / "model.safetensors").stat().st_size < 2_000_000


def correlations(predicted: dict[str, Array], simulated: dict[str, Array]) -> Array:
    """Pearson's r of each track over all bins with a value."""
    ours = np.concatenate([predicted[name] for name in simulated])
    theirs = np.concatenate(list(simulated.values()))
    there = ~np.isnan(ours).any(1)
    return np.array([np.corrcoef(ours[there, at], theirs[there, at])[0, 1] for at in range(TRACKS)])


def test_predicted_and_simulated_coverage_agree_as_stated(
    genome: dict[str, str], simulated: dict[str, Array], stated: list[float], tmp_path: Path
) -> None:
    """`make run`'s own bigWigs against the simulation, on a genome the network never saw."""
    entry = {"architecture": "borzoi", "weights": str(DEMO / "borzoi")}
    config = {
        "genome": {"name": "demo", "fasta": str(DEMO / "genome.fa")},
        "models": {"borzoi": entry},
    }
    done = snakemake(tmp_path, config)
    assert done.returncode == 0, done.stderr
    model = load_model("borzoi", DEMO / "borzoi")
    files = [next(tmp_path.rglob(f"borzoi.{track.file_name}.bw")) for track in model.tracks]
    predicted = {
        name: np.stack([every_base(path, name, len(letters))[::BIN] for path in files], 1)
        for name, letters in genome.items()
    }
    assert all(
        len(values) == math.ceil(len(genome[name]) / BIN) for name, values in predicted.items()
    )
    found = correlations(predicted, simulated)
    assert len(stated) == TRACKS
    # the table is rounded to three digits, the simulation stored as float16 (3 digits)
    np.testing.assert_allclose(found, stated, atol=0.005)
    assert (found > 0.7).all(), "agreement can no longer be seen by eye"


def test_r_is_not_there_by_chance(simulated: dict[str, Array], genome: dict[str, str]) -> None:
    """A control: the simulation moved by 3 kb against itself agrees with nothing."""
    moved = {name: np.roll(values, 100, 0) for name, values in simulated.items()}
    known = {name: values for name, values in simulated.items() if len(values) > 1_000}
    # RNA covers kilobases: moved by 3 kb it still resembles itself a little
    assert (correlations(moved, known) < 0.55).all()
