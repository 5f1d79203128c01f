"""Compare one forward pass of each network at its published size with other implementations.

With the peers' environment (envs/requirements-peers.txt), in the repository's root:

    PYTHONPATH=. .venv-peers/bin/python benchmarks/full_size_forward.py [--threads 2] [--rounds 2]

Every pass runs in a separate process, seqcov and the peer in turn, on the same windows with random
weights in float32. Seconds are those of the pass alone. Memory is the peak during the pass less the
memory before it (weights and libraries). Compare ratios: seconds differ between machines.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Forward = Callable[[Tensor], Any]
"""A pass over windows as codes (windows, length): A 0, C 1, G 2, T 3."""


def _seqcov(architecture: str, **sizes: Any) -> Forward:
    from seqcov_models.checkpoints.load import build
    from seqcov_models.networks.registry import NETWORKS

    model = build(NETWORKS[architecture].config_class.from_dict(sizes)).eval()
    return lambda codes: model.postprocess(model(codes))


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


NETWORKS: dict[str, tuple[int, int, Callable[[], Forward], dict[str, Callable[[], Forward]]]] = {
    "Basenji2": (
        131_072, 1, lambda: _seqcov("basenji2"),
        {"multimolecule": lambda: _multimolecule("basenji")},
    ),
    "Enformer": (
        196_608, 1, lambda: _seqcov("enformer"),
        {"enformer-pytorch": _enformer_pytorch,
         "multimolecule": lambda: _multimolecule("enformer")},
    ),
    "Borzoi": (
        524_288, 1, lambda: _seqcov("borzoi"),
        {"borzoi-pytorch": _borzoi_pytorch, "multimolecule": lambda: _multimolecule("borzoi")},
    ),
    "BPNet": (
        1_000, 64, lambda: _seqcov("bpnet"), {"multimolecule": lambda: _multimolecule("bpnet")}
    ),
    "BPNet (bpnet-lite)": (2_114, 64, lambda: _seqcov("bpnetlite"), {"bpnet-lite": _bpnet_lite}),
}  # fmt: skip
"""Window, windows per pass, network of seqcov, and peers by the name of their project."""

SEQCOV = "seqcov"


def run_pass(network: str, project: str) -> dict[str, float]:
    """Return the seconds and bytes of one pass in this process."""
    length, count, build_seqcov, peers = NETWORKS[network]
    forward = build_seqcov() if project == SEQCOV else peers[project]()
    codes = torch.randint(4, (count, length), generator=torch.Generator().manual_seed(1))
    before = _resident()
    began = time.perf_counter()
    with torch.inference_mode():
        forward(codes)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "bytes": max(_peak() - before, 0)}


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure_pass(network: str, project: str, threads: int) -> dict[str, float]:
    """Run `run_pass` in a new process; return its result."""
    command = [sys.executable, "-W", "ignore", __file__, "--threads", str(threads)]
    completed = subprocess.run(
        [*command, "--pass-of", network, project], capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(completed.stdout.splitlines()[-1])
    return result


def format_row(network: str, peer: str, threads: int, rounds: int) -> str:
    """Return a line of the table: the minimum over rounds, since other processes only add time."""
    pairs = [
        (measure_pass(network, SEQCOV, threads), measure_pass(network, peer, threads))
        for _ in range(rounds)
    ]
    cells = []
    for quantity, unit, size in (("seconds", "s", 1), ("bytes", "GB", 1e9)):
        seqcov_best, peer_best = (min(pair[side][quantity] for pair in pairs) for side in (0, 1))
        ratio = seqcov_best / max(peer_best, 1e-9)
        cells += [
            f"{seqcov_best / size:.2f} {unit}",
            f"{peer_best / size:.2f} {unit}",
            f"**{ratio:.2f}**",
        ]
    return f"| {network} | {peer} | {' | '.join(cells)} |"


def main() -> None:
    """Measure all passes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--pass-of", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.pass_of:
        print(json.dumps(run_pass(*arguments.pass_of)))
        return
    print(f"{arguments.threads} threads, {arguments.rounds} rounds, torch {torch.__version__}\n")
    print("| network | peer | time, seqcov | peer | ratio | memory, seqcov | peer | ratio |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for network in arguments.networks:
        for peer in NETWORKS[network][3]:
            print(format_row(network, peer, arguments.threads, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
