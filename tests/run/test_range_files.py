"""Compressed ranges: what is joined from them is what is written from the chunks at once."""

import dataclasses
from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.run.coverage_outputs import join_batch
from seqcov_models.run.planner import plan_run
from support.plans import Config, changed
from support.ranges import plan_chunks, write_all


def test_no_byte_depends_on_chunks_and_ranges(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = plan_chunks(config, 100, monkeypatch)
    assert not whole.sets[0].ranges
    expected = write_all(whole, tmp_path / "whole")
    assert len(expected) == 7 + 1 + 1  # tracks, fraction of unknown bases, mask
    for windows, ranges, threads in ((1, 50, 2), (1, 4, 1), (4, 50, 3), (7, 50, 1)):
        plan = plan_chunks(config, windows, monkeypatch, ranges)
        (tracks,) = plan.sets
        assert 1 < len(tracks.ranges) <= ranges
        assert any(len(tracks.batch_indices(group)) > 1 for group in plan.groups)
        folder = tmp_path / f"{windows}.{ranges}"
        assert write_all(plan, folder, threads) == expected
        assert not list(folder.rglob("*.part"))


def test_the_table_of_a_group_is_that_of_its_batches(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = plan_chunks(config, 4, monkeypatch)
    write_all(plan, tmp_path / "batches")
    tracks = dataclasses.replace(plan.sets[0], ranges={}, batches=[])
    direct = dataclasses.replace(plan, sets=[tracks])
    write_all(direct, tmp_path / "direct")
    for group in plan.groups:
        tables = [
            tmp_path / name / "tracks" / group / "tracks.tsv" for name in ("batches", "direct")
        ]
        assert tables[0].read_text() == tables[1].read_text()


def test_a_gathered_bigwig_takes_no_space_twice(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = plan_chunks(config, 4, monkeypatch)
    write_all(plan, tmp_path / "run")
    for batch in (tmp_path / "run").glob("*.joined"):
        for file in batch.glob("*.bw"):
            (gathered,) = (tmp_path / "run/tracks").glob(f"*/{file.name}")
            if len(plan.sets[0].batch_indices(gathered.parent.name)) > 1:
                assert gathered.samefile(file)


def test_bigwigs_are_copied_if_the_file_system_has_no_hard_links(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError("no hard links")

    plan = plan_chunks(config, 4, monkeypatch)
    expected = write_all(plan, tmp_path / "linked")
    monkeypatch.setattr("os.link", refuse)
    assert write_all(plan, tmp_path / "copied") == expected


def test_values_are_rounded_but_not_the_fraction_of_unknown_bases(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = plan_chunks(config, 4, monkeypatch)
    rounded = plan_chunks(changed(config, "bigwig.significant_bits", 5), 4, monkeypatch)
    whole = plan_chunks(changed(config, "bigwig.significant_bits", 5), 100, monkeypatch)
    files = write_all(plan, tmp_path / "exact")
    rounded_files = write_all(rounded, tmp_path / "rounded")
    assert rounded_files == write_all(whole, tmp_path / "whole")
    for name in files:
        if "unknown" in name or name == "mask.bed":
            assert files[name] == rounded_files[name]
            continue
        with pyBigWig.open(str(tmp_path / "exact" / name)) as before:
            exact = before.values("chr1", 0, 5_000, numpy=True)
        with pyBigWig.open(str(tmp_path / "rounded" / name)) as after:
            values = after.values("chr1", 0, 5_000, numpy=True)
        error = np.abs(values - exact)[~np.isnan(exact)]
        assert 0 < error.max() <= np.nanmax(np.abs(exact)) * 2**-5
        assert (error <= np.abs(exact[~np.isnan(exact)]) * 2**-5).all()


def test_rounding_writes_bigwigs_again_but_predicts_nothing(config: Config) -> None:
    before = plan_run(config).models["borzoi"]
    after = plan_run(changed(config, "bigwig.significant_bits", 5)).models["borzoi"]
    assert before.sets[0].digest == after.sets[0].digest
    assert before.sets[0].packing_digest != after.sets[0].packing_digest
    assert before.sets[0].group_digest("CAGE") != after.sets[0].group_digest("CAGE")


def damage_digest(content: bytes) -> bytes:
    return content[:8] + bytes(reversed(content[8:24])) + content[24:]


@pytest.mark.parametrize(
    "content", [b"", b"x" * 100, None, damage_digest], ids=["empty", "other", "cut", "another run"]
)
def test_a_file_that_is_damaged_or_of_another_run_is_refused(
    content: object, config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = plan_chunks(config, 4, monkeypatch)
    write_all(plan, tmp_path / "run")
    files = [tmp_path / "run" / f"{name}.0.packed" for name in plan.sets[0].ranges]
    sound = files[1].read_bytes()
    damaged = sound[:-1] if content is None else content
    files[1].write_bytes(damage_digest(sound) if callable(damaged) else damaged)
    with pytest.raises(SeqcovError, match=r"\.0\.packed.*delete it"):
        join_batch(tmp_path / "again", plan, "0", files)
    assert not (tmp_path / "again").exists()
