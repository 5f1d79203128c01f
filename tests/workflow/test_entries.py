"""Several models in one entry: the bytes of separate entries, from jobs that they share."""

import hashlib
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file, save_file

from seqcov_models import save_model
from seqcov_models.run.track_table import read_table
from support.fasta import write_fasta
from support.plans import changed
from support.profiles import CHERIMOYA, LETTERS, UNSTRANDED, network
from support.runs import snakemake, start, wait_for

pytestmark = pytest.mark.workflow

Config = dict[str, Any]

WIDE = ("K562", "A549")
"""Names of the models along the genome."""
SUMMARY = {"write_track_table": 1, "write_browser_files": 1, "write_page": 1, "write_provenance": 1}


def write_inputs(folder: Path) -> Config:
    """Write networks of two kinds, peaks and a genome; return a config of two entries."""
    write_fasta(folder / "g.fa", LETTERS)
    for seed, name in enumerate(("K562", "HepG2", "A549", "H1")):
        save_model(network(UNSTRANDED, seed), folder / "open" / name)
    for seed, name in enumerate(WIDE):
        save_model(network(CHERIMOYA, seed), folder / "wide" / name)
    (folder / "b.bed").write_text("tiny\t0\t12\nchrII\t295\t300\nchrI\t0\t1\n")
    weights = {"K562": "open/K562", "HepG2": ["open/HepG2", "open/H1"], "A549": "open/A549"}
    return {
        "genome": {"name": "g", "fasta": "g.fa", "assembly": "hg38"},
        "models": {
            "open": {"architecture": "bpnetlite", "weights": weights, "peaks": "b.bed"},
            "wide": {"architecture": "cherimoya", "weights": "wide/{name}", "stride": 13},
        },
        "profiles": {"windows": True},
        "prediction": {"windows_per_chunk": 100, "device": "cpu", "threads": 1},
    }


def digests(folder: Path) -> dict[Path, str]:
    """Return the SHA-256 of every bigWig below `folder`, by its path there."""
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.bw")
    }


def count_jobs(output: str) -> dict[str, int]:
    """Return the number of jobs per rule, those of several models with those of one."""
    match = re.search(r"Job stats:\njob +count\n-+ +-+\n(.*?)\ntotal", output, re.S)
    counts: Counter[str] = Counter()
    for line in match[1].splitlines() if match else ():
        rule, count = line.split()
        if rule not in ("all", "seqcov"):
            counts[re.sub(r"_\d+$", "", rule)] += int(count)
    return dict(counts)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of five models in two entries."""
    folder = tmp_path_factory.mktemp("finished")
    config = write_inputs(folder)
    dry = snakemake(folder, config | {"output": "other"}, "--dry-run")
    process = snakemake(folder, config)  # the later one writes run.yaml, which the tests read
    assert process.returncode == 0, process.stderr
    jobs = count_jobs(process.stderr)
    assert count_jobs(dry.stdout) == jobs
    assert jobs["check_checkpoint"] == 2
    assert jobs["combine_peaks"] == 1
    assert jobs["predict_profiles"] == 1
    assert jobs["predict_coverage"] == 2, "one per chunk"
    assert jobs["compress_range"] == 2 * len(WIDE)
    assert not list(folder.glob("results/g/*/chunks/*"))
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, with all dates."""
    shutil.copytree(finished, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def read_config(folder: Path) -> Config:
    config: Config = yaml.safe_load((folder / "run.yaml").read_text())
    return config


def test_the_bytes_are_those_of_separate_entries(run: Path) -> None:
    config = read_config(run)
    separate: Config = {}
    for entry, settings in config["models"].items():
        weights = settings["weights"]
        if isinstance(weights, str):
            weights = {name: f"wide/{name}" for name in WIDE}
        for name, source in weights.items():
            separate[f"{entry}_{name}"] = {**settings, "weights": source}
    process = snakemake(run, config | {"models": separate, "output": "separate"})
    assert process.returncode == 0, process.stderr
    assert count_jobs(process.stderr)["predict_profiles"] == 3
    expected = digests(run / "separate")
    assert len(expected) == 3 * 2 + len(WIDE) * 2
    assert digests(run / "results") == expected
    for model in ("open_K562", "open_HepG2", "open_A549"):
        for name in ("peaks.tsv.gz", f"{model}.peaks.narrowPeak", "profiles.h5"):
            paths = [run / folder / "g" / model / name for folder in ("results", "separate")]
            assert paths[0].read_bytes() == paths[1].read_bytes()
    rows = read_table(run / "results/g/tracks.tsv")
    assert {row["model"] for row in rows} == {*separate}
    samples = {row["biosample"] for row in rows if row["identifier"] != "unknown"}
    assert samples == {"K562", "HepG2", "A549"}
    for other in (config | {"output": "separate"}, config | {"models": separate}):
        process = snakemake(run, other, "--dry-run")
        assert count_jobs(process.stdout) == SUMMARY, "one config is rewritten as the other"


def add_name(config: Config, folder: Path) -> Config:
    config = changed(config, "models.open.weights.H1", "open/H1")
    save_model(network(CHERIMOYA, 9), folder / "wide/new")
    return config


def leave_out_name(config: Config, folder: Path) -> Config:
    shutil.rmtree(folder / "wide/K562")
    weights = {"K562": "open/K562", "A549": "open/A549"}
    return changed(config, "models.open.weights", weights)


def rename(config: Config, folder: Path) -> Config:
    weights = {"K562": "open/K562", "liver": ["open/HepG2", "open/H1"], "A549": "open/A549"}
    return changed(config, "models.open.weights", weights)


def train_again(config: Config, folder: Path) -> Config:
    for file in folder.glob("*/A549/model.safetensors"):
        weights = load_file(file)
        save_file({name: 2 * values for name, values in weights.items()}, file)
    return config


def average_strands(config: Config, folder: Path) -> Config:
    config = changed(config, "models.open.reverse_complement", True)
    return changed(config, "models.wide.reverse_complement", True)


def edit_peaks(config: Config, folder: Path) -> Config:
    (folder / "b.bed").write_text("chrII\t200\t201\n")
    return config


def touch(config: Config, folder: Path) -> Config:
    for file in folder.glob("*/*/model.safetensors"):
        file.touch()
    return config


def jobs_of(at_peaks: int, along: int, checked: bool = True, combined: bool = True) -> Config:
    """Return the jobs that predict these numbers of models."""
    one = {"combine_peaks": 1} if combined else {}
    jobs = {**one, "predict_profiles": 1, "write_unstranded_profile_bigwigs": 2 * at_peaks,
            "write_peak_table": at_peaks, "write_profile_windows": at_peaks}  # fmt: skip
    if along:
        jobs |= {"predict_coverage": 2, "compress_range": 2 * along,
                 "write_coverage_bigwigs": 2 * along, "write_mask": along}  # fmt: skip
    if checked:
        jobs["check_checkpoint"] = 1 + bool(along)
    return jobs | SUMMARY


EDITS: dict[str, tuple[Callable[[Config, Path], Config], dict[str, int]]] = {
    "nothing": (lambda config, folder: config, {}),
    "dates of the weights": (touch, {}),
    "a name is added": (add_name, jobs_of(1, 1)),
    "a name is left out": (leave_out_name, SUMMARY),
    "a name is another": (rename, jobs_of(1, 0)),
    "weights of one": (train_again, jobs_of(1, 1, combined=False)),
    "reverse_complement": (average_strands, jobs_of(3, len(WIDE), checked=False, combined=False)),
    "peaks": (edit_peaks, jobs_of(3, 0, checked=False)),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_runs_only_what_it_concerns(name: str, run: Path) -> None:
    change, jobs = EDITS[name]
    process = snakemake(run, change(read_config(run), run), "--dry-run")
    assert process.returncode == 0, process.stderr
    assert count_jobs(process.stdout) == jobs


def test_an_added_name_leaves_the_others_alone(run: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in (run / "results/g").rglob("*.bw")}
    config = add_name(read_config(run), run)
    process = snakemake(run, config)
    assert process.returncode == 0, process.stderr
    assert "plan of open: 1 model (H1): 3 peaks to predict" in process.stderr
    assert "plan of open: 3 models (K562, HepG2, A549): nothing to predict" in process.stderr
    assert {path: path.stat().st_mtime_ns for path in files} == files
    added = {path.relative_to(run) for path in (run / "results/g").rglob("*.bw")}
    added -= {path.relative_to(run) for path in files}
    assert {path.parts[2] for path in added} == {"open_H1", "wide_new"}
    process = snakemake(run, config)
    assert process.returncode == 0, process.stderr
    assert count_jobs(process.stderr) == {}
    fresh = snakemake(run, config | {"output": "fresh"})
    assert fresh.returncode == 0, fresh.stderr
    assert digests(run / "fresh") == digests(run / "results")


def test_killed_and_again_gives_the_same_bytes(tmp_path: Path) -> None:
    config = write_inputs(tmp_path)
    draw = np.random.default_rng(1)
    write_fasta(tmp_path / "g.fa", {"c": "".join(draw.choice(list("ACGT"), 26_000))})
    places = np.sort(draw.integers(0, 25_000, 1_300)).tolist()
    (tmp_path / "b.bed").write_text("".join(f"c\t{index}\t{index + 1}\n" for index in places))
    config["prediction"]["windows_per_chunk"] = 1_040
    config["profiles"]["batch_size"] = 4
    process = snakemake(tmp_path, config)
    assert process.returncode == 0, process.stderr
    expected = digests(tmp_path / "results")
    config["output"] = "again"
    # in this order: the models of a job are predicted one after the other
    waiting = ("A549/chunks/.0.waiting.npy.*.part", "A549/chunks/0.waiting.npy",
               "K562/chunks/.0.waiting.npy.*.part")  # fmt: skip
    for pattern in waiting:
        running = start(tmp_path, config)
        wait_for(tmp_path, f"again/g/wide_{pattern}")
        running.send_signal(signal.SIGKILL)
        running.wait()
    process = snakemake(tmp_path, config)
    assert process.returncode == 0, process.stderr
    assert digests(tmp_path / "again") == expected
    assert not list(tmp_path.glob("again/g/*/chunks/*"))


def test_chunks_of_a_killed_run_with_other_settings_are_not_used(tmp_path: Path) -> None:
    config = write_inputs(tmp_path)
    del config["models"]["wide"]
    until = snakemake(tmp_path, config, "--notemp", "results/g/open_K562/chunks/0.npy")
    assert until.returncode == 0, until.stderr
    config["models"]["open"]["reverse_complement"] = True
    assert snakemake(tmp_path, config, "--until", "combine_peaks").returncode == 0
    process = snakemake(tmp_path, config)
    assert process.returncode == 0, process.stderr
    fresh = snakemake(tmp_path, config | {"output": "fresh"})
    assert fresh.returncode == 0, fresh.stderr
    assert digests(tmp_path / "results") == digests(tmp_path / "fresh")
