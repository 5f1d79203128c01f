"""A killed job at peaks continues after its last batch, and no byte of its files differs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.peaks.read import combine_peaks, read_peaks, write_peaks
from seqcov_models.peaks.windows import PeakChunk, Windows, read_windows, split_windows
from seqcov_models.prediction.ensemble import ProfileEnsemble
from seqcov_models.run.predict import predict_peaks
from seqcov_models.run.unfinished import UnfinishedArray
from seqcov_models.tiling import select_bins
from support.fasta import write_fasta
from support.profiles import BPNET, network

FILES = ("0.npy", "0.statistics.npy", "0.windows.npy")
BATCH = 4


class KilledError(Exception):
    """Stands for the end of the process: nothing of it is handled."""


class Job:
    """The second of three jobs at peaks that lie close together on two contigs."""

    def __init__(self, folder: Path, overlap: str) -> None:
        draw = np.random.default_rng(4)
        contigs = {
            name: "".join(draw.choice(list("ACGTN"), size))
            for name, size in (("a", 900), ("b", 300))
        }
        lines = [
            f"{name}\t{summit}\t{summit + 1}\tp\t0\t{draw.choice(['+', '-'])}\n"
            for name, letters in contigs.items()
            for summit in draw.integers(0, len(letters), len(letters) // 12).tolist()
        ]
        (folder / "peaks.bed").write_text("".join(lines))
        self.folder, self.overlap = folder, overlap
        self.genome = Genome(open_fasta(write_fasta(folder / "g.fa", contigs), folder))
        self.bases = select_bins(self.genome.contigs, 1, None, [])
        peaks = read_peaks(folder / "peaks.bed", "p", self.genome.contigs)
        write_peaks(folder / "all.bed", combine_peaks([peaks], self.genome.contigs, self.bases))
        self.windows: Windows = read_windows(folder / "all.bed", self.genome.contigs, True)
        chunks = split_windows(self.windows, self.genome.contigs, BPNET.geometry, 3)
        self.chunk: PeakChunk = chunks[1]
        self.ensemble = ProfileEnsemble([network(BPNET)])

    def predict(self, identity: str = "this", files: Sequence[str] = FILES) -> int:
        """Predict the chunk; return how many windows were predicted."""
        paths = [self.folder / name for name in files]
        seconds = predict_peaks(
            self.ensemble, self.genome, self.windows, self.chunk, self.bases, *paths,
            overlap=self.overlap, batch_size=BATCH, identity=identity,
        )  # fmt: skip
        return seconds.windows

    def take_bytes(self) -> list[bytes]:
        """Return the bytes of the finished files, and remove these."""
        assert not list(self.folder.glob(".*.part"))
        contents = [(self.folder / name).read_bytes() for name in FILES]
        for name in FILES:
            (self.folder / name).unlink()
        return contents


@pytest.fixture(params=["nearest", "mean", "max"])
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Job]:
    job = Job(tmp_path, request.param)
    yield job
    job.genome.close()


def kill_at(step: int, job: Job, **options: Any) -> bool:
    """Let a job end before it notes a step in a journal; return whether it came so far."""
    real, steps = UnfinishedArray._record, iter(range(1_000))

    def record(self: UnfinishedArray, array: npt.NDArray[Any], end: int) -> None:
        if next(steps) == step:
            raise KilledError
        real(self, array, end)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnfinishedArray, "_record", record)
        try:
            job.predict(**options)
        except KilledError:
            return True
    return False


def test_killed_between_any_two_writes_it_continues_there(
    job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "seqcov")
    total, step = job.predict(), 0
    expected, predicted = job.take_bytes(), []
    assert total > 5 * BATCH
    while kill_at(step, job):
        predicted.append(job.predict())
        assert job.take_bytes() == expected
        step += 1
    assert job.take_bytes() == expected
    assert step > 2 * total / BATCH, "each batch has several writes"
    assert predicted == sorted(predicted, reverse=True)
    assert predicted[0] == total
    assert predicted[-1] <= 2 * BATCH
    assert f"continuing after {total - predicted[-1]} of {total} windows" in caplog.text


def test_killed_again_and_again_it_ends(job: Job) -> None:
    job.predict()
    expected = job.take_bytes()
    while kill_at(5, job):
        pass
    assert job.take_bytes() == expected


def test_only_the_same_job_is_continued(job: Job) -> None:
    total = job.predict()
    expected = job.take_bytes()
    assert kill_at(9, job, identity="another")
    assert job.predict() == total
    assert job.take_bytes() == expected
    assert kill_at(9, job, files=FILES[:2])
    assert job.predict() >= total - BATCH, "profiles of all windows are asked for now"
    assert job.take_bytes() == expected


def test_bytes_that_the_disk_has_lost_are_predicted_again(job: Job) -> None:
    job.predict()
    expected = job.take_bytes()
    for name in FILES:
        assert kill_at(20, job)
        (part,) = job.folder.glob(f".{name}.*.part")
        content = bytearray(part.read_bytes())
        header = content.index(b"\n") + 1
        content[header + 8] ^= 1
        part.write_bytes(content)
        job.predict()
        assert job.take_bytes() == expected
