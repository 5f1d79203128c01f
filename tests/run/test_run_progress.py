"""How far a run is, by the files of its jobs."""

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from seqcov_models.run.run_progress import Job, RunProgress, read_share
from seqcov_models.run.unfinished import UnfinishedRows, continue_array


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_share_of_an_unfinished_array_is_read_from_its_journal(tmp_path: Path) -> None:
    with continue_array(tmp_path / "a.npy", (3, 8), np.float32, "x") as array:
        assert read_share(array.path, axis=1) == 0
        array.append([np.ones((2, 3), np.float32)])
        assert read_share(array.path, axis=1) == 2 / 8
        array.append([np.ones((4, 3), np.float32)])
        assert read_share(array.path, axis=1) == 6 / 8
    with continue_array(
        tmp_path / "b.npy", (5, 2, 2), np.float32, "x", kind=UnfinishedRows
    ) as rows:
        rows.append([np.ones((2, 2, 2), np.float32)])
        assert read_share(rows.path, axis=0) == 2 / 5


def test_the_line_counts_finished_and_running_jobs(tmp_path: Path) -> None:
    """Windows that a killed run left are done, but not predicted by this one."""
    windows: dict[Job, int] = {("m", "0"): 10, ("m", "1"): 8, ("m", "2"): 2, ("m", "old"): 99}
    state: dict[str, Any] = {"jobs": None}
    run: Any = SimpleNamespace(profiles={})
    paths: Any = SimpleNamespace(chunk=lambda model, chunk: tmp_path / f"{chunk}.npy")
    progress = RunProgress(run, paths, windows, lambda: state["jobs"], Terminal())
    assert progress.describe() == ""
    needed = {job for job in windows if job[1] != "old"}
    with continue_array(tmp_path / "1.npy", (3, 8), np.float32, "x") as array:
        array.append([np.ones((4, 3), np.float32)])
        state["jobs"] = needed, set()
        assert progress.describe() == "4 of 20 windows (20 %)"
        array.append([np.ones((2, 3), np.float32)])
        line = progress.describe()
        assert re.fullmatch(r"6 of 20 windows \(30 %\), \S+ per second, \d+ s left", line)
        assert progress.predicted == 2
        state["jobs"] = needed, {("m", "0")}
        assert progress.describe().startswith("16 of 20 windows (80 %), ")
        array.append([np.ones((2, 3), np.float32)])
    assert progress.describe().startswith("18 of 20 windows (90 %), ")  # known by its file
    state["jobs"] = needed, needed
    assert progress.describe() == "20 windows are predicted; the bigWigs are being written"
    assert progress.predicted == 16


def test_the_line_is_erased_at_the_end(tmp_path: Path) -> None:
    terminal = Terminal()
    run: Any = SimpleNamespace(profiles={})
    progress = RunProgress(run, SimpleNamespace(), {}, lambda: None, terminal)  # type: ignore[arg-type]
    progress.start()
    progress.stop()
    assert terminal.getvalue() == "\r\x1b[K"
