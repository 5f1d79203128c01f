"""Profiles at peaks against a computation in loops over windows and bases."""

import csv
import gzip
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import torch

from seqcov_models import BPNetConfig, SeqcovError, load_model, save_model
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.networks.bpnet.network import BPNetForProfilePrediction
from seqcov_models.peaks.windows import split_windows
from seqcov_models.run.chunk_files import ChunkFile
from seqcov_models.run.profile_outputs import PEAK_COLUMNS, write_task
from seqcov_models.tiling import select_bins
from support.data import REPOSITORY
from support.fasta import write_fasta
from support.profiles import (
    BPNET,
    BPNET_LITE,
    UNSTRANDED,
    assert_close,
    network,
    predict_window,
    run,
)
from support.runs import every_base

Array = npt.NDArray[np.float64]


def genome_of(folder: Path, seed: int) -> tuple[Genome, dict[str, str]]:
    rng = np.random.default_rng(seed)
    contigs = {
        name: "".join(rng.choice(list("ACGTacgtNR"), length, p=[0.12] * 8 + [0.02] * 2))
        for name, length in {"long": 700, "a": 33, "short": 120}.items()
    }
    contigs["long"] = contigs["long"][:300] + "N" * 90 + contigs["long"][390:]
    write_fasta(folder / "g.fa", contigs)
    return Genome(open_fasta(folder / "g.fa", folder)), contigs


def random_peaks(folder: Path, contigs: dict[str, str], seed: int) -> list[tuple[str, int, str]]:
    """Write peaks.bed; return (contig, summit, strand) of each window in order."""
    rng = np.random.default_rng(seed + 100)
    peaks = set()
    for name, letters in contigs.items():
        places = [0, len(letters) - 1, *rng.integers(0, len(letters), len(letters) // 15)]
        peaks |= {(name, int(summit), "+-"[rng.integers(2)]) for summit in places}
        peaks |= {(name, 0, "+"), (name, 0, "-")}
    lines = [f"{name}\t{summit}\t{summit + 1}\tp\t0\t{strand}\n" for name, summit, strand in peaks]
    (folder / "peaks.bed").write_text("".join(rng.permutation(sorted(lines)).tolist()))
    order = list(contigs)
    return sorted(peaks, key=lambda peak: (order.index(peak[0]), peak[1], peak[2]))


def predict_in_loops(
    folds: list[BPNetForProfilePrediction],
    contigs: dict[str, str],
    windows: list[tuple[str, int, bool]],
    overlap: str,
    both_strands: bool,
    expm1: bool,
    min_acgt: float,
    is_selected: Callable[[str, int], bool],
) -> tuple[dict[str, Array], list[Array]]:
    """Return the values by contig, (bases, tracks) with NaN for none, and of each window alone."""
    config = folds[0].config
    length, core = config.geometry.window, config.geometry.core
    covering: dict[tuple[str, int], list[tuple[int, Array]]] = {}
    windows_alone = []
    for contig, summit, minus in windows:
        letters = "".join(x if x in "ACGT" else "N" for x in contigs[contig].upper())
        start = summit - length // 2
        text = "".join(
            letters[position] if 0 <= position < len(letters) else "N"
            for position in range(start, start + length)
        )
        values, _ = predict_window(folds, text, minus, both_strands, expm1)
        windows_alone.append(values)
        if sum(letter != "N" for letter in text) / length < min_acgt:
            continue
        core_start = start + (length - core) // 2
        for position in range(core):
            base = core_start + position
            if 0 <= base < len(letters) and letters[base] != "N" and is_selected(contig, base):
                row = abs(base - summit), values[position].ravel()
                covering.setdefault((contig, base), []).append(row)
    result = {}
    for contig, letters in contigs.items():
        result[contig] = np.full((len(letters), config.num_labels), np.nan)
        for base in range(len(letters)):
            if rows := covering.get((contig, base)):
                if overlap == "mean":
                    result[contig][base] = np.mean([row for _, row in rows], 0)
                elif overlap == "max":
                    result[contig][base] = np.max([row for _, row in rows], 0)
                else:  # of windows as near the first, which is the left one
                    result[contig][base] = min(rows, key=lambda row: row[0])[1]
    return result, windows_alone


@pytest.mark.parametrize("config", [BPNET, BPNET_LITE], ids=["bpnet", "bpnetlite"])
def test_load_model_averages_the_profiles_and_the_counts_of_both_strands(
    tmp_path: Path, config: BPNetConfig
) -> None:
    fold = network(config)
    save_model(fold, tmp_path / "saved")
    rng = np.random.default_rng(3)
    letters = ["".join(rng.choice(list("ACGTN"), config.sequence_length)) for _ in range(2)]
    expected = [
        predict_window([fold], text, False, both_strands=True, expm1=False)[0] for text in letters
    ]
    last = config.num_labels - 1
    model = load_model(
        config.ARCHITECTURE, tmp_path / "saved", tracks=[last], reverse_complement=True
    )
    assert [track.row for track in model.tracks] == [last]
    values = np.stack(expected).reshape(2, -1, config.num_labels)
    assert_close(model.predict(letters), values[..., [last]])


CASES = [
    (BPNET, {"overlap": "nearest", "jobs": 1, "batch_size": 64}),
    (BPNET, {"overlap": "nearest", "jobs": 4, "batch_size": 3, "by_strand": True}),
    (BPNET, {"overlap": "mean", "jobs": 3, "batch_size": 5, "both_strands": True, "folds": 2}),
    (BPNET, {"overlap": "max", "jobs": 2, "batch_size": 1, "expm1": True, "by_strand": True}),
    (BPNET, {"overlap": "nearest", "jobs": 2, "batch_size": 7, "min_acgt": 0.8}),
    (BPNET, {"overlap": "mean", "jobs": 5, "batch_size": 2, "restricted": True}),
    (
        BPNET_LITE,
        {"overlap": "nearest", "jobs": 3, "batch_size": 4, "both_strands": True, "by_strand": True},
    ),
    (BPNET_LITE, {"overlap": "mean", "jobs": 1, "batch_size": 64, "folds": 3, "min_acgt": 0.6}),
    (UNSTRANDED, {"overlap": "max", "jobs": 2, "batch_size": 9, "both_strands": True}),
    (UNSTRANDED, {"overlap": "nearest", "jobs": 80, "batch_size": 9}),
    (BPNET, {"overlap": "mean", "jobs": 75, "batch_size": 2, "by_strand": True}),
]


@pytest.mark.parametrize(("config", "settings"), CASES)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_base_equals_a_computation_in_plain_loops(
    config: BPNetConfig, settings: dict[str, Any], seed: int, tmp_path: Path
) -> None:
    options = {
        "folds": 1,
        "by_strand": False,
        "both_strands": False,
        "restricted": False,
    } | settings
    genome, contigs = genome_of(tmp_path, seed)
    peaks = random_peaks(tmp_path, contigs, seed)
    folds = [network(config, number) for number in range(options.pop("folds"))]
    exclude = [("long", 200, 240), ("short", 60, 61)] if options.pop("restricted") else []
    bins = select_bins(genome.contigs, 1, None, exclude)
    cut = {(name, base) for name, start, end in exclude for base in range(start, end)}
    by_strand = options["by_strand"]
    peaks = [peak for peak in peaks if (peak[0], peak[1]) not in cut]
    expected_windows = list(
        dict.fromkeys((name, summit, by_strand and strand == "-") for name, summit, strand in peaks)
    )
    run(tmp_path, folds, genome, bins=bins, **options)
    genome.close()

    expected, windows_alone = predict_in_loops(
        folds, contigs, expected_windows, options["overlap"], options["both_strands"],
        options.get("expm1", False), options.get("min_acgt", 0), lambda *base: base not in cut,
    )  # fmt: skip
    compared = 0
    strands = config.num_strands
    for index, task in enumerate(config.tasks):
        for contig, values in expected.items():
            length = len(contigs[contig])
            rows = values[:, index * strands : (index + 1) * strands]
            assert_close(every_base(tmp_path / f"{task}.both.bw", contig, length), rows.sum(1))
            for strand, kind in enumerate(("plus", "minus")[:strands] if strands == 2 else ()):
                assert_close(
                    every_base(tmp_path / f"{task}.{kind}.bw", contig, length), rows[:, strand]
                )
            compared += int(np.isfinite(rows).sum())
    assert compared > 500
    with h5py.File(tmp_path / "profiles.h5") as file:
        assert file["profiles"].attrs["tasks"].tolist() == list(config.tasks)
        assert_close(file["profiles"][:], np.array(windows_alone))
        half = config.geometry.window // 2 - config.geometry.context
        assert file["start"][:].tolist() == [summit - half for _, summit, _ in expected_windows]
        assert [name.decode() for name in file["contig"][:]] == [w[0] for w in expected_windows]


@pytest.mark.parametrize("config", [BPNET, BPNET_LITE, UNSTRANDED])
@pytest.mark.parametrize("min_acgt", [0, 0.5])
def test_the_table_of_peaks_holds_the_statistics_of_each_window(
    config: BPNetConfig, min_acgt: float, tmp_path: Path
) -> None:
    genome, contigs = genome_of(tmp_path, 3)
    peaks = random_peaks(tmp_path, contigs, 3)
    fold = network(config)
    bins = select_bins(genome.contigs, 1, None, [])
    run(tmp_path, [fold], genome, 3, True, bins, min_acgt=min_acgt)
    genome.close()
    with gzip.open(tmp_path / "peaks.tsv.gz", "rt") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    assert list(rows[0])[: len(PEAK_COLUMNS)] == list(PEAK_COLUMNS)
    assert [(row["contig"], int(row["summit"]), row["strand"]) for row in rows] == peaks
    length, core = config.geometry.window, config.geometry.core
    signs = (".plus", ".minus") if config.num_strands == 2 else ("",)
    checked = 0
    for row, (contig, summit, strand) in zip(rows, peaks, strict=True):
        letters = contigs[contig].upper()
        start = summit - length // 2
        text = "".join(
            letters[position]
            if 0 <= position < len(letters) and letters[position] in "ACGT"
            else "N"
            for position in range(start, start + length)
        )
        unknown = text.count("N") / length
        assert float(row["unknown"]) == pytest.approx(unknown, rel=1e-5)
        if unknown == 1 or 1 - unknown < min_acgt:
            assert {row[name] for name in list(row)[9:]} == {""}, "no value, not a wrong one"
            continue
        checked += 1
        values, logs = predict_window([fold], text, strand == "-", False, False)
        core_start = start + (length - core) // 2
        for index, task in enumerate(config.tasks):
            for number, sign in enumerate([""] if config.joint_strands else signs):
                assert float(row[f"{task}{sign}.log_counts"]) == pytest.approx(
                    logs[index, number], rel=1e-4, abs=1e-5
                )
            for number, sign in enumerate(signs):
                name, profile = f"{task}{sign}", values[:, index, number]
                assert float(row[f"{name}.counts"]) == pytest.approx(profile.sum(), rel=1e-4)
                probabilities = profile / profile.sum()
                bits = -sum(x * math.log2(x) for x in probabilities)
                assert float(row[f"{name}.entropy"]) == pytest.approx(bits, rel=1e-4)
                positions = [x for x in range(core) if text[x + (length - core) // 2] != "N"]
                if not positions:
                    assert row[f"{name}.maximum"] == ""
                    continue
                maximum = max(positions, key=lambda x: profile[x])
                reported = int(row[f"{name}.maximum"]) - core_start
                assert profile[reported] == pytest.approx(profile[maximum], rel=1e-5)
                assert reported in positions
    assert checked > 20


def test_values_do_not_depend_on_the_order_of_peaks_jobs_or_batches(tmp_path: Path) -> None:
    genome, contigs = genome_of(tmp_path, 5)
    random_peaks(tmp_path, contigs, 5)
    lines = (tmp_path / "peaks.bed").read_text().splitlines(keepends=True)
    fold, bins = network(BPNET), select_bins(genome.contigs, 1, None, [])
    values_by_file: dict[bytes, Array] = {}
    for jobs, batch_size, order in ((1, 64, lines), (1, 64, lines[::-1]), (6, 5, sorted(lines))):
        (tmp_path / "peaks.bed").write_text("".join(order))
        run(tmp_path, [fold], genome, jobs, False, bins, overlap="mean", batch_size=batch_size)
        key = (tmp_path / "one.plus.bw").read_bytes()
        values_by_file[key] = every_base(tmp_path / "one.plus.bw", "long", 700).astype(np.float64)
    genome.close()
    assert len(values_by_file) <= 2, "the order of the file changes no byte"
    expected, *repetitions = values_by_file.values()
    for values in repetitions:  # another batch, another order of summation in the network
        np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_out_of_memory_halves_the_batch_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genome, contigs = genome_of(tmp_path, 2)
    random_peaks(tmp_path, contigs, 2)
    fold, bins = network(BPNET_LITE), select_bins(genome.contigs, 1, None, [])
    run(tmp_path, [fold], genome, 1, False, bins, both_strands=True, batch_size=4)
    expected = [np.load(tmp_path / name) for name in ("0.npy", "0.table.npy", "0.windows.npy")]
    real, sizes = type(fold).forward, []

    def little_memory(self: Any, input_ids: torch.Tensor) -> Any:
        sizes.append(len(input_ids))
        if sizes[-1] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, input_ids)

    monkeypatch.setattr(type(fold), "forward", little_memory)
    run(tmp_path, [fold], genome, 1, False, bins, both_strands=True, batch_size=4)
    assert [size for size in sizes if size > 1] == [4, 2]
    for name, values in zip(("0.npy", "0.table.npy", "0.windows.npy"), expected, strict=True):
        np.testing.assert_allclose(np.load(tmp_path / name), values, rtol=1e-5, atol=1e-9)


def test_the_minus_strand_can_be_written_as_negative_values(tmp_path: Path) -> None:
    genome, contigs = genome_of(tmp_path, 1)
    random_peaks(tmp_path, contigs, 1)
    bins = select_bins(genome.contigs, 1, None, [])
    windows = run(tmp_path, [network(BPNET_LITE)], genome, 1, False, bins)
    chunks = split_windows(windows, genome.contigs, BPNET_LITE.geometry, 1)
    files = {kind: tmp_path / f"negative.{kind}.bw" for kind in ("plus", "minus", "both")}
    chunk_files = [ChunkFile(tmp_path / "0.npy", chunks[0].segments)]
    write_task(
        files, tmp_path / "t.tsv", "m", "signal", 0, chunk_files, genome.contigs, "reads",
        negative_minus=True,
    )  # fmt: skip
    plus, minus, both_strands = (every_base(path, "long", 700) for path in files.values())
    np.testing.assert_array_equal(-minus, every_base(tmp_path / "signal.minus.bw", "long", 700))
    np.testing.assert_array_equal(both_strands, plus - minus)


def test_an_infinite_profile_is_refused(tmp_path: Path) -> None:
    genome, contigs = genome_of(tmp_path, 1)
    random_peaks(tmp_path, contigs, 1)
    fold = network(BPNET)
    with torch.no_grad():
        fold.counts.bias.fill_(200)  # beyond what float32 can hold
    with pytest.raises(SeqcovError, match="summit 0: the profile is NaN or infinite"):
        run(tmp_path, [fold], genome, 1, False, select_bins(genome.contigs, 1, None, []))
    assert not (tmp_path / "0.npy").exists()


MEASURED = """
import random, sys
import torch
from pathlib import Path
sys.path[:0] = {paths!r}
from seqcov_models.run.job import peak_memory
from support.profiles import network, run
from seqcov_models import BPNetConfig
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.tiling import select_bins
torch.set_num_threads(1)
folder, count, draw = Path({folder!r}), {count}, random.Random(1)
places = sorted(draw.randrange(12_000_000) for _ in range(count))
(folder / "peaks.bed").write_text("".join(f"c\\t{{at}}\\t{{at + 1}}\\tpeak\\n" for at in places))
config = BPNetConfig(sequence_length=200, target_length=200, tasks=("a",), hidden_size=2,
                     stem_kernel_size=3, num_dilated_layers=1, profile_kernel_size=3)
genome = Genome(open_fasta(folder / "g.fa", folder))
run(folder, [network(config)], genome, 1, False, select_bins(genome.contigs, 1, None, []))
print(peak_memory())
"""


@pytest.mark.slow
def test_memory_grows_by_a_table_row_per_peak(tmp_path: Path) -> None:
    """On 12 Mb. All windows together would be 160 MB, all bases with a value 65 MB."""
    letters = np.random.default_rng(1).choice(np.frombuffer(b"ACGT", np.uint8), 12_000_000)
    (tmp_path / "g.fa").write_bytes(b">c\n" + letters.tobytes() + b"\n")
    paths = [str(REPOSITORY / folder) for folder in ("tests", "")]
    memory = []
    for count in (15_000, 100_000):
        script = MEASURED.format(paths=paths, folder=str(tmp_path), count=count)
        process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert process.returncode == 0, process.stderr
        memory.append(float(process.stdout.split()[-1]))
    # a peak's row in a table takes about 400 bytes with pandas' copies of it
    assert memory[1] - memory[0] < 85_000 * 500
