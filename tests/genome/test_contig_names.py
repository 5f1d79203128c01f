"""Hints at contigs in another naming scheme."""

import pytest

from seqcov_models.genome.regions import suggest_contigs

HUMAN = [f"chr{name}" for name in [*range(1, 23), "X", "Y", "M"]]
ENSEMBL = [str(name) for name in [*range(1, 23), "X", "Y", "MT"]]
YEAST = [f"chr{roman}" for roman in ("I", "II", "III", "IV", "V", "IX", "X", "XII")] + ["chrmt"]
YEAST_NUMBERS = [f"chr{number}" for number in range(1, 17)] + ["chrM"]


@pytest.mark.parametrize(
    ("name", "contigs", "contig"),
    [
        ("1", HUMAN, "chr1"),
        ("chr1", ENSEMBL, "1"),
        ("CHR1", HUMAN, "chr1"),
        ("chr22", ENSEMBL, "22"),
        ("X", HUMAN, "chrX"),
        ("chrX", ENSEMBL, "X"),
        ("chrY", ENSEMBL, "Y"),
        ("chrM", ENSEMBL, "MT"),
        ("MT", HUMAN, "chrM"),
        ("chrMT", HUMAN, "chrM"),
        ("MT", YEAST, "chrmt"),
        ("chr1", YEAST, "chrI"),
        ("4", YEAST, "chrIV"),
        ("chr10", YEAST, "chrX"),
        ("IV", YEAST, "chrIV"),
        ("chrIX", YEAST_NUMBERS, "chr9"),
        ("chrX", YEAST_NUMBERS, "chr10"),
        ("X", YEAST, "chrX"),
    ],
)
def test_a_contig_in_another_naming_scheme_is_found(
    name: str, contigs: list[str], contig: str
) -> None:
    assert f"'{contig}'" in suggest_contigs(name, contigs)


def test_the_hint_at_a_mistyped_contig_is_the_similar_name() -> None:
    assert "scaffold_12" in suggest_contigs("scafold_12", ["scaffold_12", "chrM"])


def test_the_hint_at_a_strange_contig_is_the_first_names() -> None:
    message = suggest_contigs("zzz", [f"ctg{number}" for number in range(1000)])
    assert "ctg0" in message
    assert len(message) < 200
