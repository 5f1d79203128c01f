"""Refuse what the formats of the results cannot hold, before anything is predicted."""

from seqcov_models.bigwig.layout import check_contigs
from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Fasta
from seqcov_models.genome.two_bit import check_two_bit


def check_genome(fasta: Fasta, assembly: str | None) -> None:
    """Check that BED files, bigWigs and the .2bit file of a run can hold a genome.

    Args:
        fasta: The genome.
        assembly: UCSC's name of the assembly; None if a .2bit file is written.

    Raises:
        SeqcovError: If a contig has a name or a length that a format cannot hold, or if the genome
            is too large for a .2bit file.
    """
    for name in fasta.contigs:
        if name in ("track", "browser") or name.startswith("#"):
            raise SeqcovError(
                f"FASTA {fasta.path}: contig {name!r}: in a BED file, lines that begin so are"
                " comments or settings; rename the contig"
            )
    try:
        check_contigs(fasta.contigs)
        if assembly is None:
            check_two_bit(fasta.contigs)
    except SeqcovError as error:
        raise SeqcovError(f"FASTA {fasta.path}: {error}") from None
