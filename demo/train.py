"""Train the demo's small Borzoi on a simulated genome, then judge it on the demo genome.

Writes borzoi/: config.json, model.safetensors, targets.txt and pearson.tsv, whose values README.md
repeats. The training genome comes from another seed than the demo genome, which is read only after
the last step; one contig of the training genome is held out to watch the training.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterable
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
    simulate_genome,
    simulate_tracks,
    tracks_table,
)
from torch import Tensor, nn
from torch.nn import functional as F

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


def padded(letters: str) -> Codes:
    """A contig's codes with what a window may read beyond its ends: unknown bases."""
    return np.pad(encode(letters), GEOMETRY.window, constant_values=UNKNOWN)


def measured(rng: np.random.Generator, expected: Coverage) -> Coverage:
    """Coverage as an experiment would count it: gamma-distributed rates, Poisson counts."""
    rates = expected * rng.gamma(20, 1 / 20, expected.shape)
    return rng.poisson(rates).astype(np.float32)


class Examples:
    """Random windows of some contigs: codes and, for the core, counts."""

    def __init__(self, genome: Genome, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.codes = [padded(letters) for letters in genome.values()]
        self.counts = [measured(self.rng, simulate_tracks(letters)) for letters in genome.values()]

    def draw(self, geometry: Geometry) -> tuple[Codes, Coverage]:
        """One window, on either strand, its letters moved by up to `SHIFT` bp."""
        chosen = self.rng.integers(len(self.codes))
        codes, counts = self.codes[chosen], self.counts[chosen]
        start = int(self.rng.integers(len(counts) - geometry.bins + 1))
        at = GEOMETRY.window + start * BIN - geometry.context
        at += int(self.rng.integers(-SHIFT, SHIFT + 1))
        window = codes[at : at + geometry.window]
        core = counts[start : start + geometry.bins]
        if self.rng.random() < 0.5:
            return reverse_complement(window), core[::-1, STRAND_PAIR]
        return window, core

    def batch(self, geometry: Geometry) -> tuple[Tensor, Tensor]:
        """(batch, window) codes and (batch, bins, tracks) counts."""
        codes, counts = zip(*(self.draw(geometry) for _ in range(BATCH)), strict=True)
        return torch.from_numpy(np.stack(codes)), torch.from_numpy(np.stack(counts))


class MotifReader(nn.Module):
    """The stem's filters with a shallow head: each bin's best match of each, nine bins mixed.

    Through a deep network the gradient reaches the filters as noise for thousands of steps; through
    this head they become motifs within seconds.
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
        """(batch, window) codes → (batch, bins of `SHORT`, tracks) coverage."""
        x = F.embedding(codes.int(), self.one_hot).transpose(1, 2)
        x = F.relu(self.norm(F.max_pool1d(self.filters(x), BIN)))
        x = F.softplus(self.head(F.relu(self.mix(x))))
        return x[..., SHORT.crop : -SHORT.crop].transpose(1, 2)


def predict(model: BorzoiForTokenPrediction, letters: str) -> Coverage:
    """Coverage of a contig, (bins, tracks): cores side by side, unknown bases beyond the ends."""
    codes, bins = padded(letters), math.ceil(len(letters) / BIN)
    first = GEOMETRY.window - GEOMETRY.context
    starts = range(first, first + len(letters), GEOMETRY.core)
    cores = []
    model.eval()
    with torch.inference_mode():
        for start in starts:
            window = torch.from_numpy(codes[start : start + GEOMETRY.window])[None]
            cores.append(model.postprocess(model(window))[0][0].numpy())
    return np.concatenate(cores)[:bins]


def pearson(model: BorzoiForTokenPrediction, genome: Genome) -> npt.NDArray[np.float64]:
    """Pearson's r of predicted and expected coverage, a track each, over bins not all N."""
    predicted, expected = [], []
    for letters in genome.values():
        known = np.pad(encode(letters) != UNKNOWN, (0, -len(letters) % BIN))
        known = known.reshape(-1, BIN).any(1)
        predicted.append(predict(model, letters)[known])
        expected.append(simulate_tracks(letters)[known])
    p, e = np.concatenate(predicted), np.concatenate(expected)
    return np.array([np.corrcoef(p[:, row], e[:, row])[0, 1] for row in range(len(TRACKS))])


def fit(
    model: nn.Module,
    coverage_of: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    means: Tensor,
    steps: int,
    peak_rate: float,
    report: Callable[[], str] = str,
) -> None:
    """Minimise the Poisson loss, each track weighing as if its mean were 1, by AdamW."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak_rate, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, peak_rate, total_steps=steps, pct_start=0.1
    )
    began, losses = time.perf_counter(), []
    for step, (codes, counts) in enumerate(batches, 1):
        model.train()
        coverage = coverage_of(codes)
        loss = ((coverage - counts * (coverage + 1e-6).log()) / means).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        rate.step()
        losses.append(loss.item())
        if step % 500 == 0 or step == steps:
            print(
                f"{type(model).__name__} step {step:,}, {time.perf_counter() - began:.0f} s:"
                f" loss {np.mean(losses[-500:]):.4f} {report()}",
                flush=True,
            )


def train(motif_steps: int, steps: int) -> BorzoiForTokenPrediction:
    """A trained network; prints how it does on the held-out contig."""
    torch.manual_seed(SEED)
    genome = simulate_genome(TRAINING_SEED, TRAINING_CONTIGS)
    held_out = dict([genome.popitem()])
    examples = Examples(genome, SEED)
    means = torch.from_numpy(np.concatenate(examples.counts).mean(0))
    model = BorzoiForTokenPrediction(CONFIG)
    model.tracks = tracks_table()
    with torch.no_grad():
        model.head.bias.copy_(means.expm1().log())  # softplus of it is the mean
        for stage in model.model.stem.tower:  # so that the stem's motifs arrive at the trunk
            stage.conv.weight += nn.init.dirac_(torch.empty_like(stage.conv.weight))

    reader = MotifReader(model.model.stem.conv, model.one_hot, means)
    batches = (examples.batch(SHORT) for _ in range(motif_steps))
    fit(reader, reader, batches, means, motif_steps, MOTIF_RATE)

    batches = (examples.batch(GEOMETRY) for _ in range(steps))
    fit(
        model, lambda codes: F.softplus(model(codes).logits), batches, means, steps, RATE,
        lambda: "held-out r " + " ".join(f"{r:.3f}" for r in pearson(model, held_out)),
    )  # fmt: skip
    return model


def main() -> None:
    """Train, store, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motif-steps", type=int, default=MOTIF_STEPS, help="batches for the stem")
    parser.add_argument("--steps", type=int, default=STEPS, help="batches for the network")
    parser.add_argument("--out", type=Path, default=DEMO, help="folder to write to (demo/)")
    args = parser.parse_args()
    model = train(args.motif_steps, args.steps)
    save_model(model, args.out / "borzoi")
    r = pearson(model, simulate_genome(DEMO_SEED, DEMO_CONTIGS))
    rows = [
        f"{identifier}\t{description}\t{value:.3f}\n"
        for (identifier, _, description), value in zip(TRACKS, r, strict=True)
    ]
    table = "identifier\tdescription\tpearson_r\n" + "".join(rows)
    (args.out / "borzoi" / "pearson.tsv").write_text(table, encoding="utf-8")
    print(table, end="")


if __name__ == "__main__":
    main()
