"""Refuse what the formats of the results cannot hold, before anything is predicted."""

import time
from datetime import datetime

from seqcov_models.bigwig.layout import check_contigs
from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Fasta
from seqcov_models.genome.two_bit import check_two_bit
from seqcov_models.run.plan import RunPlan

SLACK = 5.0
"""Seconds by which a clock may be ahead."""


def check_dates(run: RunPlan) -> None:
    """Check that no input of a run is dated in the future.

    Snakemake fails after the first job that reads such a file, and would run it again each time.

    Args:
        run: The plan.

    Raises:
        SeqcovError: If a file is dated in the future.
    """
    plans = [*run.models.values(), *run.profiles.values()]
    weights = [file for plan in plans for fold in plan.folds for file in fold.files]
    peaks = [file for plan in run.profiles.values() for file in plan.peak_files]
    annotation = [run.annotation.path] if run.annotation else []
    for file in (run.fasta.path, *weights, *peaks, *annotation):
        if (modified := file.stat().st_mtime) > time.time() + SLACK:
            date = datetime.fromtimestamp(modified).isoformat(" ", timespec="seconds")
            raise SeqcovError(
                f"{file} is dated {date}, in the future: results would look older than their input;"
                f" run `touch {file}`, or correct the clock of the machine that wrote it"
            )


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
