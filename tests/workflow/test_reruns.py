"""What a second run computes again: nothing, if nothing changed; else all that depends on it."""

import json
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqcov_models import save_model
from support.data import REPOSITORY
from support.fasta import write_fasta
from support.position_coded import MARK, position_coded_bin, save_position_coded
from support.profiles import BPNET, network, write_profile_run
from support.runs import command, digests, snakemake, wait_for

Config = dict[str, Any]

pytestmark = pytest.mark.workflow


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write_fasta(tmp_path / "g.fa", {"c": "".join(map(position_coded_bin, range(60)))})
    save_position_coded(tmp_path / "toy", tracks=1)
    (tmp_path / "regions.bed").write_text("c\t10\t900\n")
    return {
        "genome": {"name": "g", "fasta": "g.fa", "regions": ["regions.bed"]},
        "models": {"toy": {"architecture": "borzoi", "weights": "toy"}},
    }


def test_a_new_version_of_the_workflow_runs_no_finished_rule_again(
    config: Config, tmp_path: Path
) -> None:
    """Scripts and locked environments are other files in every version."""
    checkout = tmp_path / "checkout"
    for name in ("workflow", "scripts", "envs", "profiles"):
        shutil.copytree(REPOSITORY / name, checkout / name)
    (checkout / "seqcov_models").symlink_to(REPOSITORY / "seqcov_models")
    shutil.copy(REPOSITORY / "Snakefile", checkout)
    process = snakemake(tmp_path, config, snakefile=checkout / "Snakefile")
    assert process.returncode == 0, process.stderr
    for file in [*(checkout / "scripts").iterdir(), *(checkout / "envs").iterdir()]:
        file.write_text(file.read_text() + "\n# A later version.\n")
    rerun = snakemake(tmp_path, config, snakefile=checkout / "Snakefile")
    assert rerun.returncode == 0, rerun.stderr
    assert "Nothing to be done" in rerun.stderr


def test_an_edited_bed_file_that_moves_no_bin_runs_the_browser_files_only(
    config: Config, tmp_path: Path
) -> None:
    assert snakemake(tmp_path, config).returncode == 0
    (tmp_path / "regions.bed").write_text("c\t12\t900\n")
    process = snakemake(tmp_path, config)
    assert process.returncode == 0, process.stderr
    assert "write_browser_files" in process.stderr
    assert "Finished jobid" in process.stderr
    assert "predict_coverage" not in process.stderr


def test_dates_of_inputs_run_nothing_and_contents_with_old_dates_do(
    config: Config, tmp_path: Path
) -> None:
    assert snakemake(tmp_path, config).returncode == 0
    inputs = [tmp_path / "g.fa", *(tmp_path / "toy").iterdir()]
    for file in inputs:
        os.utime(file)
    process = snakemake(tmp_path, config)
    assert "Nothing to be done" in process.stderr, process.stderr
    before = digests(tmp_path)
    write_fasta(tmp_path / "g.fa", {"c": "".join(map(position_coded_bin, range(60, 120)))})
    os.utime(tmp_path / "g.fa", (9, 9))
    process = snakemake(tmp_path, config)
    assert process.returncode == 0, process.stderr
    other_sequence = digests(tmp_path)
    assert before["toy.track_0.bw"] != other_sequence["toy.track_0.bw"]
    weights = tmp_path / "toy/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[content.index(struct.pack("<f", MARK)) + 3] ^= 1  # the same network with another kernel
    weights.write_bytes(content)
    os.utime(weights, (9, 9))
    process = snakemake(tmp_path, config)
    assert process.returncode == 0, process.stderr
    assert "rule predict_coverage" in process.stderr
    assert digests(tmp_path) != other_sequence


# Models of profiles


@pytest.fixture
def profile_run(tmp_path: Path) -> Config:
    return write_profile_run(tmp_path)


CHANGES: list[tuple[str, Callable[[Config, Path], None], str]] = [
    ("combine_peaks", lambda run, folder: run["genome"].update(exclude=["chrI:506-510"]),
     "the peaks, regions or exclude changed"),
    ("check_checkpoint", lambda run, folder: run.update(profiles={"counts": "expm1"}),
     'counts changed from "exp" to "expm1"'),
    ("combine_peaks", lambda run, folder: run.update(profiles={"jobs": 2}),
     "jobs changed from 1 to 2"),
    ("combine_peaks", lambda run, folder: os.utime(
        (folder / "b.bed").replace(folder / "a.bed").rename(folder / "b.bed"), (9, 9)),
     "nothing to predict"),  # the same peaks as before, with another date
]  # fmt: skip


@pytest.mark.parametrize(("rule", "change", "words"), CHANGES)
def test_a_change_reaches_every_result_though_the_run_was_cut_off(
    rule: str,
    change: Callable[[Config, Path], None],
    words: str,
    profile_run: Config,
    tmp_path: Path,
) -> None:
    """All files as a fresh run writes them: only what bears a date or a path may differ."""
    (tmp_path / "b.bed").write_text("chrI\t490\t492\nchrI\t520\t522\nchrII\t50\t52\n")
    profile_run["models"]["plain"]["peaks"] = "b.bed"
    assert snakemake(tmp_path, profile_run).returncode == 0
    (tmp_path / "a.bed").write_text("chrI\t990\t992\n")
    change(profile_run, tmp_path)
    until = snakemake(tmp_path, profile_run, "--until", rule)
    assert until.returncode == 0, until.stderr
    assert re.search(f"plan of plain: .*{words}", until.stderr)
    assert snakemake(tmp_path, profile_run).returncode == 0
    process = snakemake(tmp_path, profile_run | {"output": "fresh"})
    assert process.returncode == 0, process.stderr
    names = {path.relative_to(tmp_path / "fresh/g") for path in (tmp_path / "fresh/g").rglob("*.*")}
    compared = 0
    for name in names - {Path("provenance.json"), Path("plan.json"), Path(".run")}:
        if (path := tmp_path / "fresh/g" / name).is_file():
            assert (tmp_path / "results/g" / name).read_bytes() == path.read_bytes(), name
            compared += 1
    assert compared > 12
    facts = [json.loads((tmp_path / folder / "g/provenance.json").read_text())
             for folder in ("results", "fresh")]  # fmt: skip
    assert facts[0]["models"] == facts[1]["models"]
    assert facts[0]["config"] | {"output": "fresh"} == facts[1]["config"]


def test_what_a_killed_run_of_more_jobs_left_goes(profile_run: Config, tmp_path: Path) -> None:
    profile_run["profiles"] = {"jobs": 3, "windows": True}
    assert snakemake(tmp_path, profile_run, "--until", "predict_profiles").returncode == 0
    chunks = tmp_path / "results/g/plain/chunks"
    leftovers = {path.name for path in chunks.iterdir()}
    assert leftovers == {
        f"{job}{end}.npy" for job in range(3) for end in ("", ".table", ".windows")
    }
    profile_run["profiles"] = {"jobs": 2}
    snakemake(tmp_path, profile_run, "--dry-run")  # writes run.yaml
    process = subprocess.Popen(command(), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path, "results/g/plain/peaks.tsv.gz")  # while other jobs run
    for file in ("chunks/.3.0.packed.17.part", ".old.bw.17.part", "tracks/.CAGE_9.17.part/a.bw"):
        path = tmp_path / "results/g/plain" / file  # as a job of a killed run that has just ended
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    _, printed = process.communicate()
    assert process.returncode == 0, printed
    assert not list(chunks.iterdir())
    assert not list(tmp_path.rglob("*.part"))
    assert "Left over" not in printed


def test_results_of_earlier_runs_are_told_apart(profile_run: Config, tmp_path: Path) -> None:
    profile_run["models"]["lite"] = profile_run["models"]["plain"] | {"weights": "lite"}
    save_model(network(replace(BPNET, tasks=("other", "two"))), tmp_path / "lite")
    assert snakemake(tmp_path, profile_run).returncode == 0
    profile_run["models"] = {"plain": profile_run["models"]["lite"]}
    process = snakemake(tmp_path, profile_run)
    assert process.returncode == 0, process.stderr
    (files,) = re.findall(
        "Left over from earlier runs \\(not used by this run\\): (.*)", process.stderr
    )
    expected = ["lite", "plain/plain.one.bw", "plain/plain.one.minus.bw", "plain/plain.one.plus.bw"]
    assert files.split(", ") == [f"results/g/{name}" for name in expected]


def test_a_change_reaches_every_result_though_snakemakes_folder_was_deleted(tmp_path: Path) -> None:
    """Snakemake then remembers no params; what files were made from is known without it."""
    config = write_profile_run(tmp_path)
    save_position_coded(tmp_path / "toy", tracks=3)
    config["models"]["toy"] = {"architecture": "borzoi", "weights": "toy"}
    config |= {"prediction": {"windows_per_chunk": 1}, "bigwig": {"tracks_per_job": 1}}
    assert snakemake(tmp_path, config).returncode == 0
    before = digests(tmp_path / "results")
    shutil.rmtree(tmp_path / ".snakemake")
    assert "Nothing to be done" in snakemake(tmp_path, config).stderr
    config["bigwig"]["significant_bits"] = 2
    config["profiles"] = {"counts": "expm1"}
    process = snakemake(tmp_path, config)
    assert process.returncode == 0, process.stderr
    fresh = snakemake(tmp_path, config | {"output": "fresh"})
    assert fresh.returncode == 0, fresh.stderr
    after = digests(tmp_path / "results")
    assert after == digests(tmp_path / "fresh")
    assert {name for name in before if before[name] == after[name]} <= {"toy.unknown.bw"}
