"""Say how far the predictions of a run are, over all of its jobs, in one line."""

import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np

from seqcov_models.files import leftover_paths
from seqcov_models.progress import describe_progress, format_duration
from seqcov_models.run.costs import format_bytes
from seqcov_models.run.paths import Paths
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.unfinished import RECORD

Job = tuple[str, str]
"""Model and chunk of a prediction job, as its wildcards."""
SECONDS_ON_A_TERMINAL, SECONDS_IN_A_FILE = 1.0, 60.0
"""Seconds between two lines."""
_ERASE = "\x1b[K"  # from the cursor to the end of the line


def count_windows(run: RunPlan, peaks: Mapping[str, tuple[int, int]]) -> dict[Job, int]:
    """Return the windows that each prediction job of a run predicts.

    Args:
        run: The plan.
        peaks: Numbers of predicted and of omitted peaks by BPNet.
    """
    windows = {
        (model.name, chunk): model.count_predicted(track_set, chunk)
        for model in run.models.values()
        for track_set in model.needed_sets
        for chunk in track_set.chunks
    }
    for profile in run.profiles.values():
        predicted, jobs = peaks[profile.name][0], profile.jobs
        windows |= {(profile.name, str(job)): -(-predicted // len(jobs)) for job in jobs}
    return windows


class RunProgress:
    """A thread that writes one line of progress: again and again on a terminal, else per minute.

    Args:
        run: The plan.
        paths: The paths of the run's results.
        windows: The windows of each prediction job, see `count_windows`.
        jobs: Returns which of these jobs this run has to do, and which it has finished; or None
            before it has begun.
        stream: Where the line is written.

    Attributes:
        predicted: Windows that this run has predicted so far.
        began: When the first window of this run was seen, by `time.monotonic`.
    """

    def __init__(
        self,
        run: RunPlan,
        paths: Paths,
        windows: Mapping[Job, int],
        jobs: Callable[[], tuple[set[Job], set[Job]] | None],
        stream: IO[str] = sys.stderr,
    ) -> None:
        self._profiles, self._windows, self._jobs = set(run.profiles), windows, jobs
        # Absolute, since Snakemake may change its working directory
        self._files = {job: paths.chunk(*job).absolute() for job in windows}
        self._stream, self._is_terminal = stream, stream.isatty()
        self._end = threading.Event()
        self._earlier: dict[Job, float] = {}
        self.predicted, self.began = 0.0, time.monotonic()
        self._thread = threading.Thread(target=self._report, daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Stop writing, and erase the line."""
        self._end.set()
        self._thread.join()
        if self._is_terminal:
            self._stream.write(f"\r{_ERASE}")
            self._stream.flush()

    def _report(self) -> None:
        """Write a line now and then until the run ends."""
        pause = SECONDS_ON_A_TERMINAL if self._is_terminal else SECONDS_IN_A_FILE
        while not self._end.wait(pause):
            with suppress(RuntimeError, OSError):  # a set or folder that changes meanwhile
                if line := self.describe():
                    # The cursor returns: what Snakemake prints takes the place of the line
                    end = f"{_ERASE}\r" if self._is_terminal else "\n"
                    self._stream.write(line + end)
                    self._stream.flush()

    def describe(self) -> str:
        """Return the line: windows done, windows per second, and the time that remains.

        Windows that a killed run left are done, but do not count as predicted by this one.
        """
        jobs = self._jobs()
        if jobs is None:
            return ""
        needed, finished = jobs
        total = sum(self._windows.get(job, 0) for job in needed)
        done = 0.0
        for job in needed & self._windows.keys():
            share = 1.0 if job in finished else self._read_share(job)
            self._earlier.setdefault(job, 0.0 if job in finished else share)
            done += share * self._windows[job]
        earlier = sum(share * self._windows[job] for job, share in self._earlier.items())
        self.predicted = max(done - earlier, 0.0)
        if not self.predicted:
            self.began = time.monotonic()  # jobs still load their networks
        if not total:
            return ""
        if done >= total:
            return f"{total:,} windows are predicted; the bigWigs are being written"
        elapsed = time.monotonic() - self.began
        return describe_progress(int(done), total, "windows", self.predicted / max(elapsed, 1e-9))

    def _read_share(self, job: Job) -> float:
        """Return the share of a job's chunk that is written, by its file or the file's journal."""
        if self._files[job].exists():  # Snakemake does not know it yet
            return 1.0
        axis = 0 if job[0] in self._profiles else 1
        files = leftover_paths(self._files[job])
        return max((read_share(file, axis) for file in files), default=0.0)


def read_share(path: Path, axis: int) -> float:
    """Return the share of an unfinished array that is written.

    Args:
        path: The file of `run.unfinished`, to which another process writes.
        axis: The axis along which it is filled.
    """
    with path.open("rb") as file:
        try:
            np.lib.format.read_magic(file)
            shape, _, _ = np.lib.format.read_array_header_1_0(file)
            file.seek(-RECORD.size, 2)
            finished = RECORD.unpack(file.read(RECORD.size))[0]
        except (ValueError, struct.error):  # not yet begun
            return 0.0
    return finished / shape[axis] if 0 < finished <= shape[axis] else 0.0


def summarise(run: RunPlan, seconds: float, predicted: float) -> str:
    """Return the lines at the end of a run: what was written, how long it took, how to open it.

    Args:
        run: The plan.
        seconds: How long the run took.
        predicted: How many windows it predicted.
    """
    paths = run.paths
    rate = f", {predicted:,.0f} windows ({predicted / seconds:,.3g} per second)" * (predicted > 0)
    report = f", open {paths.report}" * run.config["report"]
    return (
        f"{paths.folder}: {len(paths.bigwigs()):,} bigWigs,"
        f" {format_bytes(paths.written_bytes())}, in {format_duration(seconds)}{rate}\n"
        f"Look at them: seqcov serve {paths.folder}{report}, or {paths.igv_session} in IGV"
    )
