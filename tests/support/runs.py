"""Whole runs of the workflow, as a user starts them, and what to compare them with."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyBigWig
import yaml

from support.data import REPOSITORY
from support.warm_snakemake import run_snakemake

SNAKEFILE = REPOSITORY / "Snakefile"


def snakemake(
    folder: Path,
    config: dict[str, Any],
    *arguments: str,
    cores: int = 2,
    snakefile: Path = SNAKEFILE,
) -> subprocess.CompletedProcess[str]:
    """Run the workflow in `folder` with `config` and wait for its end.

    Without a report, which takes seconds, unless the config asks for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {"report": False} | config
    (folder / "run.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return run_snakemake(command(*arguments, cores=cores, snakefile=snakefile)[3:], folder)


def start(folder: Path, config: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the workflow in `folder` with `config` and return at once."""
    snakemake(folder, config, "--dry-run")  # writes run.yaml
    return subprocess.Popen(
        command(), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_for(folder: Path, pattern: str, earlier: Collection[Path] = ()) -> Path:
    """Wait for the unfinished file or folder that a job writes, and return its temporary path.

    earlier: paths of jobs that have ended.
    """
    for _ in range(60_000):
        matches = [path for path in folder.glob(pattern) if path not in earlier and path.exists()]
        if matches:
            return matches[0]
        time.sleep(0.001)
    raise AssertionError(f"{pattern} never appeared")


def command(*arguments: str, cores: int = 2, snakefile: Path = SNAKEFILE) -> list[str]:
    """Return the command line of a run whose config is run.yaml, and that names its jobs."""
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)),
        *("--cores", str(cores), "--configfile", "run.yaml", "--quiet", "host"),
        *arguments,
    ]


def bigwigs(folder: Path) -> dict[str, Path]:
    """Return every bigWig below `folder`, by file name."""
    return {path.name: path for path in sorted(folder.rglob("*.bw"))}


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every bigWig below `folder`, by file name."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in bigwigs(folder).items()
    }


def every_base(path: Path, contig: str, length: int) -> npt.NDArray[np.float32]:
    """Return a bigWig's value at every base of a contig, NaN for bases without a value."""
    values = np.full(length, np.nan, np.float32)
    with pyBigWig.open(str(path)) as file:
        for start, end, value in file.intervals(contig) or ():
            assert np.isnan(values[start:end]).all(), "two values for a base"
            values[start:end] = value
    return values
