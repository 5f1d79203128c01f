"""Host and device at work at once: the same files, the same errors, whatever memory there is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from seqcov_models.checkpoints.load import build
from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.networks import registry
from seqcov_models.networks.shared import compute
from seqcov_models.prediction.ensemble import Ensemble
from seqcov_models.prediction.pending_coverage import PendingCoverage
from seqcov_models.run.chunk_files import write_behind
from seqcov_models.run.predict import predict_chunk
from seqcov_models.sequence import Codes
from seqcov_models.tiling import Tiling, select_bins, tile
from support.fasta import write_fasta
from support.naive import randomise

SIZES = {
    "sequence_length": 1_024, "crop_bins": 2, "stem_channels": 6, "num_labels": 3,
    "conv_tower_channels": (8, 8, 8, 8, 8, 8),
}  # fmt: skip


def ensemble(spread: bool = False) -> Ensemble:
    torch.manual_seed(1)
    model = randomise(build(registry.NETWORKS["basenji2"].config_class.from_dict(SIZES)))
    return Ensemble([model], standard_deviation=spread, shifts=(0, 1) if spread else (0,))


def chunk(
    folder: Path, model: Ensemble, dtype: str = "float32", overlap: float = 0.0, batch_size: int = 2
) -> bytes:
    """The bytes of the chunk of a small genome, with a gap and bins that are not wanted."""
    draw = np.random.default_rng(1)
    letters = ["".join(draw.choice(list("ACGTN"), size)) for size in (5_000, 700)]
    contigs = {"a": letters[0] + "N" * 3_000 + letters[1], "b": letters[1]}
    opened = open_fasta(write_fasta(folder / "genome.fa", contigs), folder)
    tiling = Tiling.from_overlap(model.geometry, overlap, "taper" if overlap else "crop")
    selected = select_bins(opened.contigs, model.geometry.bin, None, [("a", 1_000, 2_000)])
    segments = tile(opened.contigs, tiling, selected)
    genome, path = Genome(opened), folder / "chunk.npy"
    try:
        predict_chunk(
            model, tiling, genome, segments, selected, path, dtype=dtype, batch_size=batch_size
        )
    finally:
        genome.close()
    return path.read_bytes()


@pytest.fixture
def asynchronous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(compute.ROUTES, "cpu", replace(compute.CPU, asynchronous=True))


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize(
    ("dtype", "overlap"),
    [("float32", 0.0), ("float16", 0.0), ("float32", 0.5), ("float16", 0.5)],
)
def test_chunks_are_the_same_bytes(
    dtype: str, overlap: float, spread: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = chunk(tmp_path, ensemble(spread), dtype, overlap)
    monkeypatch.setitem(compute.ROUTES, "cpu", replace(compute.CPU, asynchronous=True))
    assert chunk(tmp_path, ensemble(spread), dtype, overlap) == expected


@pytest.mark.usefixtures("asynchronous")
def test_out_of_memory_halves_the_batch_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = chunk(tmp_path, ensemble(), batch_size=1)
    real, sizes = Ensemble.compute_coverage, []

    def little_memory(self: Ensemble, codes: Codes, precision: str = "float32") -> Tensor:
        sizes.append(len(codes))
        if len(codes) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, codes, precision)

    monkeypatch.setattr(Ensemble, "compute_coverage", little_memory)
    assert chunk(tmp_path, ensemble(), batch_size=4) == expected
    assert [size for size in sizes if size > 1] == [2]  # the first segment has two windows


@pytest.mark.usefixtures("asynchronous")
def test_a_window_that_does_not_fit_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(self: Ensemble, codes: Codes, precision: str = "float32") -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Ensemble, "compute_coverage", no_memory)
    with pytest.raises(SeqcovError, match="with a single window"):
        chunk(tmp_path, ensemble())


@pytest.mark.usefixtures("asynchronous")
def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = ensemble()
    with torch.no_grad():
        model.folds[0].get_parameter("head.bias")[1] = torch.inf
    with pytest.raises(SeqcovError, match="is NaN or infinite"):
        chunk(tmp_path, model)


def test_an_error_of_the_thread_that_writes_is_raised() -> None:
    def full(place: int) -> None:
        raise OSError(f"No space left on device at {place}")

    with (
        pytest.raises(OSError, match="No space left on device at 7"),
        write_behind(full, True) as write,
    ):
        write(7)


def test_the_device_converts_to_the_number_format_of_the_chunk() -> None:
    values = torch.tensor([[[0.1, 1e6], [-1e6, 3.0]]])  # a window, two bins, two tracks
    stored, finite = PendingCoverage(values, torch.float16).wait()
    assert stored.dtype == np.float16
    assert stored.tolist() == [[[np.float16(0.1), 65_504], [-65_504, 3]]]
    assert finite


def test_an_infinite_value_is_noticed_before_it_is_clipped() -> None:
    _, finite = PendingCoverage(torch.full((1, 1, 1), torch.inf), torch.float16).wait()
    assert not finite
