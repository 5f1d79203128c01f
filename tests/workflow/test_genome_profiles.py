"""Profiles along a genome as a user makes them: whole runs of the workflow without peaks."""

import csv
import gzip
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from seqcov_models import BPNetConfig, save_model
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.prediction.coverage import predict_segment
from seqcov_models.prediction.ensemble import ProfileEnsemble
from seqcov_models.run.track_table import read_table
from seqcov_models.tiling import Tiling, select_bins, tile
from support.fasta import write_fasta
from support.profiles import (
    BPNET,
    BPNET_LITE,
    CHERIMOYA,
    CHROMBPNET,
    LETTERS,
    UNSTRANDED,
    assert_close,
    network,
)
from support.runs import bigwigs, digests, every_base, snakemake, start, wait_for

pytestmark = pytest.mark.workflow

OPEN = [(0, 3), (430, 505), (515, 700), (690, 800), (1_234, 1_235), (1_990, 2_000)]
"""Accessible stretches of chrI: at its ends, beside what is left out, overlapping, of one base."""
REGIONS = {
    "chrom": [*(("chrI", *stretch) for stretch in OPEN), ("chrII", 0, 100)],
    "norm": [("chrII", 0, 300)],
}
"""What two models predict of the genome."""
Values = npt.NDArray[np.float32]


def write_model(folder: Path, config: BPNetConfig, **entry: Any) -> dict[str, Any]:
    """Write two folds; return a model of a config."""
    for seed in (1, 2):
        save_model(network(config, seed), folder / f"{config.hidden_size}fold{seed}")
    weights = [f"{config.hidden_size}fold{seed}" for seed in (1, 2)]
    return {"architecture": config.ARCHITECTURE, "weights": weights, **entry}


def predict_windows(
    folder: Path, config: BPNetConfig, step: int, both_strands: bool
) -> dict[str, Values]:
    """Predict all windows one by one; return (bases, tracks) by contig."""
    genome = Genome(open_fasta(folder / "g.fa", folder))
    ensemble = ProfileEnsemble([network(config, seed) for seed in (1, 2)], both_strands)
    tiling = Tiling(config.geometry, step, "mean")
    return {
        segment.contig: np.concatenate(
            [values for _, values, _ in predict_segment(ensemble, tiling, genome, segment, 8)]
        )
        for segment in tile(genome.contigs, tiling, select_bins(genome.contigs, 1, None, []))
    }


def test_each_base_has_the_mean_of_its_windows(tmp_path: Path) -> None:
    """BPNET has same padding, CHERIMOYA normalises: their windows are predicted one by one.

    Two models name regions of their own: a BED file of accessible stretches, and a contig.
    """
    write_fasta(tmp_path / "g.fa", LETTERS)
    (tmp_path / "open.bed").write_text("".join(f"chrI\t{a}\t{b}\n" for a, b in OPEN))
    lite = write_model(tmp_path, BPNET_LITE, peaks="genome", reverse_complement=True)
    high = {"high": {"model": "lite", "track": "signal+", "number": 5}}
    process = snakemake(
        tmp_path,
        {
            "genome": {
                "name": "g",
                "fasta": "g.fa",
                "exclude": ["chrI:501-520"],
                "contig_aliases": {"2": "chrII"},
            },
            "models": {
                "lite": lite,
                "same": write_model(tmp_path, BPNET, stride=7, tracks=["two-"]),
                "chrom": write_model(
                    tmp_path,
                    CHROMBPNET,
                    stride=11,
                    reverse_complement=True,
                    regions=["open.bed", "2:1-100"],
                ),
                "norm": write_model(tmp_path, CHERIMOYA, stride=13, regions=["chrII"]),
                "at_peaks": write_model(tmp_path, UNSTRANDED, peaks=high),
            },
            "prediction": {"windows_per_chunk": 150},
        },
    )
    assert process.returncode == 0, process.stderr
    table = {row["file"]: row for row in read_table(tmp_path / "results/g/tracks.tsv")}
    cases = [("lite", BPNET_LITE, 11, {"signal.plus": 0, "signal.minus": 1}),
             ("same", BPNET, 7, {"two.minus": 3}), ("chrom", CHROMBPNET, 11, {"chrombpnet": 0}),
             ("norm", CHERIMOYA, 13, {"signal": 0})]  # fmt: skip
    hub = (tmp_path / "results/g/hub.txt").read_text()
    for model, config, step, names in cases:
        written = bigwigs(tmp_path / "results/g" / model)
        assert set(written) == {f"{model}.{name}.bw" for name in (*names, "unknown")}
        expected = predict_windows(tmp_path, config, step, both_strands=model in ("lite", "chrom"))
        expected["chrI"][500:520] = np.nan
        if model in REGIONS:
            outside = {contig: np.ones(len(values), bool) for contig, values in expected.items()}
            for contig, start, end in REGIONS[model]:
                outside[contig][start:end] = False
            for contig, values in expected.items():
                values[outside[contig]] = np.nan
        for name, column in names.items():
            file = f"{model}/tracks/tracks/{model}.{name}.bw"
            assert table[file]["bin"] == "1"
            assert table[file]["unit"] == (
                f"reads per base (exp of the predicted log counts; mean of windows every {step} bp)"
            )
            assert file in hub
            for contig, letters in LETTERS.items():
                values = every_base(tmp_path / "results/g" / file, contig, len(letters))
                assert_close(values, expected[contig][:, column])
        if model == "lite":
            bases = expected["chrI"][:, 0]
    with gzip.open(tmp_path / "results/g/at_peaks/peaks.tsv.gz", "rt") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    assert len(rows) == 5, "peaks of a profile along the genome"
    assert int(np.nanargmax(bases)) in {int(row["summit"]) for row in rows}


def test_killed_and_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """With another number of windows per job, too: a value depends on its place alone."""
    rng = np.random.default_rng(1)
    write_fasta(tmp_path / "g.fa", {"c": "".join(rng.choice(list("ACGT"), 1_500_000))})
    config = {
        "genome": {"name": "g", "fasta": "g.fa"},
        "models": {"m": write_model(tmp_path, BPNET_LITE, stride=13)},
        "prediction": {"windows_per_chunk": 10**6, "threads": 1},
    }
    running = start(tmp_path, config)
    part = wait_for(tmp_path, "results/g/m/chunks/.*.part")
    wait_for_blocks(part, 3)
    os.kill(int(part.name.split(".")[-2]), signal.SIGKILL)
    assert running.wait() != 0
    again = snakemake(tmp_path, config)
    assert again.returncode == 0, again.stderr
    (log,) = (tmp_path / "logs/g/predict_coverage").glob("*.log")
    assert "continuing after" in log.read_text()
    results = digests(tmp_path / "results/g/m")
    other = config | {"output": "other", "prediction": {"windows_per_chunk": 30_000}}
    assert snakemake(tmp_path, other).returncode == 0
    assert digests(tmp_path / "other/g/m") == results


def wait_for_blocks(part: Path, count: int) -> None:
    """Wait until an unfinished chunk has so many blocks of bases: its journal grows with each."""
    sizes: set[int] = set()
    while len(sizes) <= count:
        sizes.add(part.stat().st_size)
        time.sleep(0.001)
