"""A network that reads each bin's number out of its letters, and what it predicts."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqcov_models import BorzoiConfig, save_model
from seqcov_models.checkpoints.load import build

BIN = 16
"""Bases per bin."""
MARK = 2**20
"""What the stem adds at the first base of a bin, more than any number."""
DIGITS = 12
"""Base-3 digits of a bin's number."""


def position_coded_bin(number: int) -> str:
    """Return 16 letters that spell `number` < 3^12: A, then base-3 digits, lowest first, in CGT."""
    digits = "".join("CGT"[number // 3**digit_number % 3] for digit_number in range(DIGITS))
    return "A" + digits.ljust(BIN - 1, "C")


def save_position_coded(folder: Path, bins: int = 24, crop: int = 2, tracks: int = 3) -> None:
    """Save a real Borzoi whose weights read a bin's number out of its letters, exactly.

    The stem's kernel adds MARK where a base is A and the digits of the letters behind it; every sum
    is a whole number below 2^24, so float32 holds it exactly in any order of summation. Poolings
    keep a bin's largest sum, the head takes MARK away: track t predicts (t mod 3 + 1)·number + 40,
    and 0 for a bin whose A is missing (softplus is the identity above 20 and 0 far below 0).
    """
    config = BorzoiConfig(
        sequence_length=BIN * (bins + 2 * crop), crop_bins=crop, num_labels=tracks,
        stem_channels=1, stem_kernel_size=31, conv_tower_channels=(1, 1, 1),
        conv_tower_kernel_size=1, num_hidden_layers=0, num_upsamples=0, head_hidden_size=0,
        hidden_act="relu", batch_norm_eps=0.0,
    )  # fmt: skip
    model = build(config)
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            weight.fill_(1 if name.endswith(("weight", "running_var")) else 0)
        kernel = model.state_dict()["model.stem.conv.weight"]  # (1, 4 letters, 31 offsets)
        kernel.zero_()
        kernel[0, 0, 15] = MARK
        for digit_number in range(DIGITS):
            for digit, letter in enumerate((1, 2, 3)):
                kernel[0, letter, 16 + digit_number] = digit * 3**digit_number
        factor = 1 + torch.arange(tracks) % 3
        model.head.weight.copy_(factor[:, None])
        model.head.bias.copy_(40 - MARK * factor)
    save_model(model, folder)


def position_coded_values(sequence: str, track: int) -> npt.NDArray[np.float32]:
    """Return what the network of `save_position_coded` predicts for every base, letter by letter.

    NaN for the bases of a bin without any A, C, G or T.
    """
    letters = sequence.upper()
    reading = np.zeros(len(letters), np.int64)
    padded = letters + "N" * DIGITS
    for index, letter in enumerate(letters):
        reading[index] = MARK * (letter == "A") + sum(
            max("CGT".find(padded[index + 1 + digit_number]), 0) * 3**digit_number
            for digit_number in range(DIGITS)
        )
    values = np.full(len(letters), np.nan, np.float32)
    for start in range(0, len(letters), BIN):
        stop = start + BIN
        if set(letters[start:stop]) & set("ACGT"):
            logit = (track + 1) * (int(reading[start:stop].max()) - MARK) + 40
            values[start:stop] = logit if logit > 0 else 0
    return values


def unknown_fraction(sequence: str, bins: int = 24, crop: int = 2) -> npt.NDArray[np.float32]:
    """Return the fraction of every base's window that is unknown, counted letter by letter."""
    fractions = np.empty(len(sequence), np.float32)
    core, context = BIN * bins, BIN * crop
    padded = "N" * context + sequence.upper() + "N" * (core + context)
    for start in range(0, len(sequence), core):
        window = padded[start : start + core + 2 * context]
        count = sum(window.count(letter) for letter in "ACGT")
        fractions[start : start + core] = 1 - count / len(window)
    return fractions


def write_long_run(
    folder: Path, contigs: int, bins: int, windows: int, seed: int
) -> dict[str, Any]:
    """Write a genome and a network of 60 tracks; return a config whose run takes some seconds.

    windows: windows per chunk.
    """
    draw = random.Random(seed)
    with (folder / "genome.fa").open("w") as fasta:
        for contig in range(contigs):
            letters = "".join(position_coded_bin(draw.randrange(3**12)) for _ in range(bins))
            fasta.write(f">chr{contig}\n{letters}\n")
    save_position_coded(folder / "model", tracks=60)
    return {
        "genome": {"name": "g", "fasta": str(folder / "genome.fa")},
        "models": {"toy": {"architecture": "borzoi", "weights": str(folder / "model")}},
        "prediction": {"windows_per_chunk": windows},
    }
