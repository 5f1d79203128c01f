"""Another workflow imports this one: from a folder, from a git repository, with a prefix."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqcov_models import save_model
from support.data import REPOSITORY
from support.fasta import write_fasta
from support.position_coded import position_coded_bin, save_position_coded
from support.profiles import BPNET, network
from support.runs import digests, snakemake

pytestmark = pytest.mark.workflow

Config = dict[str, Any]

IMPORT = """
configfile: "import.yaml"


module seqcov:
    snakefile: {snakefile}
    config: config["seqcov"]
    {prefix}


use rule * from seqcov as seqcov_*


# Modifying a rule parses the module once more.
use rule all from seqcov as seqcov_all with:
    priority: 1


rule copy:
    default_target: True
    input:
        "{results}/tracks.tsv",
        "{results}/hub.txt",
        "{results}/provenance.json",
    output:
        "copy.tsv",
    shell:
        "cp {{input[0]}} {{output}} && {command}"
"""


def write_inputs(folder: Path) -> Config:
    """Write a model of coverage, and a BPNet at peaks of a file and of the first model's track."""
    draw = random.Random(4)
    letters = "".join(position_coded_bin(draw.randrange(3**12)) for _ in range(100))
    write_fasta(folder / "inputs/g.fa", {"chrI": letters})
    save_position_coded(folder / "inputs/toy", tracks=1)
    save_model(network(BPNET), folder / "inputs/bpnet")
    (folder / "inputs/peaks.bed").write_text("chrI\t100\t200\nchrI\t1200\t1300\n")
    peaks = {
        "file": "inputs/peaks.bed",
        "track": {"model": "toy", "track": 0, "number": 3},
    }
    return {
        "genome": {"name": "g", "fasta": "inputs/g.fa"},
        "models": {
            "toy": {"architecture": "borzoi", "weights": "inputs/toy"},
            "bpnet": {"architecture": "bpnet", "weights": "inputs/bpnet", "peaks": peaks},
        },
    }


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return write_inputs(tmp_path)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of the bigWigs of a run that is not imported."""
    folder = tmp_path_factory.mktemp("direct")
    process = snakemake(folder, write_inputs(folder))
    assert process.returncode == 0, process.stderr
    return digests(folder)


def write_importing_workflow(
    folder: Path,
    config: Config,
    snakefile: str = repr(str(REPOSITORY / "workflow/Snakefile")),
    prefix: str = "",
    command: str = "true",
) -> None:
    """Write a workflow that imports this one and copies its table of tracks."""
    (folder / "import.yaml").write_text(yaml.safe_dump({"seqcov": config}))
    results = f"{prefix}/results/g" if prefix else "results/g"
    text = IMPORT.format(
        snakefile=snakefile,
        prefix=f"prefix: {prefix!r}" if prefix else "",
        results=results,
        command=command,
    )
    (folder / "Snakefile").write_text(text)


def run_importing_workflow(
    folder: Path, *arguments: str, python_path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the workflow of `write_importing_workflow`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if python_path is not None:
        environment["PYTHONPATH"] = str(python_path)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository of the workflow without the package seqcov_models."""
    folder = tmp_path / "repository"
    for name in ("workflow", "scripts", "envs"):
        patterns = shutil.ignore_patterns("__pycache__", ".snakemake")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=patterns)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "All"], ["tag", "v1"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("prefix", ["", "predicted"])
def test_import_from_a_folder(
    prefix: str, config: Config, expected: dict[str, str], tmp_path: Path
) -> None:
    write_importing_workflow(tmp_path, config, prefix=prefix)
    process = run_importing_workflow(tmp_path)
    assert process.returncode == 0, process.stderr
    assert digests(tmp_path) == expected
    for output in ("results", "logs"):
        assert (tmp_path / prefix / output).is_dir()
        assert (tmp_path / output).exists() == (not prefix)
    assert (tmp_path / "copy.tsv").read_text().count("toy.track_0.bw") == 1
    rerun = run_importing_workflow(tmp_path)
    assert rerun.returncode == 0
    assert "Nothing to be done" in rerun.stdout + rerun.stderr


def test_a_prefix_leaves_absolute_folders_alone(config: Config, tmp_path: Path) -> None:
    config["output"] = str(tmp_path / "elsewhere")
    write_importing_workflow(tmp_path, config, prefix="predicted")
    process = run_importing_workflow(tmp_path, "--dry-run", "seqcov_all")
    assert process.returncode == 0, process.stderr
    assert f"{tmp_path}/elsewhere/g/hub.txt" in process.stdout
    assert "predicted/results" not in process.stdout


def test_replaced_prefixes_move_results_but_no_inputs(config: Config, tmp_path: Path) -> None:
    write_importing_workflow(tmp_path, config, prefix="x")
    text = (tmp_path / "Snakefile").read_text().replace("x/results", "moved/y")
    text = text.replace("prefix: 'x'", "replace_prefix: {'results/': 'moved/y/', 'inputs/': 'no/'}")
    (tmp_path / "Snakefile").write_text(text)
    process = run_importing_workflow(tmp_path, "--dry-run", "seqcov_all")
    assert process.returncode == 0, process.stderr
    assert "moved/y/g/hub.txt" in process.stdout


def test_import_from_a_git_repository(
    repository: Path, config: Config, expected: dict[str, str], tmp_path: Path
) -> None:
    address = f"'git+file://{repository}/workflow/Snakefile@v1'"
    write_importing_workflow(tmp_path, config, address, prefix="predicted")
    process = run_importing_workflow(tmp_path, "--dry-run", python_path=REPOSITORY)
    assert process.returncode == 0, process.stderr
    function = f"gitfile({str(repository)!r}, path='workflow/Snakefile', tag='v1')"
    write_importing_workflow(tmp_path, config, function, prefix="predicted")
    process = run_importing_workflow(tmp_path, python_path=REPOSITORY)
    assert process.returncode == 0, process.stderr
    assert digests(tmp_path) == expected


def test_a_missing_package_is_named(repository: Path, config: Config, tmp_path: Path) -> None:
    package = tmp_path / "broken/seqcov_models"  # hides a package that is installed
    package.mkdir(parents=True)
    missing = "raise ModuleNotFoundError(name='seqcov_models')"
    (package / "__init__.py").write_text(missing)
    write_importing_workflow(
        tmp_path, config, f"'git+file://{repository}/workflow/Snakefile@v1'", prefix="predicted"
    )
    process = run_importing_workflow(tmp_path, "--dry-run", python_path=package.parent)
    assert process.returncode != 0
    message = process.stdout + process.stderr
    assert "Python cannot import seqcov_models" in message
    assert "-m pip install" in message


LOCKING_SCRIPT = """
import pathlib, sys
from seqcov_models.locks import begin_run
begin_run(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("is_module", [False, True])
def test_a_locked_folder_refuses_runs_but_not_dry_runs(
    is_module: bool, config: Config, tmp_path: Path
) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        if is_module:
            write_importing_workflow(tmp_path, config, prefix="predicted")
            return run_importing_workflow(tmp_path, *arguments)
        return snakemake(tmp_path, config, *arguments)

    folder = tmp_path / ("predicted/results/g" if is_module else "results/g")
    dry_run = run("--dry-run")
    assert dry_run.returncode == 0, dry_run.stderr
    assert not folder.exists()
    with subprocess.Popen(
        [sys.executable, "-c", LOCKING_SCRIPT, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY,
    ) as lock_process:  # fmt: skip
        assert lock_process.stdout is not None
        assert lock_process.stdout.readline() == b"held\n"
        process = run()
        assert process.returncode != 0
        assert "another run is writing here" in process.stderr
        assert run("--dry-run").returncode == 0
        assert run("--list-rules").returncode == 0
        assert sorted(path.name for path in folder.iterdir()) == [".lock", ".run"]
    rule = "seqcov_check_checkpoint" if is_module else "check_checkpoint"
    later_run = run("--until", rule)
    assert later_run.returncode == 0, later_run.stderr


@pytest.mark.parametrize("is_module", [False, True])
def test_leftover_chunks_go_only_if_a_run_succeeds(
    is_module: bool, config: Config, tmp_path: Path
) -> None:
    folder = tmp_path / ("predicted/results/g" if is_module else "results/g")
    leftover = folder / "toy/chunks/99.npy"
    leftover.parent.mkdir(parents=True)
    leftover.touch()
    bigwig = folder / "bpnet/old.bw"
    bigwig.parent.mkdir()
    bigwig.touch()

    def run(*arguments: str, command: str = "true") -> subprocess.CompletedProcess[str]:
        if is_module:
            write_importing_workflow(tmp_path, config, prefix="predicted", command=command)
            return run_importing_workflow(tmp_path, *arguments)
        is_damaged = command == "false"
        weights = tmp_path / "inputs/toy/model.safetensors"
        content = weights.read_bytes()
        weights.write_bytes(content[:-1] if is_damaged else content)
        process = snakemake(tmp_path, config, *arguments)
        weights.write_bytes(content)
        return process

    assert run("--dry-run").returncode == 0
    assert leftover.exists()
    failure = run(command="false")
    assert failure.returncode != 0
    assert leftover.exists()
    process = run()
    assert process.returncode == 0, process.stderr
    assert not leftover.exists()
    assert bigwig.exists()
    names = [line for line in process.stderr.splitlines() if line.startswith("Left over")]
    relative = bigwig.relative_to(tmp_path)
    assert names == [f"Left over from earlier runs (not used by this run): {relative}"]
