"""Compare models that share jobs with the same models as separate entries of the config.

    PYTHONPATH=. python benchmarks/several_models.py FASTA [--models 20] [--filters 8]

FASTA: not compressed. The models are BPNets of bpnet-lite's with random weights, at peaks drawn at
random and along the start of the longest contig. A time is that of a complete run of the workflow,
with every process that it starts, on two cores. Both kinds of run take turns; every run is a row of
the table that is printed, and the bigWigs of both kinds are compared.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from machine import name_processor
from profiles_at_peaks import read_lengths, write_random_peaks

from seqcov_models import BPNetLiteConfig, save_model
from seqcov_models.checkpoints.load import build

REPOSITORY = Path(__file__).resolve().parent.parent
CORES = 2


def write_models(folder: Path, number: int, filters: int) -> dict[str, str]:
    """Write networks with random weights; return their folders by name."""
    config = BPNetLiteConfig(tasks=("signal",), num_strands=1, hidden_size=filters)
    folders = {f"m{index:02}": folder / f"m{index:02}" for index in range(number)}
    for seed, path in enumerate(folders.values()):
        torch.manual_seed(seed)
        save_model(build(config).eval(), path)
    return {name: str(path) for name, path in folders.items()}


def time_run(folder: Path, config: dict[str, Any], *options: str) -> tuple[int, float, float]:
    """Return the jobs, CPU seconds and seconds of a run of the workflow."""
    folder.mkdir(exist_ok=True)
    (folder / "run.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [*command, "--cores", str(CORES), "--configfile", "run.yaml", *options],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    after, seconds = os.times(), time.perf_counter() - began
    (jobs,) = re.findall(r"^total +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
    cpu = after.children_user + after.children_system
    return int(jobs), cpu - before.children_user - before.children_system, seconds


def digests(folder: Path) -> dict[Path, str]:
    """Return the SHA-256 of every bigWig below a folder."""
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.bw")
    }


def main() -> None:
    """Print a row for each run of the workflow."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("fasta", type=Path)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--filters", type=int, default=8)
    parser.add_argument("--peaks", type=int, default=1_000)
    parser.add_argument("--bases", type=int, default=1_000_000, help="of the longest contig")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=("peaks", "genome"))
    arguments = parser.parse_args()
    fasta = arguments.fasta.resolve()
    contig, length = max(read_lengths(fasta).items(), key=lambda item: item[1])
    region = f"{contig}:1-{min(length, arguments.bases)}"
    print(f"{name_processor()}; {arguments.models} models, {arguments.filters} filters\n")
    print("| | jobs | CPU seconds | wall seconds |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = write_models(folder / "models", arguments.models, arguments.filters)
        write_random_peaks(fasta, arguments.peaks, folder / "peaks.bed")
        for place in [arguments.only] if arguments.only else ("peaks", "genome"):
            peaks = str(folder / "peaks.bed") if place == "peaks" else "genome"
            entry = {"architecture": "bpnetlite", "peaks": peaks}
            separate = {f"m_{key}": {**entry, "weights": path} for key, path in weights.items()}
            kinds = {
                "separate entries": separate,
                "one entry": {"m": {**entry, "weights": weights}},
            }
            genome = {"name": "genome", "fasta": str(fasta), "assembly": "hg38"}
            config = {
                "genome": genome if place == "peaks" else {**genome, "regions": [region]},
                "prediction": {"threads": CORES, "device": "cpu"},
            }
            for number in range(arguments.rounds):
                runs = []
                for kind, models in kinds.items():
                    runs.append(folder / f"{place}_{len(runs)}_{number}")
                    jobs, cpu, seconds = time_run(runs[-1], {**config, "models": models})
                    print(f"| {place}, {kind} | {jobs} | {cpu:.0f} | {seconds:.0f} |", flush=True)
                pair = [digests(run / "results") for run in runs]
                assert pair[0], "no bigWigs"
                assert pair[0] == pair[1], "the bigWigs differ"


if __name__ == "__main__":
    main()
