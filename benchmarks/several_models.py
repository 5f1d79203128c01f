"""Compare models that share jobs with the same models as separate entries of the config.

    python benchmarks/several_models.py FASTA [--models 20] [--filters 8] [--peaks 1000]

FASTA: not compressed. The models are BPNets of bpnet-lite's with random weights, at peaks drawn at
random and along the genome. A time is that of a complete run of the workflow, with every process
that it starts, on two cores. Both kinds of run take turns; the best of all rounds counts, and the
bigWigs are compared.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from machine import name_processor
from profiles_at_peaks import write_random_peaks

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


def time_run(
    folder: Path, fasta: Path, models: dict[str, Any], *options: str
) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of a run of the workflow."""
    config = {
        "genome": {"name": "genome", "fasta": str(fasta), "assembly": "hg38"},
        "models": models,
        "prediction": {"threads": CORES, "device": "cpu"},
    }
    folder.mkdir(exist_ok=True)
    (folder / "run.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    before, began = os.times(), time.perf_counter()
    subprocess.run(
        [*command, "--cores", str(CORES), "--configfile", "run.yaml", *options],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    after, seconds = os.times(), time.perf_counter() - began
    cpu = after.children_user + after.children_system
    return seconds, cpu - before.children_user - before.children_system


def digests(folder: Path) -> dict[Path, str]:
    """Return the SHA-256 of every bigWig below a folder."""
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.bw")
    }


def main() -> None:
    """Print the best times of both kinds of run, at peaks and along the genome."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("fasta", type=Path)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--filters", type=int, default=8)
    parser.add_argument("--peaks", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=("peaks", "genome"))
    arguments = parser.parse_args()
    fasta = arguments.fasta.resolve()
    print(f"{name_processor()}; {arguments.models} models, {arguments.filters} filters")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = write_models(folder / "models", arguments.models, arguments.filters)
        write_random_peaks(fasta, arguments.peaks, folder / "peaks.bed")
        places = {"peaks": str(folder / "peaks.bed"), "genome": "genome"}
        for place in [arguments.only] if arguments.only else places:
            entry = {"architecture": "bpnetlite", "peaks": places[place]}
            kinds = {
                "separate": {f"m_{key}": {**entry, "weights": w} for key, w in weights.items()},
                "together": {"m": {**entry, "weights": weights}},
            }
            times = {kind: (float("inf"), float("inf")) for kind in kinds}
            for number in range(arguments.rounds):
                for kind, models in kinds.items():
                    run = folder / f"{place}_{kind}_{number}"
                    times[kind] = min(times[kind], time_run(run, fasta, models))
                pair = [digests(folder / f"{place}_{kind}_{number}/results") for kind in kinds]
                assert pair[0] == pair[1], "the bigWigs differ"
            began = time.perf_counter()
            time_run(folder / f"{place}_together_0", fasta, kinds["together"], "--dry-run")
            for kind, (seconds, cpu) in times.items():
                print(f"{place}, {kind}: {seconds:.0f} s, {cpu:.0f} CPU-s", flush=True)
            print(f"{place}: planned in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
