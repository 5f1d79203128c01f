"""Compare the prediction of profiles at peaks with bpnet-lite's, on the same peaks.

    python benchmarks/profiles_at_peaks.py FASTA WEIGHTS [--peaks 5000] [--rounds 2]

FASTA: not compressed; WEIGHTS: a state dict of bpnet-lite's BPNet or ChromBPNet as safetensors.
Peaks are drawn at random. bpnet-lite runs in the peers' environment
(envs/requirements-peers.txt, .venv-peers): tangermeme's `extract_loci` and `predict`, which
bpnet-lite trains and evaluates with (it has no command that predicts), without writing files.
seqcov is a complete run of the workflow, with every process that it starts, checks, bigWigs and the
table of peaks. With --keras, `chrombpnet pred_bw` runs its authors' file of the same network (with
other weights), from the start of the command to the bigWig, in an environment of TensorFlow (see
tests/goldens/make_chrombpnet.py; pandas, pyBigWig and pyfaidx are needed, too):

    ... --keras chrombpnet.h5 --tensorflow tf-venv/bin/python

All use two threads, in turn. Times of a whole run include the start of processes. Compare ratios.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

REPOSITORY = Path(__file__).resolve().parent.parent
THREADS = 2


PARTS = ("bias", "accessibility")


def is_chrombpnet(names: Iterable[str]) -> bool:
    """Return whether the arrays of these names are a ChromBPNet's."""
    return "accessibility.iconv.weight" in names


def build_bpnet_lite(state: Mapping[str, Any], prefix: str = "") -> Any:
    """Return bpnet-lite's BPNet for the weights whose names begin with `prefix`."""
    from bpnetlite.bpnet import BPNet

    filters = len(state[f"{prefix}iconv.weight"])
    layers = sum(name.startswith(f"{prefix}rconvs") and "weight" in name for name in state)
    outputs, inputs, _ = state[f"{prefix}fconv.weight"].shape
    return BPNet(
        n_filters=filters, n_layers=layers, n_outputs=outputs, n_control_tracks=inputs - filters,
        trimming=47 + sum(2**layer for layer in range(1, layers + 1)), verbose=False,
    )  # fmt: skip


def time_bpnet_lite(fasta: str, weights: str, peaks: str) -> dict[str, float]:
    """Return the seconds of bpnet-lite's loop in this process."""
    import torch
    from bpnetlite.bpnet import ControlWrapper
    from bpnetlite.chrombpnet import ChromBPNet
    from safetensors.torch import load_file
    from tangermeme.io import extract_loci
    from tangermeme.predict import predict

    torch.set_num_threads(THREADS)
    state = load_file(weights)
    if is_chrombpnet(state):
        model = ChromBPNet(*(build_bpnet_lite(state, f"{part}.") for part in PARTS))
    else:
        model = build_bpnet_lite(state)
    model.load_state_dict(state)
    began = time.perf_counter()
    sequences = extract_loci(loci=peaks, sequences=fasta, in_window=2114, out_window=1000)
    read = time.perf_counter()
    model = ControlWrapper(model)
    predict(model, sequences, batch_size=64, device="cpu")
    end = time.perf_counter()
    return {"windows": len(sequences), "reading": read - began, "model": end - read}


def time_seqcov(fasta: Path, weights: Path, peaks: Path) -> dict[str, float]:
    """Return the seconds of a run of the workflow, and those of its model."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with safe_open(weights, "numpy") as file:
            architecture = "chrombpnet" if is_chrombpnet(file.keys()) else "bpnetlite"
        model = {"architecture": architecture, "weights": str(weights), "peaks": str(peaks)}
        config = {
            "genome": {"name": "genome", "fasta": str(fasta)},
            "models": {"model": model},
            "prediction": {"threads": THREADS, "device": "cpu"},
        }
        (folder / "run.yaml").write_text(json.dumps(config))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
        began = time.perf_counter()
        subprocess.run(
            [*command, "--cores", str(THREADS), "--configfile", "run.yaml"],
            cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        (log,) = folder.glob("logs/genome/predict_profiles/*.log")
        model_seconds = re.findall(r" model ([\d.]+) s", log.read_text())
        return {"run": seconds, "model": float(model_seconds[-1])}


def time_pred_bw(arguments: argparse.Namespace, fasta: Path, peaks: Path) -> float:
    """Return the seconds of `chrombpnet pred_bw`, from its start to its bigWig."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [line.split() for line in peaks.read_text().splitlines()]
        (folder / "peaks.narrowPeak").write_text(
            "".join("\t".join([*row, *".0.0000"]) + "\n" for row in rows)
        )
        lengths = read_lengths(fasta)
        (folder / "sizes").write_text("".join(f"{c}\t{n}\n" for c, n in lengths.items()))
        command = [
            arguments.tensorflow,
            "-m",
            "chrombpnet.evaluation.make_bigwigs.predict_to_bigwig",
        ]
        files = ["-cm", str(arguments.keras.resolve()), "-r", "peaks.narrowPeak", "-g", str(fasta)]
        began = time.perf_counter()
        subprocess.run(
            [*command, *files, "-c", "sizes", "-op", "out"], cwd=folder, check=True,
            capture_output=True, env=os.environ | {"OMP_NUM_THREADS": str(THREADS)},
        )  # fmt: skip
        return time.perf_counter() - began


def read_lengths(fasta: Path) -> dict[str, int]:
    """Return the length of each contig."""
    lengths = {}
    for line in fasta.open():
        if line.startswith(">"):
            name = line[1:].split()[0]
            lengths[name] = 0
        else:
            lengths[name] += len(line.strip())
    return lengths


def write_random_peaks(fasta: Path, number: int, path: Path) -> None:
    """Write `number` peaks whose windows lie within contigs; bpnet-lite leaves out others."""
    draw, lengths = random.Random(1), read_lengths(fasta)
    summits = set()
    while len(summits) < number:
        name = draw.choices(list(lengths), list(lengths.values()))[0]
        if lengths[name] > 2_200:
            summits.add((name, draw.randrange(1_100, lengths[name] - 1_100)))
    path.write_text("".join(f"{name}\t{start}\t{start + 1}\n" for name, start in sorted(summits)))


def main() -> None:
    """Print the times of each round, and the ratios of the best."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("fasta", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--peaks", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peers", default=str(REPOSITORY / ".venv-peers/bin/python"))
    parser.add_argument("--keras", type=Path, help="chrombpnet's file of such a network")
    parser.add_argument("--tensorflow", help="the Python of an environment with chrombpnet")
    parser.add_argument("--time-bpnet-lite", metavar="PEAKS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fasta, weights = arguments.fasta.resolve(), arguments.weights.resolve()
    if arguments.time_bpnet_lite:
        print(json.dumps(time_bpnet_lite(str(fasta), str(weights), arguments.time_bpnet_lite)))
        return
    run_seconds, model_seconds = [], []
    with tempfile.TemporaryDirectory() as name:
        peaks = Path(name) / "peaks.bed"
        write_random_peaks(fasta, arguments.peaks, peaks)
        for _ in range(arguments.rounds):
            command = [arguments.peers, "-W", "ignore", __file__, str(fasta), str(weights)]
            began = time.perf_counter()
            completed = subprocess.run(
                [*command, "--time-bpnet-lite", str(peaks)],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            peer = json.loads(completed.stdout.splitlines()[-1])
            peer["run"] = time.perf_counter() - began
            seqcov = time_seqcov(fasta, weights, peaks)
            print(f"bpnet-lite {peer}\nseqcov {seqcov}", flush=True)
            if arguments.keras:
                seconds = time_pred_bw(arguments, fasta, peaks)
                print(f"pred_bw {seconds:.1f}: {seconds / seqcov['run']:.1f} times", flush=True)
            run_seconds.append((peer["run"], seqcov["run"]))
            model_seconds.append((peer["model"], seqcov["model"]))
    for name, pairs in (("whole run", run_seconds), ("the model alone", model_seconds)):
        peer_best, seqcov_best = (min(pair[side] for pair in pairs) for side in (0, 1))
        rates = arguments.peaks / peer_best, arguments.peaks / seqcov_best
        print(
            f"{name}: bpnet-lite {rates[0]:,.0f} peaks per second, seqcov {rates[1]:,.0f};"
            f" {peer_best / seqcov_best:.1f} times"
        )


if __name__ == "__main__":
    main()
