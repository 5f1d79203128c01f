"""The workflow profiles of clusters without a test cluster, with stand-ins of their programs."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.data import REPOSITORY
from support.programs import Program
from support.runs import SNAKEFILE, bigwigs

PROFILES = REPOSITORY / "profiles"
STATUS = PROFILES / "cluster-generic/status.sh"
DEMO = {
    "genome": {"name": "demo", "fasta": str(REPOSITORY / "demo" / "genome.fa")},
    "models": {"borzoi": {"architecture": "borzoi", "weights": str(REPOSITORY / "demo/borzoi")}},
    "prediction": {"windows_per_chunk": 60, "threads": 2},
}
# A scheduler's program that starts a script and prints a number, and what became of the job
SUBMIT = """
echo "$@" >> {folder}/submitted
for script; do :; done
(sh {option} "$script" > {folder}/$$.log 2>&1; echo $? > {folder}/$$.status) > /dev/null 2>&1 &
echo "{answer}"
"""


def run(folder: Path, profile: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo with a profile."""
    plugin = "snakemake_executor_plugin_" + profile.replace("-", "_")
    if profile in ("lsf", "cluster-generic") and importlib.util.find_spec(plugin) is None:
        pytest.skip(f"{plugin} is not installed")
    (folder / "run.yaml").write_text(yaml.safe_dump(DEMO))
    line = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)]
    line += ["--configfile", "run.yaml", "--workflow-profile", str(PROFILES / profile), *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300)


def read_profile(name: str) -> dict[str, Any]:
    profile: dict[str, Any] = yaml.safe_load((PROFILES / name / "config.yaml").read_text())
    return profile


@pytest.mark.parametrize(
    "name", sorted(path.parent.name for path in PROFILES.glob("*/config.yaml"))
)
def test_no_profile_voids_finished_genomes_or_leaves_a_lock(name: str) -> None:
    profile = read_profile(name)
    assert profile["rerun-triggers"] == ["mtime", "params"]
    assert profile["nolock"]
    assert profile["rerun-incomplete"]


@pytest.mark.workflow
@pytest.mark.slow
def test_demo_through_cluster_generic(program: Program, tmp_path: Path) -> None:
    program("qsub", SUBMIT.format(folder=tmp_path, option="", answer="$$"))
    ended = f"test -e {tmp_path}/$2.status"
    program("qstat", f"{ended} || exit 0; echo 'Following jobs do not exist: $2'; exit 1")
    program("qacct", f'echo "failed 0"; echo "exit_status $(cat {tmp_path}/$2.status)"')
    completed = run(
        tmp_path, "cluster-generic", "--cluster-generic-status-cmd", str(STATUS),
        "--seconds-between-status-checks", "1",
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert len(bigwigs(tmp_path)) == 9  # 8 tracks, and the share of unknown bases
    calls = (tmp_path / "submitted").read_text().splitlines()
    (prediction,) = [line for line in calls if "seqcov_predict_coverage" in line]
    assert "-pe smp 2 -l h_rt=0:240:0 -l mem_free=16000M -q gpu.q -l gpu=1 /" in prediction
    (mask,) = [line for line in calls if "seqcov_write_mask" in line]
    assert "-pe smp 1 -l h_rt=0:60:0 -l mem_free=4000M /" in mask


STATES = {
    "running": ("exit 0", "exit 1", "running"),
    "no answer": ("echo 'error: commlib error: got select error'; exit 1", "exit 1", "running"),
    "success": ("exit 1", "echo 'failed  0'; echo 'exit_status  0'", "success"),
    "error": ("exit 1", "echo 'failed  0'; echo 'exit_status  1'", "failed"),
    "killed": (
        "exit 1",
        "echo 'failed  100 : assumedly after job'; echo 'exit_status 137'",
        "failed",
    ),
    "unknown": ("exit 1", "exit 1", "failed"),
}


@pytest.mark.parametrize("case", STATES)
def test_states_of_grid_engine(case: str, program: Program) -> None:
    queue, accounting, state = STATES[case]
    if queue == "exit 1":
        queue = "echo 'Following jobs do not exist: 7' >&2; exit 1"
    program("qstat", queue)
    program("qacct", accounting)
    environment = {**os.environ, "ACCOUNTING_DELAY": "1"}
    line = [STATUS, "7"]
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == f"{state}\n"


@pytest.mark.workflow
@pytest.mark.slow
def test_a_job_through_lsf(program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "lsf/lsbatch/test/configdir"
    folder.mkdir(parents=True)
    (folder / "lsb.params").write_text("DEFAULT_QUEUE = normal\n")
    settings = {"LSB_SHAREDIR": tmp_path, "LSF_CONFDIR": tmp_path / "lsf"}
    lines = [f"  {key} = {value}" for key, value in settings.items()]
    program("badmin", "cat <<'END'\nMBD configuration\n" + "\n".join(lines) + "\nEND")
    program("lsclusters", "echo CLUSTER_NAME; echo test ok")
    answer = "Job <$$> is submitted to queue <normal>."
    program("bsub", SUBMIT.format(folder=tmp_path, option="-c", answer=answer))
    program(
        "bjobs",
        f"for file in {tmp_path}/*.status; do number=${{file##*/}}; number=${{number%.status}}\n"
        'case $(cat "$file") in 0) echo "$number DONE";; *) echo "$number EXIT"; esac; done',
    )
    completed = run(
        tmp_path, "lsf", "--until", "check_checkpoint", "--seconds-between-status-checks", "1"
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    call = (tmp_path / "submitted").read_text()
    assert " -P default -q normal -W 60 -n 1 -R rusage[mem=4000.0] -R span[hosts=1] -cwd " in call
    prediction = read_profile("lsf")["set-resources"]["predict_coverage"]
    assert prediction["lsf_extra"] == "'-gpu num=1'"  # the profile of Slurm has gpu: 1


@pytest.mark.workflow
def test_kubernetes_profile_starts_and_its_pod_names_it(tmp_path: Path) -> None:
    completed = run(tmp_path, "kubernetes", "--dry-run")
    assert completed.returncode == 0, completed.stderr
    job = yaml.safe_load((PROFILES / "kubernetes/job.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["snakemake"]
    assert "--workflow-profile=/data/seqcov/profiles/kubernetes" in container["args"]
    limits = container["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == read_profile("kubernetes")["resources"]["gpu"]


@pytest.mark.workflow
def test_a_profile_that_voids_finished_genomes_is_advised(tmp_path: Path) -> None:
    completed = run(tmp_path, "default", "--cores", "2", "--dry-run")
    assert completed.returncode == 0
    assert "The workflow profile lacks" not in completed.stderr
    completed = run(tmp_path, "default", "--cores", "2", "--dry-run", "--workflow-profile", "none")
    assert completed.returncode == 0
    assert completed.stderr.count("The workflow profile lacks rerun-triggers: [mtime, params]") == 1
