"""Runs and arguments that are refused, and files that cannot be written."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from seqcov_models.bigwig.writer import write_bigwig
from seqcov_models.errors import SeqcovError
from support.bigwig_walker import walk
from support.bigwigs import Run
from support.data import REPOSITORY

Draw = Callable[[int], npt.NDArray[np.float32]]


ONE = np.ones(1, np.float32)
NAN = np.array([1, 2, np.nan, 4], np.float32)
REFUSALS: dict[str, tuple[list[Any], str]] = {
    "NaN": (
        [("a", 5, NAN)],
        r"a, bin 7 \(from base 224, counted from 0\): nan is not a finite value",
    ),
    "infinity": ([("a", 5, ONE), ("b", 0, -ONE * np.inf)], r"b, bin 0 .*: -inf is not a finite"),
    "unknown": ([("c", 2, ONE)], r"c, bin 2 .*: unknown contig; the file has 2, the first a"),
    "contigs back": ([("b", 0, ONE), ("a", 2, ONE)], r"a, bin 2 .*: comes after b"),
    "bins back": ([("a", 5, ONE), ("a", 3, ONE)], r"a, bin 3 .*: runs must ascend.* up to 5"),
    "overlap": ([("a", 5, NAN[:2]), ("a", 6, ONE)], r"a, bin 6 .*: .*not overlap.* up to 6"),
    "over the end": ([("a", 31, NAN[:2])], r"a, bin 31 .*: bins up to 32.* 1,000 bp have only 32"),
    "past the end": ([("a", 32, ONE)], r"a, bin 32 .*: bins up to 32.* have only 32"),
    "no contig to fill": ([("none", 0, ONE)], r"none, bin 0 .*0 bp have only 0"),
    "negative": ([("a", -1, ONE)], r"a, bin -1 .*: begins before the contig's start"),
    "float16": ([("a", 1, np.ones(3, np.float16))], r"a, bin 1 .*: values are float16 .*float32"),
    "float64": ([("a", 1, np.ones(3))], r"a, bin 1 .*: values are float64"),
    "two dimensions": ([("a", 1, np.ones((2, 2), np.float32))], r"shape \(2, 2\)"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_run_that_cannot_be_written_is_refused(tmp_path: Path, case: str) -> None:
    runs, message = REFUSALS[case]
    contigs = {"a": 1_000, "b": 500, **({"none": 0} if case == "no contig to fill" else {})}
    with pytest.raises(SeqcovError, match=message):
        write_bigwig(tmp_path / "a.bw", contigs, 32, runs)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("contigs", "bin_size", "message"),
    [
        ({"a": 10}, 0, "bin size 0"),
        ({"a": 10}, 2**24 + 1, "bin size 16777217"),
        ({}, 1, "a bigWig needs a contig"),
        ({"": 10}, 1, "'' cannot be a contig's name"),
        ({"a\0b": 10}, 1, "cannot be a contig's name"),
        ({"a": 10, "b": 2**32}, 1, "contig 'b' has 4,294,967,296 bp, .* split it"),
        ({"a": -1}, 1, "contig 'a' has -1 bp"),
    ],
)
def test_arguments_that_the_format_cannot_hold_are_refused(
    tmp_path: Path, contigs: dict[str, int], bin_size: int, message: str
) -> None:
    with pytest.raises(SeqcovError, match=message):
        write_bigwig(tmp_path / "a.bw", contigs, bin_size, [])
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_the_earlier_file(draw_coverage: Draw, tmp_path: Path) -> None:
    """Zoom records are on disk at that time, too."""
    (tmp_path / "a.bw").write_text("earlier")

    def runs() -> Iterator[Run]:
        yield "a", 0, draw_coverage(3_000_000)
        assert len(list(tmp_path.iterdir())) == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bigwig(tmp_path / "a.bw", {"a": 2**30}, 32, runs())
    assert [file.read_text() for file in tmp_path.iterdir()] == ["earlier"]


def test_an_earlier_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.bw").write_text("earlier")
    write_bigwig(tmp_path / "a.bw", {"a": 2**30}, 32, [])
    assert walk(tmp_path / "a.bw").contigs == {"a": 2**30}


WRITE = """
import pathlib, resource, sys
import numpy as np
from seqcov_models.bigwig.writer import write_bigwig

values = np.random.default_rng(1).random(100_000, np.float32)
resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))
write_bigwig(pathlib.Path(sys.argv[1]), {"a": 3_200_000}, 32, [("a", 0, values)])
"""


def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path) -> None:
    (tmp_path / "a.bw").write_text("earlier")
    result = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path / "a.bw")],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    assert (
        "a.bw: the file is larger than this system or `ulimit -f` allows: it needs more than 65,536"
        in result.stderr
    )
    assert [file.read_text() for file in tmp_path.iterdir()] == ["earlier"]
