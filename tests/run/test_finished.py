"""Finished bigWigs and peaks whose bytes are changed later."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seqcov_models.bigwig.writer import write_bigwig
from seqcov_models.cli import main
from seqcov_models.run.finished import (
    find_damage,
    find_damaged_file,
    find_damaged_table,
    is_sealed_from,
    write_identity,
    write_seal,
)
from seqcov_models.run.paths import TRACK_TABLE
from seqcov_models.run.track_table import statistics_row, write_table


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(params=["folder", "table"])
def results(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[Path, Callable[[], str | None]]:
    """Two bigWigs as a model of coverage or a BPNet writes them, and what finds their damage."""
    folder, rows = tmp_path / "results", []
    folder.mkdir()
    for name in ("a", "b"):
        path = folder / f"{name}.bw"
        values = np.arange(100_000, dtype=np.float32)
        summary = write_bigwig(path, {"chr1": 100_000}, 1, [("chr1", 0, values)])
        rows.append(statistics_row(path, summary, ("", "")))
    if request.param == "table":
        write_table(folder / "task.tsv", rows)
        return folder, lambda: find_damaged_table(folder / "task.tsv")
    write_table(folder / TRACK_TABLE, rows)
    write_identity(folder, "digest")
    return folder, lambda: find_damage(folder)


def flip(path: Path, position: int) -> None:
    """Change one bit in place, as a disk or a program may do."""
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 16]))


@pytest.mark.parametrize("position", [3, 64, 5_000, 100_000])
def test_a_flipped_bit_is_found_at_the_next_start(
    position: int, results: tuple[Path, Callable[[], str | None]]
) -> None:
    folder, find = results
    assert find() is None
    flip(folder / "b.bw", position)
    assert find() == f"{folder}/b.bw has other bytes than were written"
    assert find() == f"{folder}/b.bw has other bytes than were written"


def test_another_date_alone_is_no_damage(results: tuple[Path, Callable[[], str | None]]) -> None:
    folder, find = results
    (folder / "a.bw").touch()
    assert find() is None


def test_a_flipped_bit_under_the_earlier_date_is_found_by_the_command(
    results: tuple[Path, Callable[[], str | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, find = results
    assert main(["check", str(folder)]) == 0
    assert capsys.readouterr().out == "2 files have the bytes that were written\n"
    state = (folder / "b.bw").stat()
    flip(folder / "b.bw", 5_000)
    os.utime(folder / "b.bw", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert find() is None
    assert main(["check", str(folder)]) == 1
    output = capsys.readouterr()
    assert output.out == f"{folder}/b.bw has other bytes than were written\n"
    assert output.err == (
        "error: 1 of 2 files are damaged; delete them, and the command that made them makes them"
        " again\n"
    )
    (folder / "b.bw").unlink()
    assert find() == f"{folder}/b.bw is missing"


def test_results_of_earlier_versions_stay(results: tuple[Path, Callable[[], str | None]]) -> None:
    folder, find = results
    (table,) = folder.glob("*.tsv")
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    table.write_text("".join("\t".join(row[:2] + row[3:]) + "\n" for row in rows))
    assert rows[0][2] == "crc32c"
    flip(folder / "b.bw", 5_000)
    assert find() is None


def test_a_block_that_was_never_written_is_found(
    results: tuple[Path, Callable[[], str | None]],
) -> None:
    folder, find = results
    path = folder / "a.bw"
    path.write_bytes(path.read_bytes()[:-50] + bytes(50))  # what a crash may leave
    assert find() == f"{path} does not end as a bigWig"


def test_a_folder_without_results_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(tmp_path)]) == 1
    assert "no bigWigs of seqcov are in this folder" in capsys.readouterr().err


def test_sealed_peaks_that_are_edited_are_found(tmp_path: Path) -> None:
    peaks = tmp_path / "peaks.narrowPeak"
    peaks.write_text("chr1\t0\t10\n")
    assert find_damaged_file(peaks) is None  # of an earlier version
    assert is_sealed_from(peaks, "digest")
    write_seal(peaks, "digest")
    assert is_sealed_from(peaks, "digest")
    assert not is_sealed_from(peaks, "another")
    peaks.touch()
    assert find_damaged_file(peaks) is None
    peaks.write_text("chr1\t0\t11\n")
    assert find_damaged_file(peaks) == f"{peaks} has other bytes than were written"
    assert main(["check", str(tmp_path)]) == 1
    peaks.with_name(".peaks.narrowPeak.seal.json").write_text("{")
    assert find_damaged_file(peaks) == f"{tmp_path}/.peaks.narrowPeak.seal.json is damaged"
