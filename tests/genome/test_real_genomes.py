"""Four real genomes against their text."""

import gzip
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from seqcov_models.genome.fasta import open_fasta
from support.fasta import fetch_letters, open_genome, spell_interval


def parse_fasta(path: Path) -> dict[str, str]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    records = [record.partition("\n") for record in text.split(">")[1:]]
    return {head.split()[0]: body.replace("\n", "") for head, _, body in records}


@pytest.mark.parametrize(
    ("name", "contigs", "bases"),
    [
        ("bacterial_draft_78_contigs_iupac.fna.gz", 78, None),
        ("hg19_short_contigs_masked.fa", 2, None),
        ("sacCer3.fa.gz", 17, 12_157_105),
        ("hg38_chr1_1Mb.fa.gz", 1, 1_000_000),
    ],
)
def test_a_real_genome_is_read_like_its_text(
    name: str, contigs: int, bases: int | None, real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    source = real_input(f"genomes/{name}")
    (tmp_path / name).symlink_to(source)  # so that no index is written beside the original
    sequences = parse_fasta(source)
    fasta = open_fasta(tmp_path / name, tmp_path / "out")
    assert fasta.contigs == {contig: len(text) for contig, text in sequences.items()}
    assert len(fasta.contigs) == contigs
    assert bases in (None, sum(fasta.contigs.values()))
    rng = random.Random(3)
    with open_genome(fasta) as genome:
        for contig, text in sequences.items():
            ambiguous = [match.start() for match in re.finditer("[^ACGTacgtNn]", text)][:3]
            for centre in (0, len(text), rng.randrange(len(text)), *ambiguous):
                start, end = centre - 150, centre + 150
                assert fetch_letters(genome, contig, start, end) == spell_interval(text, start, end)


def test_the_bacterial_draft_holds_ambiguous_letters(real_input: Callable[[str], Path]) -> None:
    sequences = parse_fasta(real_input("genomes/bacterial_draft_78_contigs_iupac.fna.gz"))
    assert any(re.search("[RYSWKMBDHV]", text) for text in sequences.values())
