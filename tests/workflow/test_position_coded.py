"""Tiling and stitching, proved by a network that reads each bin's number out of its letters."""

import random
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pybigtools
import pyBigWig
import pytest

from support.bigwig_walker import walk
from support.position_coded import (
    BIN,
    position_coded_bin,
    position_coded_values,
    save_position_coded,
    unknown_fraction,
)
from support.runs import bigwigs, command, digests, every_base, snakemake

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def genome() -> dict[str, str]:
    """Return contigs of many lengths, with gaps; every bin spells its own number."""
    letters = random.Random(7)
    lengths = {
        "chr2": 9_999,
        "chr10": 24 * BIN,
        "short": 7,
        "one": 16,
        "odd:1-5": 1_000,
        "chr1": 5_003,
    }
    lengths |= {f"scaffold_{index}": letters.randrange(1, 600) for index in range(40)}
    number, contigs = 1, {}
    for name, length in lengths.items():
        bins = -(-length // BIN)
        contigs[name] = "".join(position_coded_bin(number + index) for index in range(bins))[
            :length
        ]
        number += bins
    long = contigs["chr2"]
    long = long[:3_000] + "N" * 1_003 + long[4_003:]  # longer than a core: a window of N alone
    contigs["chr2"] = "N" * 40 + long[40:5_000] + long[5_000:6_000].lower() + long[6_000:]
    contigs["chr1"] = contigs["chr1"][:777] + "RYKMSWBDHV" + contigs["chr1"][787:]
    return contigs


@pytest.fixture(scope="module")
def inputs(genome: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("inputs")
    with (folder / "genome.fa").open("w") as fasta:
        for name, sequence in genome.items():
            lines = [sequence[index : index + 61] for index in range(0, len(sequence), 61)]
            fasta.write(f">{name} of a test\n" + "\n".join(lines) + "\n")
    save_position_coded(folder / "model")
    return {
        "genome": {"name": "coded", "fasta": str(folder / "genome.fa")},
        "models": {"toy": {"architecture": "borzoi", "weights": str(folder / "model")}},
    }


@pytest.fixture(scope="module")
def first(inputs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    process = snakemake(folder, inputs)
    assert process.returncode == 0, process.stderr
    return folder


def test_every_base_of_every_bigwig_has_the_value_of_its_own_bin(
    first: Path, genome: dict[str, str]
) -> None:
    files = bigwigs(first)
    unknown = files.pop("toy.unknown.bw")
    assert list(files) == [f"toy.track_{track}.bw" for track in range(3)]
    for contig, sequence in genome.items():
        np.testing.assert_array_equal(
            every_base(unknown, contig, len(sequence)), unknown_fraction(sequence)
        )
    for track, path in enumerate(files.values()):
        for contig, sequence in genome.items():
            expected = position_coded_values(sequence, track)
            np.testing.assert_array_equal(every_base(path, contig, len(sequence)), expected)


def test_headers_are_the_fastas_contigs_and_three_readers_agree(
    first: Path, genome: dict[str, str]
) -> None:
    lengths = {name: len(sequence) for name, sequence in genome.items()}
    for path in bigwigs(first).values():
        with pyBigWig.open(str(path)) as file:
            assert file.chroms() == lengths
            intervals_by_contig = {name: file.intervals(name) for name in lengths}
        with pybigtools.open(str(path)) as file:
            assert file.chroms() == lengths
            for name, intervals in intervals_by_contig.items():
                assert list(file.records(name)) == list(intervals or ())
        walk(path)


@pytest.mark.parametrize(
    ("prediction", "cores"),
    [
        ({"windows_per_chunk": 1_000, "batch_size": 5, "threads": 1}, 1),
        ({"windows_per_chunk": 7, "batch_size": 2, "threads": 1}, 2),
        ({"windows_per_chunk": 20, "batch_size": 64}, 2),
    ],
)
def test_no_byte_depends_on_chunks_batches_or_cores(
    first: Path, inputs: dict[str, Any], prediction: dict[str, int], cores: int, tmp_path: Path
) -> None:
    process = snakemake(tmp_path, inputs | {"prediction": prediction}, cores=cores)
    assert process.returncode == 0, process.stderr
    assert digests(tmp_path) == digests(first)


def test_no_byte_depends_on_the_order_of_jobs(
    first: Path, inputs: dict[str, Any], tmp_path: Path
) -> None:
    config = inputs | {"prediction": {"windows_per_chunk": 30}}
    for chunk in (2, 0, 1):
        target = f"results/coded/toy/chunks/{chunk}.npy"
        process = snakemake(tmp_path, config, "--notemp", target)
        assert process.returncode == 0, process.stderr
    assert subprocess.run(command(), cwd=tmp_path, capture_output=True).returncode == 0
    assert digests(tmp_path) == digests(first)


def test_regions_and_exclusions_give_the_same_values_where_they_are_and_none_elsewhere(
    inputs: dict[str, Any], genome: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "no.bed").write_text("chr2\t1000\t1001\nchr1\t0\t100\n")
    (tmp_path / "yes.bed").write_text("chr1\t50\t2000\textra\n")
    regions = ["chr2:990-2,000", "odd:1-5", "yes.bed"]
    genome_settings = inputs["genome"] | {"regions": regions, "exclude": ["no.bed"]}
    process = snakemake(tmp_path, inputs | {"genome": genome_settings})
    assert process.returncode == 0, process.stderr
    is_selected = {name: np.zeros(len(sequence), bool) for name, sequence in genome.items()}
    for contig, start, end in (("chr2", 989, 2_000), ("odd:1-5", 0, 1_000), ("chr1", 50, 2_000)):
        is_selected[contig][start // BIN * BIN : -(-end // BIN) * BIN] = True
    is_selected["chr2"][1_000 // BIN * BIN : 1_000 // BIN * BIN + BIN] = False
    is_selected["chr1"][: -(-100 // BIN) * BIN] = False
    for track in range(3):
        path = bigwigs(tmp_path)[f"toy.track_{track}.bw"]
        for contig, sequence in genome.items():
            expected = position_coded_values(sequence, track)
            expected[~is_selected[contig]] = np.nan
            np.testing.assert_array_equal(every_base(path, contig, len(sequence)), expected)
