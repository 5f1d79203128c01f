"""A killed job continues its chunk: nothing is predicted twice, and no byte of the file differs."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqcov_models.checkpoints.load import build
from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.networks import registry
from seqcov_models.networks.shared import compute
from seqcov_models.prediction.batches import ContigWindows
from seqcov_models.prediction.ensemble import Ensemble
from seqcov_models.run.chunk_files import chunk_writer
from seqcov_models.run.predict import predict_chunk
from seqcov_models.sequence import Codes
from seqcov_models.tiling import Tiling, select_bins, tile
from support.fasta import write_fasta
from support.naive import randomise

SIZES = {
    "sequence_length": 1_024, "crop_bins": 2, "stem_channels": 6, "num_labels": 3,
    "conv_tower_channels": (8, 8, 8, 8, 8, 8),
}  # fmt: skip


class KilledError(Exception):
    """Stands for the end of the process: nothing of it is handled."""


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    torch.manual_seed(1)
    model = randomise(build(registry.NETWORKS["basenji2"].config_class.from_dict(SIZES)))
    return Ensemble([model], reverse_complement=False, shifts=(0, 1))


Predict = Callable[..., bytes]


@pytest.fixture
def predict(ensemble: Ensemble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Predict:
    """Predict a chunk of a small genome; `predict.windows` are the windows of the last call."""
    draw = np.random.default_rng(1)
    letters = ["".join(draw.choice(list("ACGTN"), size)) for size in (5_000, 700)]
    contigs = {"a": letters[0] + "N" * 3_000 + letters[1], "b": letters[1]}
    opened = open_fasta(write_fasta(tmp_path / "genome.fa", contigs), tmp_path)
    selected = select_bins(opened.contigs, ensemble.geometry.bin, None, [("a", 1_000, 2_000)])
    real = Ensemble.compute_coverage

    def run(
        identity: str | None = "this", windows: int = 1_000, overlap: float = 0.0,
        dtype: str = "float32", batch_size: int = 1,
    ) -> bytes:  # fmt: skip
        """Return the bytes of the file. It is killed after so many windows."""
        run.windows = 0  # type: ignore[attr-defined]

        def counted(
            self: Ensemble, batch: Codes | ContigWindows, precision: str = "float32"
        ) -> Tensor:
            if run.windows + len(batch) > windows:  # type: ignore[attr-defined]
                raise KilledError
            run.windows += len(batch)  # type: ignore[attr-defined]
            return real(self, batch, precision)

        monkeypatch.setattr(Ensemble, "compute_coverage", counted)
        tiling = Tiling.from_overlap(ensemble.geometry, overlap, "taper" if overlap else "crop")
        segments, genome = tile(opened.contigs, tiling, selected), Genome(opened)
        try:
            predict_chunk(
                ensemble, tiling, genome, segments, selected, tmp_path / "0.npy",
                dtype=dtype, batch_size=batch_size, identity=identity,
            )  # fmt: skip
        finally:
            genome.close()
        return (tmp_path / "0.npy").read_bytes()

    return run


def kill(predict: Predict, windows: int, **options: object) -> Path:
    """Let a job end after so many windows; return the file that it leaves."""
    with pytest.raises(KilledError):
        predict(windows=windows, **options)
    return unfinished()


def unfinished() -> Path:
    """The file of the unfinished chunk in the working directory."""
    (file,) = Path().glob(".0.npy.*.part")
    return file


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("dtype", "overlap"), [("float32", 0.0), ("float16", 0.0), ("float32", 0.5)]
)
def test_killed_after_any_window_it_continues_there(
    dtype: str, overlap: float, asynchronous: bool, predict: Predict,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    route = replace(compute.CPU, asynchronous=asynchronous)
    monkeypatch.setitem(compute.ROUTES, "cpu", route)
    options = {"dtype": dtype, "overlap": overlap}
    caplog.set_level("INFO", "seqcov")
    expected, total = predict(None, **options), predict.windows  # type: ignore[attr-defined]
    assert total > 8
    for killed in (0, 1, 2, total // 2, total - 1):
        Path("0.npy").unlink()
        caplog.clear()
        kill(predict, killed, **options)
        assert predict(**options) == expected
        repeated = killed + predict.windows - total  # type: ignore[attr-defined]
        # Windows that reach into the next one's core are needed again if cores overlap; a device
        # that works ahead has lost the window that it was computing.
        assert repeated <= bool(overlap) + asynchronous
        assert ("continuing after" in caplog.text) == (killed > asynchronous)
        assert not [*Path().glob(".*.part")]


def test_killed_again_and_again(predict: Predict) -> None:
    expected, total = predict(None), predict.windows  # type: ignore[attr-defined]
    Path("0.npy").unlink()
    for _ in range(total - 1):
        kill(predict, 1)
    predict(windows=1)
    assert Path("0.npy").read_bytes() == expected


def test_another_identity_begins_anew(predict: Predict) -> None:
    expected, total = predict(None), predict.windows  # type: ignore[attr-defined]
    kill(predict, 5)
    assert predict("other") == expected
    assert predict.windows == total  # type: ignore[attr-defined]
    assert not [*Path().glob(".*.part")]


def test_another_type_begins_anew(predict: Predict) -> None:
    expected = predict(None, dtype="float16")
    kill(predict, 5)
    assert predict(dtype="float16") == expected


def test_without_an_identity_a_failed_job_leaves_nothing(predict: Predict) -> None:
    with pytest.raises(KilledError):
        predict(None, windows=5)
    assert not [*Path().glob(".*.part")]


def test_an_attempt_that_is_still_running_is_not_continued_and_fails(predict: Predict) -> None:
    expected, total = predict(None), predict.windows  # type: ignore[attr-defined]
    with kill(predict, 5).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert predict() == expected
    assert predict.windows == total  # type: ignore[attr-defined]
    rows = np.zeros((2, 1), np.float32)
    with (  # noqa: PT012
        pytest.raises(FileNotFoundError),
        chunk_writer(Path("1.npy"), 1, 4, identity="a") as orphan,
    ):
        orphan(0, rows)
        with chunk_writer(Path("1.npy"), 1, 4, identity="a") as writer:
            assert writer.finished == 0
            writer(0, np.ones((4, 1), np.float32))
        orphan(2, rows)
    assert np.load("1.npy").tolist() == [[1, 1, 1, 1]]


# Damage


def fill(values: np.ndarray[tuple[int, int], np.dtype[np.float32]], first: int = 0) -> int:
    """Write a chunk of steps of 3 bins; return how many bins were already finished."""
    with chunk_writer(Path("0.npy"), 2, 20, identity="a") as write:
        finished = write.finished
        for start in range(finished, 20, 3):
            if start >= first > 0:
                raise KilledError
            write(start, values[start : start + 3])
    return finished


VALUES = np.random.default_rng(1).normal(size=(20, 2)).astype(np.float32)
DATA = 128
"""Bytes of the header of the array; then 160 of values, 32 of the identity, and 16 per step."""


def begin() -> Path:
    """Leave a chunk with 12 of its 20 bins."""
    for file in Path().glob("*0.npy*"):
        file.unlink()
    with pytest.raises(KilledError):
        fill(VALUES, first=12)
    return unfinished()


def test_what_is_right_is_continued() -> None:
    begin()
    assert fill(VALUES) == 12
    assert np.array_equal(np.load("0.npy"), VALUES.T)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, DATA + 160 + 32 + 4 * 16 - 1), st.integers(1, 255))
def test_a_damaged_byte_never_gets_into_the_chunk(place: int, change: int) -> None:
    part = begin()
    content = bytearray(part.read_bytes())
    assert len(content) == DATA + 160 + 32 + 4 * 16
    content[place] ^= change
    part.write_bytes(content)
    finished = fill(VALUES)
    column = (place - DATA) // 4 % 20
    if DATA <= place < DATA + 160:
        assert finished == (column // 3 * 3 if column < 12 else 12)
    elif place < DATA + 160 + 32:
        assert finished == 0
    else:
        assert finished == (place - DATA - 160 - 32) // 16 * 3
    assert np.array_equal(np.load("0.npy"), VALUES.T)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, DATA + 160 + 32 + 4 * 16 - 1))
def test_a_cut_file_never_gets_into_the_chunk(length: int) -> None:
    os.truncate(begin(), length)
    assert fill(VALUES) == max(0, (length - DATA - 160 - 32) // 16 * 3)
    assert np.array_equal(np.load("0.npy"), VALUES.T)


def test_values_that_were_lost_with_the_machine_are_written_again() -> None:
    part = begin()
    content = part.read_bytes()
    part.write_bytes(content[:DATA] + bytes(160) + content[DATA + 160 :])
    assert fill(VALUES) == 0
    assert np.array_equal(np.load("0.npy"), VALUES.T)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_at_any_time_loses_only_the_step_that_was_being_written(
    number: signal.Signals, tmp_path: Path
) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from seqcov_models.run.chunk_files import chunk_writer\n"
        "values = np.arange(400_000, dtype=np.float32).reshape(4_000, 100)\n"
        "with chunk_writer(Path('0.npy'), 100, 4_000, identity='a') as write:\n"
        "    print(write.finished, flush=True)\n"
        "    for start in range(write.finished, 4_000, 4):\n"
        "        write(start, values[start : start + 4])\n"
        "        print(start + 4, flush=True)\n"
    )
    draw, last, kills = np.random.default_rng(number), 0, 0
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    while not Path("0.npy").exists():
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
        ) as job:
            assert job.stdout is not None
            begun = int(job.stdout.readline())
            steps = [begun]
            for _ in range(int(draw.integers(100, 400))):
                steps += [int(line) for line in job.stdout.readline().split()]
            job.send_signal(number)
            steps += [int(line) for line in job.stdout.read().split()]
        assert last <= begun <= last + 4
        kills += job.returncode != 0
        last = max(steps)
    assert kills > 1
    expected = np.arange(400_000, dtype=np.float32).reshape(4_000, 100).T
    assert np.array_equal(np.load("0.npy"), expected)


def test_a_job_never_writes_into_a_file_that_took_its_place(tmp_path: Path) -> None:
    """Process numbers repeat between machines, so two jobs may use one temporary name."""
    target, columns = tmp_path / "0.npy", np.ones((3, 2), np.float32)
    writing = chunk_writer(target, 2, 6, identity="one")
    write = writing.__enter__()
    write(0, columns)
    (part,) = tmp_path.glob(".0.npy.*.part")
    part.unlink()
    part.write_bytes(bytes(200))
    write(3, columns)
    with pytest.raises(FileExistsError, match="another job has replaced this file"):
        writing.__exit__(None, None, None)
    assert part.read_bytes() == bytes(200)
    assert not target.exists()


@pytest.mark.parametrize(
    ("number", "cause"),
    [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "your quota of the disk is used up")],
)
def test_a_disk_without_room_for_a_chunk_is_named(
    number: int, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first window: later the kernel would end the process without a message."""

    def full(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", full)
    message = rf"0\.npy: {cause}: it needs 128,048 bytes, and [\d,]+ are free; make space"
    writing = chunk_writer(tmp_path / "0.npy", 2, 15_990, identity="one")
    with pytest.raises(SeqcovError, match=message), writing:
        pass
    assert not list(tmp_path.iterdir())
