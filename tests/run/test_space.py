"""The check of the disk space that a run needs."""

import shutil
from pathlib import Path

import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.run.costs import MARGIN, check_space
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.planner import plan_run
from support.finished import finish
from support.plans import Config, DiskUsage, changed, set_free_space


def needed_bytes(run: RunPlan) -> int:
    sizes = [model.output_bytes for model in run.models.values()]
    return sum(temporary + int(MARGIN * bigwigs) for temporary, bigwigs in sizes)


def test_a_disk_too_small_is_refused_and_one_byte_more_is_not(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan_run(config)
    assert needed_bytes(run) >= 1_502 * 7 * 4  # the chunks of the tracks alone
    set_free_space(monkeypatch, needed_bytes(run) - 1)
    with pytest.raises(SeqcovError, match="free"):
        check_space(run, {})
    set_free_space(monkeypatch, needed_bytes(run))
    check_space(run, {})


def test_rounded_values_need_less_space(config: Config) -> None:
    exact = plan_run(config).models["borzoi"].output_bytes[1]
    for bits, share in ((5, 0.5), (11, 0.75)):
        run = plan_run(changed(config, "bigwig.significant_bits", bits))
        assert run.models["borzoi"].output_bytes[1] < share * exact


def test_what_an_unfinished_run_has_written_is_not_needed_again(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan_run(config)
    for name in ("borzoi/chunks/0.npy", "borzoi/tracks/CAGE/borzoi.id0.bw"):
        path = run.paths.folder / name
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(5_000))
    set_free_space(monkeypatch, needed_bytes(run) - 10_000)
    check_space(run, {})


def test_only_what_is_not_finished_needs_space(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_free_space(monkeypatch, 0)
    one = changed(config, "models.borzoi.tracks", [0])
    run = plan_run(one)
    run.save(run.paths)
    with pytest.raises(SeqcovError, match="free"):
        check_space(run, {})
    finish(one)
    check_space(plan_run(one), {})
    two = plan_run(changed(config, "models.borzoi.tracks", [0, 1]))
    with pytest.raises(SeqcovError, match="free"):
        check_space(two, {})
    set_free_space(monkeypatch, needed_bytes(two) // 2)  # one track is finished, and the mask
    check_space(two, {})


def test_bigwigs_that_are_copied_from_leave_no_space(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(config)
    run = plan_run(changed(config, "genome.regions", ["chr1"]))
    assert run.models["borzoi"].sources
    set_free_space(monkeypatch, needed_bytes(run) - 1)
    with pytest.raises(SeqcovError, match="free"):
        check_space(run, {})
    set_free_space(monkeypatch, needed_bytes(run))
    check_space(run, {})


def test_space_is_looked_for_on_the_disk_of_the_results(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> DiskUsage:
        asked.append(Path(path))
        return DiskUsage(10**15, 0, 10**15)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    check_space(plan_run(changed(config, "output", str(tmp_path / "not/yet/there"))), {})
    assert asked == [tmp_path]
