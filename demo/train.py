"""Train the demo's small Borzoi on a simulated genome, then judge it on the demo genome.

Writes borzoi/ (config.json, model.safetensors, targets.txt, pearson.tsv) and the table of Pearson's
r in README.md. The training genome comes from another seed than the demo genome, which is read only
after the last step; one contig of the training genome is held out to watch the training.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
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
)  # isort: skip
from torch.nn import functional as F

from seqcov_models.checkpoints.load import save_model
from seqcov_models.configs import BorzoiConfig
from seqcov_models.networks.borzoi import BorzoiForTokenPrediction
from seqcov_models.sequence import UNKNOWN, Codes, encode, reverse_complement

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
    head_dropout=0.05,
)
GEOMETRY = CONFIG.geometry
STEPS, BATCH, PEAK_RATE, SHIFT = 3_000, 4, 2e-3, 3
SEED = 1


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

    def draw(self) -> tuple[Codes, Coverage]:
        """One window, on either strand, its letters moved by up to `SHIFT` bp."""
        which = self.rng.integers(len(self.codes))
        codes, counts = self.codes[which], self.counts[which]
        start = int(self.rng.integers(len(counts) - GEOMETRY.bins + 1))
        at = GEOMETRY.window - GEOMETRY.context + start * BIN
        at += int(self.rng.integers(-SHIFT, SHIFT + 1))
        window = codes[at : at + GEOMETRY.window]
        core = counts[start : start + GEOMETRY.bins]
        if self.rng.random() < 0.5:
            return reverse_complement(window), core[::-1, STRAND_PAIR]
        return window, core

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(batch, window) codes and (batch, bins, tracks) counts."""
        codes, counts = zip(*(self.draw() for _ in range(BATCH)), strict=True)
        return torch.from_numpy(np.stack(codes)), torch.from_numpy(np.stack(counts))


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


def train(steps: int) -> BorzoiForTokenPrediction:
    """A network trained for `steps` batches; prints how it does on the held-out contig."""
    torch.manual_seed(SEED)
    genome = simulate_genome(TRAINING_SEED, TRAINING_CONTIGS)
    name, letters = genome.popitem()
    examples = Examples(genome, SEED)
    means = torch.from_numpy(np.concatenate(examples.counts).mean(0))
    model = BorzoiForTokenPrediction(CONFIG)
    model.tracks = tracks_table()
    with torch.no_grad():
        model.head.bias.copy_(means.expm1().log())  # softplus of it is the mean
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, PEAK_RATE, total_steps=steps, pct_start=0.1
    )
    began, total = time.time(), 0.0
    for step in range(1, steps + 1):
        model.train()
        codes, counts = examples.batch()
        coverage = F.softplus(model(codes).logits)
        # Poisson's, each track weighing as if its mean were 1
        loss = ((coverage - counts * (coverage + 1e-6).log()) / means).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        rate.step()
        total += loss.item()
        if step % 250 == 0 or step == steps:
            r = " ".join(f"{value:.3f}" for value in pearson(model, {name: letters}))
            print(
                f"step {step} {time.time() - began:4.0f} s  loss {total / 250:.3f}  {name} r {r}",
                flush=True,
            )
            total = 0.0
    return model


def main() -> None:
    """Train, store, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help=f"batches ({STEPS})")
    parser.add_argument("--out", type=Path, default=DEMO, help="folder to write to (demo/)")
    args = parser.parse_args()
    model = train(args.steps)
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
