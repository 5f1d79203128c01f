"""What a second run computes again: nothing, if nothing changed; else all that depends on it."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from support.data import REPOSITORY
from support.fasta import write_fasta
from support.runs import position_coded_bin, save_position_coded, snakemake

pytestmark = pytest.mark.workflow


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    write_fasta(tmp_path / "g.fa", {"c": "".join(map(position_coded_bin, range(60)))})
    save_position_coded(tmp_path / "toy", tracks=1)
    (tmp_path / "regions.bed").write_text("c\t10\t900\n")
    return {
        "genome": {"name": "g", "fasta": "g.fa", "regions": ["regions.bed"]},
        "models": {"toy": {"architecture": "borzoi", "weights": "toy"}},
    }


def test_a_new_version_of_the_workflow_runs_no_finished_rule_again(
    config: dict[str, Any], tmp_path: Path
) -> None:
    """Scripts and locked environments are other files in every version."""
    checkout = tmp_path / "checkout"
    for name in ("workflow", "scripts", "envs", "profiles"):
        shutil.copytree(REPOSITORY / name, checkout / name)
    (checkout / "seqcov_models").symlink_to(REPOSITORY / "seqcov_models")
    shutil.copy(REPOSITORY / "Snakefile", checkout)
    done = snakemake(tmp_path, config, snakefile=checkout / "Snakefile")
    assert done.returncode == 0, done.stderr
    for file in [*(checkout / "scripts").iterdir(), *(checkout / "envs").iterdir()]:
        file.write_text(file.read_text() + "\n# A later version.\n")
    again = snakemake(tmp_path, config, snakefile=checkout / "Snakefile")
    assert again.returncode == 0, again.stderr
    assert "Nothing to be done" in again.stderr


def test_an_edited_bed_file_that_moves_no_bin_runs_the_browser_files_only(
    config: dict[str, Any], tmp_path: Path
) -> None:
    assert snakemake(tmp_path, config).returncode == 0
    (tmp_path / "regions.bed").write_text("c\t12\t900\n")
    done = snakemake(tmp_path, config)
    assert done.returncode == 0, done.stderr
    assert "defaultPos c:13-900" in (tmp_path / "results/g/hub.txt").read_text()
    assert "Finished jobid" in done.stderr
    assert "predict_coverage" not in done.stderr
