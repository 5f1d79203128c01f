"""Compare profiles at peaks with those of bpnet-lite and of chrombpnet, at the same peaks.

    PYTHONPATH=. python benchmarks/profiles_at_peaks.py FASTA WEIGHTS [--peaks 5000] [--rounds 2]

FASTA: not compressed; WEIGHTS: a state dict of bpnet-lite's BPNet or ChromBPNet as safetensors.
Peaks are drawn at random. bpnet-lite runs in the peers' environment
(envs/requirements-peers.txt, .venv-peers): tangermeme's `extract_loci` and `predict`, which
bpnet-lite trains and evaluates with (it has no command that predicts), without writing files.
seqcov is a complete run of the workflow, with every process that it starts, checks, bigWigs, the
table of peaks, the page and the report. With --keras, `chrombpnet pred_bw` runs its authors' file
of the same network (with other weights), from the start of the command to the bigWig, in an
environment of TensorFlow (see tests/goldens/make_chrombpnet.py; pandas, pyBigWig and pyfaidx are
needed, too):

    ... --keras chrombpnet.h5 --tensorflow tf-venv/bin/python

All use two threads, in turn; --only measures some of them. The last row is the floor: the time that
the network's operations take at the speed of the convolution that most of them are, alone and from
the cache. Compare ratios, of CPU seconds if other programs run.
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
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from machine import name_processor
from safetensors import safe_open

REPOSITORY = Path(__file__).resolve().parent.parent
THREADS = 2
NAMES = ("bpnet-lite", "seqcov", "pred_bw", "floor")


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


def time_seqcov(fasta: Path, weights: Path, peaks: Path) -> float:
    """Run the workflow; return the seconds of its model."""
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
        subprocess.run(
            [*command, "--cores", str(THREADS), "--configfile", "run.yaml"],
            cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        (log,) = folder.glob("logs/genome/predict_profiles/*.log")
        return float(re.findall(r" model ([\d.]+) s", log.read_text())[-1])


def run_pred_bw(arguments: argparse.Namespace, fasta: Path, peaks: Path) -> None:
    """Run `chrombpnet pred_bw`."""
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
        subprocess.run(
            [*command, *files, "-c", "sizes", "-op", "out"], cwd=folder, check=True,
            capture_output=True, env=os.environ | {"OMP_NUM_THREADS": str(THREADS)},
        )  # fmt: skip


def time_floor(weights: Path) -> dict[str, float]:
    """Return the operations of a window, and the speed of a dilated convolution of its trunk."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from seqcov_models import load_model
    from seqcov_models.networks.shared.compute import pack_weight
    from seqcov_models.networks.shared.layers import convolve

    torch.set_num_threads(THREADS)
    model: Any = load_model(None, weights)
    codes = torch.randint(0, 4, (1, model.geometry.window))
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            model(codes)
        layer = model.model.trunk.convs[3]
        length, width = model.geometry.window - model.geometry.crop, layer.in_channels
        kernel = layer.weight.numel()
        layer.weight = torch.nn.Parameter(pack_weight(layer.weight), requires_grad=False)
        x = torch.randn(1, length, width).transpose(1, 2)
        rates = []
        for _ in range(20):
            began = time.perf_counter()
            for _ in range(10):
                convolve(x, layer)
            rates.append(20 * length * kernel / (time.perf_counter() - began))
    return {"operations": counter.get_total_flops(), "rate": max(rates)}


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
    """Print a row for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("fasta", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--peaks", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--peers", default=str(REPOSITORY / ".venv-peers/bin/python"))
    parser.add_argument("--keras", type=Path, help="chrombpnet's file of such a network")
    parser.add_argument("--tensorflow", help="the Python of an environment with chrombpnet")
    parser.add_argument("--time-bpnet-lite", metavar="PEAKS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fasta, weights = arguments.fasta.resolve(), arguments.weights.resolve()
    if arguments.time_bpnet_lite:
        print(json.dumps(time_bpnet_lite(str(fasta), str(weights), arguments.time_bpnet_lite)))
        return
    with tempfile.TemporaryDirectory() as name:
        peaks = Path(name) / "peaks.bed"
        write_random_peaks(fasta, arguments.peaks, peaks)

        def run_bpnet_lite() -> float:
            command = [arguments.peers, "-W", "ignore", __file__, str(fasta), str(weights)]
            completed = subprocess.run(
                [*command, "--time-bpnet-lite", str(peaks)],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            return float(json.loads(completed.stdout.splitlines()[-1])["model"])

        runs: dict[str, Callable[[], float | None]] = {
            "bpnet-lite": run_bpnet_lite,
            "seqcov": lambda: time_seqcov(fasta, weights, peaks),
        }
        if arguments.keras:
            runs["pred_bw"] = lambda: run_pred_bw(arguments, fasta, peaks)
        print(f"{name_processor()}; {arguments.peaks:,} peaks\n")
        print("| | seconds | CPU seconds | the model alone, seconds |\n|---|---:|---:|---:|")
        for _ in range(arguments.rounds):
            for kind in filter(runs.__contains__, arguments.only):
                before, began = os.times(), time.perf_counter()
                model = runs[kind]()
                after, seconds = os.times(), time.perf_counter() - began
                cpu = sum(after[2:4]) - sum(before[2:4])
                model_seconds = "–" if model is None else f"{model:.1f}"
                print(f"| {kind} | {seconds:.1f} | {cpu:.1f} | {model_seconds} |", flush=True)
    if "floor" in arguments.only:
        floor = time_floor(weights)
        operations, rate = floor["operations"] / 1e9, floor["rate"] / 1e9
        print(f"| floor | – | – | {arguments.peaks * operations / rate:.1f} |\n")
        print(f"{operations:.1f} GFLOP per peak; convolution {rate:.0f} GFLOP per second")


if __name__ == "__main__":
    main()
