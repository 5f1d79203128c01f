"""The file of a predicted chunk: its rows, its gaps, complete or absent."""

import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcov_models.errors import SeqcovError
from seqcov_models.run.chunk_files import (
    ChunkFile,
    chunk_writer,
    read_row_blocks,
    rows_writer,
    track_runs,
)
from seqcov_models.tiling import Segment

Values = npt.NDArray[np.float32]
STEP = 4


def coverage(bins: int, tracks: int, seed: int = 0) -> Values:
    return np.random.default_rng(seed).gamma(0.5, 2, (bins, tracks)).astype(np.float32)


def write(path: Path, values: Values, dtype: str = "float32", batch: int = 3) -> Path:
    """Write values (bins, rows) batch by batch; the last row is the fraction of unknown bases."""
    bins, rows = values.shape
    with chunk_writer(path, rows, bins, dtype) as write_chunk:
        for first in range(0, bins, batch):
            part = values[first : first + batch]
            write_chunk(first, part[:, :-1], part[:, -1:])
    return path


@pytest.mark.parametrize("batch", [1, 2, 5, 11, 100])
def test_a_chunk_holds_one_row_per_track_however_it_was_written(batch: int, tmp_path: Path) -> None:
    values = coverage(11, 3)
    stored = np.load(write(tmp_path / "0.npy", values, batch=batch), allow_pickle=False)
    assert stored.dtype == np.float32
    assert np.array_equal(stored, values.T)


def test_gaps_are_stored_as_nan(tmp_path: Path) -> None:
    values = coverage(7, 2)
    values[2:4, 0] = np.nan
    stored = np.load(write(tmp_path / "0.npy", values))
    assert np.array_equal(stored, values.T, equal_nan=True)


def test_float16_halves_the_file_and_clips_at_its_largest_number(tmp_path: Path) -> None:
    column = np.array([0.1, 65_504, 65_519, 65_520, 1e9, np.nan, 6e-8], np.float32)
    values = np.stack([column, np.full(7, 0.5, np.float32)], 1)
    stored = np.load(write(tmp_path / "0.npy", values, dtype="float16"))
    assert stored.dtype == np.float16
    assert stored[0, 1:5].tolist() == [65_504] * 4
    assert np.isnan(stored[0, 5])
    # 11 bits of mantissa: half a unit of the last place is 2^-11 of the value
    assert abs(stored[0, 0] - 0.1) <= 0.1 * 2**-11


def lose(path: Path) -> None:
    with chunk_writer(path, 2, 5, "float32") as write_chunk:
        write_chunk(0, coverage(3, 1), coverage(3, 1)[:, :1])
        raise RuntimeError("lost")


def test_an_exception_leaves_no_chunk(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="lost"):
        lose(tmp_path / "0.npy")
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    with chunk_writer(tmp_path / "0.npy", 2, 5, "float32") as write_chunk:
        write_chunk(0, coverage(3, 1), coverage(3, 1)[:, :1])
        assert not (tmp_path / "0.npy").exists()
        write_chunk(3, coverage(2, 1), coverage(2, 1)[:, :1])
    assert [path.name for path in tmp_path.iterdir()] == ["0.npy"]


gaps = st.lists(st.booleans(), min_size=1, max_size=4 * STEP)


@settings(max_examples=60)
@given(st.lists(st.lists(st.tuples(st.integers(0, 20), gaps), min_size=1, max_size=3), max_size=3))
def test_runs_are_the_values_between_the_gaps_in_their_places(
    tmp_path_factory: pytest.TempPathFactory, plan: list[list[tuple[int, list[bool]]]]
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    chunks, by_hand = [], {}
    for number, segments in enumerate(plan):
        arrays, planned = [], []
        for first, missing in segments:
            contig = f"c{number}.{len(planned)}"
            values = coverage(len(missing), 2, seed=first)
            values[missing] = np.nan
            planned.append(Segment(contig, first, -(-len(missing) // STEP), len(missing)))
            arrays.append(values)
            for index in np.flatnonzero(~np.array(missing)).tolist():
                by_hand[contig, first * STEP + index] = values[index, 1]
        chunks.append(ChunkFile(write(folder / f"{number}.npy", np.concatenate(arrays)), planned))
    actual: dict[tuple[str, int], float] = {}
    ends: dict[str, int] = {}
    for contig, start, values in track_runs(chunks, 1, STEP):
        assert len(values) > 0
        assert start > ends.get(contig, -1)  # sorted, and a gap lies between two runs
        ends[contig] = start + len(values)
        actual |= {(contig, start + index): value for index, value in enumerate(values)}
    assert list(actual.items()) == list(by_hand.items())


def test_a_track_whose_bins_are_all_gaps_has_no_run(tmp_path: Path) -> None:
    path = write(tmp_path / "0.npy", np.full((5, 1), np.nan, np.float32))
    assert list(track_runs([ChunkFile(path, [Segment("a", 0, 2, 5)])], 0, STEP)) == []


@pytest.mark.parametrize(
    ("row", "bins"), [(0, 4), (0, 6), (2, 5), (7, 5)], ids=["fewer", "more", "row 2", "row 7"]
)
def test_a_chunk_of_another_shape_is_refused(row: int, bins: int, tmp_path: Path) -> None:
    path = write(tmp_path / "0.npy", coverage(5, 2))
    with pytest.raises(SeqcovError, match=r"0\.npy"):
        list(track_runs([ChunkFile(path, [Segment("a", 0, 2, bins)])], row, STEP))


@pytest.mark.parametrize("length", [0, 60, 128, -1])
def test_a_cut_chunk_is_refused(length: int, tmp_path: Path) -> None:
    path = write(tmp_path / "0.npy", coverage(50, 2))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(SeqcovError, match=r"0\.npy"):
        list(track_runs([ChunkFile(path, [Segment("a", 0, 13, 50)])], 0, STEP))


def test_a_pickle_under_a_chunks_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0.npy").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(SeqcovError, match=r"0\.npy"):
        list(track_runs([ChunkFile(tmp_path / "0.npy", [Segment("a", 0, 13, 50)])], 0, STEP))


# Identity and checksums


def fill(path: Path, kind: str, identity: str) -> None:
    """Write a file of a job: 7 rows of 50 values."""
    values = coverage(50, 7).T
    if kind == "chunk":
        with chunk_writer(path, 7, 50, identity=identity) as write_chunk:
            write_chunk(0, values.T)
    else:
        with rows_writer(path, (7, 50), np.float32, identity) as write_rows:
            write_rows(0, values[:5])
            write_rows(5, values[5:])


def read(path: Path, kind: str, identity: str) -> Values:
    """Return all rows of a file of a job."""
    if kind == "rows":
        return np.concatenate([*read_row_blocks([path], [identity], rows=3)])
    chunk = ChunkFile(path, [Segment("a", 0, 13, 50)], identity)
    return np.stack([next(track_runs([chunk], row, STEP))[2] for row in range(7)])


@pytest.mark.parametrize("kind", ["chunk", "rows"])
def test_what_is_read_is_what_was_written(kind: str, tmp_path: Path) -> None:
    fill(tmp_path / "0.npy", kind, "this")
    assert np.array_equal(read(tmp_path / "0.npy", kind, "this"), coverage(50, 7).T)
    assert np.array_equal(np.load(tmp_path / "0.npy", mmap_mode="r"), coverage(50, 7).T)


@pytest.mark.parametrize("kind", ["chunk", "rows"])
def test_a_file_of_another_run_is_deleted_and_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "0.npy"
    fill(path, kind, "this")
    with pytest.raises(SeqcovError, match=rf"{path}: .*another run.*the same command makes it aga"):
        read(path, kind, "other")
    assert not path.exists()
    with pytest.raises(SeqcovError, match=rf"{path}: .*another run.*the same command makes it aga"):
        read(path, kind, "other")  # as another thread of the same job does
    with pytest.raises(SeqcovError, match=r"1\.npy: No such file.*start the same command again"):
        read(tmp_path / "1.npy", kind, "this")


SIZE = 128 + 7 * 50 * 4 + 32 + 7 * 4 + 4
"""Bytes of the header, the values, the seal, the checksums and their checksum."""


@settings(max_examples=200)
@given(st.sampled_from(["chunk", "rows"]), st.integers(0, SIZE - 1), st.integers(0, 255))
def test_a_byte_that_changed_or_is_missing_is_never_read(
    tmp_path_factory: pytest.TempPathFactory, kind: str, place: int, change: int
) -> None:
    """change: what is added to the byte; 0 to cut the file there."""
    path = tmp_path_factory.mktemp("damage") / "0.npy"
    fill(path, kind, "this")
    content = bytearray(path.read_bytes())
    assert len(content) == SIZE
    content[place] ^= change
    path.write_bytes(content if change else content[:place])
    with pytest.raises(SeqcovError, match=rf"{path}: .*the same command makes it again"):
        read(path, kind, "this")
    assert not path.exists()
