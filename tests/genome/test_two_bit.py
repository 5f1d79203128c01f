"""The .2bit file, read back by a reader that shares nothing with the writer."""

import os
import re

import numpy as np
import pytest

from seqcov_models import SeqcovError
from seqcov_models.genome.fasta import open_fasta
from seqcov_models.genome.two_bit import write_two_bit
from support.two_bit import read_two_bit


def write_and_open(folder, sequences):
    """Write a FASTA in lines of 7 letters, and open it."""
    with (folder / "g.fa").open("w") as file:
        for name, letters in sequences.items():
            lines = [letters[start : start + 7] for start in range(0, len(letters), 7)]
            file.write("\n".join([f">{name} more", *lines, ""]))
    return open_fasta(folder / "g.fa", folder)


@pytest.mark.parametrize("block_size", [4, 8, 1 << 24])
def test_two_bit_read_back(tmp_path, block_size):
    rng = np.random.default_rng(5)
    alphabet = np.array(list("ACGTacgtNnRYswKmbdHvUu.-*X"))
    sequences = {"one": "A", "n": "N", "four": "acgT", "nine": "NNNNNacgt", "low": "gattacan"}
    sequences["gaps"] = "N" * 16 + "ACGT" * 4 + "n" * 9
    for length in (15, 16, 17, 200):
        sequences[f"r{length}"] = "".join(rng.choice(alphabet, length))
    sequences["runs"] = "".join(np.repeat(rng.choice(alphabet, 30), rng.integers(1, 9, 30)))
    write_two_bit(tmp_path / "g.2bit", write_and_open(tmp_path, sequences), block_size)
    expected = {
        name: re.sub(
            "[^ACGTNacgtn]",
            lambda letter: "n" if letter[0].islower() else "N",
            letters.replace("U", "T").replace("u", "t"),
        )
        for name, letters in sequences.items()
    }
    assert read_two_bit(tmp_path / "g.2bit") == expected


def test_two_bit_of_bgzip(tmp_path):
    bgzf = pytest.importorskip("Bio.bgzf")
    with bgzf.BgzfWriter(str(tmp_path / "g.fa.gz")) as file:
        file.write(b">a\nACGTNNacgt\nTT\n>b\nGGn\n")
    write_two_bit(tmp_path / "g.2bit", open_fasta(tmp_path / "g.fa.gz", tmp_path))
    assert read_two_bit(tmp_path / "g.2bit") == {"a": "ACGTNNacgtTT", "b": "GGn"}


def test_two_bit_refuses_what_it_cannot_hold(tmp_path):
    path = tmp_path / "g.2bit"
    with pytest.raises(SeqcovError, match=r"name of 256 bytes, .* at most 255; shorten it, or"):
        write_two_bit(path, write_and_open(tmp_path, {"x" * 256: "ACGT"}))
    (tmp_path / "g.fa.fai").unlink()
    with pytest.raises(SeqcovError, match=r"g\.fa, contig odd: '!' at position 3"):
        write_two_bit(path, write_and_open(tmp_path, {"ok": "ACGT", "odd": "AC!T"}))
    (tmp_path / "g.fa.fai").unlink()
    fasta = write_and_open(tmp_path, {"short": "ACGT" * 10})
    fasta.path.write_text(">short more\nACGTACG\n")
    os.utime(fasta.path, (0, 0))  # pyfaidx warns of an older index
    with pytest.raises(
        SeqcovError, match="contig short: the sequence ends after 7 bp, but the index says 40"
    ):
        write_two_bit(path, fasta)
