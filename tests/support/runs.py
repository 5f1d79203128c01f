"""Whole runs of the workflow, as a user starts them, and what to compare them with."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pyBigWig
import torch
import yaml

from seqcov_models import BorzoiConfig, save_model
from seqcov_models.checkpoints.load import build
from support.data import REPOSITORY

SNAKEFILE = REPOSITORY / "Snakefile"


def snakemake(
    folder: Path,
    config: dict[str, Any],
    *arguments: str,
    cores: int = 2,
    snakefile: Path = SNAKEFILE,
) -> subprocess.CompletedProcess[str]:
    """Run the workflow in `folder` with `config` and wait for its end."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    line = command(*arguments, cores=cores, snakefile=snakefile)
    return subprocess.run(line, cwd=folder, capture_output=True, text=True)


def start(folder: Path, config: dict[str, Any]) -> subprocess.Popen[bytes]:
    snakemake(folder, config, "--dry-run")  # writes run.yaml
    return subprocess.Popen(
        command(), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_for(folder: Path, pattern: str) -> Path:
    """The unfinished file or folder that a job writes under its temporary name."""
    for _ in range(60_000):
        if found := [path for path in folder.glob(pattern) if path.exists()]:
            return found[0]
        time.sleep(0.001)
    raise AssertionError(f"{pattern} never appeared")


def command(*arguments: str, cores: int = 2, snakefile: Path = SNAKEFILE) -> list[str]:
    """Return the command line of a run whose config is run.yaml."""
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)),
        *("--cores", str(cores), "--configfile", "run.yaml"),
        *arguments,
    ]


def bigwigs(folder: Path) -> dict[str, Path]:
    """Every bigWig below `folder`, by file name."""
    return {path.name: path for path in sorted(folder.rglob("*.bw"))}


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every bigWig below `folder`, by file name."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in bigwigs(folder).items()
    }


def every_base(path: Path, contig: str, length: int) -> npt.NDArray[np.float32]:
    """A bigWig's value at every base of a contig, NaN where it has none."""
    values = np.full(length, np.nan, np.float32)
    with pyBigWig.open(str(path)) as file:
        for start, end, value in file.intervals(contig) or ():
            assert np.isnan(values[start:end]).all(), "two values for a base"
            values[start:end] = value
    return values


BIN = 16
MARK = 2**20
DIGITS = 12


def position_coded_bin(number: int) -> str:
    """16 letters that spell `number` < 3^12: an A, then base-3 digits, lowest first, as C, G, T."""
    digits = "".join("CGT"[number // 3**place % 3] for place in range(DIGITS))
    return "A" + digits.ljust(BIN - 1, "C")


def save_position_coded(folder: Path, bins: int = 24, crop: int = 2, tracks: int = 3) -> None:
    """A real Borzoi whose weights read a bin's number out of its letters, exactly.

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
        for place in range(DIGITS):
            for digit, letter in enumerate((1, 2, 3)):
                kernel[0, letter, 16 + place] = digit * 3**place
        factor = 1 + torch.arange(tracks) % 3
        model.head.weight.copy_(factor[:, None])
        model.head.bias.copy_(40 - MARK * factor)
    save_model(model, folder)


def position_coded_values(sequence: str, track: int) -> npt.NDArray[np.float32]:
    """What `save_position_coded`'s network must say of every base, computed letter by letter.

    NaN for the bases of a bin without any A, C, G or T.
    """
    letters = sequence.upper()
    reading = np.zeros(len(letters), np.int64)
    padded = letters + "N" * DIGITS
    for index, letter in enumerate(letters):
        reading[index] = MARK * (letter == "A") + sum(
            max("CGT".find(padded[index + 1 + place]), 0) * 3**place for place in range(DIGITS)
        )
    values = np.full(len(letters), np.nan, np.float32)
    for start in range(0, len(letters), BIN):
        stop = start + BIN
        if set(letters[start:stop]) & set("ACGT"):
            logit = (track + 1) * (int(reading[start:stop].max()) - MARK) + 40
            values[start:stop] = logit if logit > 0 else 0
    return values


def save_calico(folder: Path, tracks: int = 2, width: int = 4) -> None:
    """A tiny Borzoi of random weights as calico stores it: params.json, model.h5, targets.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    trunk: list[dict[str, Any]] = [
        {"name": "conv_dna", "filters": width, "kernel_size": 5, "pool_size": 2},
        {"name": "res_tower", "filters_init": width, "kernel_size": 3, "pool_size": 2, "repeat": 2},
        {"name": "Cropping1D", "cropping": 4},
    ]
    head = {"name": "final", "units": tracks, "activation": "softplus"}
    model = {"seq_length": 256, "activation": "gelu", "trunk": trunk, "head_human": head}
    (folder / "params.json").write_text(json.dumps({"model": model}))
    shapes = {
        "conv1d": {"kernel": (5, 4, width), "bias": (width,)},
        "conv1d_1": {"kernel": (3, width, width), "bias": (width,)},
        "conv1d_2": {"kernel": (3, width, width), "bias": (width,)},
        "dense": {"kernel": (width, tracks), "bias": (tracks,)},
    }
    statistics = ("gamma", "beta", "moving_mean", "moving_variance")
    for name in ("batch_normalization", "batch_normalization_1"):
        shapes[name] = dict.fromkeys(statistics, (width,))
    draw = np.random.default_rng(1)
    with h5py.File(folder / "model.h5", "w") as file:
        for layer, variables in shapes.items():
            for variable, shape in variables.items():
                path = f"model_weights/{layer}/{layer}/{variable}:0"
                file[path] = draw.uniform(0.1, 1, shape).astype(np.float32)
    descriptions = ["DNASE:liver", "CHIP:CTCF:liver", "CHIP:MAX:liver"][:tracks]
    rows = [f"{row}\tENCFF{row + 1}\t{text}\n" for row, text in enumerate(descriptions)]
    (folder / "targets.txt").write_text("\tidentifier\tdescription\n" + "".join(rows))


def unknown_share(sequence: str, bins: int = 24, crop: int = 2) -> npt.NDArray[np.float32]:
    """Share of the window of every base that is none of A, C, G, T, counted letter by letter."""
    shares = np.empty(len(sequence), np.float32)
    core, context = BIN * bins, BIN * crop
    padded = "N" * context + sequence.upper() + "N" * (core + context)
    for start in range(0, len(sequence), core):
        window = padded[start : start + core + 2 * context]
        known = sum(window.count(letter) for letter in "ACGT")
        shares[start : start + core] = 1 - known / len(window)
    return shares
