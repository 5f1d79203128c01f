"""Rehearse a run at full scale: from a synthetic FASTA to one bigWig per track.

    PYTHONPATH=. nice python benchmarks/rehearsal.py FOLDER [--bases 1e7 1e8 4e9] [--sizes FILE]

The contigs have the lengths of hg38 (chr1 to chr22, X, Y, M) or those in FILE, a .fai or
chrom.sizes; their letters are random. The network has Borzoi's geometry (524,288 bp, 6,144 bins of
32 bp) but few channels, so that everything around it weighs more than in a real run. For each
number of bases the first contigs are predicted as one run of the workflow in FOLDER, which is
deleted afterwards.

Prints two tables per run: wall time, CPU time and peak memory per rule, and the costs per window.
The CPU time of a rule is that of its scripts; Snakemake's own processes, one per job, are a row.
Jobs run with `--cores`; wall seconds of a rule are those in which at least one of its jobs runs.
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
import yaml
from machine import name_processor

from seqcov_models import BorzoiConfig, save_model
from seqcov_models.checkpoints.load import build
from seqcov_models.run.coverage_plan import CoveragePlan

REPOSITORY = Path(__file__).resolve().parent.parent
HG38 = {
    "chr1": 248_956_422, "chr2": 242_193_529, "chr3": 198_295_559, "chr4": 190_214_555,
    "chr5": 181_538_259, "chr6": 170_805_979, "chr7": 159_345_973, "chr8": 145_138_636,
    "chr9": 138_394_717, "chr10": 133_797_422, "chr11": 135_086_622, "chr12": 133_275_309,
    "chr13": 114_364_328, "chr14": 107_043_718, "chr15": 101_991_189, "chr16": 90_338_345,
    "chr17": 83_257_441, "chr18": 80_373_285, "chr19": 58_617_616, "chr20": 64_444_167,
    "chr21": 46_709_983, "chr22": 50_818_468, "chrX": 156_040_895, "chrY": 57_227_415,
    "chrM": 16_569,
}  # fmt: skip
LINE = 100
"""Letters per line of the FASTA."""
DRAWN = 20_000_000
"""Letters that are drawn at a time, a multiple of `LINE`."""

START = "check_checkpoint"
"""The rule that loads the network and does nothing else: the cost of a prediction's start."""

PEAK = re.compile(r"peak memory (\d+) MB, ([\d.]+) s of CPU time")
TIMES = re.compile(r"Seconds\((.*)\)")
STAMP = re.compile(r"^\[(\w{3} \w{3} +\d+ [\d:]+ \d{4})\]$")
STARTED = re.compile(r"^(?:local)?rule (\w+):$")
JOB = re.compile(r"^    jobid: (\d+)$")
FINISHED = re.compile(r"^Finished jobid: (\d+) ")


def read_lengths(path: Path) -> dict[str, int]:
    """Return the lengths in the first two columns of a .fai or chrom.sizes, by name."""
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return {name: int(length) for name, length, *_ in rows}


def take_bases(lengths: dict[str, int], bases: int) -> dict[str, int]:
    """Return the first contigs, the last of them cut, of `bases` in total."""
    taken = {}
    for name, length in lengths.items():
        if bases > 0:
            taken[name] = min(length, bases)
            bases -= length
    return taken


def write_fasta(path: Path, lengths: dict[str, int], seed: int = 1) -> None:
    """Write contigs of random letters."""
    rng = np.random.default_rng(seed)
    letters = np.frombuffer(b"ACGT", np.uint8)
    with path.open("wb") as out:
        for name, length in lengths.items():
            out.write(f">{name}\n".encode())
            for begin in range(0, length, DRAWN):
                count = min(DRAWN, length - begin)
                text = np.full((-(-count // LINE), LINE + 1), ord("\n"), np.uint8)
                codes = np.frombuffer(rng.bytes(len(text) * LINE), np.uint8) & 3
                text[:, :LINE] = letters[codes].reshape(-1, LINE)
                rest = count % LINE
                out.write(text.tobytes()[: text.size - (LINE - rest + 1 if rest else 0)])
                out.write(b"\n" * bool(rest))


def write_checkpoint(folder: Path, tracks: int, channels: int, layers: int) -> None:
    """Save a network with Borzoi's geometry, random weights and few channels."""
    torch.manual_seed(1)
    config = BorzoiConfig(
        num_labels=tracks, stem_channels=channels, conv_tower_channels=(channels,) * 6,
        num_hidden_layers=layers, num_attention_heads=1, num_key_value_heads=1,
        attention_head_size=4, attention_value_size=4, num_rel_pos_features=2,
        intermediate_size=2 * channels, head_hidden_size=0,
    )  # fmt: skip
    model = build(config).eval()
    for weight in model.parameters():
        if weight.ndim > 1:  # the default weights would shrink the signal from layer to layer
            torch.nn.init.kaiming_normal_(weight)
    save_model(model, folder)


@dataclass
class Usage:
    """What a command took.

    Attributes:
        wall: Seconds.
        cpu: Seconds of all its processes.
        memory: Peak of Snakemake's main process, in MB.
        disk: Maximum bytes in the folder.
        output: What it printed.
    """

    wall: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0
    disk: int = 0
    output: str = ""


@dataclass
class Rule:
    """What the jobs of a rule took: seconds of CPU time, MB of each job, and when they ran."""

    jobs: int = 0
    cpu: float = 0.0
    memory: float = 0.0
    spans: list[tuple[float, float]] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)


@contextmanager
def watch(process: "subprocess.Popen[str]", folder: Path, usage: Usage) -> Iterator[None]:
    """Record the memory of a process and the bytes in a folder, twice per second."""
    finished, status = threading.Event(), Path(f"/proc/{process.pid}/status")

    def look() -> None:
        while not finished.wait(0.5):
            usage.disk = max(usage.disk, measure_folder(folder))
            with suppress(OSError):  # the process has ended
                for kilobytes in re.findall(r"VmHWM:\s*(\d+) kB", status.read_text()):
                    usage.memory = int(kilobytes) / 1e3

    watcher = threading.Thread(target=look)
    watcher.start()
    yield
    finished.set()
    watcher.join()
    usage.disk = max(usage.disk, measure_folder(folder))


def measure_folder(folder: Path) -> int:
    """Return the bytes that the files in a folder take on disk; sparse files take less.

    A file with two names (a bigWig of a batch and its group) counts once.
    """
    sizes = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                state = Path(parent, name).lstat()
            except FileNotFoundError:  # a job has deleted it
                continue
            sizes[state.st_ino] = 512 * state.st_blocks
    return sum(sizes.values())


def run_snakemake(folder: Path, *arguments: str) -> Usage:
    """Run the workflow with the config in `folder`; its output names each rule and job."""
    usage, before = Usage(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--configfile", "config.yaml", "--quiet", "host", *arguments]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with watch(process, folder / "results", usage):
        usage.output, _ = process.communicate()
    usage.wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    usage.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if process.returncode:
        sys.exit(usage.output[-4000:])
    return usage


def collect_rules(output: str, logs: Path) -> dict[str, Rule]:
    """Return what the jobs of each rule took, from Snakemake's output and the jobs' logs."""
    rules: dict[str, Rule] = {}
    running: dict[str, tuple[str, float]] = {}
    moment, name = 0.0, ""
    for line in output.splitlines():
        if match := STAMP.match(line):
            moment = datetime.strptime(match[1], "%a %b %d %H:%M:%S %Y").timestamp()
        elif match := STARTED.match(line):
            name = match[1]
        elif match := JOB.match(line):
            running[match[1]] = name, moment
        elif (match := FINISHED.match(line)) and match[1] in running:
            name, began = running.pop(match[1])
            rule = rules.setdefault(name, Rule())
            rule.jobs += 1
            rule.spans.append((began, moment))
    for log in logs.rglob("*.log"):
        name = log.relative_to(logs).parts[0].removesuffix(".log")
        if name not in rules:
            continue
        rule, text = rules[name], log.read_text()
        for memory, cpu in PEAK.findall(text):
            rule.memory = max(rule.memory, float(memory))
            rule.cpu += float(cpu)
        for message in TIMES.findall(text):
            for stage, seconds in re.findall(r"(\w+)=([\d.e-]+)", message):
                rule.stages[stage] = rule.stages.get(stage, 0) + float(seconds)
    return {name: rule for name, rule in rules.items() if rule.cpu}


def count_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """Return the seconds that at least one of the spans covers."""
    total, reach = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reach))
        reach = max(reach, end)
    return total


def rehearse(folder: Path, lengths: dict[str, int], options: argparse.Namespace) -> None:
    """Make a genome, run the workflow on it, and print what each stage took."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.perf_counter()
    write_fasta(folder / "genome.fa", lengths)
    print(f"## {len(lengths):,} contigs, {sum(lengths.values()):,} bp, {options.tracks} tracks\n")
    print(f"{name_processor()}, load {os.getloadavg()[0]:.1f} before; `--cores {options.cores}`.")
    print(f"FASTA written in {time.perf_counter() - began:.0f} s.", flush=True)
    write_checkpoint(folder / "weights", options.tracks, options.channels, options.layers)
    config = {
        "genome": {"name": "rehearsal", "fasta": "genome.fa", "assembly": "hg38"},
        "models": {"borzoi": {"architecture": "borzoi", "weights": "weights"}},
        "prediction": {
            "device": "cpu", "threads": 1, "chunk_dtype": options.chunk_dtype,
            "windows_per_chunk": options.windows_per_chunk,
        },
        "bigwig": {"tracks_per_job": -(-options.tracks // options.cores)},
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    first, second = (run_snakemake(folder, "--dry-run", "--cores", "1") for _ in range(2))
    print(f"Index of the FASTA: {max(0, first.wall - second.wall):.1f} s.")
    print(f"Dry run: {second.wall:.1f} s, {second.cpu:.2f} s of CPU time, {second.memory:.0f} MB.")
    if options.dry_run:
        return
    run = run_snakemake(folder, "--cores", str(options.cores))
    rules = collect_rules(run.output, folder / "logs" / "rehearsal")
    print("\n| rule | jobs | wall, s | CPU, s | peak memory, MB |\n|---|---:|---:|---:|---:|")
    for name, rule in rules.items():
        wall = count_seconds(rule.spans)
        print(f"| {name} | {rule.jobs} | {wall:.0f} | {rule.cpu:.1f} | {rule.memory:.0f} |")
    outside = run.cpu - sum(rule.cpu for rule in rules.values())
    print(f"| Snakemake, and starting its jobs | | | {outside:.1f} | {run.memory:.0f} |")
    print(f"| all | | {run.wall:.0f} | {run.cpu:.1f} | |")
    print_costs(folder / "results" / "rehearsal", run, rules)


def print_costs(results: Path, run: Usage, rules: dict[str, Rule]) -> None:
    """Print the costs per window and value, and the bytes on disk."""
    plan = CoveragePlan.load(results / "borzoi" / "plan.json")
    windows = sum(tracks.window_count for tracks in plan.sets)
    bins = plan.bin_count * len(plan.sets)
    bigwigs = sum(file.stat().st_size for file in results.rglob("*.bw"))
    count = sum(1 for _ in results.rglob("*.bw"))
    predict, start = rules["predict_coverage"], rules[START].cpu
    others = [rule for name, rule in rules.items() if name not in ("predict_coverage", START)]
    in_loop, outside = predict.cpu - start * predict.jobs, sum(rule.cpu for rule in others)
    print("\n| cost | |\n|---|---:|")
    print(f"| prediction after its start, CPU ms per window | {1e3 * in_loop / windows:.2f} |")
    print(f"| all other scripts, CPU ns per value | {1e9 * outside / (bins * count):.1f} |")
    print(f"| the whole run, CPU ms per window | {1e3 * run.cpu / windows:.2f} |")
    share = start * predict.jobs / predict.cpu
    print(f"| start of prediction jobs, share of their CPU time | {share:.1%} |")
    for stage, seconds in predict.stages.items():
        print(f"| {stage}, wall ms per window | {1e3 * seconds / windows:.2f} |")
    print(f"| windows | {windows:,} |")
    print(f"| values in {count} bigWigs | {bins * count:,} |")
    print(f"| bigWigs | {bigwigs / 1e9:.2f} GB, {bigwigs / (bins * count):.2f} bytes per value |")
    print(
        f"| peak disk, all results | {run.disk / 1e9:.2f} GB, {run.disk / bigwigs:.2f} × bigWigs |"
    )
    print(flush=True)


def main() -> None:
    """Rehearse a run for each number of bases."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="for temporary files; must not exist")
    parser.add_argument("--bases", type=float, nargs="+", default=[1e7, 1e8, 4e9])
    parser.add_argument("--sizes", type=Path, help="a .fai or chrom.sizes instead of hg38")
    parser.add_argument("--tracks", type=int, default=100)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--layers", type=int, default=0, help="transformer blocks")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--windows-per-chunk", type=int, default=256)
    parser.add_argument("--chunk-dtype", choices=["float32", "float16"], default="float32")
    parser.add_argument("--dry-run", action="store_true", help="only plan")
    options = parser.parse_args()
    if options.folder.exists():
        parser.error(f"{options.folder} exists; name a new folder")
    lengths = read_lengths(options.sizes) if options.sizes else HG38
    try:
        for bases in options.bases:
            rehearse(options.folder, take_bases(lengths, int(bases)), options)
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
