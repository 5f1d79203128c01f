"""Strands, shifts, folds, overlap and regions, against loops over windows and bins."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from seqcov_models import Ensemble, load_model
from seqcov_models.checkpoints.recognise import Checkpoint, recognise
from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.networks.shared.base import TokenPredictionModel
from seqcov_models.prediction.load import load_ensemble
from seqcov_models.run.predict import predict_chunk
from seqcov_models.tiling import Tiling, select_bins, split_into_chunks, tile
from seqcov_models.tracks.units import Untransform
from support.calico import PAIRS, write_stranded_fold
from support.fasta import write_fasta

COMPLEMENT = str.maketrans("ACGTRYNacgt", "TGCAYRNtgca")
# A mean of n float32 numbers of size y errs by at most n roundings: n · 2^-24 · y.
ROUNDING = 24 * 2**-24

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stranded_fold(tmp_path_factory.mktemp("weights") / "fold0", 1)


@pytest.fixture(scope="module")
def fold(folder: Path) -> Checkpoint:
    return recognise("borzoi", folder)


@pytest.fixture(scope="module")
def model(folder: Path) -> TokenPredictionModel:
    return load_model("borzoi", folder)


def letters(length: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGTacgtNR"), length))


def predict_letters(model: TokenPredictionModel, sequence: str) -> Floats:
    return model.predict([sequence])[0]


def reverse(sequence: str) -> str:
    return sequence.translate(COMPLEMENT)[::-1]


def codes(sequence: str) -> npt.NDArray[np.uint8]:
    return np.array([["ACGT".find(letter) % 5 for letter in sequence.upper()]], np.uint8)


def predict_codes(ensemble: Ensemble, sequence: str) -> Floats:
    return ensemble.predict(codes(sequence))[0]


def test_reverse_complement_flips_bins_and_exchanges_strand_pairs(
    fold: Checkpoint, model: TokenPredictionModel
) -> None:
    sequence = letters(512)
    expected = (
        predict_letters(model, sequence) + predict_letters(model, reverse(sequence))[::-1, PAIRS]
    ) / 2
    values = predict_codes(load_ensemble([fold], fold.tracks, reverse_complement=True), sequence)
    np.testing.assert_allclose(values, expected, rtol=ROUNDING)
    unpaired = (
        predict_letters(model, sequence) + predict_letters(model, reverse(sequence))[::-1]
    ) / 2
    assert np.abs(values - unpaired).max() > 1e-3, "the pairs make no difference here"


def test_one_strand_of_a_pair_is_averaged_with_its_unwritten_partner(fold: Checkpoint) -> None:
    sequence = letters(512)
    reference = predict_codes(load_ensemble([fold], fold.tracks, reverse_complement=True), sequence)
    tracks = [fold.tracks[row] for row in (2, 4, 0)]
    values = predict_codes(load_ensemble([fold], tracks, reverse_complement=True), sequence)
    np.testing.assert_allclose(values, reference[:, [2, 4, 0]], rtol=1e-5)


def test_load_model_averages_both_strands_of_the_selected_tracks(
    folder: Path, fold: Checkpoint
) -> None:
    sequences = [letters(512), letters(512, 1)]
    model = load_model("borzoi", folder, tracks=["id3+", "id2"], reverse_complement=True)
    assert [track.identifier for track in model.tracks] == ["id2", "id3+"]
    assert model.geometry == fold.config.geometry
    ensemble = load_ensemble([fold], fold.tracks, reverse_complement=True)
    expected = ensemble.predict(np.concatenate([codes(text) for text in sequences]))
    np.testing.assert_allclose(model.predict(sequences), expected[..., [2, 3]], rtol=1e-5)
    with pytest.raises(SeqcovError, match="sequence 1 has 511 bp; this network reads windows of"):
        model.predict([sequences[0], sequences[1][:-1]])


def test_reverse_complement_needs_the_strand_partner(folder: Path) -> None:
    model = load_model("borzoi", folder, tracks=["id3+", "id2"])
    with pytest.raises(SeqcovError, match=r"id3\+: its other strand \(row 4\) is not among"):
        Ensemble([model], reverse_complement=True)


def test_shifts_move_the_sequence_and_not_the_prediction(
    fold: Checkpoint, model: TokenPredictionModel
) -> None:
    sequence = letters(512)
    sequences = ["N" * 3 + sequence[:-3], sequence, sequence[2:] + "N" * 2]
    plus = [predict_letters(model, text) for text in sequences]
    values = predict_codes(load_ensemble([fold], fold.tracks, shifts=[3, 0, -2]), sequence)
    np.testing.assert_allclose(values, np.mean(plus, 0), rtol=ROUNDING)
    minus = [predict_letters(model, reverse(text))[::-1, PAIRS] for text in sequences]
    ensemble = load_ensemble([fold], fold.tracks, shifts=[3, 0, -2], reverse_complement=True)
    np.testing.assert_allclose(
        predict_codes(ensemble, sequence), np.mean(plus + minus, 0), rtol=ROUNDING
    )


@pytest.mark.slow
def test_folds_are_averaged_after_the_inverse_transform(tmp_path: Path) -> None:
    paths = [write_stranded_fold(tmp_path / f"fold{seed}", seed) for seed in range(3)]
    folds = [recognise("borzoi", path) for path in paths]
    tracks = folds[0].tracks
    sequence = letters(512)
    inverse = Untransform(tracks, "new")
    means, members = [], []
    for path in paths:
        model = load_model("borzoi", path)
        strands = (
            predict_letters(model, sequence),
            predict_letters(model, reverse(sequence))[::-1, PAIRS],
        )
        means.append(inverse(torch.from_numpy((strands[0] + strands[1]) / 2)).numpy())
        members += [inverse(torch.from_numpy(value.copy())).numpy() for value in strands]
    ensemble = load_ensemble(
        folds, tracks, reverse_complement=True, untransform=inverse, standard_deviation=True
    )
    values = predict_codes(ensemble, sequence)
    # the inverse transform squares twice (soft clip and root), which doubles relative errors twice
    np.testing.assert_allclose(values[:, :7], np.mean(means, 0), rtol=8 * ROUNDING)
    scale = np.abs(members).max()
    np.testing.assert_allclose(values[:, 7:], np.std(members, 0), atol=16 * ROUNDING * scale)


def run(
    ensemble: Ensemble,
    tiling: Tiling,
    genome: Genome,
    folder: Path,
    windows: int = 1_000,
    **options: float,
) -> dict[str, Floats]:
    """Predict every chunk; return (rows, bins) by contig."""
    bins = select_bins(genome.contigs, tiling.geometry.bin, None, [])
    parts: dict[str, list[Floats]] = {}
    for number, chunk in enumerate(
        split_into_chunks(tile(genome.contigs, tiling, bins), tiling.step, windows)
    ):
        path = folder / f"{windows}.{number}.npy"
        predict_chunk(ensemble, tiling, genome, chunk, bins, path, **options)  # type: ignore[arg-type]
        rows, offset = np.load(path), 0
        for segment in chunk:
            parts.setdefault(segment.contig, []).append(rows[:, offset : offset + segment.bins])
            offset += segment.bins
    return {contig: np.concatenate(arrays, 1) for contig, arrays in parts.items()}


def open_genome(folder: Path, contigs: dict[str, str]) -> Genome:
    return Genome(open_fasta(write_fasta(folder / "genome.fa", contigs), folder))


def test_the_other_strand_of_a_genome_mirrors_every_track(fold: Checkpoint, tmp_path: Path) -> None:
    """Contigs of whole cores, so that the windows of one strand are those of the other."""
    ensemble = load_ensemble([fold], fold.tracks, reverse_complement=True, shifts=[-1, 0, 1])
    core = ensemble.geometry.core
    contigs = {"one": letters(3 * core, 1), "two": letters(core, 2)}
    tiling = Tiling.from_overlap(ensemble.geometry)
    plus = run(ensemble, tiling, open_genome(tmp_path / "f", contigs), tmp_path)
    flipped = {name: reverse(sequence) for name, sequence in contigs.items()}
    minus = run(ensemble, tiling, open_genome(tmp_path / "r", flipped), tmp_path)
    for contig in contigs:
        values = plus[contig][:7]
        mirrored = minus[contig][:7][PAIRS, ::-1]
        gaps = np.isnan(values)
        np.testing.assert_array_equal(gaps, np.isnan(mirrored))
        np.testing.assert_allclose(values[~gaps], mirrored[~gaps], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("blend", ["crop", "mean", "taper"])
@pytest.mark.parametrize("overlap", [0.1, 0.5, 0.75])
def test_overlap_is_a_weighted_mean_of_the_windows_that_cover_a_bin(
    fold: Checkpoint, model: TokenPredictionModel, blend: str, overlap: float, tmp_path: Path
) -> None:
    geometry = model.geometry
    tiling = Tiling.from_overlap(geometry, overlap, blend)
    contigs = {"long": letters(5 * geometry.core + 77, 3), "short": letters(50, 4)}
    genome = open_genome(tmp_path, contigs)
    ensemble = Ensemble([model])
    coverage = run(ensemble, tiling, genome, tmp_path)
    for contig, sequence in contigs.items():
        bins = -(-len(sequence) // geometry.bin)
        starts = range(0, bins, tiling.step)
        padded = "N" * geometry.context + sequence + "N" * (2 * geometry.window)
        covering: list[list[tuple[float, Floats]]] = [[] for _ in range(bins)]
        for start in starts:
            base = start * geometry.bin
            values = predict_letters(model, padded[base : base + geometry.window])
            window_centre = start + geometry.bins / 2
            for bin_, value in zip(range(start, bins), values, strict=False):
                if blend == "crop":
                    centres = [
                        number * tiling.step + geometry.bins / 2 for number in range(len(starts))
                    ]
                    distance = min(abs(bin_ + 0.5 - centre) for centre in centres)
                    weight = float(abs(bin_ + 0.5 - window_centre) == distance)
                elif blend == "mean":
                    weight = 1.0
                else:
                    weight = min(bin_ - start + 1, start + geometry.bins - bin_)
                covering[bin_].append((weight, value))
        for bin_, members in enumerate(covering):
            weights = np.array([weight for weight, _ in members])
            if blend == "crop" and (weights > 0).sum() > 1:
                continue  # exactly between two centres: either is right
            expected = np.average([value for _, value in members], axis=0, weights=weights)
            letters_of_bin = sequence[bin_ * geometry.bin : (bin_ + 1) * geometry.bin].upper()
            if set(letters_of_bin) & set("ACGT"):
                np.testing.assert_allclose(coverage[contig][:-1, bin_], expected, rtol=1e-5)
            else:
                assert np.isnan(coverage[contig][:-1, bin_]).all()


@pytest.mark.parametrize(
    ("overlap", "blend"),
    [(0, "crop"), (0.3, "crop"), pytest.param(0.6, "taper", marks=pytest.mark.slow)],
)
def test_chunks_of_any_size_hold_the_same_values(
    model: TokenPredictionModel, overlap: float, blend: str, tmp_path: Path
) -> None:
    tiling = Tiling.from_overlap(model.geometry, overlap, blend)
    genome = open_genome(tmp_path, {"a": letters(4_000, 5), "b": letters(700, 6)})
    expected = run(Ensemble([model]), tiling, genome, tmp_path)
    for windows in (1, 3):
        chunks = run(Ensemble([model]), tiling, genome, tmp_path, windows)
        for contig, values in expected.items():
            np.testing.assert_allclose(chunks[contig], values, rtol=1e-6)


def test_min_acgt_omits_windows_and_the_mask_is_the_unknown_fraction(
    model: TokenPredictionModel, tmp_path: Path
) -> None:
    geometry = model.geometry
    core, context = geometry.core, geometry.context
    sequence = letters(core, 1) + "N" * (core - 40) + letters(40 + core, 2) + letters(30, 3)
    genome = open_genome(tmp_path, {"c": sequence})
    tiling = Tiling.from_overlap(geometry)
    coverage = run(Ensemble([model]), tiling, genome, tmp_path, min_acgt=0.3)["c"]
    padded = "N" * context + sequence + "N" * geometry.window
    for number in range(4):
        window = padded[number * core : number * core + geometry.window].upper()
        fraction = sum(letter in "ACGT" for letter in window) / geometry.window
        rows = coverage[:, number * geometry.bins : (number + 1) * geometry.bins]
        assert rows[-1] == pytest.approx(1 - fraction, abs=2**-24)
        assert np.isnan(rows[:-1]).all() == (fraction < 0.3)
    assert np.isnan(coverage[:-1]).all(0).sum() > geometry.bins, "no window was dropped here"


def test_a_strand_pair_that_does_not_point_back_is_refused(folder: Path, tmp_path: Path) -> None:
    row = "id4-\t0.5\t2\tsum_sqrt\t"
    table = (folder / "targets.txt").read_text().replace(f"{row}3", f"{row}5")
    (tmp_path / "targets.txt").write_text(table)
    with pytest.raises(
        SeqcovError, match=r"strand_pair of id3\+ is id4-, but the pair of id4- is another track"
    ):
        recognise("borzoi", folder, targets=tmp_path / "targets.txt")
