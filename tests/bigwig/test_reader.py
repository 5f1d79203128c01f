"""The reader of bins, against another reader of bigWigs."""

from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from seqcov_models.bigwig.layout import Sizes
from seqcov_models.bigwig.reader import BigwigReader
from seqcov_models.bigwig.writer import write_bigwig
from seqcov_models.errors import SeqcovError

CONTIGS = {"b": 70_003, "tiny": 5, "empty": 9_000, "a": 30_000}
SMALL = Sizes(section=32, fan=3)
"""The index has several levels."""


def write_track(path: Path, bin_size: int, sizes: Sizes = SMALL) -> None:
    """Write a track with gaps."""
    draw = np.random.default_rng(3)
    runs = []
    for name, length in CONTIGS.items():
        values = draw.gamma(1, 1, -(-length // bin_size)).astype(np.float32)
        has_value = np.repeat(draw.random(len(values) // 40 + 1) < 0.7, 40)[: len(values)]
        edges = np.flatnonzero(np.diff(has_value, prepend=False, append=False)).reshape(-1, 2)
        if name != "empty":
            runs += [(name, start, values[start:end]) for start, end in edges.tolist()]
    write_bigwig(path, CONTIGS, bin_size, runs, sizes)


@pytest.mark.parametrize(("bin_size", "sizes"), [(1, Sizes()), (32, SMALL), (128, SMALL)])
def test_bins_are_those_of_another_reader(tmp_path: Path, bin_size: int, sizes: Sizes) -> None:
    path = tmp_path / "a.bw"
    write_track(path, bin_size, sizes)
    draw = np.random.default_rng(4)
    read = 0
    with BigwigReader(path, bin_size) as reader, pyBigWig.open(str(path)) as other:
        for name, length in CONTIGS.items():
            expected = np.array(other.values(name, 0, length, numpy=True))[::bin_size]
            for _ in range(20):
                size = min(len(expected) + 1, int(draw.choice([2, 4, 12, 60])))
                edges = np.sort(draw.choice(len(expected) + 1, size // 2 * 2, replace=False))
                intervals = edges.reshape(-1, 2)
                parts = [expected[start:end] for start, end in intervals.tolist()]
                values = reader.read(name, intervals)
                np.testing.assert_array_equal(values, np.concatenate(parts))
                read += int(np.isfinite(values).sum())
        assert np.isnan(reader.read("unknown", np.array([[0, 3]]))).all()
    assert read > 3_000


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.bw"
    write_track(path, 32)
    content = path.read_bytes()
    with pyBigWig.open(str(path)) as file:
        assert file.header()["version"] == 4
    for damaged in (b"", content[:100], content[:700] + b"\1" * 300 + content[1_000:]):
        path.write_bytes(damaged)
        with (
            pytest.raises(SeqcovError, match=r"a\.bw: damaged bigWig"),
            BigwigReader(path, 32) as reader,
        ):
            reader.read("b", np.array([[0, 2_000]]))
    path.unlink()
    with pytest.raises(SeqcovError, match=r"a\.bw: damaged bigWig"):
        BigwigReader(path, 32)
