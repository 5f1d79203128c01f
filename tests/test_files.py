"""Files that appear only when they are complete, and folders locked by one process."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.files import (
    combine_crc32c,
    make_cache_folder,
    make_runtime_folder,
    write_atomically,
)
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


# Folders of a user


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, and beside it a shared temporary folder."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    return tmp_path / "home"


def test_a_user_has_a_cache_folder_that_others_cannot_write(home: Path) -> None:
    folder = make_cache_folder()
    assert folder == home / ".cache/seqcov"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert make_cache_folder() == folder
    assert names(home.parent / "tmp") == []


def test_locks_lie_in_the_runtime_folder_if_there_is_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = home.parent / "runtime"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert make_runtime_folder() == home / ".cache/seqcov"  # named, but missing
    runtime.mkdir(mode=0o700)
    assert make_runtime_folder() == runtime / "seqcov"
    assert make_cache_folder() == home / ".cache/seqcov"


def set_owner(monkeypatch: pytest.MonkeyPatch, path: Path, uid: int) -> None:
    """Let a path belong to another user."""

    def change(result: os.stat_result) -> os.stat_result:
        return os.stat_result((*result[:4], uid, *result[5:10]))

    for function in ("stat", "lstat"):
        original = getattr(Path, function)

        def call(self: Path, original: Any = original, **options: Any) -> os.stat_result:
            result: os.stat_result = original(self, **options)
            return change(result) if self == path else result

        monkeypatch.setattr(Path, function, call)


def test_a_runtime_folder_of_another_user_is_not_used(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `su`, XDG_RUNTIME_DIR is still that of the first user."""
    runtime = home.parent / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    set_owner(monkeypatch, runtime, os.getuid() + 1)
    assert make_runtime_folder() == home / ".cache/seqcov"
    assert names(runtime) == []


def test_a_user_without_a_home_gets_a_temporary_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.rmdir()
    home.write_text("not a folder")
    folder = make_cache_folder()
    assert folder == home.parent / "tmp" / f"seqcov-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("planted", ["folder of another user", "link", "folder for all", "file"])
def test_a_planted_temporary_folder_is_refused(
    planted: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.rmdir()
    home.write_text("not a folder")
    path, stolen = home.parent / "tmp" / f"seqcov-{os.getuid()}", home.parent / "stolen"
    stolen.mkdir(mode=0o700)
    if planted == "file":
        path.touch()
    elif planted == "link":
        path.symlink_to(stolen)
        set_owner(monkeypatch, path, os.getuid() + 1)
    else:
        path.mkdir()
        path.chmod(0o777 if planted == "folder for all" else 0o700)
        if planted == "folder of another user":
            set_owner(monkeypatch, path, os.getuid() + 1)
    with pytest.raises(SeqcovError, match=f"{path}.*set XDG_CACHE_HOME"):
        make_cache_folder()
    assert names(stolen) == []


def test_a_cache_that_is_a_link_of_the_user_is_followed(home: Path) -> None:
    """The quota of home folders is small, and a genome large."""
    scratch = home.parent / "scratch"
    scratch.mkdir(mode=0o700)
    (home / ".cache").mkdir()
    (home / ".cache/seqcov").symlink_to(scratch)
    assert make_cache_folder().resolve() == scratch


@pytest.mark.parametrize("length", [0, 1, 7, 64, 1_000, 65_537])
def test_checksums_of_two_parts_give_that_of_both(length: int) -> None:
    content = bytes(number * number % 251 for number in range(70_000))
    first, second = content[: -length or None], content[len(content) - length :]
    checksums = google_crc32c.value(first), google_crc32c.value(second)
    assert combine_crc32c(*checksums, length) == google_crc32c.value(content)
