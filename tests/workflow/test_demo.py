"""The demo: its files come from its scripts, and the network really learned the simulation."""

import csv
import gzip
import importlib
import math
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pyBigWig
import pytest

from seqcov_models import load_model
from seqcov_models.run.track_table import read_table
from seqcov_models.tracks.table import read_tracks
from support.data import REPOSITORY
from support.hub_rules import check_hub
from support.runs import every_base

DEMO = REPOSITORY / "demo"
TABLE = DEMO / "simulated/targets.txt"
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
    files = [DEMO / "simulated" / f"{t.identifier}.bw" for t in read_tracks(TABLE)]
    return {
        name: np.stack([every_base(file, name, len(letters))[::BIN] for file in files], 1)
        for name, letters in genome.items()
    }


@pytest.fixture(scope="module")
def stated_correlations() -> list[float]:
    """Return Pearson's r of each track as demo/README.md states it."""
    lines = (DEMO / "README.md").read_text().splitlines()
    return [float(line.split("|")[3]) for line in lines if line.startswith("| DEMO")]


@pytest.fixture(scope="module")
def binding(simulate: ModuleType, genome: dict[str, str]) -> dict[str, Array]:
    """Return the expected reads of each contig, (bases, tracks), computed from its letters."""
    return {
        name: simulate.simulate_binding(letters).reshape(len(letters), -1)
        for name, letters in genome.items()
    }


@pytest.fixture(scope="module")
def run(demo_run: Path) -> Path:
    """Return the results of config.yaml."""
    return demo_run / "results" / "demo"


def test_a_run_ends_with_a_summary(run: Path) -> None:
    files = len([file for file in run.rglob("*.bw") if file.parent.name != "observed"])
    summary, advice = (run.parents[1] / "printed.txt").read_text().splitlines()[-2:]
    assert re.fullmatch(
        rf"results/demo: {files} bigWigs, [\d.]+ MB, in (\d+ min )?\d+ s,"
        r" 478 windows \([\d.]+ per second\)",
        summary,
    )
    assert advice.startswith(
        "Look at them: seqcov serve results/demo, open results/demo/report.html, "
    )


@pytest.mark.workflow
def test_the_hub_follows_every_rule_and_its_files_exist(run: Path) -> None:
    hub = check_hub((run / "hub.txt").read_text(), lambda path: (run / path).read_text())
    assert all((run / file).is_file() for file in hub.files)
    assert (run / hub.genome["twoBitPath"]).is_file()
    with pyBigWig.open(str(run / hub.tracks["bpnet_peaks"]["bigDataUrl"])) as peaks:
        entries = peaks.entries("chrA", 0, peaks.chroms("chrA"))
    scores = [int(entry[2].split("\t")[1]) for entry in entries]
    lines = (run / "bpnet/bpnet.peaks.narrowPeak").read_text().splitlines()
    assert len(scores) == sum(line.startswith("chrA\t") for line in lines)
    assert 200 <= min(scores) < max(scores) <= 1000
    session = (run / "igv_session.xml").read_text()
    assert str(run.resolve()) not in session
    assert 'path="bpnet/bpnet.peaks.bb"' in session


def test_the_committed_files_are_what_the_script_writes(
    simulate: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulate.py", "--out", str(tmp_path)])
    simulate.main()
    paths = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert len(paths) == 3 + 8 + 2 + 4
    bigwigs = {path for path in paths if path.suffix == ".bw"}
    for path in bigwigs:  # the bytes depend on the version of libdeflate
        with pyBigWig.open(str(tmp_path / path)) as new, pyBigWig.open(str(DEMO / path)) as old:
            assert new.chroms() == old.chroms()
            assert all(new.intervals(name) == old.intervals(name) for name in new.chroms()), path
    for path in paths - bigwigs:
        assert (tmp_path / path).read_bytes() == (DEMO / path).read_bytes(), path


def test_the_other_strand_has_the_same_tracks_mirrored(
    simulate: ModuleType, genome: dict[str, str]
) -> None:
    letters = genome["chrC"][: 60_000 // BIN * BIN]
    complement = str.maketrans("ACGTRYSWKMacgtryswkm", "TGCAYRSWMKtgcayrswmk")
    plus = simulate.simulate_tracks(letters)
    minus = simulate.simulate_tracks(letters.translate(complement)[::-1])
    np.testing.assert_allclose(minus[::-1, simulate.STRAND_PAIR], plus, rtol=1e-4, atol=1e-4)


def test_the_genome_holds_what_makes_genomes_hard(genome: dict[str, str]) -> None:
    window = load_model("borzoi", DEMO / "borzoi").geometry.window
    assert len(genome) >= 4
    assert any(BIN < len(letters) < window for letters in genome.values())
    assert any(len(letters) < BIN for letters in genome.values())
    assert all(len(letters) % BIN for letters in genome.values())
    text = "".join(genome.values())
    assert "N" * 5_000 in text.upper()  # a gap may be soft-masked
    assert set("acgt") < set(text)
    assert set("RYSWKM") <= set(text.upper())


def test_the_weights_are_small(genome: dict[str, str]) -> None:
    assert (DEMO / "borzoi" / "model.safetensors").stat().st_size < 2_000_000
    assert (DEMO / "bpnet" / "model.safetensors").stat().st_size < 200_000


def correlations(predicted: dict[str, Array], simulated: dict[str, Array]) -> Array:
    """Compute Pearson's r of each track over all bins with a value."""
    values = np.concatenate([predicted[name] for name in simulated])
    expected = np.concatenate(list(simulated.values()))
    has_value = ~np.isnan(values).any(1)
    return np.array(
        [
            np.corrcoef(values[has_value, index], expected[has_value, index])[0, 1]
            for index in range(TRACKS)
        ]
    )


@pytest.mark.workflow
def test_predicted_and_simulated_coverage_agree_as_stated(
    genome: dict[str, str], simulated: dict[str, Array], stated_correlations: list[float], run: Path
) -> None:
    """`make run`'s own bigWigs against the simulation, on a genome that the network never saw."""
    model = load_model("borzoi", DEMO / "borzoi")
    files = [next(run.rglob(f"borzoi.{track.file_name}.bw")) for track in model.tracks]
    predicted = {
        name: np.stack([every_base(path, name, len(letters))[::BIN] for path in files], 1)
        for name, letters in genome.items()
    }
    assert all(
        len(values) == math.ceil(len(genome[name]) / BIN) for name, values in predicted.items()
    )
    correlation = correlations(predicted, simulated)
    assert len(stated_correlations) == TRACKS
    # the table is rounded to three digits, the simulation stored as float16 (3 digits)
    np.testing.assert_allclose(correlation, stated_correlations, atol=0.005)
    assert (correlation > 0.8).all(), "agreement can no longer be seen by eye"


@pytest.mark.workflow
def test_agreement_with_measured_bigwigs_is_the_stated_one(
    genome: dict[str, str], stated_correlations: list[float], binding: dict[str, Array], run: Path
) -> None:
    """`observed:` gives demo/README.md's table; sets of bins against numpy on the arrays."""
    table = read_table(run / "agreement.tsv")
    rows = {(row["track"], row["where"], row["name"]): row for row in table}
    tracks = read_tracks(DEMO / "borzoi/targets.txt")
    found = [float(rows[track.identifier, "genome", ""]["pearson"]) for track in tracks]
    np.testing.assert_allclose(found, stated_correlations, atol=0.0006)
    sets = {(row["where"], row["name"]) for row in table if row["model"] == "borzoi"}
    assert sets == {
        ("genome", ""), ("peaks", ""), ("fold", "fold0"), ("fold", "fold1"),
        *(("contig", name) for name in genome),
    }  # fmt: skip

    x = {
        name: every_base(run / "bpnet/bpnet.CTCF.plus.bw", name, len(t))
        for name, t in genome.items()
    }
    both = [(x[name], binding[name][:, 0]) for name in genome]
    for key, pairs in (("genome", ""), both), (("contig", "chrB"), [both[1]]):
        predicted, measured = map(np.concatenate, zip(*pairs, strict=True))
        has_value = ~np.isnan(predicted)
        row = rows["CTCF+", *key]
        assert int(row["bins"]) == has_value.sum()
        for column, scale in (("pearson", np.asarray), ("pearson_log1p", np.log1p)):
            expected = np.corrcoef(scale(predicted[has_value]), scale(measured[has_value]))[0, 1]
            assert float(row[column]) == pytest.approx(expected, abs=1e-5)


def test_the_correlation_is_not_by_chance(
    simulated: dict[str, Array], genome: dict[str, str]
) -> None:
    """A control: the simulation moved by 3 kb against itself agrees with nothing."""
    shifted = {name: np.roll(values, 100, 0) for name, values in simulated.items()}
    references = {name: values for name, values in simulated.items() if len(values) > 1_000}
    # RNA covers kilobases: moved by 3 kb it still resembles itself a little
    assert (correlations(shifted, references) < 0.55).all()


def test_the_other_strand_binds_the_same_mirrored(
    simulate: ModuleType, genome: dict[str, str]
) -> None:
    letters = genome["chrC"][:60_000]
    complement = str.maketrans("ACGTRYSWKMacgtryswkm", "TGCAYRSWMKtgcayrswmk")
    plus = simulate.simulate_binding(letters)
    minus = simulate.simulate_binding(letters.translate(complement)[::-1])
    np.testing.assert_allclose(minus[::-1, :, ::-1], plus, rtol=1e-4, atol=1e-4)


@pytest.mark.workflow
def test_predicted_and_simulated_binding_agree_as_stated(
    genome: dict[str, str], binding: dict[str, Array], run: Path
) -> None:
    """Window by window as the table in demo/README.md says, and base by base in the bigWigs."""
    tracks = [f"{task}{sign}" for task in ("CTCF", "GATA", "AP-1", "Sp1") for sign in "+-"]
    lines = [line.split("|") for line in (DEMO / "README.md").read_text().splitlines()]
    stated_correlations = {cells[1].strip(): cells[2] for cells in lines if len(cells) == 4}
    model = load_model("bpnet", DEMO / "bpnet")
    padded = {name: "N" * 500 + letters + "N" * 500 for name, letters in genome.items()}
    predicted, expected = [], []
    for path in sorted((DEMO / "peaks").iterdir()):
        for cells in (line.split("\t") for line in path.read_text().splitlines()):
            contig, summit = cells[0], int(cells[1]) + int(cells[9])
            predicted.append(model.predict([padded[contig][summit : summit + 1_000]])[0])
            reads = np.pad(binding[contig], ((500, 500), (0, 0)))
            expected.append(reads[summit : summit + 1_000])
    p, e = np.concatenate(predicted), np.concatenate(expected)
    for index, track in enumerate(tracks):
        correlation = np.corrcoef(p[:, index], e[:, index])[0, 1]
        assert correlation == pytest.approx(float(stated_correlations[track]), abs=0.002)

    for index, track in enumerate(tracks):
        path = run / "bpnet" / f"bpnet.{track[:-1]}.{'plus' if track[-1] == '+' else 'minus'}.bw"
        values = np.concatenate(
            [every_base(path, name, len(text)) for name, text in genome.items()]
        )
        expected_values = np.concatenate([reads[:, index] for reads in binding.values()])
        has_value = ~np.isnan(values)
        assert has_value.sum() > 100_000
        assert np.corrcoef(values[has_value], expected_values[has_value])[0, 1] > 0.85
        is_base = [letter in "ACGTacgt" for text in genome.values() for letter in text]
        assert np.array(is_base)[has_value].all(), "no value at an unknown base"


@pytest.mark.workflow
def test_profiles_have_their_summits_where_the_factor_covers_its_motif(
    simulate: ModuleType, binding: dict[str, Array], run: Path
) -> None:
    """The table's places where a profile is highest, against those of the simulated reads."""
    with gzip.open(run / "bpnet" / "peaks.tsv.gz", "rt") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    hits = total = 0
    for row in rows:
        task = ["CTCF", "GATA", "AP-1", "Sp1"].index(row["set"])
        start = int(row["summit"]) - 500
        for strand, sign in enumerate(("plus", "minus")):
            reads = binding[row["contig"]][max(start, 0) : start + 1_000, 2 * task + strand]
            maximum = max(start, 0) + int(reads.argmax())
            hits += abs(maximum - int(row[f"{row['set']}.{sign}.maximum"])) <= 2
            total += 1
    assert total == 2 * len(rows) > 800
    assert hits > 0.8 * total
