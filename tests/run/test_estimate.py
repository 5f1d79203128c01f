"""What a run costs: windows that are left, hours by measured or assumed speeds, bytes."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.cli import main
from seqcov_models.errors import SeqcovError
from seqcov_models.run import speeds
from seqcov_models.run.chunk_size import OPERATIONS_PER_SECOND, operations_per_window
from seqcov_models.run.estimate import check_gpu, describe, estimate, format_time
from seqcov_models.run.planner import plan_run
from seqcov_models.run.speeds import CPU_OPERATIONS_PER_SECOND, find_speed, record_speed
from seqcov_models.run.track_set import count_windows
from support.data import REPOSITORY
from support.finished import finish
from support.plans import Config, changed, write_weights


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, on a machine without a GPU."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(speeds, "has_gpu", lambda: False)
    return tmp_path / "cache"


def test_the_windows_that_are_left_are_counted(config: Config) -> None:
    """`tests/run/test_reuse.py` has the other cases."""
    run = plan_run(config)
    (tracks,), paths = run.models["borzoi"].sets, run.paths
    windows = [count_windows(chunk) for chunk in tracks.chunks.values()]
    assert estimate(run, {})["borzoi"].windows == sum(windows)
    run.save(paths)
    for path in (paths.chunk("borzoi", name) for name in list(tracks.chunks)[:2]):
        path.parent.mkdir(exist_ok=True)
        np.save(path, 0)
    assert estimate(plan_run(config), {})["borzoi"].windows == sum(windows[2:])
    other = plan_run(changed(config, "prediction.min_acgt", 0.5))
    assert estimate(other, {})["borzoi"].windows == sum(windows)  # these chunks are not its own
    finish(config)
    text = describe(plan_run(config), {})
    assert "cost of the run: about " in text
    assert "temporary" not in text
    text = describe(plan_run(changed(config, "genome.regions", ["chr1"])), {})
    size = r"[\d.]+ k?B"
    assert re.search(f"cost of the run: about {size} of bigWigs and {size} of temporary files at a"
                     rf" time \({size} of them exist\), beside {size} of earlier bigWigs that they"
                     " replace; ", text)  # fmt: skip


def test_hours_follow_from_operations_members_and_speed(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config["models"]["borzoi"] |= {"shifts": [0, 1, 2], "tracks": [0, 3]}
    run = plan_run(config)
    plan, cost = run.models["borzoi"], estimate(run, {})["borzoi"]
    network = plan.folds[0].config.with_tracks(2)  # type: ignore[attr-defined]
    operations = cost.windows * 3 * operations_per_window(network, plan.tiling)
    assert cost.seconds == pytest.approx(operations / CPU_OPERATIONS_PER_SECOND["float32"])
    text = describe(run, {})
    assert "under 1 CPU-minute (assumed: " in text
    assert "H100" not in text
    assert text.count("15 windows") == 1  # what the plan says, the cost does not repeat
    assert "are free in " in text.splitlines()[-1]
    with monkeypatch.context() as slow:
        slow.setitem(CPU_OPERATIONS_PER_SECOND, "float32", operations / 7_200)
        assert re.search(
            r"2 CPU-hours .* on an NVIDIA H100 under 1 GPU-minute\)", describe(run, {})
        )

    record_speed(network, "float32", "EPYC", 8, 40e9 * operations, 100.0)
    measured = estimate(run, {})["borzoi"]
    assert measured.seconds == pytest.approx(100 * 8 / 40e9)  # of one thread
    assert "s per window and thread of EPYC)" in describe(run, {})
    assert "measured: " in describe(run, {})

    monkeypatch.setattr(speeds, "has_gpu", lambda: True)
    on_gpu = estimate(plan_run(changed(config, "prediction.device", "auto")), {})["borzoi"]
    assert on_gpu.seconds == pytest.approx(operations / OPERATIONS_PER_SECOND["float32"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "under 1 GPU-minute"),
        (59, "under 1 GPU-minute"),
        (60, "1 GPU-minute"),
        (119, "2 GPU-minutes"),
        (7_000, "117 GPU-minutes"),
        (15_000, "4.2 GPU-hours"),
        (36_000_000, "10,000 GPU-hours"),
    ],
)
def test_times_are_in_the_unit_that_a_person_would_choose(seconds: float, text: str) -> None:
    assert format_time(seconds, "GPU") == text


def test_a_measured_speed_is_found_by_network_precision_and_device(
    tmp_path: Path, cache: Path
) -> None:
    network = recognise("borzoi", write_weights(tmp_path / "tiny")).config
    record_speed(network, "float32", "H100", 0, 3e12, 3.0)
    record_speed(network, "float32", "EPYC", 4, 8e12, 10.0)
    record_speed(network, "float32", "EPYC", 2, 5e12, 10.0)
    record_speed(network, "float32", "short", 1, 5e12, 0.1)
    fewer = network.with_tracks(1)  # type: ignore[attr-defined]

    def rate(device: str, threads: int = 4, precision: str = "float32") -> float:
        return find_speed(fewer, precision, device, threads).operations_per_second

    assert (rate("cuda"), rate("cpu", 4), rate("cpu", 2)) == (1e12, 2e11, 2.5e11)
    assert rate("cpu", 64) == 2.5e11  # the last one
    assert rate("cpu", 4, "bfloat16") == CPU_OPERATIONS_PER_SECOND["bfloat16"]
    assert rate("auto") == 2e11
    assert len(list((cache / "seqcov/speeds").iterdir())) == 3
    record_speed(network, "float32", "H100", 0, 6e12, 3.0)
    assert rate("cuda") == rate("auto") == 2e12  # measured elsewhere: jobs may run there again
    for file in (cache / "seqcov/speeds").iterdir():
        file.write_text('{"device": 1}')
    assert rate("cuda") == OPERATIONS_PER_SECOND["float32"]


def test_an_unusable_cache_folder_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = recognise("borzoi", write_weights(tmp_path / "tiny")).config
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    record_speed(network, "float32", "H100", 0, 3e12, 3.0)
    assert not find_speed(network, "float32", "cuda", 1).is_measured


def test_the_command_prints_the_same_without_snakemake_and_torch(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    assert main(["estimate", str(path)]) == 0
    expected = capsys.readouterr().out
    assert expected == describe(plan_run(config), {}) + "\n"
    script = (
        "import sys; from seqcov_models.cli import main; status = main(sys.argv[1:]);"
        "print(*{'snakemake', 'torch'} & set(sys.modules)); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "estimate", str(path)],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == ""
    assert done.stdout.startswith(expected.splitlines()[0])


@pytest.mark.parametrize(
    ("has_gpu", "windows", "device", "is_refused"),
    [(False, 3, "auto", True), (True, 3, "auto", False), (False, 0, "auto", False)],
)
def test_tf32_is_refused_if_this_machine_predicts_and_has_no_gpu(
    has_gpu: bool,
    windows: int,
    device: str,
    is_refused: bool,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("seqcov_models.run.estimate.has_gpu", lambda: has_gpu)
    config["prediction"] |= {"precision": "tf32", "device": device}
    run = plan_run(config)
    run.works["borzoi"] = replace(run.works["borzoi"], set_windows={1: windows})
    if is_refused:
        with pytest.raises(SeqcovError, match=r"^prediction.precision: tf32 needs a GPU, and this"):
            check_gpu(run, {})
    else:
        check_gpu(run, {})


def test_an_estimate_in_another_folder_names_the_folder_of_relative_paths(
    config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config["genome"]["fasta"] = "genome.fa"
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["estimate", "../run.yaml"]) == 1
    assert capsys.readouterr().err == (
        "error: FASTA genome.fa: no such file; correct it. Relative paths begin in the current"
        f" folder, but genome.fa is in {tmp_path}; run the command there\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["estimate", "run.yaml"]) == 0
