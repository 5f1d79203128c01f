"""The whole way on real input: the trained mini Borzoi on hg38, against its authors' outputs."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pybigtools
import pyBigWig
import pytest
import torch

from seqcov_models import load_model, predict_region, save_model
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.prediction.load import load_ensemble
from seqcov_models.run.track_table import read_table
from seqcov_models.sequence import encode
from seqcov_models.tracks.units import Untransform
from support.bigwig_walker import walk
from support.data import DATA
from support.runs import bigwigs, command, digests, every_base, snakemake

FASTA = DATA / "genomes" / "hg38_chr1_1Mb.fa.gz"
WEIGHTS = DATA / "models" / "mini_borzoi"
REFERENCE = DATA / "reference_outputs" / "mini_borzoi_hg38_chr1_1Mb.npz"
CORE, CONTEXT, BIN = 65_536, 32_768, 32

pytestmark = [pytest.mark.workflow, pytest.mark.usefixtures("real_data")]


def config(fasta: Path, **prediction: int) -> dict[str, Any]:
    return {
        "genome": {"name": "hg38", "fasta": str(fasta), "assembly": "hg38"},
        "models": {"mini": {"architecture": "borzoi", "weights": str(WEIGHTS)}},
        "prediction": prediction,
    }


@pytest.fixture(scope="module")
def sequence() -> str:
    lines = gzip.decompress(FASTA.read_bytes()).decode().splitlines()
    return "".join(line for line in lines if not line.startswith(">"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hg38")
    process = snakemake(folder, config(FASTA))
    assert process.returncode == 0, process.stderr
    return folder


def bins_of(path: Path, contig: str, length: int) -> npt.NDArray[np.float32]:
    return every_base(path, contig, length)[::BIN]


def list_bigwigs(folder: Path) -> list[Path]:
    """Return the bigWigs of a run in the order of the track table."""
    table = next(folder.glob("results/*/tracks.tsv"))
    rows = [line.split("\t") for line in table.read_text().splitlines()[1:]]
    rows = [row for row in rows if row[1] != "mask"]
    return [table.parent / row[4] for row in sorted(rows, key=lambda row: int(row[2]))]


def test_bigwigs_agree_with_the_authors_code_where_windows_coincide(
    sequence: str, tmp_path: Path
) -> None:
    """A contig cut so that its second window is a reference window, for each of the three."""
    reference = np.load(REFERENCE)
    padded = "N" * CONTEXT + sequence
    starts = reference["start"].tolist()
    with (tmp_path / "cut.fa").open("w") as fasta:
        for start in starts:
            fasta.write(f">from_{start}\n{padded[start : start + CONTEXT + 2 * CORE + CONTEXT]}\n")
    process = snakemake(tmp_path, config(tmp_path / "cut.fa"))
    assert process.returncode == 0, process.stderr
    files = list_bigwigs(tmp_path)
    assert len(files) == 74
    span = np.ptp(reference["pred"])
    compared = 0
    for number, start in enumerate(starts):
        core = (padded[start + CORE : start + 2 * CORE]).upper()
        gap = np.array([set(core[index : index + BIN]) == {"N"} for index in range(0, CORE, BIN)])
        for track, path in enumerate(files):
            values = bins_of(path, f"from_{start}", 2 * CORE + 2 * CONTEXT)[
                CORE // BIN : 2 * CORE // BIN
            ]
            expected_values = reference["pred"][number, :, track]
            assert np.isnan(values[gap]).all()
            assert np.abs(values[~gap] - expected_values[~gap]).max() <= 1e-5 * span
            compared += int((~gap).sum())
    assert compared > 0.75 * reference["pred"].size, "chr1 has a gap of 50 kb in the second window"


def test_every_bin_is_that_of_its_own_window(run: Path, sequence: str) -> None:
    """Windows cut out of the text and handed to predict(): no tiling, FASTA or chunk code."""
    model = load_model("borzoi", WEIGHTS)
    padded = "N" * CONTEXT + sequence + "N" * (CONTEXT + CORE)
    coverage = np.stack([bins_of(path, "chr1", len(sequence)) for path in list_bigwigs(run)], 1)
    for start in range(0, len(sequence), CORE):
        window = padded[start : start + CORE + 2 * CONTEXT]
        expected = model.predict([window])[0]
        values = coverage[start // BIN : (start + CORE) // BIN]
        has_value = ~np.isnan(values)
        assert np.abs(values - expected[: len(values)])[has_value].max(
            initial=0
        ) <= 1e-6 * np.nanmax(coverage)
        gap = [
            set(sequence[index : index + BIN]) == {"N"}
            for index in range(start, start + BIN * len(values), BIN)
        ]
        np.testing.assert_array_equal(~has_value, np.repeat(np.array(gap)[:, None], 74, 1))


def test_repeated_byte_for_byte_and_otherwise_to_rounding(run: Path, tmp_path: Path) -> None:
    rerun = tmp_path / "again"
    assert snakemake(rerun, config(FASTA)).returncode == 0
    assert digests(rerun) == digests(run)
    for cores, settings in ((1, {"windows_per_chunk": 3}), (2, {"batch_size": 4, "threads": 1})):
        folder = tmp_path / f"cores_{cores}"
        assert snakemake(folder, config(FASTA, **settings), cores=cores).returncode == 0
        for name, path in bigwigs(folder).items():
            first = bins_of(bigwigs(run)[name], "chr1", 1_000_000)
            second = bins_of(path, "chr1", 1_000_000)
            np.testing.assert_allclose(second, first, rtol=0, atol=1e-6 * 25)


def test_both_strands_average_the_authors_two_predictions(sequence: str) -> None:
    """The reference holds the prediction of each window and of its reverse complement."""
    reference = np.load(REFERENCE)
    checkpoint = recognise("borzoi", WEIGHTS)
    ensemble = load_ensemble([checkpoint], checkpoint.tracks, reverse_complement=True)
    pairs = [track.pair for track in checkpoint.tracks]
    assert sum(pair != row for row, pair in enumerate(pairs)) > 40, "few stranded tracks"
    span = np.ptp(reference["pred"])
    for number, (start, end) in enumerate(zip(reference["start"], reference["end"], strict=True)):
        minus = reference["pred_rc_input"][number, ::-1][:, pairs]
        expected = (reference["pred"][number] + minus) / 2
        with torch.inference_mode():
            values = ensemble.predict(encode(sequence[start:end])[None])[0]
        assert np.abs(values - expected).max() <= 1e-5 * span


def test_strand_pairs_are_known_without_a_table(tmp_path: Path) -> None:
    """The authors' file lists them; weights alone do not."""
    shutil.copy(WEIGHTS / "model.h5", tmp_path)
    shutil.copy(WEIGHTS / "params.json", tmp_path)
    expected = [track.pair for track in recognise("borzoi", WEIGHTS).tracks]
    assert [track.pair for track in recognise("borzoi", tmp_path).tracks] == expected
    save_model(load_model("borzoi", tmp_path), tmp_path / "ours")
    assert [track.pair for track in recognise("borzoi", tmp_path / "ours").tracks] == expected


def test_ensemble_raw_and_deviation_along_the_contig(sequence: str, tmp_path: Path) -> None:
    """One strand of a pair, averaged over strands and a shift, in raw units, with its deviation."""
    entry = {"architecture": "borzoi", "weights": str(WEIGHTS)}
    entry |= {"tracks": ["CNhs10752+", "ENCFF136DBS"], "scale": "raw", "reverse_complement": True}
    entry |= {"shifts": [0, 1], "standard_deviation": True}
    run = config(FASTA) | {"models": {"mini": entry}}
    run["genome"]["regions"] = ["chr1:600,001-700,000"]
    process = snakemake(tmp_path, run)
    assert process.returncode == 0, process.stderr
    files = bigwigs(tmp_path)
    assert len(files) == 5
    model, pairs = load_model("borzoi", WEIGHTS), [1, 25]
    untransform = Untransform([model.tracks[0], model.tracks[25]], "new")
    padded = "N" * CONTEXT + sequence + "N" * (CONTEXT + CORE)
    for start in (9 * CORE, 10 * CORE):
        members = []
        for shift in (0, 1):
            window = "N" * shift + padded[start : start + CORE + 2 * CONTEXT - shift]
            complement = window[::-1].translate(str.maketrans("ACGTacgt", "TGCAtgca"))
            members.append(model.predict([window])[0][:, [0, 25]])
            members.append(model.predict([complement])[0][::-1, pairs])
        expected = untransform(torch.from_numpy(np.mean(members, 0))).numpy()
        deviation = np.std(
            [untransform(torch.from_numpy(member.copy())).numpy() for member in members], 0
        )
        for column, name in enumerate(("mini.CNhs10752.plus", "mini.ENCFF136DBS")):
            for file, expected_values in ((f"{name}.bw", expected), (f"{name}.sd.bw", deviation)):
                values = bins_of(files[file], "chr1", len(sequence))
                values = values[start // BIN : (start + CORE) // BIN]
                has_value = ~np.isnan(values)
                assert has_value.any()
                expected_column = expected_values[:, column]
                # taking back squares values twice at most: relative errors grow fourfold
                assert (
                    np.abs(values - expected_column)[has_value].max()
                    <= 4e-5 * np.abs(expected).max()
                )
    folder = next(tmp_path.glob("results/*/tracks.tsv")).parent
    assert "sum over 32 bp, raw (new transform undone)" in (folder / "tracks.tsv").read_text()
    assert "raw (new transform undone)" in (folder / "hub.txt").read_text()
    (card,) = json.loads((folder / "provenance.json").read_text())["models"]["mini"]
    assert (card["scale"], card["transform"]) == ("raw", "new")


def test_blending_lowers_the_jump_at_seams(run: Path, tmp_path: Path) -> None:
    blended = config(FASTA) | {"prediction": {"overlap": 0.5, "blend": "taper"}}
    blended["genome"]["regions"] = ["chr1:250,001-1,000,000"]
    assert snakemake(tmp_path, blended).returncode == 0
    ratios = []
    for folder in (run, tmp_path):
        table = read_table(next(folder.glob("results/*/tracks.tsv")))
        jumps = [
            (float(row["seam_jump"]), float(row["other_jump"])) for row in table if row["index"]
        ]
        ratios.append(float(np.mean([seam / jump for seam, jump in jumps])))
    assert ratios[1] < ratios[0], ratios


def test_a_region_in_memory_equals_the_bigwigs(run: Path) -> None:
    model = load_model("borzoi", WEIGHTS)
    files = list_bigwigs(run)
    draw = np.random.default_rng(4)
    spans = [(0, 20_000), (980_000, 1_000_000), (999_999, 1_000_000)]
    spans += [(int(index), int(index) + 3_000) for index in draw.integers(300_000, 990_000, 3)]
    for start, end in spans:
        coverage = predict_region(model, FASTA, f"chr1:{start + 1}-{end}")
        assert (coverage.start, coverage.end) == (
            start // BIN * BIN,
            min(-(-end // BIN) * BIN, 1_000_000),
        )
        for track in (0, 30, 73):
            expected = every_base(files[track], "chr1", 1_000_000)[
                coverage.start : coverage.end : BIN
            ]
            np.testing.assert_allclose(coverage.values[:, track], expected, rtol=0, atol=25e-6)


def test_readers_agree_on_every_file(run: Path) -> None:
    files = bigwigs(run)
    assert len(files) == 74 + 1  # and the share of unknown bases
    for path in files.values():
        walk(path)
        with pyBigWig.open(str(path)) as first_reader, pybigtools.open(str(path)) as second_reader:
            assert first_reader.chroms() == second_reader.chroms() == {"chr1": 1_000_000}
            assert list(first_reader.intervals("chr1")) == list(second_reader.records("chr1"))
            assert first_reader.header()["nLevels"] > 0


def test_a_finished_run_starts_nothing(run: Path) -> None:
    process = subprocess.run(command("--dry-run"), cwd=run, capture_output=True, text=True)
    assert process.returncode == 0
    assert "Nothing to be done" in process.stderr + process.stdout
