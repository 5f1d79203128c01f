"""Values for the tests of the bigWig writer."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest


@pytest.fixture
def draw_coverage() -> Callable[[int], npt.NDArray[np.float32]]:
    """Give a function that draws as many values, other ones at each call."""
    rng = np.random.default_rng(7)
    return lambda bins: rng.gamma(0.5, 2.0, bins).astype(np.float32)
