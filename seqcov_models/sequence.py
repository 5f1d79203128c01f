"""Letters to numbers: codes, one-hot, reverse complement. Knows neither files nor models.

A sequence is held as *codes*, one ``uint8`` a base: A 0, C 1, G 2, T (and U) 3, anything else 4.
Lower case (soft-masked) letters mean the same as upper case: the published models were trained on
upper-cased sequence. N and the other IUPAC letters all become code 4, as in calico's
``dna_1hot`` (basenji and baskerville, ``dna_io.py``).
"""

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError

Codes = npt.NDArray[np.uint8]
"""Sequence, one number per base: A 0, C 1, G 2, T 3, anything else 4."""
Coverage = npt.NDArray[np.float32]
"""Predicted values; NaN for a bin without a value."""
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

LETTERS = "ACGT"
UNKNOWN = 4  # the code of N, of the other IUPAC letters and of positions beyond a contig's end
IUPAC = "ACGTUNRYSWKMBDHV.-*X"

N_ENCODINGS: dict[str, tuple[float, ...]] = {
    "zeros": (0.0,) * 4,
    "uniform": (0.25,) * 4,
    "multimolecule": (0.0, 0.0, 0.0, 0.0, 1.0),
}
"""What an unknown base looks like to a network, by name: channels in the order A, C, G, T, and for
weights converted by the multimolecule project a fifth one for the unknown base itself."""

_CODE_OF = np.full(256, 255, np.uint8)
for _letter in IUPAC:
    _code = "ACGT".find(_letter.replace("U", "T"))
    for _byte in (ord(_letter), ord(_letter.lower())):
        _CODE_OF[_byte] = _code if _code >= 0 else UNKNOWN

_COMPLEMENT = np.array([3, 2, 1, 0, UNKNOWN], np.uint8)


def encode(letters: str | bytes) -> Codes:
    """Encode nucleotide letters as codes.

    Args:
        letters: Sequence in IUPAC letters; lower case means the same as upper case.

    Returns:
        Codes, shape (length,), ``uint8``.

    Raises:
        SeqcovError: If a character is not a nucleotide letter.

    Example:
        >>> encode("ACgtN").tolist()
        [0, 1, 2, 3, 4]
    """
    raw = letters.encode("ascii", "replace") if isinstance(letters, str) else letters
    codes = _CODE_OF[np.frombuffer(raw, np.uint8)]
    if codes.size and codes.max() == 255:
        at = int(np.argmax(codes == 255))
        letter = letters[at] if isinstance(letters, str) else chr(letters[at])
        raise SeqcovError(
            f"{letter!r} at position {at + 1} is not a nucleotide letter (IUPAC: {IUPAC})"
        )
    return codes


def reverse_complement(codes: Codes) -> Codes:
    """Return the other strand of `codes`, (..., length), in its own 5'→3' direction."""
    return _COMPLEMENT[codes[..., ::-1]]


def one_hot_table(n_encoding: str = "zeros") -> npt.NDArray[np.float32]:
    """Return the one-hot row of each code, shape (5, channels); row 4 is the unknown base.

    Raises:
        SeqcovError: If `n_encoding` is not a key of `N_ENCODINGS`.
    """
    if n_encoding not in N_ENCODINGS:
        raise SeqcovError(f"n_encoding {n_encoding!r}: choose one of {', '.join(N_ENCODINGS)}")
    unknown = N_ENCODINGS[n_encoding]
    return np.vstack([np.eye(4, len(unknown)), unknown]).astype(np.float32)


def one_hot(codes: Codes, n_encoding: str = "zeros") -> npt.NDArray[np.float32]:
    """Encode `codes` (..., length) as one-hot (..., length, channels), ``float32``."""
    return one_hot_table(n_encoding)[codes]
