"""profiles/slurm on a real Slurm, if one can be started."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.data import DATA, REPOSITORY
from support.runs import bigwigs, command, digests, snakemake

SLURM = DATA.parent / "slurm"
DEMO = {
    "genome": {"name": "demo", "fasta": str(REPOSITORY / "demo" / "genome.fa")},
    "models": {"borzoi": {"architecture": "borzoi", "weights": str(REPOSITORY / "demo/borzoi")}},
    "prediction": {"windows_per_chunk": 30, "threads": 2},
}

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (SLURM / "start-slurm").exists()
        or shutil.which("slurmctld", path="/usr/sbin:/sbin") is None,
        reason="Slurm is not installed, or the script that starts it is missing",
    ),
]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield the environment in which sbatch talks to a cluster of one CPU and one GPU node."""
    folder = Path(f"/tmp/seqcov-slurm-{os.getpid()}")  # Slurm wants a short path
    start = [SLURM / "start-slurm", folder, "--no-install", "--cpus-per-node", "4"]
    start_process = subprocess.run(start, capture_output=True, text=True)
    if start_process.returncode:
        pytest.skip(f"Slurm did not start: {start_process.stdout}{start_process.stderr}")
    try:
        script = f". {folder}/env.sh && env -0"
        environment = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
        yield dict(line.split("=", 1) for line in environment.decode().split("\0") if "=" in line)
    finally:
        subprocess.run([SLURM / "stop-slurm", folder, "--remove"], capture_output=True)


def test_demo_through_the_slurm_profile(cluster: dict[str, str], tmp_path: Path) -> None:
    local_folder, cluster_folder = tmp_path / "here", tmp_path / "there"
    assert snakemake(local_folder, DEMO).returncode == 0
    snakemake(cluster_folder, DEMO, "--dry-run")  # writes run.yaml
    profile = ["--workflow-profile", str(REPOSITORY / "profiles" / "slurm")]
    site = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]
    resources = ["--default-resources", "slurm_account=lab", "slurm_partition=cpu", "mem_mb=1500"]
    resources += [
        "runtime=10",
        "--set-resources",
        "predict_coverage:slurm_partition=gpu",
        "predict_coverage:gpu=1",
    ]
    resources += ["predict_coverage:mem_mb=2000", "--slurm-keep-successful-logs"]
    process = subprocess.run(
        [*command(*profile, *site, *resources)],
        cwd=cluster_folder, env=cluster, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout + process.stderr
    assert "SLURM run ID: seqcov_" in process.stdout + process.stderr
    slurm_logs = [
        path.read_text()
        for path in cluster_folder.glob(".snakemake/slurm_logs/rule_predict_coverage/**/*.log")
    ]
    assert slurm_logs, "prediction did not run through Slurm"
    assert bigwigs(cluster_folder).keys() == bigwigs(local_folder).keys()
    assert digests(cluster_folder) == digests(local_folder)
