"""Letters to numbers: codes, one-hot, reverse complement.

A sequence is held as *codes*, one ``uint8`` per base: A 0, C 1, G 2, T (and U) 3, anything else 4.
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
"""One-hot channels of an unknown base, by the name of the encoding: A, C, G, T.

Weights that the multimolecule project converted have a fifth channel, for the unknown base.
"""

_CODES = np.full(256, 255, np.uint8)
for _letter in IUPAC:
    _code = "ACGT".find(_letter.replace("U", "T"))
    for _byte in (ord(_letter), ord(_letter.lower())):
        _CODES[_byte] = _code if _code >= 0 else UNKNOWN

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
    codes = _CODES[np.frombuffer(raw, np.uint8)]
    if codes.size and codes.max() == 255:
        index = int(np.argmax(codes == 255))
        letter = letters[index] if isinstance(letters, str) else chr(letters[index])
        raise SeqcovError(
            f"{letter!r} at position {index + 1} is not a nucleotide letter (IUPAC: {IUPAC})"
        )
    return codes


def reverse_complement(codes: Codes) -> Codes:
    """Return the other strand, read in its 5'→3' direction.

    Args:
        codes: Sequences as codes, shape (..., length).

    Returns:
        Codes of the same shape.

    Example:
        >>> reverse_complement(encode("AACN")).tolist()
        [4, 2, 3, 3]
    """
    return _COMPLEMENT[codes[..., ::-1]]


def one_hot_table(n_encoding: str = "zeros") -> npt.NDArray[np.float32]:
    """Return the one-hot row of each code.

    Args:
        n_encoding: Encoding of unknown bases, a key of `N_ENCODINGS`.

    Returns:
        Array of shape (5, channels), ``float32``; row 4 is the unknown base.

    Raises:
        SeqcovError: If `n_encoding` is not a key of `N_ENCODINGS`.
    """
    if n_encoding not in N_ENCODINGS:
        raise SeqcovError(f"n_encoding {n_encoding!r}: choose one of {', '.join(N_ENCODINGS)}")
    unknown = N_ENCODINGS[n_encoding]
    return np.vstack([np.eye(4, len(unknown)), unknown]).astype(np.float32)


def one_hot(codes: Codes, n_encoding: str = "zeros") -> npt.NDArray[np.float32]:
    """Encode codes as one-hot.

    Args:
        codes: Sequences as codes, shape (..., length).
        n_encoding: Encoding of unknown bases, a key of `N_ENCODINGS`.

    Returns:
        Array of shape (..., length, channels), ``float32``; channels are A, C, G, T.

    Raises:
        SeqcovError: If `n_encoding` is not a key of `N_ENCODINGS`.
    """
    return one_hot_table(n_encoding)[codes]
