"""The package as it is installed, and the files that must agree with it."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import seqcov_models
from support.data import REPOSITORY


def read_lock(name: str) -> dict[str, str]:
    """Return the locked version of each package of a file of requirements, by its bare name."""
    text = (REPOSITORY / "envs" / name).read_text(encoding="utf-8")
    return {
        normalise(package): version
        for package, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.M)
    }


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_version_is_stated_once() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == seqcov_models.__version__
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" in project["dynamic"]


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {normalise(re.split(r"[<>=!~ ]", text)[0]) for text in project["dependencies"]}
    assert names <= set(read_lock("requirements.txt"))


def test_the_conda_environment_has_the_locked_versions() -> None:
    """Jobs in it import the package, which Snakemake's own environment plans with."""
    environment = yaml.safe_load((REPOSITORY / "envs/seqcov.yaml").read_text(encoding="utf-8"))
    packages = dict(line.split("==") for line in environment["dependencies"][-1]["pip"])
    lock = read_lock("requirements.txt")
    assert {normalise(name): version for name, version in packages.items()} == {
        normalise(name): lock[normalise(name)] for name in packages
    }


@pytest.mark.slow
def test_the_wheel_works_from_any_folder(tmp_path: Path) -> None:
    """It has all files that are not code, and the command needs nothing of the repository."""
    build = [
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
        "--wheel-dir", str(tmp_path), str(REPOSITORY),
    ]  # fmt: skip
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        names = {name for name in archive.namelist() if name.startswith("seqcov_models/")}
    tracked = subprocess.run(
        ["git", "ls-files", "seqcov_models"], cwd=REPOSITORY, capture_output=True, text=True
    )
    if tracked.returncode == 0:
        assert set(tracked.stdout.split()) <= names
    command = [sys.executable, "-m", "seqcov_models"]
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    environment = {"PYTHONPATH": str(tmp_path / "installed"), "HOME": str(tmp_path)}

    def start(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *words], cwd=folder, env=environment, capture_output=True, text=True
        )

    def run(*words: str) -> str:
        process = start(*words)
        assert process.returncode == 0, process.stderr
        return process.stdout

    demo = REPOSITORY / "demo"
    assert "borzoi" in run("describe", str(demo / "borzoi"))
    assert "DEMO0003" in run("tracks", str(demo / "borzoi"), "CTCF")
    run("init", "demo", str(demo / "genome.fa"), str(demo / "borzoi"))
    assert "51 windows" in run("estimate", "demo/config.yaml")
    region = ("chrA:100,001-101,000", "--out", "out", "--tracks", "DEMO0003")
    assert run("predict", str(demo / "borzoi"), str(demo / "genome.fa"), *region) == (
        "out/DEMO0003.bw\n"
    )
    assert "bpnet, 8 tracks" in run("convert", str(demo / "bpnet"), "converted")
    # Those that read results only say that these are missing; tests/workflow has their results
    for name in ("check", "serve"):
        process = start(name, "absent")
        assert (process.returncode, process.stdout, process.stderr.count("\n")) == (1, "", 1)
