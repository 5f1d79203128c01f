"""Write genes for genome browsers: BED12 and bigBed."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from seqcov_models.errors import SeqcovError
from seqcov_models.files import write_atomically, write_text
from seqcov_models.genome.annotation import Gene, format_bed, read_genes

log = logging.getLogger("seqcov")

GENE_FIELDS = """\
table genes
"Genes with the exons of all of their transcripts"
    (
    string chrom;      "Contig"
    uint   chromStart; "Start"
    uint   chromEnd;   "End"
    string name;       "Name of the gene"
    uint   score;      "Not used"
    char[1] strand;    "+, - or ."
    uint   thickStart; "Start of the coding sequence"
    uint   thickEnd;   "End of the coding sequence"
    uint   reserved;   "Not used"
    int    blockCount; "Number of exons"
    int[blockCount] blockSizes;  "Sizes of the exons"
    int[blockCount] chromStarts; "Starts of the exons, from the gene's start"
    string identifier; "Identifier in the annotation"
    )
"""
"""The fields of the bigBed, in UCSC's autoSql: `bigBed 12 +`."""


def write_gene_files(
    annotation: Path,
    contigs: Mapping[str, int],
    aliases: Mapping[str, str],
    *,
    bed: Path,
    bigbed: Path,
) -> None:
    """Write the genes of an annotation as BED12 and as bigBed.

    Args:
        annotation: GTF, GFF3 or BED, plain or gzip.
        contigs: Lengths in bp by name.
        aliases: The FASTA's name of a contig by the name used in the file.
        bed: The BED to write, with a thirteenth column: the gene's identifier.
        bigbed: The bigBed to write, with the same rows.

    Raises:
        SeqcovError: If a line is wrong, or no gene lies on `contigs`.
    """
    genes = read_genes(annotation, contigs, aliases)
    if not genes:
        raise SeqcovError(
            f"annotation {annotation}: no gene lies on a contig of the FASTA; name another file, or"
            " leave out genome.annotation"
        )
    log.info("%s genes of %s", f"{len(genes):,}", annotation)
    with write_atomically(bigbed) as partial_file:
        write_bigbed(partial_file, genes, contigs)
    write_text(bed, "".join(map(format_bed, genes)))


def write_bigbed(path: Path, genes: Sequence[Gene], contigs: Mapping[str, int]) -> None:
    """Write genes as a bigBed of twelve fields and their identifier.

    Args:
        path: The file.
        genes: The genes, in the order of `contigs`.
        contigs: Lengths in bp by name.
    """
    import pybigtools

    order = sorted(contigs)  # as the format's index of contigs
    by_contig: dict[str, list[Gene]] = {contig: [] for contig in order}
    for gene in genes:
        by_contig[gene.contig].append(gene)
    rows = (
        (gene.contig, gene.start, gene.end, format_bed(gene).rstrip("\n").split("\t", 3)[3])
        for contig in order
        for gene in by_contig[contig]
    )
    with TemporaryDirectory() as folder:
        link = Path(folder, "x.bb")  # the library takes the format from the name's ending
        link.symlink_to(path.absolute())
        pybigtools.open(str(link), "w").write(dict(contigs), rows, autosql=GENE_FIELDS)
