"""Batches of windows: in order, one read ahead, a shorter last one."""

import numpy as np
import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.prediction.batches import read_batches
from seqcov_models.prediction.timings import Seconds
from seqcov_models.sequence import Codes


def codes_of(batch: range) -> Codes:
    return np.array([[number] for number in batch], np.uint8)


@pytest.mark.parametrize(("count", "batch_size"), [(0, 3), (1, 3), (3, 3), (7, 3), (7, 1), (7, 99)])
def test_every_window_is_read_once_and_in_order(count: int, batch_size: int) -> None:
    batches = list(read_batches(range(5, 5 + count), batch_size, codes_of, Seconds()))
    assert [number for batch, _ in batches for number in batch] == list(range(5, 5 + count))
    assert all(codes[:, 0].tolist() == list(batch) for batch, codes in batches)
    assert all(len(batch) == batch_size for batch, _ in batches[:-1])


def test_at_most_one_batch_is_read_ahead() -> None:
    started: list[range] = []

    def read(batch: range) -> Codes:
        started.append(batch)
        return codes_of(batch)

    for number, _ in enumerate(read_batches(range(10), 2, read, Seconds()), 1):
        assert len(started) <= number + 1
    assert len(started) == 5


def test_an_error_of_the_reader_is_raised_with_its_batch() -> None:
    def read(batch: range) -> Codes:
        if 4 in batch:
            raise SeqcovError("no such base")
        return codes_of(batch)

    batches = read_batches(range(8), 2, read, Seconds())
    assert [next(batches)[0] for _ in range(2)] == [range(2), range(2, 4)]
    with pytest.raises(SeqcovError, match="no such base"):
        next(batches)
