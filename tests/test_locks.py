"""Locks: one run per results folder, and no job that outlives its run."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seqcov_models import locks
from seqcov_models.errors import SeqcovError
from seqcov_models.files import write_atomically
from seqcov_models.locks import RUN_VARIABLE, begin_run, check_run, open_lock
from support.data import REPOSITORY

LOCK = (
    "import pathlib, sys\n"
    "from seqcov_models.locks import begin_run\n"
    "print([begin_run(pathlib.Path(name)) for name in sys.argv[1:]])\n"
)


def lock_in_child(*folders: Path) -> str:
    """Lock `folders` in a process that ends at once; return what each call returned."""
    command = [sys.executable, "-c", LOCK, *map(str, folders)]
    completed = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.strip()


HOLD = (
    "import pathlib, sys, time\n"
    "from seqcov_models.locks import begin_run\n"
    "begin_run(pathlib.Path(sys.argv[1]))\n"
    "print('held', flush=True)\n"
    "time.sleep(60)\n"
)


def test_a_locked_folder_keeps_others_out_until_its_holder_dies(tmp_path: Path) -> None:
    folder = tmp_path / "results/hg38"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, cwd=REPOSITORY
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(SeqcovError, match="hg38"):
            begin_run(folder)
        holder.kill()  # without a chance to clean up
        holder.wait()
    assert lock_in_child(folder) == "[True]"


def test_folders_are_locked_one_by_one(tmp_path: Path) -> None:
    assert lock_in_child(tmp_path / "one", tmp_path / "two") == "[True, True]"


def test_the_holder_may_lock_a_folder_again(tmp_path: Path) -> None:
    second_path = tmp_path / "two" / ".." / "one"
    assert lock_in_child(tmp_path / "one", second_path) == "[True, False]"


@pytest.mark.parametrize("blocked", ["results", "results/hg38", "results/hg38/.lock"])
def test_a_folder_that_cannot_be_locked_is_refused(blocked: str, tmp_path: Path) -> None:
    """A file has the name of the folder, or a folder has the name of the lock."""
    path = tmp_path / blocked
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name == ".lock":
        path.mkdir()
    else:
        path.touch()
    with pytest.raises(SeqcovError, match="hg38"):
        begin_run(tmp_path / "results/hg38")


@pytest.mark.parametrize("target", ["thesis.txt", "nowhere"])
def test_a_planted_link_as_lock_is_refused_and_not_followed(target: str, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "results").mkdir()
    (tmp_path / "results/.lock").symlink_to(tmp_path / target)
    with pytest.raises(SeqcovError, match=r"results/\.lock: .*symbolic link; delete it"):
        begin_run(tmp_path / "results")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert not (tmp_path / "nowhere").exists()


def test_a_second_name_of_a_file_as_lock_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "results").mkdir()
    (tmp_path / "results/.lock").hardlink_to(tmp_path / "thesis.txt")
    lock_in_child(tmp_path / "results")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_a_lock_that_is_not_a_file_is_refused(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "a.lock")
    with pytest.raises(OSError, match=r"not a file|directory"):
        open_lock(tmp_path / "a.lock")


def test_a_lock_that_another_user_made_needs_no_right_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two users of one group share a results folder. Root may write anything: open() is changed."""
    (tmp_path / ".lock").touch(mode=0o444)

    def open_as_other(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return os_open(path, flags, mode)

    os_open = os.open
    monkeypatch.setattr(os, "open", open_as_other)
    with open_lock(tmp_path / ".lock") as first, open_lock(tmp_path / ".lock") as second:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(BlockingIOError):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_file_system_without_locks_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as Lustre that is mounted without flock."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setenv(RUN_VARIABLE, "{}")
    assert begin_run(tmp_path / "results")
    assert (
        "cannot be locked (Function not implemented); start only one run" in capsys.readouterr().err
    )


def test_locking_changes_no_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "old.bw").write_text("old")
    lock_in_child(tmp_path)
    assert (tmp_path / "old.bw").read_text() == "old"


# Jobs of a run

JOB = (
    "import sys; from pathlib import Path\n"
    "from seqcov_models.files import write_atomically\n"
    "from seqcov_models.run.job import job_log\n"
    "print('started', flush=True)\n"
    "sys.stdin.readline()\n"
    "with job_log('job.log'):\n"
    "    with write_atomically(Path('result')) as part:\n"
    "        part.write_text('result')\n"
    "        print('written', flush=True)\n"
    "        sys.stdin.readline()\n"
)
RUN = (
    "import pathlib, subprocess, sys\n"
    "from seqcov_models.locks import begin_run\n"
    "begin_run(pathlib.Path('results'))\n"
    "print('held', flush=True)\n"
    "if sys.argv[1:]:\n"
    "    subprocess.run([sys.executable, '-c', sys.argv[1]])\n"
    "sys.stdin.read()\n"
)


class Process:
    """A process that is told by lines when to go on."""

    def __init__(self, code: str, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def proceed(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Return a function that starts a process in the test's folder."""
    started: list[Process] = []

    def start_process(code: str, *arguments: str) -> Process:
        started.append(Process(code, tmp_path, *arguments))
        return started[-1]

    yield start_process
    for job in started:
        job.process.kill()
        job.process.communicate()


@pytest.mark.parametrize("another", [False, True], ids=["no run", "another run"])
@pytest.mark.parametrize("is_writing", [False, True], ids=["importing", "writing"])
def test_a_job_whose_run_was_killed_writes_nothing(
    is_writing: bool, another: bool, start: Callable[..., Process], tmp_path: Path
) -> None:
    run = start(RUN, JOB)
    assert [run.read(), run.read()] == ["held", "started"]
    if is_writing:
        run.proceed()
        assert run.read() == "written"
    run.process.kill()  # its job lives on, and has its standard input and output
    run.process.wait()
    if another:
        assert start(RUN).read() == "held"
    run.proceed()
    assert run.read() == ""  # the job has ended
    assert "the run that started this job has ended" in (tmp_path / "job.log").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.log", "results"]


def test_a_job_of_a_run_that_goes_on_writes_its_result(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    run = start(RUN, JOB)
    assert [run.read(), run.read()] == ["held", "started"]
    run.proceed()
    assert run.read() == "written"
    run.proceed()
    run.process.communicate()
    assert (tmp_path / "result").read_text() == "result"


def test_a_job_on_a_machine_that_cannot_see_the_lock_goes_on_until_another_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock may be local to a machine, as on Lustre that is mounted with localflock."""
    lock_in_child(tmp_path)
    name = (tmp_path / ".run").read_text()
    monkeypatch.setenv(RUN_VARIABLE, json.dumps({str(tmp_path): (name, "another machine")}))
    check_run()
    with open_lock(tmp_path / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        check_run()  # the lock is seen, so its end will be seen, too
    with pytest.raises(SeqcovError, match="has ended"):
        check_run()
    monkeypatch.setattr(locks, "_HELD", set())
    check_run()
    lock_in_child(tmp_path)
    with pytest.raises(SeqcovError, match="has ended"), write_atomically(tmp_path / "a"):
        pass


def test_a_process_without_a_run_is_not_checked(tmp_path: Path) -> None:
    lock_in_child(tmp_path)
    check_run()
    with write_atomically(tmp_path / "a") as part:
        part.touch()
