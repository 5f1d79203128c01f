"""Files that appear only when they are complete, and folders locked by one process."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.files import lock_folder, write_atomically
from support.data import REPOSITORY


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        assert not (tmp_path / "a.txt").exists()
        assert temporary.parent == tmp_path  # a rename within one file system is atomic
        temporary.write_text("whole")
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "whole"


def write_half(target: Path, error: type[BaseException], folder: bool = False) -> None:
    """Write half of `target`, a file or a folder, and then fail."""
    with write_atomically(target) as temporary:
        if folder:
            temporary.mkdir()
        (temporary / "half" if folder else temporary).write_text("half")
        raise error


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_no_file(
    error: type[BaseException], folder: bool, tmp_path: Path
) -> None:
    with pytest.raises(error):
        write_half(tmp_path / "a", error, folder)
    assert names(tmp_path) == []


def test_an_exception_leaves_the_earlier_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(KeyError):
        write_half(tmp_path / "a", KeyError)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_folder_replaces_all_files_of_an_earlier_folder(tmp_path: Path) -> None:
    (tmp_path / "tracks").mkdir()
    (tmp_path / "tracks/old.bw").touch()
    with write_atomically(tmp_path / "tracks") as temporary:
        temporary.mkdir()
        (temporary / "new.bw").touch()
        assert names(tmp_path / "tracks") == ["old.bw"]
    assert names(tmp_path) == ["tracks"]
    assert names(tmp_path / "tracks") == ["new.bw"]


def test_an_exception_leaves_the_earlier_folder_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "tracks").mkdir()
    (tmp_path / "tracks/old.bw").touch()
    with pytest.raises(KeyError):
        write_half(tmp_path / "tracks", KeyError, folder=True)
    assert names(tmp_path) == ["tracks"]
    assert names(tmp_path / "tracks") == ["old.bw"]


@pytest.mark.parametrize("name", ["a.txt", "a[1]*?.txt", "é x", "x" * 200])
def test_leftovers_of_a_killed_process_are_removed_by_the_next(name: str, tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from seqcov_models.files import write_atomically\n"
        "with write_atomically(pathlib.Path(sys.argv[1])) as part:\n"
        "    part.write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    target = tmp_path / name
    completed = subprocess.run([sys.executable, "-c", script, str(target)], cwd=REPOSITORY)
    assert completed.returncode == -signal.SIGKILL
    assert not target.exists()
    assert len(names(tmp_path)) == 1
    with write_atomically(target) as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("name", ["a.txt", "a.b", "a.txt.fai", "ab"])
def test_an_unfinished_file_of_another_name_is_not_removed(name: str, tmp_path: Path) -> None:
    """Two jobs write `a` and, say, `a.b` into one folder at the same time."""
    with write_atomically(tmp_path / name) as first:
        first.write_text("first")
        with write_atomically(tmp_path / "a") as second:
            second.write_text("second")
        assert first.exists()
    assert names(tmp_path) == sorted(["a", name])


LOCK = (
    "import pathlib, sys\n"
    "from seqcov_models.files import lock_folder\n"
    "print([lock_folder(pathlib.Path(name)) for name in sys.argv[1:]])\n"
)


def lock_in_child(*folders: Path) -> str:
    """Lock `folders` in a process that ends at once; return what each call returned."""
    command = [sys.executable, "-c", LOCK, *map(str, folders)]
    completed = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.strip()


HOLD = (
    "import pathlib, sys, time\n"
    "from seqcov_models.files import lock_folder\n"
    "lock_folder(pathlib.Path(sys.argv[1]))\n"
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
            lock_folder(folder)
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
        lock_folder(tmp_path / "results/hg38")


def test_locking_changes_no_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "old.bw").write_text("old")
    lock_in_child(tmp_path)
    assert (tmp_path / "old.bw").read_text() == "old"
