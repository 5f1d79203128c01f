"""kill -9 anywhere, the same command again: it finishes, and no byte differs."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from support.fasta import write_fasta
from support.position_coded import write_long_run
from support.profiles import write_profile_run
from support.runs import command, digests, snakemake, start, wait_for

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run long enough to be hit: some seconds of prediction and of writing."""
    return write_long_run(
        tmp_path_factory.mktemp("inputs"), contigs=4, bins=6_000, windows=450, seed=3
    )


@pytest.fixture(scope="module")
def undisturbed(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = snakemake(folder, config)
    assert done.returncode == 0, done.stderr
    return digests(folder)


UNFINISHED = {
    "prediction": "results/g/toy/chunks/.*.part",
    "second prediction": "results/g/toy/chunks/.[1-9].npy.*.part",
    "compression": "results/g/toy/chunks/.[01].0.packed.*.part",
    "writing": "results/g/toy/tracks/.*.part",
}


@pytest.mark.parametrize("victim", ["snakemake", "job"])
def test_killed_and_again_at_every_moment(
    victim: str, config: dict[str, Any], undisturbed: dict[str, str], tmp_path: Path
) -> None:
    parts = []
    for moment, pattern in UNFINISHED.items():
        earlier = {*tmp_path.glob(pattern)}
        running = start(tmp_path, config)
        part = wait_for(tmp_path, pattern, earlier)
        parts.append(part)
        if victim == "snakemake":
            running.kill()  # its jobs live on, as orphans
        else:
            if moment == "prediction":
                wait_for_windows(part, 20)
            os.kill(int(part.name.split(".")[-2]), signal.SIGKILL)
        assert running.wait() != 0
        assert not digests(tmp_path / "results").items() - undisturbed.items(), "a torn bigWig"
    again = subprocess.run(command(), cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert digests(tmp_path) == undisturbed
    assert victim == "snakemake" or "continuing after" in log_of(parts[0])
    assert not list(tmp_path.rglob("*.part"))


def test_a_run_of_some_targets_keeps_unfinished_chunks(
    config: dict[str, Any], tmp_path: Path
) -> None:
    running = start(tmp_path, config)
    part = wait_for(tmp_path, UNFINISHED["prediction"])
    os.kill(int(part.name.split(".")[-2]), signal.SIGKILL)
    assert running.wait() != 0
    some = command("--", "results/g/toy/model.json")
    completed = subprocess.run(some, cwd=tmp_path, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    assert part.exists()


def test_killed_job_at_peaks_and_again(tmp_path: Path) -> None:
    """Its three files, of values, statistics and windows, are continued together."""
    draw = np.random.default_rng(1)
    (tmp_path / "inputs").mkdir()
    config = write_profile_run(tmp_path / "inputs")
    write_fasta(tmp_path / "inputs/g.fa", {"c": "".join(draw.choice(list("ACGTN"), 30_000))})
    summits = draw.integers(0, 30_000, 2_000).tolist()
    peaks = tmp_path / "inputs/peaks.bed"
    peaks.write_text("".join(f"c\t{summit}\t{summit + 1}\n" for summit in summits))
    config["genome"]["fasta"] = str(tmp_path / "inputs/g.fa")
    config["models"]["plain"] |= {"weights": str(tmp_path / "inputs/plain"), "peaks": str(peaks)}
    config["profiles"] = {"batch_size": 1, "windows": True}
    undisturbed = snakemake(tmp_path / "undisturbed", config)
    assert undisturbed.returncode == 0, undisturbed.stderr
    folder = tmp_path / "killed"
    running = start(folder, config)
    part = wait_for(folder, "results/g/plain/chunks/.0.npy.*.part")
    wait_for_windows(part, 20)
    os.kill(int(part.name.split(".")[-2]), signal.SIGKILL)
    assert running.wait() != 0
    again = subprocess.run(command(), cwd=folder, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    log = (folder / "logs/g/predict_profiles/plain.0.log").read_text()
    assert "continuing after" in log
    assert not list(folder.rglob("*.part"))
    results = [path / "results/g/plain" for path in (tmp_path / "undisturbed", folder)]
    assert digests(results[0]) == digests(results[1])
    for name in ("peaks.tsv.gz", "profiles.h5"):
        assert (results[0] / name).read_bytes() == (results[1] / name).read_bytes()


def wait_for_windows(part: Path, count: int) -> None:
    """Wait until an unfinished chunk has so many windows: its journal grows with each of them."""
    sizes: set[int] = set()
    while len(sizes) < count:
        sizes.add(part.stat().st_size)
        time.sleep(0.001)


def log_of(part: Path) -> str:
    """The log of the job that predicts an unfinished chunk."""
    chunk = part.name.split(".")[1]
    return (part.parents[4] / f"logs/g/predict_coverage/toy.{chunk}.log").read_text()


def test_a_changed_config_does_not_continue_a_chunk(
    config: dict[str, Any], undisturbed: dict[str, str], tmp_path: Path
) -> None:
    running = start(tmp_path, config)
    part = wait_for(tmp_path, UNFINISHED["prediction"])
    wait_for_windows(part, 20)
    os.kill(int(part.name.split(".")[-2]), signal.SIGKILL)
    assert running.wait() != 0
    assert part.exists()
    other = config | {"prediction": config["prediction"] | {"min_acgt": 0.01}}
    again = snakemake(tmp_path, other)
    assert again.returncode == 0, again.stderr
    assert digests(tmp_path) == undisturbed  # the genome has no N
    assert "continuing after" not in log_of(part)
    assert not list(tmp_path.rglob("*.part"))


def test_two_runs_at_once_do_not_mix(
    config: dict[str, Any], undisturbed: dict[str, str], tmp_path: Path
) -> None:
    running = start(tmp_path, config)
    wait_for(tmp_path, UNFINISHED["prediction"])
    second = subprocess.run(command(), cwd=tmp_path, capture_output=True, text=True)
    assert second.returncode != 0
    assert "another run is writing here" in second.stderr
    assert running.wait() == 0
    assert digests(tmp_path) == undisturbed


DELAY = """
import os, sys, time
from pathlib import Path
if any("predict_coverage" in argument for argument in sys.orig_argv) and "DELAY" in os.environ:
    Path(os.environ["DELAY"], str(os.getpid())).touch()
    while Path(os.environ["DELAY"]).exists():
        time.sleep(0.01)
"""
"""Python's start in a job: it waits as if it was importing, or waiting for a GPU."""


def test_a_job_that_outlives_its_run_does_not_write_into_the_next_one(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was importing when snakemake was killed, and the next config has other tracks."""
    others = config | {"models": {"toy": config["models"]["toy"] | {"tracks": [1, 2]}}}
    fresh = snakemake(tmp_path / "fresh", others)
    assert fresh.returncode == 0, fresh.stderr
    (tmp_path / "delay").mkdir()
    (tmp_path / "sitecustomize.py").write_text(DELAY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("DELAY", str(tmp_path / "delay"))
    run = tmp_path / "run"
    killed = start(run, config | {"models": {"toy": config["models"]["toy"] | {"tracks": [0, 1]}}})
    orphans = [int(wait_for(tmp_path, "delay/*").name)]
    killed.kill()
    killed.wait()
    monkeypatch.delenv("DELAY")
    (run / "run.yaml").write_text(yaml.safe_dump(others))
    again = subprocess.Popen(command(), cwd=run, stderr=subprocess.DEVNULL)
    wait_for(run, "results/g/toy/chunks/.*.part")
    (tmp_path / "delay").rename(tmp_path / "ended")
    assert again.wait() == 0
    for number in orphans:
        while Path(f"/proc/{number}").exists():
            time.sleep(0.01)
    assert digests(run) == digests(tmp_path / "fresh")
    assert not list(run.rglob("*.part"))
