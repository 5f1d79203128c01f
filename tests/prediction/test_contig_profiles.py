"""Profiles along contigs against windows that are predicted one by one."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from seqcov_models import BPNetConfig, BPNetLiteConfig, SeqcovError, load_model, predict_region
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.networks.shared.profiles import ProfileModel
from seqcov_models.prediction import contig_profiles
from seqcov_models.prediction.contig_profiles import predict_segment_profiles
from seqcov_models.prediction.coverage import predict_segment
from seqcov_models.prediction.ensemble import ProfileEnsemble
from seqcov_models.tiling import Segment, Tiling, find_run, select_bins, split_into_chunks, tile
from support.data import REPOSITORY, real_input
from support.fasta import write_fasta
from support.naive import TOLERANCE, difference
from support.profiles import (
    BPNET,
    BPNET_LITE,
    CHROMBPNET,
    UNSTRANDED,
    network,
    predict_window,
)

Array = npt.NDArray[np.float64]

STRANDS = BPNetConfig(
    sequence_length=70, target_length=43 - 1, tasks=("a", "b"), hidden_size=5, stem_kernel_size=7,
    num_dilated_layers=2, profile_kernel_size=5,
)  # fmt: skip
ENCODE = replace(BPNET_LITE, one_per_track=True, pre_activation=True, valid_padding=True)
CONFIGS = {
    "strands": STRANDS,
    "joint strands, controls": BPNET_LITE,
    "one strand": UNSTRANDED,
    "chrombpnet": CHROMBPNET,
    "ENCODE's": ENCODE,
}
LENGTHS = {"long": 700, "a": 1, "short": 31, "unknown": 90, "core": 42}


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    draw = np.random.default_rng(5)
    contigs = {
        name: "".join(draw.choice(list("ACGTacgtNR"), length, p=[0.12] * 8 + [0.02] * 2))
        for name, length in LENGTHS.items()
    }
    contigs["long"] = contigs["long"][:300] + "N" * 190 + contigs["long"][490:]
    contigs["unknown"] = "N" * 90
    return Genome(open_fasta(write_fasta(tmp_path / "g.fa", contigs), tmp_path))


@pytest.fixture(params=["one piece", "many pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many pieces":
        monkeypatch.setattr(contig_profiles, "PIECE", 100)
        monkeypatch.setattr(contig_profiles, "UNIT", 8)


def predict_contigs(
    ensemble: ProfileEnsemble, genome: Genome, tiling: Tiling, windows: int = 10**9, **options: Any
) -> dict[str, tuple[Array, Array]]:
    """Return values (bases, tracks) and fractions of unknown bases (bases,) of each contig."""
    results = {
        name: (np.full((length, ensemble.columns), -1.0), np.full(length, -1.0))
        for name, length in genome.contigs.items()
    }
    runs = {
        contig: tile(genome.contigs, tiling, {contig: bases})
        for contig, bases in select_bins(genome.contigs, 1, None, []).items()
    }
    segments = [run for contig_runs in runs.values() for run in contig_runs]
    for chunk in split_into_chunks(segments, tiling.step, windows):
        for segment in chunk:
            end = 0
            for first, values, unknown in predict_segment_profiles(
                ensemble,
                tiling,
                genome,
                segment,
                find_run(runs[segment.contig], segment),
                **options,
            ):
                assert first == end, "in order, without a gap"
                assert values.dtype == unknown.dtype == np.float32
                end = first + len(values)
                start = segment.first_window * tiling.step
                results[segment.contig][0][start + first : start + end] = values
                results[segment.contig][1][start + first : start + end] = unknown
            assert end == segment.bins
    return results


def predict_in_loops(
    folds: list[Any], letters: str, step: int, both_strands: bool, expm1: bool, min_acgt: float
) -> tuple[Array, Array]:
    """Predict every window alone; return the mean of those that cover a base."""
    geometry = folds[0].config.geometry
    letters = "".join(letter if letter in "ACGT" else "N" for letter in letters.upper())
    padded = "N" * geometry.window + letters + "N" * geometry.window
    covering: list[list[Array]] = [[] for _ in letters]
    unknown: list[list[float]] = [[] for _ in letters]
    for core in range(0, len(letters), step):
        start = core - geometry.context + geometry.window
        text = padded[start : start + geometry.window]
        bases = range(core, min(core + geometry.core, len(letters)))
        values = predict_window(folds, text, False, both_strands, expm1)[0]
        for base in bases:
            unknown[base].append(text.count("N") / len(text))
            if 1 - text.count("N") / len(text) >= min_acgt:
                covering[base].append(values[base - core].ravel())
    result = np.full((len(letters), folds[0].config.num_labels), np.nan)
    for base, rows in enumerate(covering):
        if rows and letters[base] != "N":
            result[base] = np.mean(rows, 0)
    return result, np.array([np.mean(fractions) for fractions in unknown])


CASES: list[dict[str, Any]] = [
    {"step": 10},
    {"step": 7, "both_strands": True, "folds": 2},
    {"step": 1, "expm1": True},
    {"step": 29, "min_acgt": 0.7, "both_strands": True},
    {"step": 0},
]


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_each_base_has_the_mean_of_the_windows_that_cover_it(
    config: BPNetConfig, case: dict[str, Any], genome: Genome
) -> None:
    settings = {"folds": 1, "both_strands": False, "expm1": False, "min_acgt": 0.0} | case
    step = settings["step"] or config.geometry.core
    folds = [network(config, seed) for seed in range(settings["folds"])]
    ensemble = ProfileEnsemble(folds, settings["both_strands"], settings["expm1"])
    results = predict_contigs(
        ensemble,
        genome,
        Tiling(config.geometry, step, "mean"),
        min_acgt=settings["min_acgt"],
    )
    for contig, (values, unknown) in results.items():
        letters = "".join("ACGTN"[code] for code in genome.fetch(contig, 0, LENGTHS[contig]))
        expected, fractions = predict_in_loops(
            folds, letters, step, settings["both_strands"], settings["expm1"], settings["min_acgt"]
        )
        np.testing.assert_array_equal(np.isnan(values), np.isnan(expected))
        # expm1 of a log count near 0 leaves few digits of the windows' float32
        rounding = 1e-4 if settings["expm1"] else 2e-5
        np.testing.assert_allclose(values, expected, rtol=rounding, atol=1e-9)
        np.testing.assert_allclose(unknown, fractions, atol=1e-6)
    assert np.isfinite(results["long"][0]).sum() > 300
    assert np.isnan(results["unknown"][0]).all()


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("step", [7, 10])
def test_values_do_not_depend_on_chunks(step: int, genome: Genome) -> None:
    ensemble = ProfileEnsemble([network(BPNET_LITE)], True)
    tiling = Tiling(BPNET_LITE.geometry, step, "mean")
    expected = predict_contigs(ensemble, genome, tiling)
    for windows in (1, 5, 33):
        for contig, (values, unknown) in predict_contigs(ensemble, genome, tiling, windows).items():
            np.testing.assert_array_equal(values, expected[contig][0])
            np.testing.assert_array_equal(unknown, expected[contig][1])


def test_other_networks_are_predicted_window_by_window(genome: Genome) -> None:
    """With padding inside its core, a network depends on where a window ends."""
    assert not BPNET.is_window_independent
    assert not replace(STRANDS, target_length=64).is_window_independent
    fold = network(BPNET)
    tiling = Tiling(BPNET.geometry, 10, "mean")
    bases = LENGTHS["long"]
    segment = Segment("long", 0, tiling.count_windows(bases), bases)
    ensemble = ProfileEnsemble([fold], True)
    parts = [part for _, part, _ in predict_segment(ensemble, tiling, genome, segment, 5)]
    letters = "".join("ACGTN"[code] for code in genome.fetch("long", 0, bases))
    expected, _ = predict_in_loops([fold], letters, 10, True, False, 0)
    np.testing.assert_allclose(np.concatenate(parts), expected, rtol=2e-5, atol=1e-9)


@pytest.mark.parametrize("value", [float("nan"), 200.0])
def test_a_value_that_is_not_finite_ends_the_prediction(value: float, genome: Genome) -> None:
    fold = network(UNSTRANDED)
    with torch.no_grad():
        fold.counts.bias.fill_(value)
    with pytest.raises(SeqcovError, match=r"long from 0: the profile is NaN or infinite in float"):
        predict_contigs(ProfileEnsemble([fold]), genome, Tiling(UNSTRANDED.geometry, 10, "mean"))


def test_odds_beyond_the_range_of_float32_are_added(genome: Genome) -> None:
    """Logits of hundreds: exp of one of them, or of a sum along the contig, would overflow."""
    fold = network(UNSTRANDED)
    with torch.no_grad():
        fold.profile.weight.mul_(300)
    ensemble, tiling = ProfileEnsemble([fold]), Tiling(UNSTRANDED.geometry, 10, "mean")
    values = predict_contigs(ensemble, genome, tiling)["long"][0]
    segment = Segment("long", 0, 70, LENGTHS["long"])
    windows = predict_segment(ensemble, tiling, genome, segment, 5)
    expected = np.concatenate([part for _, part, _ in windows])
    assert np.nanmax(expected) > 20 * np.nanmean(expected), "profiles of single bases"
    np.testing.assert_allclose(values, expected, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("reverse_complement", [False, True])
@pytest.mark.parametrize("step", [250, 1_000, 137])
def test_a_trained_network_gives_what_its_windows_give(
    step: int, reverse_complement: bool, tmp_path: Path
) -> None:
    """At both ends of a contig, and around a gap of 3,000 N."""
    source = real_input("genomes/hg38_chr1_1Mb.fa.gz")
    full = Genome(open_fasta(source, tmp_path))
    (name, length), *_ = full.contigs.items()
    codes = full.fetch(name, length - 25_000, length)
    full.close()
    codes[9_000:12_000] = 4
    letters = "".join("ACGTN"[code] for code in codes)
    contigs = {"c": letters}
    genome = Genome(open_fasta(write_fasta(tmp_path / "g.fa", contigs), tmp_path))
    model = load_model("bpnetlite", real_input("models/bpnetlite_ctcf/ctcf.safetensors"))
    assert isinstance(model, ProfileModel)
    geometry = model.geometry
    ensemble = ProfileEnsemble([model], reverse_complement)
    values, _ = predict_contigs(ensemble, genome, Tiling(geometry, step, "mean"))["c"]

    starts = np.arange(0, len(codes), step)
    padded = np.pad(codes, geometry.window, constant_values=4)
    views = np.lib.stride_tricks.sliding_window_view(padded, geometry.window)
    windows = views[starts + geometry.window - geometry.context]
    sums, counts = np.zeros((len(codes) + geometry.core, 2)), np.zeros(len(codes) + geometry.core)
    for batch in np.array_split(windows, 10):
        for start, alone, window in zip(
            starts[: len(batch)], ensemble.predict(batch), batch, strict=True
        ):
            core = window[geometry.context : geometry.context + geometry.core]
            if (core != 4).any():
                sums[start : start + geometry.core] += alone
                counts[start : start + geometry.core] += 1
        starts = starts[len(batch) :]
    known = codes != 4
    expected = sums[: len(codes)][known] / counts[: len(codes)][known, None]
    assert np.isnan(values[~known]).all()
    assert difference(values[known], expected) < TOLERANCE
    relative = np.abs(values[known] / expected - 1)
    assert relative.max() < 1e-4
    np.testing.assert_allclose(values[known].sum(), expected.sum(), rtol=1e-6)
    assert genome.contigs["c"] == 25_000


def test_bfloat16_has_the_error_of_windows_in_bfloat16(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    write_fasta(tmp_path / "g.fa", {"c": "".join(rng.choice(list("ACGT"), 6_000))})
    genome = Genome(open_fasta(tmp_path / "g.fa", tmp_path))
    model = load_model("bpnetlite", real_input("models/bpnetlite_ctcf/ctcf.safetensors"))
    assert isinstance(model, ProfileModel)
    ensemble, tiling = ProfileEnsemble([model]), Tiling(model.geometry, 250, "mean")
    exact = predict_contigs(ensemble, genome, tiling)["c"][0]
    rough = predict_contigs(ensemble, genome, tiling, precision="bfloat16")["c"][0]
    segment = Segment("c", 0, 24, 6_000)
    windows = predict_segment(ensemble, tiling, genome, segment, 8, "bfloat16")
    error = np.abs(np.concatenate([part for _, part, _ in windows]) - exact).max()
    assert 0 < np.abs(rough - exact).max() < 2 * error < 0.1 * np.ptp(exact)


@pytest.mark.parametrize("config", [BPNET_LITE, BPNET], ids=["pass", "windows"])
def test_a_region_has_the_values_of_its_contig(
    config: BPNetConfig, genome: Genome, tmp_path: Path
) -> None:
    fold = network(config)
    predicted = predict_region(fold, tmp_path / "g.fa", "long:201-600", stride=7)
    assert (predicted.start, predicted.end, predicted.bin) == (200, 600, 1)
    assert list(predicted.tracks) == fold.tracks
    letters = "".join("ACGTN"[code] for code in genome.fetch("long", 0, LENGTHS["long"]))
    expected, _ = predict_in_loops([fold], letters, 7, False, False, 0)
    np.testing.assert_allclose(predicted.values, expected[200:600], rtol=2e-5, atol=1e-9)
    with pytest.raises(SeqcovError, match=r"stride: 50 bp is more than the 4\d bp of a profile"):
        predict_region(fold, tmp_path / "g.fa", "long", stride=50)


def test_regions_cost_little_more_than_their_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One window's region does not compute a piece of 15,000 bases."""
    genome = Genome(open_fasta(write_fasta(tmp_path / "g.fa", {"c": "ACGT" * 20_000}), tmp_path))
    config = BPNetLiteConfig(hidden_size=2, num_dilated_layers=8)
    fold = network(config)
    lengths: list[int] = []
    predict = type(fold).predict_positions

    def count(self: Any, codes: torch.Tensor) -> Any:
        lengths.append(codes.shape[1])
        return predict(self, codes)

    monkeypatch.setattr(type(fold), "predict_positions", count)
    tiling = Tiling(config.geometry, 250, "mean")
    segments = tile(
        genome.contigs, tiling, select_bins(genome.contigs, 1, [("c", 31_000, 31_400)], [])
    )
    for segment in segments:
        for _ in predict_segment_profiles(ProfileEnsemble([fold]), tiling, genome, segment):
            pass
    needed = 400 + 100 + 750 + 1_000 + 2 * config.geometry.context
    assert needed <= sum(lengths) < needed + 2 * config.geometry.context + 2_000


def test_out_of_memory_halves_the_pieces_for_good(
    genome: Genome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contig_profiles, "UNIT", 8)
    fold, tiling = network(CHROMBPNET), Tiling(CHROMBPNET.geometry, 10, "mean")
    expected = predict_contigs(ProfileEnsemble([fold], True), genome, tiling)
    real, lengths = type(fold).predict_positions, []

    def little_memory(self: ProfileModel, codes: torch.Tensor) -> Any:
        lengths.append(codes.shape[1])
        if lengths[-1] > 400:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, codes)

    monkeypatch.setattr(type(fold), "predict_positions", little_memory)
    results = predict_contigs(ProfileEnsemble([fold], True), genome, tiling)
    failed = [length for length in lengths if length > 400]
    assert failed == sorted(set(failed), reverse=True), "none of them is tried twice"
    for contig, (values, unknown) in results.items():
        np.testing.assert_allclose(values, expected[contig][0], rtol=1e-5)
        np.testing.assert_array_equal(unknown, expected[contig][1])

    def no_memory(self: ProfileModel, codes: torch.Tensor) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(type(fold), "predict_positions", no_memory)
    with pytest.raises(SeqcovError, match="out of memory with a single window"):
        predict_contigs(ProfileEnsemble([fold], True), genome, tiling)


MEASURED = """
import sys
import numpy as np
import torch
from seqcov_models import ChromBPNetConfig
from seqcov_models.checkpoints.load import build
from seqcov_models.prediction.contig_profiles import predict_segment_profiles
from seqcov_models.prediction.devices import keep_freed_memory
from seqcov_models.prediction.ensemble import ProfileEnsemble
from seqcov_models.run.job import peak_memory
from seqcov_models.tiling import Tiling, select_bins, tile
class RandomGenome:
    contigs = {f"c{number}": int(length) for number, length in enumerate(sys.argv[1:])}
    def fetch(self, contig, start, end):
        return np.random.default_rng(end).integers(0, 4, end - start).astype(np.uint8)
ensemble, genome = ProfileEnsemble([build(ChromBPNetConfig(hidden_size=512))]), RandomGenome()
keep_freed_memory()
tiling = Tiling.from_stride(ensemble.geometry, 250)
for segment in tile(genome.contigs, tiling, select_bins(genome.contigs, 1, None, [])):
    for _ in predict_segment_profiles(ensemble, tiling, genome, segment):
        pass
print(peak_memory())
"""


@pytest.mark.slow
def test_later_contigs_take_no_more_memory_than_the_first() -> None:
    """They have other lengths. The bound is one tensor between two layers of one piece."""
    memory = []
    for lengths in ([43_000], [43_000, 22_000, 33_000]):
        command = [sys.executable, "-c", MEASURED, *map(str, lengths)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
        assert done.returncode == 0, done.stderr
        memory.append(float(done.stdout))
    assert memory[1] - memory[0] < 4 * 512 * (1 << 14)
