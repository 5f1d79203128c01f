"""Coverage along contigs, with a network that counts letters so that every value is known."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from seqcov_models import load_model
from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.shared.base import TokenPredictionModel, TokenPredictionOutput
from seqcov_models.prediction.coverage import predict_segment
from seqcov_models.prediction.ensemble import Ensemble
from seqcov_models.run.predict import predict_chunk
from seqcov_models.tiling import Segment, Tiling, select_bins, split_into_chunks, tile
from support.calico import Tiny, draw_keras_weights, write_calico
from support.fasta import write_fasta

BIN = 4
WINDOW, CROP, CORE_BINS = 64, 3, 10
CONFIG = BorzoiConfig(
    sequence_length=WINDOW,
    conv_tower_channels=(4, 4, 4),
    crop_bins=CROP,
    num_labels=4,
    head_hidden_size=0,
    output_act="linear",
)
Values = npt.NDArray[np.float32]


class Counting(TokenPredictionModel):
    """Count each letter in each bin: track 0 is A, 1 is C, 2 is G, 3 is T."""

    shared_stem = None

    def __init__(self) -> None:
        super().__init__(CONFIG, 4, 4)
        with torch.no_grad():
            self.head.weight.copy_(torch.eye(4))
            self.head.bias.zero_()
        self.eval()

    def compute_hidden_state(self, inputs: Tensor, contexts: list[Tensor] | None = None) -> Tensor:
        assert inputs.shape[1:] == (4, WINDOW)
        counts = inputs.unflatten(-1, (-1, BIN)).sum(-1)
        return counts[..., CROP : counts.shape[-1] - CROP]


class Broken(Counting):
    """Count letters, but write `value` in each bin with a T."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def postprocess(self, output: TokenPredictionOutput) -> tuple[Tensor, list[str]]:
        coverage, names = super().postprocess(output)
        coverage[..., 3][coverage[..., 3] > 0] = self.value
        return coverage, names


SIDE_BY_SIDE = Tiling.from_overlap(CONFIG.geometry)


def count_letters(sequence: str, numbers: set[int]) -> Values:
    """Count the letters of a contig: (4, bins), NaN for a bin that is not selected or all N."""
    bins = -(-len(sequence) // BIN)
    values = np.full((4, bins), np.nan, np.float32)
    for number in numbers:
        letters = sequence[number * BIN : (number + 1) * BIN].upper()
        if set(letters) & set("ACGT"):
            values[:, number] = [letters.count(letter) for letter in "ACGT"]
    return values


def unknown_share(sequence: str, number: int, step: int = CORE_BINS) -> float:
    """Return the share of window `number` that is not a base."""
    start = (number * step - CROP) * BIN
    letters = sequence[max(start, 0) : start + WINDOW].upper()
    return 1 - sum(letter in "ACGT" for letter in letters) / WINDOW


def random_genome(rng: np.random.Generator) -> dict[str, str]:
    """Draw contigs from less than a bin to several chunks, with runs of N and soft-masked bases."""
    genome = {}
    for number in range(rng.integers(1, 4)):
        parts = [
            "".join(rng.choice(list("ACGTacgtRN"), rng.integers(1, 90))) + "N" * rng.integers(0, 70)
            for _ in range(rng.integers(1, 8))
        ]
        genome[f"c{number}"] = "".join(parts) if rng.random() < 0.8 else "ACGTN"[: len(parts)]
    return genome


def predict_contigs(
    genome: dict[str, str],
    tiling: Tiling,
    exclude: list[tuple[str, int, int]],
    windows: int,
    batch_size: int,
    folder: Path,
) -> dict[str, Values]:
    """Predict all chunks of a run; return (5, bins) per contig, NaN for bins without a value."""
    fasta = open_fasta(write_fasta(folder / "g.fa", genome), folder)
    reader = Genome(fasta)
    bins = select_bins(fasta.contigs, BIN, None, exclude)
    coverage = {
        contig: np.full((5, -(-length // BIN)), np.nan, np.float32)
        for contig, length in fasta.contigs.items()
    }
    for number, segments in enumerate(
        split_into_chunks(tile(fasta.contigs, tiling, bins), tiling.step, windows)
    ):
        path = folder / f"{number}.npy"
        predict_chunk(
            Ensemble([Counting()]), tiling, reader, segments, bins, path, batch_size=batch_size
        )
        chunk = np.load(path)
        assert chunk.shape == (5, sum(segment.bins for segment in segments))
        offset = 0
        for segment in segments:
            first = segment.first_window * tiling.step
            core_values = coverage[segment.contig][:, first : first + segment.bins]
            assert np.isnan(core_values).all()  # no bin comes twice
            core_values[:] = chunk[:, offset : offset + segment.bins]
            offset += segment.bins
    reader.close()
    return coverage


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("overlap", [(0.0, "crop"), (0.3, "crop"), (0.55, "mean"), (0.7, "taper")])
def test_bins_hold_the_counts_of_their_letters_for_all_sizes(
    overlap: tuple[float, str], seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    genome = random_genome(rng)
    tiling = Tiling.from_overlap(CONFIG.geometry, *overlap)
    exclude = []
    for contig, text in genome.items():
        start, end = sorted(rng.integers(0, len(text) + 1, 2).tolist())
        exclude += [(contig, start, end)] if start < end and rng.random() < 0.7 else []
    windows, batch_size = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    values = predict_contigs(genome, tiling, exclude, windows, batch_size, tmp_path)
    for contig, text in genome.items():
        exclusions = {
            base // BIN
            for name, start, end in exclude
            if name == contig
            for base in range(start, end)
        }
        numbers = set(range(-(-len(text) // BIN))) - exclusions
        expected = count_letters(text, numbers)
        # a mean of equal numbers errs by a rounding or two
        assert np.allclose(values[contig][:4], expected, rtol=1e-6, equal_nan=True)
        assert {*np.flatnonzero(~np.isnan(values[contig][4])).tolist()} == numbers
        if not overlap[0]:
            shares = [unknown_share(text, number // CORE_BINS) for number in sorted(numbers)]
            assert np.allclose(values[contig][4, sorted(numbers)], shares, atol=1e-6)


@pytest.mark.parametrize(
    "tiling", [SIDE_BY_SIDE, Tiling.from_overlap(CONFIG.geometry, 0.5, "mean")]
)
@pytest.mark.parametrize("min_acgt", [0.0, 0.3, 0.62, 0.8125, 1.0])
def test_windows_with_too_few_bases_do_not_count(
    min_acgt: float, tiling: Tiling, tmp_path: Path
) -> None:
    text = "ACGT" * 20 + "N" * 50 + "ACGT" * 12 + "NNNA"
    bins, step = -(-len(text) // BIN), tiling.step
    count = -(-bins // step)
    reader = Genome(open_fasta(write_fasta(tmp_path / "g.fa", {"c": text}), tmp_path))
    parts = predict_segment(
        Ensemble([Counting()]), tiling, reader, Segment("c", 0, count, bins), 3, min_acgt=min_acgt
    )
    coverage = np.concatenate([values for _, values, _ in parts]).T
    reader.close()
    numbers = {
        window * step + offset
        for window in range(count)
        if 1 - unknown_share(text, window, step) >= min_acgt
        for offset in range(CORE_BINS)
    }
    expected = count_letters(text, {number for number in numbers if number < bins})
    assert np.allclose(coverage, expected, rtol=1e-6, equal_nan=True)


@pytest.fixture
def genome(tmp_path: Path) -> Iterator[Genome]:
    """Yield one contig of 130 bp: A and C, then only N from 80, with a T at 100 and at the end."""
    text = "AC" * 40 + "N" * 20 + "T" + "N" * 28 + "T"
    reader = Genome(open_fasta(write_fasta(tmp_path / "g.fa", {"c": text}), tmp_path))
    yield reader
    reader.close()


SEGMENTS = [Segment("c", 0, 4, 33)]
BINS = {"c": np.array([[0, 33]])}


def write_chunk(model: TokenPredictionModel, genome: Genome, path: Path, **options: object) -> None:
    ensemble = Ensemble([model])
    predict_chunk(ensemble, SIDE_BY_SIDE, genome, SEGMENTS, BINS, path, **options)  # type: ignore[arg-type]


def test_only_bins_without_any_base_are_gaps(genome: Genome, tmp_path: Path) -> None:
    write_chunk(Counting(), genome, tmp_path / "0.npy", batch_size=4)
    gaps = np.isnan(np.load(tmp_path / "0.npy")[:4])
    expected = {*range(20, 25), *range(26, 32)}
    assert {*np.flatnonzero(gaps.all(0)).tolist()} == expected
    assert {*np.flatnonzero(gaps.any(0)).tolist()} == expected


def test_a_window_without_a_base_in_its_core_is_not_predicted(tmp_path: Path) -> None:
    batch_sizes: list[int] = []

    class Recording(Counting):
        def compute_hidden_state(
            self, inputs: Tensor, contexts: list[Tensor] | None = None
        ) -> Tensor:
            batch_sizes.append(len(inputs))
            return super().compute_hidden_state(inputs)

    text = "ACGT" * 10 + "N" * 80 + "ACGT" * 10
    reader = Genome(open_fasta(write_fasta(tmp_path / "g.fa", {"c": text}), tmp_path))
    segment = Segment("c", 0, 4, 40)
    list(predict_segment(Ensemble([Recording()]), SIDE_BY_SIDE, reader, segment, batch_size=9))
    reader.close()
    assert sum(batch_sizes) == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("batch_size", [1, 3, 9])
def test_an_output_that_is_not_finite_is_refused(
    value: float, batch_size: int, genome: Genome, tmp_path: Path
) -> None:
    path = tmp_path / "out" / "0.npy"
    path.parent.mkdir()
    with pytest.raises(SeqcovError, match=r"^c\b.*track_3.*float32"):
        write_chunk(Broken(value), genome, path, batch_size=batch_size)
    assert list(path.parent.iterdir()) == []


def test_float16_clips_values_above_65504(genome: Genome, tmp_path: Path) -> None:
    write_chunk(Broken(1e6), genome, tmp_path / "0.npy", dtype="float16")
    values = np.load(tmp_path / "0.npy")
    assert values.dtype == np.float16
    assert values[3, 25] == 65_504
    assert np.isnan(values[:4, 26]).all()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_prediction_that_fails_leaves_no_file(
    error: type[BaseException], genome: Genome, tmp_path: Path
) -> None:
    class Failing(Counting):
        calls = 0

        def compute_hidden_state(
            self, inputs: Tensor, contexts: list[Tensor] | None = None
        ) -> Tensor:
            self.calls += 1
            if self.calls == 3:
                raise error
            return super().compute_hidden_state(inputs)

    (tmp_path / "out").mkdir()
    with pytest.raises(error):
        write_chunk(Failing(), genome, tmp_path / "out" / "0.npy")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_error_of_the_reader_is_raised(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "p.fa", {"c": "ACGT" * 30 + "E" + "ACGT" * 30})
    reader = Genome(open_fasta(path, tmp_path))
    with pytest.raises(SeqcovError, match="'E'"):
        list(predict_segment(Ensemble([Counting()]), SIDE_BY_SIDE, reader, Segment("c", 0, 7, 61)))
    reader.close()


# A real network


@pytest.fixture(scope="module")
def borzoi(tmp_path_factory: pytest.TempPathFactory) -> TokenPredictionModel:
    tiny = Tiny(length=256, crop=4)
    folder = tmp_path_factory.mktemp("borzoi")
    return load_model("borzoi", write_calico(folder, tiny, draw_keras_weights(tiny)))


@pytest.mark.parametrize("batch_size", [2, 3, 20])
def test_values_do_not_depend_on_the_batch_size(
    batch_size: int, borzoi: TokenPredictionModel, tmp_path: Path
) -> None:
    text = "".join(np.random.default_rng(1).choice(list("ACGTN"), 1_500))
    tiling = Tiling.from_overlap(borzoi.geometry)
    reader = Genome(open_fasta(write_fasta(tmp_path / "g.fa", {"c": text}), tmp_path))
    bins = select_bins(reader.contigs, borzoi.geometry.bin, None, [])
    segments = tile(reader.contigs, tiling, bins)
    chunks = []
    for name, size in (("one", 1), ("many", batch_size)):
        path = tmp_path / name
        predict_chunk(Ensemble([borzoi]), tiling, reader, segments, bins, path, batch_size=size)
        chunks.append(np.load(path))
    reader.close()
    # float32 sums in another order
    assert np.array_equal(np.isnan(chunks[0]), np.isnan(chunks[1]))
    assert np.nanmax(np.abs(chunks[1] - chunks[0])) < 1e-5 * np.ptp(chunks[0][~np.isnan(chunks[0])])


def test_windows_read_their_context_and_n_beyond_the_contig(
    borzoi: TokenPredictionModel, tmp_path: Path
) -> None:
    text = "".join(np.random.default_rng(2).choice(list("ACGT"), 700))
    geometry = borzoi.geometry
    bins = -(-700 // geometry.bin)
    segment = Segment("c", 0, -(-bins // geometry.bins), bins)
    reader = Genome(open_fasta(write_fasta(tmp_path / "g.fa", {"c": text}), tmp_path))
    parts = predict_segment(Ensemble([borzoi]), Tiling.from_overlap(geometry), reader, segment)
    coverage = np.concatenate([values for _, values, _ in parts])
    reader.close()
    padded = "N" * geometry.context + text + "N" * geometry.window
    starts = [number * geometry.core for number in range(segment.windows)]
    windows = [padded[start : start + geometry.window] for start in starts]
    expected = borzoi.predict(windows).reshape(-1, 7)[:bins]
    assert np.abs(coverage - expected).max() < 1e-5 * np.ptp(expected)


def test_a_network_in_training_predicts_as_in_evaluation_and_stays_unchanged(
    borzoi: TokenPredictionModel, tmp_path: Path
) -> None:
    reader = Genome(open_fasta(write_fasta(tmp_path / "g.fa", {"c": "ACGGT" * 20}), tmp_path))
    tiling, segment = Tiling.from_overlap(borzoi.geometry), Segment("c", 0, 1, 25)
    [(_, expected, _)] = predict_segment(Ensemble([borzoi]), tiling, reader, segment)
    weights = {name: value.clone() for name, value in borzoi.state_dict().items()}
    try:
        borzoi.train()
        [(_, values, _)] = predict_segment(Ensemble([borzoi]), tiling, reader, segment)
        differences = [n for n, v in borzoi.state_dict().items() if not torch.equal(v, weights[n])]
    finally:
        borzoi.load_state_dict(weights)
        borzoi.eval()
        reader.close()
    assert not differences
    assert np.array_equal(values, expected)
