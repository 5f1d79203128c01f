"""Round values to fewer significant bits, so that they compress better."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_MANTISSA = 24
"""Significant bits of a float32, with the leading one that is not stored."""


def round_values(values: Floats, bits: int) -> Floats:
    """Round values to the nearest number with few significant bits.

    The error is at most half a unit in the last bit that is kept: at most 2^-bits of the value.
    Ties go to the even neighbour. Numbers below 1.2e-38 have fewer bits and an error of at most
    2^-bits × 1.2e-38. Numbers that would be rounded to infinity are rounded towards zero.

    Args:
        values: Finite values or NaN, of any shape.
        bits: Significant bits that are kept, 1 to 23.

    Returns:
        The rounded values, an array of the same shape.

    Example:
        >>> round_values(np.array([1.03, 100.0], np.float32), 5).tolist()
        [1.0, 100.0]
    """
    dropped = np.uint32(_MANTISSA - bits)
    units = values.view(np.uint32)
    one = np.uint32(1)
    half = (one << (dropped - one)) - one
    rounded = (units + half + (units >> dropped & one)) >> dropped << dropped
    result: Floats = rounded.view(np.float32)
    if not (finite := np.isfinite(result)).all():
        cut = (units >> dropped << dropped).view(np.float32)
        result = np.where(finite, result, np.where(np.isnan(values), values, cut))
    return result
