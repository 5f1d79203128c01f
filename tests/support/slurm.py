"""A small real Slurm on this machine, and runs through profiles/slurm."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.data import DATA, REPOSITORY
from support.runs import SNAKEFILE

SLURM = DATA.parent / "slurm"
"""The folder of the scripts that start and stop it."""


def has_slurm() -> bool:
    """Return whether this machine has Slurm's programs, and the scripts."""
    is_installed = shutil.which("slurmctld", path="/usr/sbin:/sbin") is not None
    return is_installed and (SLURM / "start-slurm").exists()


@dataclass(frozen=True)
class Cluster:
    """A small Slurm of one CPU and one GPU node, each with 4 CPUs and 16 GB."""

    folder: Path
    environment: dict[str, str]

    def ask(self, *words: str) -> str:
        """Return what a program of Slurm prints."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def jobs(self) -> list[str]:
        """Return the numbers of all jobs, in the queue or running."""
        return self.ask("squeue", "-h", "-o", "%A").split()

    def job(self, comment: str) -> str:
        """Wait for a running job with this comment, and return its number."""
        for _ in range(600):
            lines = self.ask("squeue", "-h", "-t", "R", "-o", "%A %k").splitlines()
            if numbers := [line.split()[0] for line in lines if line.endswith(comment)]:
                return numbers[0]
            time.sleep(0.1)
        raise AssertionError(f"no job {comment}")

    def restart(self) -> None:
        """Start what has ended of the cluster."""
        subprocess.run([SLURM / "start-slurm", self.folder, "--no-install"], check=True)

    def start_run(
        self,
        folder: Path,
        config: dict[str, Any],
        *arguments: str,
        resources: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Start a run in a folder, with the keys set that profiles/README.md names.

        Its output is in output.txt. No report unless the config asks for it. resources: of the
        jobs that predict coverage.
        """
        profile = yaml.safe_load((REPOSITORY / "profiles/slurm/config.yaml").read_text())
        profile["default-resources"] |= {"slurm_account": "lab", "mem_mb": 1500}
        for rule in ("predict_coverage", "predict_profiles"):
            profile["set-resources"][rule]["mem_mb"] = 2000
        profile["set-resources"]["predict_coverage"] |= resources or {}
        profile["max-threads"] = 2
        profile["slurm-init-seconds-before-status-checks"] = 2
        (folder / "site").mkdir(parents=True, exist_ok=True)
        (folder / "site/config.yaml").write_text(yaml.safe_dump(profile))
        config = {"report": False} | config
        (folder / "run.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        line = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)]
        line += ["--configfile", "run.yaml", "--workflow-profile", "site", *arguments]
        with (folder / "output.txt").open("w") as output:
            return subprocess.Popen(
                line, cwd=folder, env=self.environment | (environment or {}), stdout=output,
                stderr=output,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )  # fmt: skip


@contextmanager
def start_cluster() -> Iterator[Cluster]:
    """Yield a cluster that ends with the block, or skip the test if it does not start."""
    folder = Path(f"/tmp/seqcov-slurm-{os.getpid()}")  # Slurm wants a short path
    start = [SLURM / "start-slurm", folder, "--no-install", "--cpus-per-node", "4"]
    started = subprocess.run(start, capture_output=True, text=True)
    if started.returncode:
        pytest.skip(f"Slurm did not start: {started.stdout}{started.stderr}")
    try:
        script = f". {folder}/env.sh && env -0"
        environment = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
        lines = [line for line in environment.decode().split("\0") if "=" in line]
        yield Cluster(folder, dict(line.split("=", 1) for line in lines))
    finally:
        subprocess.run([SLURM / "stop-slurm", folder, "--remove"], capture_output=True)
