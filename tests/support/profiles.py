"""Tiny BPNets, and their predictions at peaks without the workflow."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqcov_models import (
    BPNetConfig,
    BPNetLiteConfig,
    CherimoyaConfig,
    ChromBPNetConfig,
    save_model,
)
from seqcov_models.checkpoints.load import build
from seqcov_models.genome.fasta import Genome
from seqcov_models.networks.bpnet.network import BPNetForProfilePrediction
from seqcov_models.peaks.read import combine_peaks, read_peaks, write_peaks
from seqcov_models.peaks.windows import Windows, read_windows, split_windows, statistic_names
from seqcov_models.prediction.ensemble import ProfileEnsemble
from seqcov_models.run.predict import predict_peaks
from seqcov_models.run.profile_outputs import (
    write_peak_table,
    write_profile_windows,
    write_task,
)
from support.fasta import write_fasta

BPNET = BPNetConfig(
    sequence_length=40, target_length=40, tasks=("one", "two"), hidden_size=6, stem_kernel_size=5,
    num_dilated_layers=2, profile_kernel_size=5,
)  # fmt: skip
BPNET_LITE = BPNetLiteConfig(
    sequence_length=61, target_length=41, tasks=("signal",), hidden_size=5, stem_kernel_size=3,
    num_dilated_layers=2, profile_kernel_size=3, num_control_tracks=2,
)  # fmt: skip
UNSTRANDED = BPNetLiteConfig(
    sequence_length=50, target_length=30, tasks=("a", "b"), num_strands=1, hidden_size=4,
    stem_kernel_size=3, num_dilated_layers=1, profile_kernel_size=3,
)  # fmt: skip

CHROMBPNET = ChromBPNetConfig(
    sequence_length=80, target_length=30, hidden_size=7, stem_kernel_size=5, num_dilated_layers=2,
    profile_kernel_size=5, bias_hidden_size=4, bias_num_dilated_layers=1,
)  # fmt: skip
CHERIMOYA = CherimoyaConfig(
    sequence_length=70, target_length=20, hidden_size=8, stem_kernel_size=5, num_dilated_layers=2,
    profile_kernel_size=5,
)  # fmt: skip


def network(config: BPNetConfig, seed: int = 1) -> BPNetForProfilePrediction:
    torch.manual_seed(seed)
    model = build(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.4)
        assert isinstance(model, BPNetForProfilePrediction)
        model.counts.bias += config.added_reads  # so that some reads are left
    return model.eval()


COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def predict_window(
    folds: list[BPNetForProfilePrediction],
    letters: str,
    minus: bool,
    both_strands: bool,
    expm1: bool,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Compute values (length, tasks, strands) and log counts of a window from the definitions.

    The probabilities and the log counts are averaged over folds and strands, then multiplied.
    """
    profiles, logs = [], []
    for fold in folds:
        for is_reverse in {False: [minus], True: [False, True]}[both_strands]:
            strand_letters = letters.translate(COMPLEMENT)[::-1] if is_reverse else letters
            one_hot = np.full(
                (1, len(strand_letters), 4), 0.25 if fold.config.n_encoding == "uniform" else 0
            )
            for position, letter in enumerate(strand_letters):
                if letter in "ACGT":
                    one_hot[0, position] = np.eye(4)["ACGT".index(letter)]
            with torch.inference_mode():
                output = fold(inputs_embeds=torch.from_numpy(one_hot).float())
            logits = output.profile_logits[0].double().numpy()
            counts = output.count_logits[0].double().numpy()
            odds = np.exp(logits - logits.max())
            joint = fold.config.joint_strands
            probabilities = odds / odds.sum((0, 2) if joint else 0, keepdims=True)
            profiles.append(probabilities[::-1, :, ::-1] if is_reverse else probabilities)
            logs.append(counts[:, ::-1] if is_reverse else counts)
    log = np.mean(logs, 0)
    added = folds[0].config.added_reads or int(expm1)
    reads = np.maximum(np.exp(log) - added, 0)
    return np.mean(profiles, 0) * reads[None], log


def run(
    folder: Path,
    folds: list[BPNetForProfilePrediction],
    genome: Genome,
    jobs: int,
    by_strand: bool,
    bins: dict[str, Any],
    both_strands: bool = False,
    **options: Any,
) -> Windows:
    """Predict the peaks of peaks.bed as the workflow does, into bigWigs and tables."""
    config = folds[0].config
    peaks = combine_peaks(
        [read_peaks(folder / "peaks.bed", "p", genome.contigs)], genome.contigs, bins
    )
    write_peaks(folder / "all.bed", peaks)
    windows = read_windows(folder / "all.bed", genome.contigs, by_strand)
    chunks = split_windows(windows, genome.contigs, config.geometry, jobs)
    files = [[folder / f"{number}{end}.npy" for end in ("", ".table", ".windows")]
             for number in range(jobs)]  # fmt: skip
    for chunk, paths in zip(chunks, files, strict=True):
        ensemble = ProfileEnsemble(folds, reverse_complement=both_strands)
        predict_peaks(ensemble, genome, windows, chunk, bins, *paths, **options)
    kinds = ("plus", "minus", "both") if config.num_strands == 2 else ("both",)
    chunk_files = [(paths[0], chunk.segments) for paths, chunk in zip(files, chunks, strict=True)]
    for index, task in enumerate(config.tasks):
        write_task(
            {kind: folder / f"{task}.{kind}.bw" for kind in kinds}, folder / f"{task}.tsv", "model",
            task, index * config.num_strands, chunk_files, genome.contigs, "reads",
        )  # fmt: skip
    columns = statistic_names(config.tasks, config.num_strands, config.joint_strands)
    write_peak_table(
        folder / "peaks.tsv.gz", folder / "all.bed", [p[1] for p in files], columns, by_strand
    )
    write_profile_windows(
        folder / "profiles.h5", [p[2] for p in files], config.tasks, config.num_strands, windows,
        config.geometry, list(genome.contigs),
    )  # fmt: skip
    return windows


def assert_close(values: npt.ArrayLike, expected: npt.ArrayLike) -> None:
    """Compare values of a BPNet with those expected."""
    # float32 through four layers and a softmax of a few dozen positions: some 1e-6 relative
    np.testing.assert_allclose(values, expected, rtol=2e-5, atol=1e-9)


def random_contigs() -> dict[str, str]:
    draw = np.random.default_rng(7)
    lengths = {"chrI": 2_000, "chrII": 300, "tiny": 12}
    return {
        name: "".join(draw.choice(list("ACGTacgtN"), length)) for name, length in lengths.items()
    }


LETTERS = random_contigs()
"""The contigs of `write_profile_run`."""


def write_profile_run(folder: Path) -> dict[str, Any]:
    """Write a BPNet of two tasks, two sets of peaks and a genome; return the config of a run."""
    write_fasta(folder / "g.fa", LETTERS)
    save_model(network(BPNET), folder / "plain")
    draw = np.random.default_rng(8)
    lines = []
    for contig, starts in (("chrI", draw.integers(0, 1_980, 60)), ("chrII", [0, 280])):
        for start in starts:
            strand = draw.choice(["+", "-", "."])
            cells = [contig, start, start + 9, "peak", 0, strand, 1.5, -1, 2, start % 9]
            lines.append("\t".join(map(str, cells)) + "\n")
    (folder / "a.narrowPeak").write_bytes(gzip.compress("".join(lines).encode()))
    (folder / "b.bed").write_text("track name=b\ntiny\t0\t12\nchrII\t295\t300\nchrI\t0\t1\n")
    entry = {
        "architecture": "bpnet",
        "weights": "plain",
        "peaks": {"narrow": "a.narrowPeak", "b": "b.bed"},
    }
    return {"genome": {"name": "g", "fasta": "g.fa"}, "models": {"plain": entry}}
