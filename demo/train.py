"""Train the demo's small Borzoi on a simulated genome, then test it on the demo genome.

Writes borzoi/: config.json, model.safetensors, targets.txt and pearson.tsv, whose values README.md
repeats. The training genome has another seed than the demo genome, which is read only after the
last step. One contig of the training genome is held out, to print the progress.
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also as python -m demo.train
from simulate import (
    BIN,
    DEMO,
    DEMO_CONTIGS,
    DEMO_SEED,
    STRAND_PAIR,
    TRACKS,
    TRAINING_CONTIGS,
    TRAINING_SEED,
    Coverage,
    Genome,
    build_track_table,
    simulate_genome,
    simulate_tracks,
)
from torch import Tensor, nn
from torch.nn import functional as F
from training import correlate, fit, format_correlations, stack_examples, write_table

from seqcov_models.checkpoints.load import save_model
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.borzoi.network import BorzoiForTokenPrediction
from seqcov_models.sequence import UNKNOWN, Codes, encode, reverse_complement
from seqcov_models.tiling import Geometry

CONFIG = BorzoiConfig(
    sequence_length=32_768,
    num_labels=len(TRACKS),
    stem_channels=32,
    conv_tower_channels=(40, 48, 56, 64, 80, 96),
    num_hidden_layers=2,
    num_attention_heads=4,
    attention_head_size=16,
    attention_value_size=24,
    num_rel_pos_features=32,
    position_length=32_768 // 128,
    intermediate_size=192,
    crop_bins=256,
    head_hidden_size=128,
    hidden_dropout=0.05,
    attention_dropout=0.0,
    position_dropout=0.0,
    intermediate_dropout=0.05,
)
GEOMETRY = CONFIG.geometry
SHORT = Geometry(window=8_192, bin=BIN, bins=224, crop=16)  # enough to learn motifs
MOTIF_STEPS, STEPS = 4_000, 3_000
BATCH = 4
MOTIF_RATE, RATE = 1e-2, 2e-3
SHIFT, SEED = 3, 1


def encode_padded(letters: str) -> Codes:
    """Return a contig's codes with a window of unknown bases on either side."""
    return np.pad(encode(letters), GEOMETRY.window, constant_values=UNKNOWN)


def draw_counts(rng: np.random.Generator, expected: Coverage) -> Coverage:
    """Draw coverage as an experiment would count it: gamma-distributed rates, Poisson counts."""
    rates = expected * rng.gamma(20, 1 / 20, expected.shape)
    return rng.poisson(rates).astype(np.float32)


class Examples:
    """Random windows of the genome's contigs: codes of the window and counts of its core."""

    def __init__(self, genome: Genome, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.codes = [encode_padded(letters) for letters in genome.values()]
        self.counts = [
            draw_counts(self.rng, simulate_tracks(letters)) for letters in genome.values()
        ]

    def draw(self, geometry: Geometry) -> tuple[Codes, Coverage]:
        """Draw one window, on either strand, its letters moved by up to `SHIFT` bp."""
        contig = self.rng.integers(len(self.codes))
        codes, counts = self.codes[contig], self.counts[contig]
        first_bin = int(self.rng.integers(len(counts) - geometry.bins + 1))
        start = GEOMETRY.window + first_bin * BIN - geometry.context
        start += int(self.rng.integers(-SHIFT, SHIFT + 1))
        window = codes[start : start + geometry.window]
        core = counts[first_bin : first_bin + geometry.bins]
        if self.rng.random() < 0.5:
            return reverse_complement(window), core[::-1, STRAND_PAIR]
        return window, core

    def batch(self, geometry: Geometry) -> tuple[Tensor, ...]:
        """Draw a batch: codes (batch, window) and counts (batch, bins, tracks)."""
        return stack_examples(self.draw(geometry) for _ in range(BATCH))


class MotifReader(nn.Module):
    """The stem's filters with a shallow head: the best match per bin and filter, nine bins mixed.

    Through a deep network the filters' gradient is noise for thousands of steps. Through this head
    the filters become motifs within seconds.
    """

    def __init__(self, filters: nn.Conv1d, one_hot: Tensor, means: Tensor) -> None:
        super().__init__()
        self.filters, self.one_hot = filters, one_hot
        self.norm = nn.BatchNorm1d(filters.out_channels)
        self.mix = nn.Conv1d(filters.out_channels, 64, 9, padding=4)
        self.head = nn.Conv1d(64, len(TRACKS), 1)
        with torch.no_grad():
            self.head.bias.copy_(means.expm1().log())

    def forward(self, codes: Tensor) -> Tensor:
        """Predict the coverage (batch, bins of `SHORT`, tracks) of codes (batch, window)."""
        x = F.embedding(codes.int(), self.one_hot).transpose(1, 2)
        x = F.relu(self.norm(F.max_pool1d(self.filters(x), BIN)))
        x = F.softplus(self.head(F.relu(self.mix(x))))
        return x[..., SHORT.crop : -SHORT.crop].transpose(1, 2)


def compute_loss(coverage: Tensor, counts: Tensor, means: Tensor) -> Tensor:
    """Return the Poisson loss; that of a track is divided by its mean."""
    return ((coverage - counts * (coverage + 1e-6).log()) / means).mean()


def predict(model: BorzoiForTokenPrediction, letters: str) -> Coverage:
    """Predict the coverage of a contig, shape (bins, tracks): cores side by side, N at the ends."""
    codes, bins = encode_padded(letters), math.ceil(len(letters) / BIN)
    first = GEOMETRY.window - GEOMETRY.context
    starts = range(first, first + len(letters), GEOMETRY.core)
    cores = []
    model.eval()
    with torch.inference_mode():
        for start in starts:
            window = torch.from_numpy(codes[start : start + GEOMETRY.window])[None]
            cores.append(model.postprocess(model(window))[0][0].numpy())
    return np.concatenate(cores)[:bins]


def compute_pearson(model: BorzoiForTokenPrediction, genome: Genome) -> npt.NDArray[np.float64]:
    """Return Pearson's r of predicted and expected coverage per track, over bins that are not N."""
    predicted, expected = [], []
    for letters in genome.values():
        has_value = np.pad(encode(letters) != UNKNOWN, (0, -len(letters) % BIN))
        has_value = has_value.reshape(-1, BIN).any(1)
        predicted.append(predict(model, letters)[has_value])
        expected.append(simulate_tracks(letters)[has_value])
    return correlate(predicted, expected)


def train(motif_steps: int, steps: int) -> BorzoiForTokenPrediction:
    """Train a network and return it; print Pearson's r on the held-out contig."""
    torch.manual_seed(SEED)
    genome = simulate_genome(TRAINING_SEED, TRAINING_CONTIGS)
    held_out = dict([genome.popitem()])
    examples = Examples(genome, SEED)
    means = torch.from_numpy(np.concatenate(examples.counts).mean(0))
    model = BorzoiForTokenPrediction(CONFIG)
    model.tracks = build_track_table()
    with torch.no_grad():
        model.head.bias.copy_(means.expm1().log())  # softplus of it is the mean
        for stage in model.model.stem.tower:  # so that the stem's motifs arrive at the trunk
            stage.conv.weight += nn.init.dirac_(torch.empty_like(stage.conv.weight))

    reader = MotifReader(model.model.stem.conv, model.one_hot, means)
    batches = (examples.batch(SHORT) for _ in range(motif_steps))
    fit(
        reader, lambda codes, counts: compute_loss(reader(codes), counts, means), batches,
        motif_steps, MOTIF_RATE, max_norm=1.0,
    )  # fmt: skip

    batches = (examples.batch(GEOMETRY) for _ in range(steps))
    fit(
        model, lambda codes, counts: compute_loss(F.softplus(model(codes).logits), counts, means),
        batches, steps, RATE, max_norm=1.0,
        report=lambda: format_correlations(compute_pearson(model, held_out)),
    )  # fmt: skip
    return model


def main() -> None:
    """Train the network, save it, and write its agreement on the demo genome."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motif-steps", type=int, default=MOTIF_STEPS, help="batches for the stem")
    parser.add_argument("--steps", type=int, default=STEPS, help="batches for the network")
    parser.add_argument("--out", type=Path, default=DEMO, help="folder to write to (demo/)")
    args = parser.parse_args()
    model = train(args.motif_steps, args.steps)
    save_model(model, args.out / "borzoi")
    r = compute_pearson(model, simulate_genome(DEMO_SEED, DEMO_CONTIGS))
    rows = [
        (identifier, description, f"{value:.3f}")
        for (identifier, _, description), value in zip(TRACKS, r, strict=True)
    ]
    write_table(
        args.out / "borzoi" / "pearson.tsv", [("identifier", "description", "pearson_r"), *rows]
    )


if __name__ == "__main__":
    main()
