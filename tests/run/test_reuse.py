"""What earlier runs have left is used again, and only what is missing is planned."""

from pathlib import Path

import pytest

from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.planner import plan_run
from seqcov_models.run.reuse import Workload
from seqcov_models.run.track_set import TrackSet
from support.finished import finish
from support.plans import Config, changed
from support.ranges import SMALL_BATCHES, write_chunks

NAME = "borzoi"


def begin(config: Config) -> tuple[CoveragePlan, Workload]:
    """Plan a run and save its documents, as a run does when it begins."""
    run = plan_run(config)
    run.save(run.paths)
    return run.models[NAME], run.works[NAME]


def layout(plan: CoveragePlan) -> tuple[list[TrackSet], dict[str, int]]:
    return plan.sets, plan.group_sets


def tracks(config: Config, *selectors: int | str) -> Config:
    return changed(config, "models.borzoi.tracks", list(selectors))


def test_the_same_config_gives_the_same_plan_whenever_it_is_killed(config: Config) -> None:
    first, _ = begin(config)
    for step in ("begun", "partly finished", "finished"):
        again, _ = begin(config)
        assert layout(again) == layout(first), step
        if step == "begun":  # chunks are there, too: else the other groups were planned anew
            chunks = plan_run(config).paths.chunks(NAME)
            write_chunks(first, make(chunks))
            finish(config, "CAGE", "DNASE")
        else:
            finish(config)


def make(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_an_added_track_is_a_set_of_its_own(config: Config) -> None:
    before = finish(tracks(config, 0, 2)).models[NAME]
    plan, work = begin(tracks(config, 0, 1, 2, 5))
    assert plan.sets[0] == before.sets[0]
    assert [tracks.table_rows for tracks in plan.sets] == [[0, 2], [1, 5]]
    assert plan.group_sets == before.group_sets | {"tracks_2": 2}
    assert (work.finished, work.windows) == (3, 15)
    assert not {*plan.sets[0].chunks} & {*plan.sets[1].chunks}
    assert not {*plan.sets[0].batch_names} & {*plan.sets[1].batch_names}
    assert "15 windows to predict: 3 of 5 bigWigs are finished; 2 tracks are new" in work.reason


def test_names_of_groups_of_a_later_set_are_numbered(config: Config) -> None:
    finish(tracks(config, 0, 1, 3, 4))
    plan, _ = begin(config)
    assert plan.group_sets == {"CAGE": 1, "CHIP": 1, "mask": 1, "DNASE": 2, "CHIP_2": 2}
    finish(config)
    assert layout(begin(config)[0]) == layout(plan)


def test_unwanted_tracks_of_a_set_that_never_began_are_not_predicted(config: Config) -> None:
    begin(config)
    plan, work = begin(tracks(config, 2))
    assert [tracks.table_rows for tracks in plan.sets] == [[2]]
    assert plan.sets[0].number == 1
    assert "windows to predict" in work.reason


@pytest.mark.parametrize(("finished", "rows"), [(1, [2]), (3, list(range(7)))])
def test_a_set_is_continued_if_that_is_less_work_than_to_begin_anew(
    finished: int, rows: list[int], config: Config
) -> None:
    plan, _ = begin(config)
    chunks = make(plan_run(config).paths.chunks(NAME))
    for name, file in write_chunks(plan, chunks).items():
        if name not in [*plan.sets[0].chunks][:finished]:
            file.unlink()
    plan, work = begin(tracks(config, 2))
    assert plan.sets[0].table_rows == rows
    assert plan.groups.keys() == {"DNASE", "mask"}
    assert work.windows == (3 if finished == 3 else 15)
    assert work.finished == 0


def test_a_set_that_never_began_takes_new_job_sizes_and_another_keeps_its_own(
    config: Config,
) -> None:
    begin(config)
    smaller = changed(config, "prediction.windows_per_chunk", 2)
    plan, _ = begin(smaller)
    assert len(plan.sets[0].chunks) == 8
    file = plan_run(config).paths.chunk(NAME, "3")
    make(file.parent)
    file.touch()
    assert begin(config)[0].sets == plan.sets
    assert begin(config)[1].windows == 13


def test_windows_to_predict_follow_from_ranges_and_batches(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqcov_models.run.set_planner.BATCH_BYTES", SMALL_BATCHES)
    plan, work = begin(config)
    (track_set,), paths = plan.sets, plan_run(config).paths
    assert work.windows == 15
    assert len(track_set.chunks) == len(track_set.ranges) == 4
    make(paths.chunks(NAME))
    for batch in range(len(track_set.batches)):
        header = b"seqcov\x00\x01" + track_set.packing_digest.encode() + bytes(8)
        paths.packed(NAME, "1", batch).write_bytes(header)
    paths.chunk(NAME, "0").touch()
    assert plan_run(config).works[NAME].windows == 7
    paths.packed(NAME, "1", 3).unlink()
    assert plan_run(config).works[NAME].windows == 11
    paths.packed(NAME, "1", 3).touch()
    paths.packed(NAME, "1", 0).write_bytes(b"from another run")
    assert plan_run(config).works[NAME].windows == 11
    for name in track_set.batch_names:
        make(paths.joined(NAME, name))
    assert plan_run(config).works[NAME].windows == 11  # groups of one batch are not joined first


def test_a_folder_that_lost_a_bigwig_is_planned_again_under_its_name(config: Config) -> None:
    run = finish(config)
    run.paths.bigwig(NAME, "CAGE", "id0").unlink()
    plan, work = begin(config)
    assert [tracks.table_rows for tracks in plan.sets] == [list(range(7)), [0, 1]]
    assert plan.group_sets == run.models[NAME].group_sets | {"CAGE": 2}
    assert plan.groups["CAGE"].group_digest("CAGE") != plan.sets[0].group_digest("CAGE")
    assert work.finished == 6
    assert layout(begin(config)[0]) == layout(plan)  # killed before it began
    finish(config)
    again, work = begin(config)
    assert (layout(again), work.finished) == (layout(plan), 8)


def test_bigwigs_of_another_config_are_found_again_until_they_are_overwritten(
    config: Config,
) -> None:
    finish(tracks(config, 0))
    before = finish(tracks(config, 0, 3)).models[NAME]
    other = changed(tracks(config, 0, 3), "prediction.min_acgt", 0.5)
    plan, work = begin(other)
    assert (work.finished, work.windows) == (0, 15)
    assert work.reason.endswith("everything, because min_acgt changed from 0 to 0.5")
    assert set(plan.group_sets.values()) == {3}
    again, work = begin(tracks(config, 0, 3))
    assert layout(again) == layout(before)
    assert work.windows == 0
    begin(other)
    finish(other)
    again, work = begin(tracks(config, 0, 3))
    assert again.groups.keys() == {"CAGE", "tracks", "mask"}
    assert work.finished == 1  # that of the group CAGE, which the other config does not have


def test_rounding_needs_no_prediction_if_the_chunks_still_exist(config: Config) -> None:
    plan, _ = begin(config)
    write_chunks(plan, make(plan_run(config).paths.chunks(NAME)))
    rounded, work = begin(changed(config, "bigwig.significant_bits", 5))
    assert work.windows == 0
    assert rounded.sets[0].significant_bits == 5
    assert rounded.sets[0].digest == plan.sets[0].digest


def test_a_standard_deviation_is_added_beside_its_track(config: Config) -> None:
    config = changed(config, "models.borzoi.shifts", [0, 1])
    finish(tracks(config, 0, 1))
    with_deviation = changed(tracks(config, 0, 1), "models.borzoi.standard_deviation", True)
    plan, work = begin(with_deviation)
    assert (work.finished, len(plan.bigwigs)) == (3, 5)
    assert plan.sets[1].groups == {"CAGE_2": [2, 3]}
    finish(with_deviation)
    assert begin(tracks(config, 0, 1))[1].windows == 0
    assert len(begin(tracks(config, 0, 1))[0].bigwigs) == 3


def test_a_changed_constant_of_the_track_table_is_predicted_again(
    config: Config, tmp_path: Path
) -> None:
    table = tmp_path / "weights/targets.txt"
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    lines = [
        [*rows[0], "scale", "sum_stat", "clip_soft"],
        *([*row, "1", "sum", "32"] for row in rows[1:]),
    ]
    table.write_text("".join("\t".join(line) + "\n" for line in lines))
    raw = changed(config, "models.borzoi.scale", "raw")
    finish(raw)
    finish(changed(config, "models.borzoi.scale", "model"))
    assert begin(raw)[1].finished == 0
    finish(raw)
    table.write_text(table.read_text().replace("\t1\tsum", "\t2\tsum", 1))
    assert begin(raw)[1].finished == 0
    assert begin(config)[1].windows == 15


def test_an_earlier_document_that_cannot_be_read_counts_as_none(config: Config) -> None:
    run = finish(config)
    run.paths.plan(NAME).write_text("{}")
    _, work = begin(config)
    assert work.finished == 8  # the folders say themselves what they were made from
