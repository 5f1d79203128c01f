"""Profiles at peaks, beside bpnet-lite's own way to predict them, on the same peaks.

    python benchmarks/profiles_at_peaks.py FASTA WEIGHTS [--peaks 5000] [--rounds 2]

FASTA: not compressed; WEIGHTS: a state dict of bpnet-lite as safetensors. Peaks are drawn at
random. Theirs, in the peers' environment (envs/requirements-peers.txt, .venv-peers): tangermeme's
`extract_loci` and `predict`, which bpnet-lite's command line calls, its arrays left in memory.
Ours: a whole run of the workflow from nothing, with every process that it starts, checks, bigWigs
and the table of peaks. Both with two threads, in turn. Ratios are what counts.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
THREADS = 2


def theirs(fasta: str, weights: str, peaks: str) -> dict[str, float]:
    """Seconds of bpnet-lite's loop, in this process."""
    import torch
    from bpnetlite.bpnet import BPNet, ControlWrapper
    from safetensors.torch import load_file
    from tangermeme.io import extract_loci
    from tangermeme.predict import predict

    torch.set_num_threads(THREADS)
    state = load_file(weights)
    filters = len(state["iconv.weight"])
    layers = sum(name.startswith("rconvs") and name.endswith("weight") for name in state)
    outputs, inputs, _ = state["fconv.weight"].shape
    model = BPNet(
        n_filters=filters, n_layers=layers, n_outputs=outputs, n_control_tracks=inputs - filters,
        trimming=47 + sum(2**at for at in range(1, layers + 1)), verbose=False,
    )  # fmt: skip
    model.load_state_dict(state)
    began = time.perf_counter()
    sequences = extract_loci(loci=peaks, sequences=fasta, in_window=2114, out_window=1000)
    read = time.perf_counter()
    model = ControlWrapper(model)
    predict(model, sequences, batch_size=64, device="cpu")
    done = time.perf_counter()
    return {"windows": len(sequences), "reading": read - began, "model": done - read}


def ours(fasta: Path, weights: Path, peaks: Path) -> dict[str, float]:
    """Seconds of a run of the workflow, and those in its model."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = {"architecture": "bpnetlite", "weights": str(weights), "peaks": str(peaks)}
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
        part = log.read_text().partition("model=")[2]
        return {"run": seconds, "model": float(part.partition(",")[0])}


def random_peaks(fasta: Path, number: int, path: Path) -> None:
    """Write `number` peaks whose windows lie within contigs, since theirs leaves out any other."""
    draw, lengths = random.Random(1), {}
    for line in fasta.open():
        if line.startswith(">"):
            name = line[1:].split()[0]
            lengths[name] = 0
        else:
            lengths[name] += len(line.strip())
    places = set()
    while len(places) < number:
        name = draw.choices(list(lengths), list(lengths.values()))[0]
        if lengths[name] > 2_200:
            places.add((name, draw.randrange(1_100, lengths[name] - 1_100)))
    path.write_text("".join(f"{name}\t{at}\t{at + 1}\n" for name, at in sorted(places)))


def main() -> None:
    """Print both, a round a line, and the best of each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("fasta", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--peaks", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peers", default=str(REPOSITORY / ".venv-peers/bin/python"))
    parser.add_argument("--theirs", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.theirs:
        print(json.dumps(theirs(str(arguments.fasta), str(arguments.weights), arguments.theirs)))
        return
    whole, model = [], []
    with tempfile.TemporaryDirectory() as name:
        peaks = Path(name) / "peaks.bed"
        random_peaks(arguments.fasta, arguments.peaks, peaks)
        for _ in range(arguments.rounds):
            command = [
                arguments.peers,
                "-W",
                "ignore",
                __file__,
                str(arguments.fasta),
                str(arguments.weights),
            ]
            done = subprocess.run(
                [*command, "--theirs", str(peaks)], capture_output=True, text=True, check=True
            )
            peer = json.loads(done.stdout.splitlines()[-1])
            measured = ours(arguments.fasta.resolve(), arguments.weights.resolve(), peaks)
            print(f"theirs {peer}\nours {measured}", flush=True)
            whole.append((peer["reading"] + peer["model"], measured["run"]))
            model.append((peer["model"], measured["model"]))
    for what, pairs in (("all", whole), ("the model alone", model)):
        their, our = (min(pair[side] for pair in pairs) for side in (0, 1))
        print(f"{what}: theirs {arguments.peaks / their:,.0f} peaks a second, ours"
              f" {arguments.peaks / our:,.0f}; {their / our:.1f} times")  # fmt: skip


if __name__ == "__main__":
    main()
