"""The run of the demo that several tests look at."""

import fcntl
import os
from pathlib import Path

import pyBigWig
import pytest
import yaml

from seqcov_models.tracks.table import read_tracks
from support.data import REPOSITORY
from support.measured import write_measured
from support.runs import every_base, snakemake

FOLDS = """\
NC_A\t0\t100000\tfold0
NC_B\t0\t50000\tfold1
NC_B\t50000\t90000\tfold1
other\t0\t9\tfold9
"""


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the working directory of a finished run of config.yaml, one for all workers.

    All tracks of the Borzoi are compared with the simulation, in folds; one file of it has other
    names of contigs. What the run printed is in printed.txt.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / "demo_run"
    with (base / "demo_run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "printed.txt").exists():
            _run_demo(folder)
    return folder


def _run_demo(folder: Path) -> None:
    """Run config.yaml in a new folder."""
    folder.mkdir()
    (folder / "demo").symlink_to(REPOSITORY / "demo")
    track = REPOSITORY / "demo/simulated/DEMO0002.bw"
    with pyBigWig.open(str(track)) as file:
        lengths = file.chroms()
    values = {name: every_base(track, name, lengths[name])[::32] for name in lengths}
    write_measured(folder / "measured.bw", lengths, values, 32, "NC_")
    (folder / "folds.bed").write_text(FOLDS)
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text()) | {"report": True}
    aliases = {f"NC_{name.removeprefix('chr')}": name for name in lengths}
    config["genome"]["contig_aliases"] = aliases
    names = [track.identifier for track in read_tracks(REPOSITORY / "demo/borzoi/targets.txt")]
    observed = {name: f"demo/simulated/{name}.bw" for name in names} | {"DEMO0002": "measured.bw"}
    config["models"]["borzoi"] |= {"observed": observed, "folds": "folds.bed"}
    process = snakemake(folder, config)
    assert process.returncode == 0, process.stderr
    (folder / "printed.txt").write_text(process.stderr, encoding="utf-8")
