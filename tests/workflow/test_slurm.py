"""profiles/slurm on a real Slurm without accounting, if one can be started, and what may go wrong.

Each fault ends with a complete run whose bytes do not differ, or with a line that says what to do.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import kills
from support.data import REPOSITORY
from support.position_coded import write_long_run
from support.runs import digests, snakemake
from support.slurm import SLURM, Cluster, has_slurm, start_cluster
from support.slurm_kills import SlurmCampaign

DEMO = {
    "genome": {"name": "demo", "fasta": str(REPOSITORY / "demo" / "genome.fa")},
    "models": {"borzoi": {"architecture": "borzoi", "weights": str(REPOSITORY / "demo/borzoi")}},
    "prediction": {"windows_per_chunk": 60, "threads": 2},
    "report": True,
}

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.slow,
    pytest.mark.skipif(
        not has_slurm(), reason="Slurm is not installed, or the script that starts it is missing"
    ),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with start_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two chunks of some seconds each."""
    return write_long_run(
        tmp_path_factory.mktemp("inputs"), contigs=2, bins=12_000, windows=500, seed=5
    )


@pytest.fixture(scope="module")
def undisturbed(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = snakemake(folder, config)
    assert done.returncode == 0, done.stderr
    return digests(folder)


@dataclass(frozen=True)
class Run:
    """A run through profiles/slurm."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    paused: set[int]  # processes that this or an earlier run in the folder stopped

    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def finish(self, status: int = 0, timeout: int = 400) -> str:
        """Wait for its end and return its output."""
        assert self.process.wait(timeout) == status, self.output()
        return self.output()

    def pause(self, *chunks: int) -> list[int]:
        """Stop the jobs of chunks when they have some windows; return their processes.

        The journal of a chunk grows with each window. Slurm continues a job before it ends it, so
        that also the journal of a process that was stopped here before may grow.
        """
        sizes: dict[int, set[int]] = {chunk: set() for chunk in chunks}
        processes: dict[int, int] = {}
        end = time.monotonic() + 150
        while len(processes) < len(chunks):
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < end, self.output()
            for chunk in sizes.keys() - processes.keys():
                for part in self.folder.glob(f"results/g/toy/chunks/.{chunk}.npy.*.part"):
                    process = int(part.name.split(".")[-2])
                    if process in self.paused:
                        continue
                    sizes[chunk].add(part.stat().st_size)
                    if len(sizes[chunk]) > 20:
                        os.kill(process, signal.SIGSTOP)
                        processes[chunk] = process
                        self.paused.add(process)
            time.sleep(0.001)
        return [processes[chunk] for chunk in chunks]

    def log_of_chunk(self, chunk: int) -> str:
        return (self.folder / f"logs/g/predict_coverage/toy.{chunk}.log").read_text()


Submit = Callable[..., Run]


@pytest.fixture
def submit(cluster: Cluster, config: dict[str, Any], tmp_path: Path) -> Iterator[Submit]:
    """Yield a function that starts a run."""
    runs: list[Run] = []
    paused: set[int] = set()

    def start(
        *arguments: str, config: dict[str, Any] = config, resources: dict[str, Any] | None = None
    ) -> Run:
        place = tmp_path / "run"
        process = cluster.start_run(place, config, *arguments, resources=resources)
        runs.append(Run(place, process, paused))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()
    subprocess.run(["scancel", "--me"], env=cluster.environment)


def test_demo_through_the_slurm_profile_with_an_array_and_another_spelling_of_gpu(
    cluster: Cluster, submit: Submit, tmp_path: Path
) -> None:
    assert snakemake(tmp_path / "local", DEMO).returncode == 0
    run = submit(
        "--slurm-keep-successful-logs", "--slurm-array-jobs", "write_coverage_bigwigs",
        config=DEMO, resources={"gpu": 0, "gres": "'gpu:1'"},
    )  # fmt: skip
    assert "SLURM run ID: seqcov_" in run.finish()
    slurm_logs = run.folder.glob(".snakemake/slurm_logs/rule_predict_coverage/**/*.log")
    assert list(slurm_logs), "prediction did not run through Slurm"
    jobs = cluster.ask("scontrol", "show", "job").split("\n\n")
    (prediction,) = [job for job in jobs if "predict_coverage" in job and str(run.folder) in job]
    assert "TresPerNode=gres:gpu:1" in prediction
    assert any("ArrayTaskId=" in job and str(run.folder) in job for job in jobs)
    assert digests(run.folder) == digests(tmp_path / "local")


def test_more_threads_than_a_node_has_are_refused_in_one_line(
    cluster: Cluster, config: dict[str, Any], submit: Submit
) -> None:
    crowd = config | {"prediction": {"threads": 8}}
    output = submit("--max-threads", "16", config=crowd).finish(status=1, timeout=60)
    assert (
        "\nrule predict_coverage asks for 8 CPUs, but the nodes of partition gpu have at most 4;"
        " set max-threads: 4 in the profile\n"
    ) in output
    assert "Traceback" not in output
    assert not cluster.jobs()
    submit("--max-threads", "4", "--until", "check_checkpoint", config=crowd).finish()


def test_a_controller_that_is_down_and_a_cancelled_job(
    cluster: Cluster, submit: Submit, undisturbed: dict[str, str]
) -> None:
    run = submit()
    _, second = run.pause(0, 1)
    time.sleep(5)  # before, the controller may forget a job that is starting
    os.kill(int((cluster.folder / "run/slurmctld.pid").read_text()), signal.SIGTERM)
    os.kill(second, signal.SIGCONT)  # this job ends while nobody knows
    time.sleep(40)
    assert run.process.poll() is None, run.output()
    cluster.restart()
    cluster.ask("scancel", cluster.job("predict_coverage_wildcards_toy_0"))
    output = run.finish()
    assert "Slurm does not answer (squeue: " in output
    assert "Slurm answers again." in output
    assert digests(run.folder) == undisturbed
    assert "continuing after" in run.log_of_chunk(0)
    assert "continuing after" not in run.log_of_chunk(1)
    assert not list(run.folder.rglob("*.part"))


def test_killed_snakemake_and_again_until_a_walltime_ends_and_a_node_crashes(
    cluster: Cluster, submit: Submit, undisturbed: dict[str, str]
) -> None:
    run = submit()
    run.pause(0, 1)
    run.process.kill()
    run.process.wait()
    orphan = cluster.job("predict_coverage_wildcards_toy_0")
    again = submit()
    again.pause(1)
    assert orphan not in cluster.jobs()
    number = cluster.job("predict_coverage_wildcards_toy_1")
    cluster.ask("scontrol", "update", f"JobId={number}", "EndTime=now")
    again.pause(1)  # the next attempt
    assert "JobState=TIMEOUT" in cluster.ask("scontrol", "show", "job", number)
    subprocess.run([SLURM / "stop-slurm", cluster.folder, "--crash", "g1"], check=True)
    time.sleep(15)
    cluster.restart()
    output = again.finish()
    assert re.search(rf"earlier run that was killed: .*\b{orphan}\b", output)
    assert digests(again.folder) == undisturbed
    assert "continuing after" in again.log_of_chunk(0)
    assert "continuing after" in again.log_of_chunk(1)
    assert not list(again.folder.rglob("*.part"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_whose_job_is_pending(
    number: signal.Signals, cluster: Cluster, submit: Submit
) -> None:
    cluster.ask("scontrol", "update", "PartitionName=gpu", "State=DOWN")
    try:
        run = submit()
        while "PD" not in cluster.ask("squeue", "-h", "-o", "%t").split():
            assert run.process.poll() is None, run.output()
            time.sleep(0.1)
        run.process.send_signal(number)
        output = run.finish(status=1, timeout=30)
        assert "Traceback" not in output
        assert not cluster.jobs()
    finally:
        cluster.ask("scontrol", "update", "PartitionName=gpu", "State=UP")


def test_jobs_that_slurm_forgets_at_once_are_not_awaited_for_ever(
    cluster: Cluster, submit: Submit, undisturbed: dict[str, str]
) -> None:
    file = cluster.folder / "etc/slurm.conf"
    original = file.read_text()
    file.write_text(original.replace("MinJobAge=3600", "MinJobAge=2"))
    try:
        cluster.ask("scontrol", "reconfigure")
        run = submit()
        run.finish()
    finally:
        file.write_text(original)
        cluster.ask("scontrol", "reconfigure")
    assert digests(run.folder) == undisturbed


def test_random_kills_change_no_byte(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = kills.main(
        ["--kills", "2", "--folder", str(tmp_path / "campaign"), "--seed", "4"],
        lambda folder, seed: SlurmCampaign(folder, seed, cluster),
    )
    output = capsys.readouterr().out
    assert status == 0, output
    assert output.endswith("nothing wrong\n")
