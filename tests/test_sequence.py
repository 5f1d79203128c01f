"""Letters, codes and one-hot against the conventions of the published models."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcov_models.errors import SeqcovError
from seqcov_models.sequence import UNKNOWN, encode, one_hot, reverse_complement

AMBIGUOUS = "NRYSWKMBDHV"  # IUPAC's letters for more than one base
letters = st.text(alphabet="ACGTUacgtu" + AMBIGUOUS + AMBIGUOUS.lower(), max_size=50)


def test_channels_are_a_c_g_t_in_this_order_and_u_is_t() -> None:
    assert encode("ACGTU").tolist() == [0, 1, 2, 3, 3]


@pytest.mark.parametrize("letter", AMBIGUOUS)
def test_every_ambiguous_letter_is_unknown(letter: str) -> None:
    assert encode(letter + letter.lower()).tolist() == [UNKNOWN, UNKNOWN]


@given(letters)
def test_soft_masked_letters_mean_the_same(text: str) -> None:
    assert (encode(text.lower()) == encode(text.upper())).all()


@given(letters)
def test_text_and_bytes_are_read_alike(text: str) -> None:
    assert (encode(text) == encode(text.encode())).all()


def test_an_empty_sequence_has_no_codes() -> None:
    assert encode("").shape == (0,)


@pytest.mark.parametrize("letter", [*"EFIJLOPQZ0159 >@?\n\t\0", "é", "Ä", "中"])
def test_a_foreign_letter_is_refused_with_its_position(letter: str) -> None:
    with pytest.raises(SeqcovError, match=r"\b4\b"):
        encode("ACG" + letter + "ACGT")


@pytest.mark.parametrize("letter", ["Z", "é", "中"])
def test_the_foreign_letter_itself_is_named(letter: str) -> None:
    with pytest.raises(SeqcovError, match=f"'{letter}'"):
        encode("AC" + letter)


def test_the_first_of_several_foreign_letters_is_named() -> None:
    with pytest.raises(SeqcovError, match=r"'Z' at position 2\b"):
        encode("AZAAQ")


@given(letters)
def test_reverse_complement_twice_is_the_sequence(text: str) -> None:
    codes = encode(text)
    assert (reverse_complement(reverse_complement(codes)) == codes).all()


@given(letters)
def test_reverse_complement_pairs_a_with_t_and_c_with_g(text: str) -> None:
    partner = dict(zip("ACGTU", "TGCAA", strict=True))
    other_strand = "".join(partner.get(letter, "N") for letter in reversed(text.upper()))
    assert (reverse_complement(encode(text)) == encode(other_strand)).all()


def test_reverse_complement_of_a_batch_turns_each_sequence_round() -> None:
    batch = np.stack([encode("AACN"), encode("GTTT")])
    expected = np.stack([encode("NGTT"), encode("AAAC")])
    assert (reverse_complement(batch) == expected).all()


@given(letters)
def test_reverse_complement_flips_both_axes_of_the_one_hot(text: str) -> None:
    codes = encode(text)
    assert (one_hot(reverse_complement(codes)) == one_hot(codes)[::-1, ::-1]).all()


@pytest.mark.parametrize(("encoding", "unknown"), [("zeros", 0.0), ("uniform", 0.25)])
def test_one_hot_rows(encoding: str, unknown: float) -> None:
    expected = np.vstack([np.eye(4), np.full((1, 4), unknown)])
    rows = one_hot(encode("ACGTN"), encoding)
    assert rows.dtype == np.float32
    assert (rows == expected).all()


def test_one_hot_of_a_batch_appends_an_axis() -> None:
    assert one_hot(np.zeros((3, 7), np.uint8)).shape == (3, 7, 4)


def test_another_encoding_of_unknown_bases_is_refused_with_the_choices() -> None:
    with pytest.raises(SeqcovError, match="zeros, uniform"):
        one_hot(encode("N"), "random")
