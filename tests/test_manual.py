"""The README and the manual: every config is valid, every command and every example runs."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from seqcov_models.checkpoints.hugging_face import _SPEC
from seqcov_models.run.settings import complete_config, read_config
from support.calico import write_stranded_fold
from support.data import REPOSITORY
from support.fasta import build_fasta, write_gzip

PAGES = [
    "README.md",
    *sorted(
        f"docs/{path.name}"
        for path in (REPOSITORY / "docs").glob("*.md")
        if path.name != "troubleshooting.md"  # made from runs
    ),
]
SCHEMA = REPOSITORY / "seqcov_models/run/config.schema.yaml"
LANGUAGES = {"bash", "yaml", "python", "snakemake", "text"}
"""Languages of blocks of code. tests/workflow/test_module.py has the one in Snakemake's."""
NOT_RUN = {
    "git clone": "the network",
    "make run": "make test makes the same environment; tests/workflow/test_demo.py runs the demo",
    "source .venv/bin/activate": "the tests run in it",
    "pip install .": "tests/test_package.py builds the wheel and runs what is in it",
    "python3 -m venv": "the lines of the Makefile, see below",
    ".venv/bin/pip install": "the lines of the Makefile, see below",
    "seqcov describe hf://": "the network; tests/checkpoints/test_hugging_face.py has a stand-in",
    "seqcov serve": "it serves until it is interrupted; tests/browsers/test_serve.py",
}
"""Beginnings of commands that the tests do not run here, and why."""


def read_blocks(page: str) -> Iterator[tuple[str, str]]:
    """Yield (language, text) of each block of code of a page."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    yield from re.findall(r"^```(\S*)[^\n]*\n(.*?)^```$", text, re.M | re.S)


def blocks(language: str) -> list[Any]:
    """Return the blocks of a language, as parameters of a test named by their page."""
    return [
        pytest.param(block, id=f"{page}-{number}")
        for page in PAGES
        for number, (kind, block) in enumerate(read_blocks(page))
        if kind == language
    ]


@pytest.mark.parametrize("page", PAGES)
def test_blocks_name_their_language(page: str) -> None:
    assert {language for language, _ in read_blocks(page)} <= LANGUAGES


def test_the_manual_describes_every_key() -> None:
    """mkdocs calls the hook for each page; the keys are those of the schema."""
    mkdocs = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    (path,) = mkdocs["hooks"]
    hook = runpy.run_path(str(REPOSITORY / path))["on_page_markdown"]
    page = hook((REPOSITORY / "docs/config.md").read_text(encoding="utf-8"))
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    keys = {name for part in find_properties(schema) for name in part}
    assert len(keys) > 50
    assert [name for name in keys if f"`{name}`" not in page] == []
    assert "| `weights` | keys or list or text |" in page
    assert r"a pattern such as fold_\*/model.h5" in page


def find_properties(part: Any) -> Iterator[dict[str, Any]]:
    """Yield all properties of a schema."""
    children = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    if isinstance(part, dict) and isinstance(part.get("properties"), dict):
        yield part["properties"]
    for child in children:
        yield from find_properties(child)


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("block", blocks("yaml"))
def test_configs_are_valid(block: str) -> None:
    """A block shows some sections of a config; the others are those of the demo."""
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
    complete_config({**config, **yaml.safe_load(block)})


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "configs").glob("*.yaml")), ids=lambda path: path.stem
)
def test_configs_of_published_models_are_valid(path: Path) -> None:
    config = complete_config(read_config(path))
    assert path.stem.startswith(f"{config['genome']['name']}-")
    for entry in config["models"].values():
        weights = entry["weights"]
        for name in [weights] if isinstance(weights, str) else weights:
            if name.startswith("hf://"):
                assert _SPEC.fullmatch(name), name
    manual = (REPOSITORY / "docs/weights.md").read_text(encoding="utf-8")
    assert f"`configs/{path.name}`" in manual


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the repository's files, and small stand-ins in place of /data."""
    folder = tmp_path_factory.mktemp("manual")
    for name in ("Snakefile", "config.yaml", "workflow", "scripts", "seqcov_models", "profiles",
                 "envs", "demo", "pyproject.toml"):  # fmt: skip
        (folder / name).symlink_to(REPOSITORY / name)
    data = folder / "data"
    letters = "".join(np.random.default_rng(5).choice(list("ACGT"), 1_401_000))
    data.mkdir()
    fasta = write_gzip(data, build_fasta({"chr1": letters, "chr2": letters[:9_000]}))
    fasta.rename(data / "hg38.fa.gz")
    for number in range(2):
        fold = write_stranded_fold(data / f"borzoi/f{number}", number)
        table = (fold / "targets.txt").read_text(encoding="utf-8")
        table = table.replace("RNA:track 0", "CAGE:liver").replace("RNA:track 1", "CAGE:liver")
        (fold / "targets.txt").write_text(table.replace("track", "liver"), encoding="utf-8")
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    for name, module in {"seqcov": "seqcov_models", "snakemake": "snakemake"}.items():
        script = bin_folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        script.chmod(0o755)
    return folder


def run(folder: Path, command: list[str]) -> None:
    """Run a command in the folder of stand-ins; fail with its output if it fails."""
    environment = {
        **os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY), "XDG_CACHE_HOME": str(folder / "cache"),
    }  # fmt: skip
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr


def stand_in(text: str, folder: Path) -> str:
    """Return a block of code with the stand-ins in place of /data."""
    return text.replace("/data/", f"{folder}/data/")


@pytest.mark.workflow
@pytest.mark.parametrize("page", PAGES)
def test_commands_run(page: str, folder: Path) -> None:
    lines = [
        re.split(r"\s+#", line)[0]
        for kind, block in read_blocks(page) if kind == "bash"
        for line in block.splitlines() if line.strip()
    ]  # fmt: skip
    lines = [line for line in lines if not line.startswith(tuple(NOT_RUN))]
    shutil.rmtree(folder / "hg38", ignore_errors=True)  # every page writes its config anew
    if lines and not any(line.startswith("seqcov init") for line in lines):
        lines.insert(0, "seqcov init hg38 /data/hg38.fa.gz /data/borzoi/f0 --assembly hg38")
    if lines:
        run(folder, ["bash", "-euxc", stand_in("\n".join(lines), folder)])


def test_the_installation_without_make_is_that_of_make() -> None:
    lines = [
        line
        for kind, block in read_blocks("docs/installation.md") if kind == "bash"
        for line in block.splitlines()
    ]  # fmt: skip
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for variable, value in {"$(PYTHON)": "python3", "$(BIN)": ".venv/bin", " --quiet": ""}.items():
        makefile = makefile.replace(variable, value)
    assert len(lines) == 4
    assert all(line in makefile for line in lines)


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page: str, folder: Path) -> None:
    script = "\n".join(block for kind, block in read_blocks(page) if kind == "python")
    if script:
        run(folder, [sys.executable, "-c", stand_in(script, folder)])
