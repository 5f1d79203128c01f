"""Kill runs of the workflow at random moments, and compare what they leave with undisturbed runs.

    PYTHONPATH=.:tests python tests/support/kills.py --kills 200 --folder FOLDER [--seed 1]

Three configs take turns in one results folder: other tracks, other regions, and another unit of the
profiles. A run is killed with all of its jobs, or without them (they live on), or one of its jobs
is killed; half of the kills wait for a prediction of coverage. Jobs take a while to start, windows
take a while to be written, and predictions wait for one simulated GPU. Prints one line; the exit
status is 0 if no bigWig was ever wrong, no run failed that was not disturbed, and no job lived on.
"""

import argparse
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import yaml

from seqcov_models.run.track_table import read_table
from support.fasta import write_fasta
from support.position_coded import position_coded_bin, save_position_coded
from support.profiles import LETTERS, write_profile_run
from support.runs import command, digests

Config = dict[str, Any]

SLOW_START = """
import importlib.util, os, random, sys, time
from pathlib import Path


def simulate_gpu(module):
    def wait(device, kind="auto", folder=None):
        device.lock, _ = module.lease(["simulated"], Path(os.environ["SIMULATED_GPU"]))
        device.name = "cpu"

    module.Device.__init__ = wait


def write_slowly(module):
    append = module.UnfinishedArray.append

    def sleep_and_append(array, block):
        time.sleep(random.choice([0, 0, 0.1]))
        append(array, block)

    module.UnfinishedArray.append = sleep_and_append


class Patch:
    def __init__(self, name, change):
        self.name, self.change = name, change

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def execute_and_patch(module):
            execute(module)
            self.change(module)

        spec.loader.exec_module = execute_and_patch
        return spec


if any(".snakemake/scripts" in argument for argument in sys.orig_argv):
    time.sleep(random.choice([0, 0, random.uniform(0, 3)]))
    sys.meta_path.insert(0, Patch("seqcov_models.prediction.devices", simulate_gpu))
    sys.meta_path.insert(0, Patch("seqcov_models.run.unfinished", write_slowly))
"""
"""Python's start in a job: some take longer, windows do, and one job at a time has the GPU."""


class Campaign:
    """Runs of some configs in one folder, and what undisturbed runs of them write."""

    kinds = ("run", "main process", "job")
    """What is killed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.draw = folder, random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.problems: list[str] = []
        self.orphans: list[psutil.Process] = []
        self.compared = 0
        self.configs = self.write_configs(folder)
        self.environment = {"PYTHONPATH": str(folder), "SIMULATED_GPU": str(folder / "gpu")}
        self.expected = []
        start = time.monotonic()
        for number, config in enumerate(self.configs):
            fresh = folder / f"fresh{number}"
            if self.start(fresh, config).wait():
                raise SystemExit(f"an undisturbed run failed: see {fresh}/log")
            self.expected.append(digests(fresh / "results"))
        self.seconds = (time.monotonic() - start) / len(self.configs)

    def write_configs(self, folder: Path) -> list[Config]:
        """Write the inputs; return two configs."""
        return write_inputs(folder)

    def start(self, folder: Path, config: Config) -> subprocess.Popen[bytes]:
        """Start a run and return at once."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.yaml").write_text(yaml.safe_dump(config))
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(
                command("--resources", "gpu=2", cores=3),
                cwd=folder, stdout=log, stderr=log,
                env=os.environ | self.environment,
            )  # fmt: skip

    def kill(self, number: int) -> bool:
        """Start a run of a config and kill it, or a part of it, at a random moment.

        Return False if the run ended before.
        """
        run = self.start(self.folder / "run", self.configs[number])
        kind = self.draw.choice(self.kinds)
        rules, seconds = set[str | None](), self.draw.uniform(0.5, self.seconds)
        if self.draw.random() < 0.5:
            rules, seconds = {"predict_coverage"}, self.draw.uniform(0, 6)
        while run.poll() is None and not rules <= {*map(name_rule, find_jobs(run.pid))}:
            time.sleep(0.01)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and run.poll() is None:
            time.sleep(0.01)
        jobs = find_jobs(run.pid)
        while kind == "job" and run.poll() is None and not jobs:
            time.sleep(0.01)
            jobs = find_jobs(run.pid)
        if run.poll() is not None:
            self.check_end(run.returncode, number)
            return False
        self.rules.update(filter(None, map(name_rule, jobs)) if jobs else ["no job"])
        self.kills[kind] += 1
        if kind == "job":
            stop([self.draw.choice(jobs)])
            try:
                run.wait(timeout=120)
            except subprocess.TimeoutExpired:
                self.problems.append("a run did not end when its job was killed")
                run.kill()
        else:
            children = psutil.Process(run.pid).children(recursive=True)
            run.kill()
            stop(children if kind == "run" else [])
            self.orphans += children if kind == "main process" else []
            run.wait()
        self.check_bigwigs()
        return True

    def finish(self, number: int) -> None:
        """Let a config run to its end, and compare every file."""
        self.check_end(self.start(self.folder / "run", self.configs[number]).wait(), number)

    def check_end(self, status: int, number: int) -> None:
        """Note what is wrong after a run that was not disturbed."""
        results = self.folder / "run/results"
        if status:
            lines = (self.folder / "run/log").read_text().splitlines()
            errors = [line for line in lines if "rror" in line or "ERROR" in line]
            self.problems.append(f"an undisturbed run failed: {errors[-1:] or lines[-1:]}")
            shutil.copy(self.folder / "run/log", self.folder / f"failed{len(self.problems)}.log")
            return
        found, expected = listed_digests(results / "g"), self.expected[number]
        self.compared += len(expected)
        wrong = [name for name, digest in expected.items() if found.get(name) != digest]
        if wrong:
            self.problems.append(f"config {number}: other bytes or missing: {', '.join(wrong)}")
        left = [*results.rglob("*.part"), *results.glob("*/*/chunks/*")]
        if left:
            self.problems.append(f"left over: {', '.join(map(str, left))}")

    def check_bigwigs(self) -> None:
        """Note every bigWig that is neither that of one config nor that of the other."""
        for path in (self.folder / "run/results").rglob("*.bw"):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            if all(expected.get(path.name) != content for expected in self.expected):
                self.problems.append(f"{path}: torn, or of no config")

    def check_orphans(self) -> None:
        """Note every job that lives on after its run."""
        _, alive = psutil.wait_procs(self.orphans, timeout=60)
        if alive:
            self.problems.append(f"jobs that live on: {len(alive)}")
            stop(alive)

    def describe(self) -> str:
        """Return the result in one line."""
        kinds = ", ".join(f"{kind} {self.kills[kind]}" for kind in self.kinds)
        rules = ", ".join(f"{rule} {count}" for rule, count in self.rules.most_common())
        return (
            f"{self.kills.total()} kills ({kinds}; during {rules}): {self.compared:,} bigWigs"
            f" compared with an undisturbed run; {'; '.join(self.problems) or 'nothing wrong'}"
        )


def listed_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each bigWig that the table of a run lists, by file name."""
    files = [folder / row["file"] for row in read_table(folder / "tracks.tsv")]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def write_inputs(folder: Path) -> list[Config]:
    """Write a genome, a model of coverage and a BPNet; return the configs."""
    config = write_profile_run(folder)
    draw = random.Random(3)
    contigs = {
        f"chr{number}": "".join(position_coded_bin(draw.randrange(3**12)) for _ in range(1_200))
        for number in range(3)
    }
    write_fasta(folder / "g.fa", contigs | LETTERS)
    (folder / "g.fa.fai").unlink(missing_ok=True)
    save_position_coded(folder / "toy", tracks=40)
    (folder / "sitecustomize.py").write_text(SLOW_START)
    (folder / "gpu").mkdir()
    plain = config["models"]["plain"]
    plain["weights"] = str(folder / plain["weights"])
    plain["peaks"] = {name: str(folder / file) for name, file in plain["peaks"].items()}
    config["genome"]["fasta"] = str(folder / "g.fa")
    toy = {"architecture": "borzoi", "weights": str(folder / "toy")}
    config["prediction"] = {"windows_per_chunk": 20, "threads": 1}
    few, many = {"jobs": 2, "windows": True}, {"jobs": 3, "counts": "expm1"}
    settings: list[tuple[range, list[str] | None, Config]] = [
        (range(30), None, few),
        (range(10, 40), ["chr0", "chr1:4,001-12,000", *LETTERS], many),
        (range(30), ["chr1", "chr2", *LETTERS], few),
    ]
    return [
        config
        | {
            "genome": config["genome"] | ({"regions": regions} if regions else {}),
            "models": {"toy": toy | {"tracks": [*tracks]}, "plain": plain},
            "profiles": profiles,
        }
        for tracks, regions, profiles in settings
    ]


def find_jobs(main: int) -> list[psutil.Process]:
    """Return the processes of a run that execute a script."""
    try:
        children = psutil.Process(main).children(recursive=True)
        return [child for child in children if name_rule(child)]
    except psutil.NoSuchProcess:
        return []


def name_rule(process: psutil.Process) -> str | None:
    """Return the name of the script that a process executes; None if it executes none."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return None
    names = [re.search(r"\.snakemake/scripts/[^.]+\.(\w+)\.py$", word) for word in words]
    return next((name[1] for name in names if name and "python" in words[0]), None)


def stop(processes: list[psutil.Process]) -> None:
    """Kill processes."""
    for process in processes:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue


def main(
    arguments: list[str] | None = None, create: Callable[[Path, int], Campaign] = Campaign
) -> int:
    """Run the campaign that `create` returns for a folder and a seed; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--folder", type=Path, required=True, help="a folder, which is created")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True)
    campaign, number = create(options.folder.resolve(), options.seed), 0
    while campaign.kills.total() < options.kills and len(campaign.problems) < 10:
        is_finished = not campaign.kill(number)
        problems = "; ".join(campaign.problems) or "nothing wrong"
        print(f"{campaign.kills.total()} kills: {problems}", file=sys.stderr, flush=True)
        if not is_finished and campaign.draw.random() < 0.1:
            campaign.finish(number)
            is_finished = True
        if is_finished or campaign.draw.random() < 0.5:
            others = {*range(len(campaign.configs))} - {number}
            number = campaign.draw.choice(sorted(others))
    for number in range(len(campaign.configs)):
        campaign.finish(number)
    campaign.check_orphans()
    print(campaign.describe())
    return int(bool(campaign.problems))


if __name__ == "__main__":
    sys.exit(main())
