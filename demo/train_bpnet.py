"""Train the demo's small BPNet on simulated binding, then test it at the demo genome's peaks.

Writes bpnet/: config.json, model.safetensors, targets.txt and pearson.tsv, whose values README.md
repeats. The training genome has another seed than the demo genome, which is read only after the
last step. One contig of the training genome is held out, to print the progress.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also as python -m demo.train_bpnet
from simulate import (
    DEMO,
    DEMO_CONTIGS,
    DEMO_SEED,
    FACTORS,
    TRAINING_SEED,
    Coverage,
    Genome,
    call_peaks,
    simulate_binding,
    simulate_genome,
)
from torch import Tensor
from training import correlate, fit, format_correlations, stack_examples, write_table

from seqcov_models.checkpoints.load import save_model
from seqcov_models.networks.bpnet.config import BPNetConfig
from seqcov_models.networks.bpnet.network import BPNetForProfilePrediction
from seqcov_models.sequence import Codes, encode, reverse_complement

CONFIG = BPNetConfig(
    tasks=tuple(FACTORS),
    hidden_size=32,
    num_dilated_layers=8,
    count_loss_weight=300.0,  # with the published 10, counts stay inaccurate, mostly of rare CTCF
)
WINDOW = CONFIG.sequence_length
CONTIGS = {f"train{number}": 1_000_003 for number in range(1, 15)}
STEPS, BATCH, RATE = 4_000, 32, 4e-3
JITTER = 150  # bp
BACKGROUND_SHARE = 0.15  # of the windows, drawn anywhere
SEED = 1


class Binding:
    """A contig with a window of unknown bases at each side, and the reads of all factors.

    Attributes:
        letters: Sequence with the added Ns.
        codes: The same as codes.
        expected: Expected reads, shape (bases, tasks, strands).
        summits: Positions of each task's peaks.
    """

    def __init__(self, letters: str) -> None:
        self.letters = f"{'N' * WINDOW}{letters}{'N' * WINDOW}"
        self.codes = encode(self.letters)
        self.expected = simulate_binding(self.letters)
        self.summits = [
            [peak.summit for peak in call_peaks(self.expected[:, task])]
            for task in range(len(FACTORS))
        ]


def draw_counts(rng: np.random.Generator, expected: Coverage) -> Coverage:
    """Draw reads as an experiment would count them: a gamma-distributed yield, Poisson counts."""
    yields = rng.gamma(20, 1 / 20, expected.shape[1:])
    return rng.poisson(expected * yields).astype(np.float32)


class Examples:
    """Random windows of the genome's contigs, at peaks and elsewhere: codes and counts."""

    def __init__(self, genome: Genome, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.contigs = [Binding(letters) for letters in genome.values()]
        self.peaks = [
            [(contig, summit) for contig in self.contigs for summit in contig.summits[task]]
            for task in range(len(FACTORS))
        ]

    def draw(self) -> tuple[Codes, Coverage]:
        """Draw one window, on either strand; each task is equally frequent."""
        peaks = self.peaks[self.rng.integers(len(FACTORS))]
        contig, middle = peaks[self.rng.integers(len(peaks))]
        middle += int(self.rng.integers(-JITTER, JITTER + 1))
        if self.rng.random() < BACKGROUND_SHARE:
            middle = int(self.rng.integers(WINDOW, len(contig.codes) - WINDOW))
        window = slice(middle - WINDOW // 2, middle + WINDOW // 2)
        codes, counts = contig.codes[window], draw_counts(self.rng, contig.expected[window])
        if self.rng.random() < 0.5:
            return reverse_complement(codes), counts[::-1, :, ::-1]
        return codes, counts

    def batch(self) -> tuple[Tensor, ...]:
        """Draw a batch: codes (batch, window) and counts (batch, window, tasks, strands)."""
        return stack_examples(self.draw() for _ in range(BATCH))


def compute_pearson(model: BPNetForProfilePrediction, genome: Genome) -> npt.NDArray[np.float64]:
    """Return Pearson's r of predicted and expected reads per track, over all bases of all peaks."""
    predicted, expected = [], []
    for contig in map(Binding, genome.values()):
        for summit in (summit for summits in contig.summits for summit in summits):
            window = slice(summit - WINDOW // 2, summit + WINDOW // 2)
            predicted.append(model.predict([contig.letters[window]])[0])
            expected.append(contig.expected[window].reshape(WINDOW, -1))
    return correlate(predicted, expected)


def train(steps: int) -> BPNetForProfilePrediction:
    """Train a network and return it; print Pearson's r on the held-out contig."""
    torch.set_num_threads(1)  # sums in the same order on any number of cores
    torch.manual_seed(SEED)
    genome = simulate_genome(TRAINING_SEED, CONTIGS)
    held_out = dict([genome.popitem()])
    examples = Examples(genome, SEED)
    model = BPNetForProfilePrediction(CONFIG)
    batches = (examples.batch() for _ in range(steps))
    fit(
        model, lambda codes, counts: model(codes, labels=counts).loss, batches, steps, RATE,
        max_norm=100.0, report=lambda: format_correlations(compute_pearson(model, held_out)),
    )  # fmt: skip
    return model.eval()


def main() -> None:
    """Train the network, save it, and write its agreement at the demo genome's peaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="batches")
    parser.add_argument("--out", type=Path, default=DEMO, help="folder to write to (demo/)")
    args = parser.parse_args()
    model = train(args.steps)
    save_model(model, args.out / "bpnet")
    r = compute_pearson(model, simulate_genome(DEMO_SEED, DEMO_CONTIGS))
    rows = [
        (track.identifier, f"{value:.3f}") for track, value in zip(model.tracks, r, strict=True)
    ]
    write_table(args.out / "bpnet" / "pearson.tsv", [("identifier", "pearson_r"), *rows])


if __name__ == "__main__":
    main()
