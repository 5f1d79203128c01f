"""What a job leaves on the screen and in its log when it fails."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.data import REPOSITORY
from support.disks import small_disk

JOB = """
import errno, sys
from seqcov_models.errors import SeqcovError
from seqcov_models.run.job import job_log, log
with job_log(sys.argv[1]):
    log.warning("begins")
    {statement}
"""


def run_job(statement: str, log: Path) -> subprocess.CompletedProcess[str]:
    """Run a job whose work is one statement."""
    command = [sys.executable, "-c", JOB.format(statement=statement), str(log)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("raise SeqcovError('g.fa: damaged; copy it again')", "g.fa: damaged; copy it again"),
        ("raise OSError(errno.ENOSPC, 'No space left on device', '{folder}/a.bw')",
         "{folder}/a.bw: the disk is full: it needs more bytes, and "),
    ],
)  # fmt: skip
def test_a_fault_that_is_understood_is_one_line(statement: str, line: str, tmp_path: Path) -> None:
    done = run_job(statement.format(folder=tmp_path), tmp_path / "a.log")
    assert done.returncode == 1
    for text in (done.stderr, (tmp_path / "a.log").read_text()):
        assert "Traceback" not in text
        assert f"ERROR {line.format(folder=tmp_path)}" in text.splitlines()[-1]


def test_any_other_error_names_the_log_in_the_last_line(tmp_path: Path) -> None:
    done = run_job("{}['tracks']", tmp_path / "a.log")
    assert done.returncode == 1
    assert "KeyError: 'tracks'" in (tmp_path / "a.log").read_text()
    last = done.stderr.splitlines()[-1]
    assert last.endswith(f"Please report this error together with its log, {tmp_path}/a.log")


def test_a_disk_too_full_for_the_log_does_not_fail_the_job(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4_096) as disk:
        (disk / "other").write_bytes(bytes(4_096))
        done = run_job("pass", disk / "a.log")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "begins" in done.stderr


def test_a_job_that_lives_on_does_not_write_into_the_log_of_the_next_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("the log of a job that still has this file open\n")
    with log.open("a") as orphan:
        assert run_job("log.info('next')", log).returncode == 0
        orphan.write("late line\n")
    assert "next" in log.read_text()
    assert "late" not in log.read_text()
