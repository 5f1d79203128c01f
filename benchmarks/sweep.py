"""Compare what a window costs on this CPU, along a contig, with other implementations.

With the peers' environment (envs/requirements-peers.txt), in the repository's root:

    PYTHONPATH=. .venv-peers/bin/python benchmarks/sweep.py [--threads 2] [--rounds 3]

seqcov predicts neighbouring windows of a random contig as a job does; a peer predicts the same
windows. Networks have their published sizes and random weights. Every measurement is a process of
its own, all of a network in turn, `--rounds` times. Seconds are CPU-seconds per window after the
first one, so that what all windows share is counted where it falls. Memory is the peak of the
process less what it held before the first window (weights and libraries).

--without measures seqcov again without one of its steps. --precision bfloat16 adds seqcov in
bfloat16 and its errors against float32: the mean, the largest, both as a share of the range.
"""

import argparse
import json
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Forward = Callable[[Tensor], Any]
"""A pass over windows as codes (windows, length): A 0, C 1, G 2, T 3."""
STEPS = ("shared_stem", "packed_weights", "pooling_by_maximum", "kept_memory")
"""What `--without` can leave out."""
PROFILE_BATCH = 64


def _multimolecule(name: str) -> Forward:
    import multimolecule

    config, network = {
        "basenji": ("BasenjiConfig", "BasenjiForTokenPrediction"),
        "enformer": ("EnformerConfig", "EnformerForTokenPrediction"),
        "borzoi": ("BorzoiConfig", "BorzoiForTokenPrediction"),
        "bpnet": ("BpNetConfig", "BpNetForProfilePrediction"),
    }[name]
    module: Any = multimolecule
    if name == "bpnet":
        import multimolecule.models.bpnet as module
    model = getattr(module, network)(getattr(module, config)()).eval()
    return lambda codes: model.postprocess(model(codes))


def _enformer_pytorch() -> Forward:
    from enformer_pytorch import Enformer

    model = Enformer.from_hparams(dim=1536).eval()
    return lambda codes: model(codes, head="human")


def _borzoi_pytorch() -> Forward:
    from borzoi_pytorch import Borzoi

    model = Borzoi.from_hparams(dim=1536).eval()
    return lambda codes: model(_one_hot(codes))


def _bpnet_lite() -> Forward:
    from bpnetlite.bpnet import BPNet

    model = BPNet(n_control_tracks=0, verbose=False).eval()
    return lambda codes: model(_one_hot(codes))


def _one_hot(codes: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(codes, 4).transpose(1, 2).float()


NETWORKS: dict[str, tuple[str, int, dict[str, Callable[[], Forward]]]] = {
    "Basenji2": ("basenji2", 8, {"multimolecule": lambda: _multimolecule("basenji")}),
    "Enformer": (
        "enformer", 3,
        {"enformer-pytorch": _enformer_pytorch,
         "multimolecule": lambda: _multimolecule("enformer")},
    ),
    "Borzoi": (
        "borzoi", 3,
        {"borzoi-pytorch": _borzoi_pytorch, "multimolecule": lambda: _multimolecule("borzoi")},
    ),
    "BPNet": ("bpnet", 4, {"multimolecule": lambda: _multimolecule("bpnet")}),
    "BPNet (bpnet-lite)": ("bpnetlite", 4, {"bpnet-lite": _bpnet_lite}),
}  # fmt: skip
"""Architecture, windows (of BPNet: batches of 64), and peers by their project's name."""


class RandomContig:
    """A contig of random sequence, read as `Genome` reads a FASTA."""

    def __init__(self, length: int) -> None:
        self.contigs = {"contig": length}
        self._codes = np.random.default_rng(1).integers(0, 4, length).astype(np.uint8)

    def fetch(self, contig: str, start: int, end: int) -> Any:
        """Return the codes of [start, end), N beyond the ends."""
        first, last = max(start, 0), min(end, self.contigs[contig])
        return np.pad(self._codes[first:last], (first - start, end - last), constant_values=4)


def build(architecture: str) -> Any:
    """Build a network at its published size with random weights; the same in every process."""
    from seqcov_models.checkpoints.load import build as build_network
    from seqcov_models.networks.registry import NETWORKS as RECORDS

    torch.manual_seed(1)
    return build_network(RECORDS[architecture].config_class.from_dict({})).eval()


def sweep_seqcov(
    architecture: str, windows: int, precision: str, without: str | None
) -> Iterator[Any]:
    """Predict windows as a job does, one after the other."""
    from seqcov_models.networks.shared import compute
    from seqcov_models.prediction.coverage import predict_segment
    from seqcov_models.prediction.devices import keep_freed_memory
    from seqcov_models.prediction.ensemble import Ensemble
    from seqcov_models.tiling import Segment, Tiling

    compute.ROUTES["cpu"] = replace(
        compute.CPU,
        packed_weights=without != "packed_weights",
        pool_by_maximum=without != "pooling_by_maximum",
    )
    model = build(architecture)
    if without != "kept_memory":
        keep_freed_memory()
    if architecture.startswith("bpnet"):
        model = compute.prepare_network(model, precision)
        yield from pass_batches(
            lambda codes: model.postprocess(model(codes)), model.geometry.window, windows
        )
        return
    ensemble = Ensemble([model])
    if without == "shared_stem":
        ensemble.stem_margin = lambda step: None  # type: ignore[method-assign]
    geometry = ensemble.geometry
    contig: Any = RandomContig((windows + 4) * geometry.core)
    segment = Segment("contig", 2, windows, windows * geometry.bins)
    tiling = Tiling.from_overlap(geometry)
    for _, values, _ in predict_segment(ensemble, tiling, contig, segment, precision=precision):
        yield values


def pass_batches(forward: Forward, length: int, windows: int, batch: int = 64) -> Iterator[Any]:
    """Predict random windows, `batch` at once."""
    generator = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        for _ in range(windows):
            yield forward(torch.randint(4, (batch, length), generator=generator))


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Measure one implementation of one network in this process."""
    network, peer, precision, without = arguments.one
    architecture, windows, peers = NETWORKS[network]
    if peer == "seqcov":
        outputs = sweep_seqcov(architecture, windows, precision, without or None)
    else:
        length = build(architecture).geometry.window
        batch = PROFILE_BATCH if architecture.startswith("bpnet") else 1
        outputs = pass_batches(peers[peer](), length, min(windows, 2), batch)
    before, seconds, last = peak_memory(), [], cpu_seconds()
    for values in outputs:
        seconds.append(cpu_seconds() - last)
        if arguments.save:
            np.save(arguments.save, values)
        last = cpu_seconds()
    return {"seconds": statistics.mean(seconds[1:]), "bytes": peak_memory() - before}


def cpu_seconds() -> float:
    """Return the CPU-seconds of this process, all threads, with those of the kernel for it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_memory() -> float:
    """Return the most bytes that this process has held."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.findall(r"VmHWM:\s*(\d+)", status)[0])


def run_measurement(arguments: argparse.Namespace, *one: str, save: str = "") -> dict[str, float]:
    """Run `measure` in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--threads", str(arguments.threads)]
    done = subprocess.run(
        [*command, "--save", save, "--one", *one], capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def describe_processor() -> str:
    """Name the processor and the vector instructions that decide its speed."""
    text = Path("/proc/cpuinfo").read_text()
    (name, *_) = [*re.findall(r"model name\s*:\s*(.*)", text), platform.processor()]
    flags = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {flag}" in text]
    return f"{name} ({', '.join(flags)})"


def describe_error(folder: Path) -> str:
    """State how far the last window in reduced precision is from float32, of the range."""
    exact, reduced = (np.load(folder / f"{name}.npy") for name in ("float32", "reduced"))
    error = np.abs(reduced - exact) / np.ptp(exact)
    return f"mean error {error.mean():.1e}, largest {error.max():.1e} of the range"


def format_row(network: str, name: str, runs: list[dict[str, float]], base: float) -> str:
    """Format one line of the table: median, spread, ratio of the median to `base`, memory."""
    seconds = [run["seconds"] for run in runs]
    middle = statistics.median(seconds)
    memory = statistics.median(run["bytes"] for run in runs) / 1e9
    return (
        f"| {network} | {name} | {middle:.2f} | {min(seconds):.2f} to {max(seconds):.2f}"
        f" | {middle / base:.2f} | {memory:.2f} GB |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--without", nargs="*", default=[], choices=STEPS)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--save", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.one:
        print(json.dumps(measure(arguments)))
        return
    print(f"{describe_processor()}, {arguments.threads} threads, {arguments.rounds} rounds,"
          f" torch {torch.__version__}\n")  # fmt: skip
    notes: list[str] = []
    print("| network | implementation | CPU-s per window | spread | seqcov is faster | memory |")
    print("|---|---|---:|---:|---:|---:|")
    for network in arguments.networks:
        variants = [("seqcov", "float32", "")]
        variants += [(peer, "float32", "") for peer in NETWORKS[network][2]]
        variants += [("seqcov", "float32", step) for step in arguments.without]
        if arguments.precision != "float32":
            variants.append(("seqcov", arguments.precision, ""))
        runs: dict[tuple[str, str, str], list[dict[str, float]]] = {one: [] for one in variants}
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(arguments.rounds):
                for one in variants:
                    name = "float32" if one == variants[0] else "reduced"
                    save = f"{folder}/{name}.npy" if one[0] == "seqcov" and not one[2] else ""
                    runs[one].append(run_measurement(arguments, network, *one, save=save))
            reduced = arguments.precision != "float32" and not network.startswith("BPNet")
            note = describe_error(Path(folder)) if reduced else ""
        ours = statistics.median(run["seconds"] for run in runs[variants[0]])
        for (name, precision, step), results in runs.items():
            label = f"{name}, {precision}" + (f", without {step}" if step else "")
            print(format_row(network, label, results, ours), flush=True)
        if note:
            notes.append(f"{network} in {arguments.precision}: {note}")
    print("\n" + "\n".join(notes))


if __name__ == "__main__":
    main()
