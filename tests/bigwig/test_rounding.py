"""Values rounded to fewer significant bits: the error, and what is not rounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from seqcov_models.bigwig.rounding import round_values

finite = arrays.arrays(
    np.float32,
    st.integers(0, 30),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@given(finite, st.integers(1, 23))
def test_the_error_is_at_most_half_a_unit_in_the_last_bit_kept(
    values: np.ndarray, bits: int
) -> None:
    rounded = round_values(values, bits)
    assert np.isfinite(rounded).all()
    exact = values.astype(np.float64)
    normal = np.maximum(np.abs(exact), np.finfo(np.float32).tiny)
    unit = 2.0 ** (np.floor(np.log2(normal)) - bits + 1)
    largest = np.finfo(np.float32).max
    at_end = np.abs(exact) + unit / 2 > largest  # rounded towards zero instead of to infinity
    error = np.abs(rounded.astype(np.float64) - exact)
    assert (error <= np.where(at_end, unit, unit / 2)).all()
    assert np.array_equal(round_values(rounded, bits), rounded)
    mantissa, _ = np.frexp(rounded[np.abs(rounded) >= np.finfo(np.float32).tiny].astype(np.float64))
    assert (mantissa * 2**bits % 1 == 0).all()


def test_ties_go_to_the_even_neighbour_and_nan_stays() -> None:
    values = np.array([17, 19, -17, 0, np.nan], np.float32)
    np.testing.assert_array_equal(round_values(values, 4), np.float32([16, 20, -16, 0, np.nan]))


@pytest.mark.parametrize("bits", [5, 11])
def test_order_is_kept(bits: int) -> None:
    values = np.sort(np.random.default_rng(1).gamma(0.5, 2, 10_000).astype(np.float32))
    assert (np.diff(round_values(values, bits)) >= 0).all()
