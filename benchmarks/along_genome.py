"""Compare profiles along a genome with bpnet-lite's windows, on the same sequence.

    python benchmarks/along_genome.py FASTA [--bases 100000] [--filters 512 64] [--strides 250 1000]

FASTA: not compressed; the first bases of its first contig are predicted with random networks of
ChromBPNet's sizes: 8 dilated layers, 2,114 bp to 1,000. bpnet-lite runs in the peers' environment
(envs/requirements-peers.txt, .venv-peers): tangermeme's `predict`, with one window per stride. Both
use two threads, in turn, and neither writes files. Values are compared, too.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
THREADS, BATCH = 2, 64
WINDOW, CORE = 2_114, 1_000


def run_bpnet_lite(folder: Path, filters: int, stride: int) -> None:
    """Predict windows.npy with bpnet-lite; write its weights, its output and the seconds."""
    import torch
    from bpnetlite.bpnet import BPNet
    from safetensors.torch import save_file
    from tangermeme.predict import predict

    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    model = BPNet(
        n_filters=filters, n_layers=8, n_outputs=1, n_control_tracks=0, trimming=557, verbose=False,
    )  # fmt: skip
    save_file(model.state_dict(), folder / "weights.safetensors")
    codes = torch.from_numpy(np.load(folder / "codes.npy")).long()
    sequence = torch.nn.functional.one_hot(codes, 5)[:, :4].T.float()
    windows = sequence.unfold(1, WINDOW, stride).permute(1, 0, 2).contiguous()
    predict(model, windows[:2], batch_size=2, device="cpu")
    began = time.perf_counter()
    logits, counts = predict(model, windows, batch_size=BATCH, device="cpu")
    seconds = time.perf_counter() - began
    profiles = (logits.flatten(1).softmax(1) * counts.exp()).numpy()
    np.savez(folder / "peer.npz", profiles=profiles, seconds=seconds)


def run_seqcov(folder: Path, stride: int) -> tuple[float, np.ndarray]:
    """Predict the same sequence in one pass; return the seconds and the reads per base."""
    import torch

    from seqcov_models import load_model
    from seqcov_models.genome.fasta import Genome, open_fasta
    from seqcov_models.networks.shared.profiles import ProfileModel
    from seqcov_models.prediction.contig_profiles import predict_segment_profiles
    from seqcov_models.prediction.devices import keep_freed_memory
    from seqcov_models.prediction.ensemble import ProfileEnsemble
    from seqcov_models.tiling import Tiling, select_bins, tile

    torch.set_num_threads(THREADS)
    model = load_model("bpnetlite", folder / "weights.safetensors")
    assert isinstance(model, ProfileModel)
    keep_freed_memory()
    ensemble = ProfileEnsemble([model])
    genome = Genome(open_fasta(folder / "g.fa", folder))
    tiling = Tiling(model.geometry, stride, "mean")
    segments = tile(genome.contigs, tiling, select_bins(genome.contigs, 1, None, []))
    best = float("inf")
    for _ in range(2):
        began = time.perf_counter()
        parts = [
            values
            for segment in segments
            for _, values, _ in predict_segment_profiles(ensemble, tiling, genome, segment)
        ]
        best = min(best, time.perf_counter() - began)
    return best, np.concatenate(parts)


def average_windows(profiles: np.ndarray, stride: int, bases: int) -> np.ndarray:
    """Return the mean of the windows that cover a base; NaN if one of them was not predicted."""
    sums, counts = np.zeros(bases), np.zeros(bases)
    first = WINDOW // 2 - CORE // 2
    for number, profile in enumerate(profiles):
        start = first + number * stride
        sums[start : start + CORE] += profile
        counts[start : start + CORE] += 1
    places = np.arange(bases)
    inside = (places >= first + CORE) & (places < first + (len(profiles) - 1) * stride)
    return np.where(inside, sums / np.maximum(counts, 1), np.nan)


def main() -> None:
    """Print the speeds, their ratio and the largest difference for each network and stride."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("fasta", type=Path)
    parser.add_argument("--bases", type=int, default=100_000)
    parser.add_argument("--filters", type=int, nargs="+", default=[512, 64])
    parser.add_argument("--strides", type=int, nargs="+", default=[250, 1_000])
    parser.add_argument("--peers", default=str(REPOSITORY / ".venv-peers/bin/python"))
    parser.add_argument("--bpnet-lite", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bpnet_lite:
        folder, filters, stride = arguments.bpnet_lite
        run_bpnet_lite(Path(folder), int(filters), int(stride))
        return
    from seqcov_models.genome.fasta import Genome, open_fasta

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        genome = Genome(open_fasta(arguments.fasta, folder))
        codes = genome.fetch(next(iter(genome.contigs)), 0, arguments.bases)
        np.save(folder / "codes.npy", codes)
        letters = "".join("ACGTN"[code] for code in codes)
        (folder / "g.fa").write_text(f">c\n{letters}\n")
        for filters in arguments.filters:
            for stride in arguments.strides:
                # Cores begin on multiples of the stride: the first one is left to the comparison.
                shift = -(WINDOW // 2 - CORE // 2) % stride
                np.save(folder / "codes.npy", codes[shift:])
                command = [arguments.peers, "-W", "ignore", __file__, str(arguments.fasta)]
                subprocess.run(
                    [*command, "--bpnet-lite", name, str(filters), str(stride)], check=True,
                    capture_output=True,
                )  # fmt: skip
                peer = np.load(folder / "peer.npz")
                seconds, values = run_seqcov(folder, stride)
                profiles = peer["profiles"]
                expected = average_windows(profiles, stride, len(codes) - shift)
                difference = np.abs(values[shift:, 0] - expected)
                error = np.nanmax(difference) / np.ptp(expected[np.isfinite(expected)])
                rates = len(profiles) * stride / float(peer["seconds"]), len(codes) / seconds
                result = {
                    "filters": filters, "stride": stride,
                    "bpnet-lite, bases per second": round(rates[0]),
                    "seqcov, bases per second": round(rates[1]),
                    "times": round(rates[1] / rates[0], 1),
                    "largest difference, of the range": float(f"{error:.2g}"),
                }  # fmt: skip
                print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
