"""An entry of the config whose weights have names stands for several models."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from seqcov_models import save_model
from seqcov_models.errors import SeqcovError
from seqcov_models.run import shared_jobs
from seqcov_models.run.entries import list_models
from seqcov_models.run.estimate import describe
from seqcov_models.run.peak_sets import count_peaks
from seqcov_models.run.plan import RunPlan, SharedJob
from seqcov_models.run.planner import plan_run
from seqcov_models.run.settings import find_path_mistakes
from seqcov_models.run.shared_jobs import plan_shared_jobs
from seqcov_models.run.speeds import record_speed
from support.plans import Config, changed, complete
from support.profiles import UNSTRANDED, network


def names_of(weights: object) -> dict[str, object]:
    """Return the weights of the models of an entry `atac`, by the names of the models."""
    entries = {"atac": {"weights": weights, "peaks": "p.bed"}}
    models = list_models(entries).values()
    assert all(model.settings["peaks"] == "p.bed" for model in models)
    return {model.name: model.settings["weights"] for model in models}


def test_names_are_those_of_the_mapping() -> None:
    weights = {"K562": "a.h5", "HepG2": ["b.h5", "c.h5"], "H1-hESC": "hf://o/n"}
    assert names_of(weights) == {f"atac_{name}": source for name, source in weights.items()}
    assert names_of(["a.h5", "b.h5"]) == {"atac": ["a.h5", "b.h5"]}


def test_names_are_those_of_files_and_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("K562", "HepG2", "no.model"):
        Path(f"m/ATAC-{name}").mkdir(parents=True)
    for file in ("K562/fold_0.h5", "K562/fold_1.h5", "HepG2/fold_0.h5"):
        Path(f"m/ATAC-{file}").touch()
    for start in ("", f"{tmp_path}/"):
        pattern = f"{start}m/ATAC-{{name}}/fold_*.h5"
        expected = [("HepG2", f"{start}m/ATAC-HepG2/fold_*.h5"),
                    ("K562", f"{start}m/ATAC-K562/fold_*.h5")]  # fmt: skip
        assert [*names_of(pattern).items()] == [(f"atac_{n}", source) for n, source in expected]
    Path("m/A549.tar").touch()
    assert names_of("m/{name}.tar::fold_*/x.h5") == {"atac_A549": "m/A549.tar::fold_*/x.h5"}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("none/{name}.h5", "nothing matches this pattern"),
        ("hf://owner/{name}", r"{name} can only be in the path of a file or folder on this"),
        ("m.tar::{name}/x.h5", r"{name} can only be in the path of a file or folder on this"),
        ("*/{name}_*", "leave out the other patterns in and before {name}_*"),
        ("{name}", "models.atac.weights.a b: a name has letters.* as in weights: {a_b: …}"),
        ({"n" * 56: "a"}, "has more than 60 characters; shorten atac or nnn"),
    ],
)
def test_names_that_are_not_clear(
    weights: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SeqcovError, match=re.sub(r"([{}])", r"\\\1", message)):
        names_of(weights)


def test_two_models_of_one_name() -> None:
    entries = {"a_b": {"weights": "x"}, "a": {"weights": {"b": "y"}}}
    message = "models.a.weights.b: the name of the model, a_b, is also that of models.a_b; rename"
    with pytest.raises(SeqcovError, match=message):
        list_models(entries)


def test_the_word_name_in_braces_is_possible_once_and_alone(config: Config) -> None:
    weights = "models.borzoi.weights"
    assert not [*find_path_mistakes(changed(config, weights, "{name}/x.h5"))]
    for value in ("{name}/{name}", "{nam}/x", ["{name}/x"], {"a": "{name}"}, {"a": ["{name}"]}):
        (mistake,) = find_path_mistakes(changed(config, weights, value))
        assert "{name} is possible once, in a single path" in mistake


@pytest.fixture
def several(config: Config, tmp_path: Path) -> Config:
    """A run of seven BPNets at the same peaks."""
    names = "abcdefg"
    for seed, name in enumerate(names):
        save_model(network(UNSTRANDED, seed), tmp_path / "nets" / name)
    (tmp_path / "p.bed").write_text("chr1\t100\t200\nchr2\t5\t6\n")
    entry = {"architecture": "bpnetlite", "weights": f"{tmp_path}/nets/{{name}}",
             "peaks": str(tmp_path / "p.bed")}  # fmt: skip
    return complete(changed(config, "models", {"atac": entry}))


def test_the_models_of_an_entry_are_described_together(several: Config) -> None:
    run = plan_run(several)
    assert [*run.profiles] == [f"atac_{name}" for name in "abcdefg"]
    text = describe(run, count_peaks(run.profiles))
    lines = [line for line in text.splitlines() if " atac" in line]
    assert len(lines) == 2
    assert lines[0].startswith(
        "model atac: 7 models (a, b, c, d, e, …) with profiles of 30 bp for a, b at 2 peaks (p)"
    )
    assert lines[1] == "plan of atac: 7 models (a, b, c, d, e, …): 2 peaks to predict"
    assert "\ncost of the run: 14 windows, under 1 CPU-minute (" in text
    run.save(run.paths)
    assert RunPlan.load(run.paths).labels == {f"atac_{name}": name for name in "abcdefg"}


def test_models_share_jobs_as_long_as_each_is_small(
    several: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = plan_run(several)
    peaks, names = count_peaks(run.profiles), [*run.profiles]
    jobs = plan_shared_jobs(run, peaks)
    rules = [("check_checkpoint", []), ("combine_peaks", []), ("predict_profiles", ["0"])]
    assert jobs == [SharedJob(rule, names, chunks) for rule, chunks in rules]
    run = replace(run, shared_jobs=jobs)
    run.save(run.paths)
    assert RunPlan.load(run.paths).shared_jobs == jobs
    monkeypatch.setattr(shared_jobs, "MODELS", 3)
    sizes = [len(job.models) for job in plan_shared_jobs(run, peaks)]
    assert sizes == [3, 2, 2, 7, 3, 2, 2]

    network = run.profiles["atac_a"].config
    threads = min(several["prediction"]["threads"], os.cpu_count() or 1)
    work = 2.0 * network.operations  # of two peaks
    for seconds, rules_of_jobs in ((50, 3 * ["predict_profiles"]), (100, [])):
        record_speed(network, "float32", "cpu", threads, work, seconds)
        jobs = plan_shared_jobs(run, peaks)
        assert [job.rule for job in jobs if job.chunks] == rules_of_jobs


def test_the_same_weights_twice_are_a_mistake(several: Config, tmp_path: Path) -> None:
    weights = {name: f"{tmp_path}/nets/{source}" for name, source in (("K562", "a"), ("x", "a"))}
    message = "models.atac.weights.x: the weights are those of K562 again"
    with pytest.raises(SeqcovError, match=message):
        plan_run(changed(several, "models.atac.weights", weights))


def test_a_mistake_says_which_of_the_models(several: Config, tmp_path: Path) -> None:
    weights = {"K562": f"{tmp_path}/nets/a", "HepG2": "nowhere"}
    with pytest.raises(SeqcovError, match=r"models\.atac\.weights\.HepG2: weights nowhere: no"):
        plan_run(changed(several, "models.atac.weights", weights))
