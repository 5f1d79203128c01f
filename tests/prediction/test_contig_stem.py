"""Windows that share the stem along a contig have the values of windows computed one by one."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import torch

from seqcov_models import Ensemble
from seqcov_models.checkpoints.load import build
from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.config import Config
from seqcov_models.prediction.coverage import predict_segment
from seqcov_models.sequence import UNKNOWN, Codes
from seqcov_models.tiling import Segment, Tiling
from support.naive import randomise
from support.networks import TINY

# Every speed-up agrees with the original computation to 1e-5 of the output's range.
TOLERANCE = 1e-5
Values = npt.NDArray[np.float32]


class Contigs:
    """Sequence in memory, read as `Genome` reads a FASTA."""

    def __init__(self, **contigs: Codes) -> None:
        self.codes = contigs
        self.contigs = {name: len(codes) for name, codes in contigs.items()}

    def fetch(self, contig: str, start: int, end: int) -> Codes:
        padded = np.full(end - start, UNKNOWN, np.uint8)
        first, last = max(start, 0), min(end, self.contigs[contig])
        if first < last:
            padded[first - start : last - start] = self.codes[contig][first:last]
        return padded


def random_contig(length: int, seed: int = 1) -> Codes:
    """Draw a contig with single unknown bases and a gap of a quarter of its length."""
    codes = np.random.default_rng(seed).integers(0, 4, length).astype(np.uint8)
    codes[:: length // 7] = UNKNOWN
    codes[length // 3 : length // 3 + length // 4] = UNKNOWN
    return codes


def network(config: Config, seed: int = 1) -> CoverageModel:
    torch.manual_seed(seed)
    model: CoverageModel = randomise(build(config))
    return model.eval()


def sweep(
    ensemble: Ensemble, tiling: Tiling, contigs: Contigs, first: int = 0, batch_size: int = 1
) -> Iterator[Values]:
    """Yield the bins of contig c from window `first` on, window by window."""
    bins = -(-contigs.contigs["c"] // tiling.geometry.bin)
    windows = tiling.count_windows(contigs.contigs["c"])
    segment = Segment("c", first, windows - first, bins - first * tiling.step)
    parts = predict_segment(ensemble, tiling, contigs, segment, batch_size)  # type: ignore[arg-type]
    for _, values, _ in parts:
        yield values


def predict_windows(ensemble: Ensemble, tiling: Tiling, contigs: Contigs) -> Values:
    """Return the bins of contig c, each window computed alone from one-hot to coverage."""
    geometry, step = tiling.geometry, tiling.step * tiling.geometry.bin
    parts = []
    for number in range(tiling.count_windows(contigs.contigs["c"])):
        start = number * step - geometry.context
        codes = contigs.fetch("c", start, start + geometry.window)
        values = ensemble.predict(codes[None])[0]
        core = codes[geometry.context :][: geometry.core].reshape(geometry.bins, geometry.bin)
        values[(core == UNKNOWN).all(1)] = np.nan
        parts.append(values[: tiling.step])
    return np.concatenate(parts)[: -(-contigs.contigs["c"] // geometry.bin)]


MEMBERS = [
    {"reverse_complement": False},
    {"reverse_complement": True},
    {"shifts": (-3, 0, 2)},
    {"reverse_complement": True, "shifts": (-17, 5), "standard_deviation": True},
]


@pytest.mark.parametrize("members", MEMBERS, ids=str)
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("config", TINY, ids=lambda config: config.ARCHITECTURE)
def test_a_sweep_has_the_values_of_windows_computed_alone(
    config: Config, batch_size: int, members: dict[str, object]
) -> None:
    ensemble = Ensemble([network(config), network(config, 2)], **members)  # type: ignore[arg-type]
    tiling = Tiling.from_overlap(config.geometry)
    contigs = Contigs(c=random_contig(9 * config.geometry.core + 13))
    expected = predict_windows(ensemble, tiling, contigs)
    values = np.concatenate(list(sweep(ensemble, tiling, contigs, batch_size=batch_size)))
    assert np.array_equal(np.isnan(values), np.isnan(expected))
    assert np.nanmax(np.abs(values - expected)) < TOLERANCE * np.ptp(expected[~np.isnan(expected)])


@pytest.mark.parametrize("overlap", [0.0, 0.5])
@pytest.mark.parametrize("config", TINY, ids=lambda config: config.ARCHITECTURE)
def test_values_do_not_depend_on_where_a_sweep_begins(config: Config, overlap: float) -> None:
    """Bit by bit: chunks and regions of any size give the same file."""
    ensemble = Ensemble([network(config)], reverse_complement=True)
    tiling = Tiling.from_overlap(config.geometry, overlap)
    contigs = Contigs(c=random_contig(9 * config.geometry.core))
    values = list(sweep(ensemble, tiling, contigs))
    for first in (1, 4, 8):
        end = list(sweep(ensemble, tiling, contigs, first))
        assert np.array_equal(
            np.concatenate(end), np.concatenate(values[first:]), equal_nan=True
        ), first


@pytest.mark.parametrize("config", TINY, ids=lambda config: config.ARCHITECTURE)
def test_a_sweep_computes_each_base_of_the_stem_once(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond that only halos, the ends of windows, and the last pieces of the contig."""
    ensemble = Ensemble([network(config)])
    (prepared,) = ensemble.prepare_networks("float32")
    stem = prepared.shared_stem
    assert stem is not None
    compute, bases = stem.compute, []

    def count(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        bases.append(x.shape[0] * x.shape[-1])
        return compute(x)

    monkeypatch.setattr(stem, "compute", count)
    length = 12 * config.geometry.core
    contigs = Contigs(c=np.random.default_rng(1).integers(0, 4, length).astype(np.uint8))
    tiling = Tiling.from_overlap(config.geometry)
    list(sweep(ensemble, tiling, contigs))
    piece = config.geometry.window // 4
    pieces = (length + 2 * config.geometry.window) // piece + 2
    ends = 12 * 2 * (2 * stem.halo + stem.pool_factor)
    assert sum(bases) <= pieces * (piece + 2 * stem.halo) + ends


def test_unknown_sequence_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of short contigs are mostly padding; one such piece serves all contigs."""
    config = TINY[1]
    ensemble = Ensemble([network(config)])
    (prepared,) = ensemble.prepare_networks("float32")
    stem = prepared.shared_stem
    assert stem is not None
    compute, calls = stem.compute, []

    def count(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        calls.append(bool(x.any()))
        return compute(x)

    monkeypatch.setattr(stem, "compute", count)
    tiling = Tiling.from_overlap(config.geometry)
    for seed in range(5):
        codes = np.random.default_rng(seed).integers(0, 4, 50).astype(np.uint8)
        list(sweep(ensemble, tiling, Contigs(c=codes)))
    kinds = 3  # a window's left end, its right end, and what lies between
    assert calls.count(False) <= kinds


@pytest.mark.parametrize("config", TINY, ids=lambda config: config.ARCHITECTURE)
def test_contigs_of_one_name_in_two_genomes_do_not_mix(config: Config) -> None:
    """Not even if their sweeps take turns."""
    ensemble = Ensemble([network(config)])
    tiling = Tiling.from_overlap(config.geometry)
    genomes = [Contigs(c=random_contig(5 * config.geometry.core, seed)) for seed in (1, 2)]
    references = [np.concatenate(list(sweep(ensemble, tiling, contigs))) for contigs in genomes]
    turns = list(zip(*(sweep(ensemble, tiling, contigs) for contigs in genomes), strict=True))
    for expected, parts in zip(references, zip(*turns, strict=True), strict=True):
        assert np.array_equal(np.concatenate(parts), expected, equal_nan=True)


@pytest.mark.parametrize("config", TINY, ids=lambda config: config.ARCHITECTURE)
def test_windows_off_the_grid_of_the_pooling_are_computed_alone(config: Config) -> None:
    ensemble = Ensemble([network(config)])
    (prepared,) = ensemble.prepare_networks("float32")
    assert prepared.shared_stem is not None
    factor = prepared.shared_stem.pool_factor
    assert ensemble.stem_margin(3 * factor) is not None
    assert ensemble.stem_margin(3 * factor + 1) is None
