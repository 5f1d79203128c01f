"""Genes for genome browsers: what two readers find in the bigBed and the BED."""

from pathlib import Path

import pybigtools
import pyBigWig
import pytest

from seqcov_models.browsers.genes import write_gene_files
from seqcov_models.errors import SeqcovError
from seqcov_models.genome.annotation import format_bed, read_genes
from seqcov_models.genome.fasta import open_fasta
from support.data import REPOSITORY

ANNOTATION = REPOSITORY / "demo" / "genes.gtf"


def test_readers_find_the_genes_of_the_demo(tmp_path: Path) -> None:
    contigs = open_fasta(REPOSITORY / "demo" / "genome.fa", tmp_path).contigs
    bed, bigbed = tmp_path / "genes.bed", tmp_path / "genes.bb"
    write_gene_files(ANNOTATION, contigs, {}, bed=bed, bigbed=bigbed)
    genes = read_genes(ANNOTATION, contigs)
    assert len(genes) == ANNOTATION.read_text().count("\tgene\t") > 50
    assert read_genes(bed, contigs) == genes
    with pyBigWig.open(str(bigbed)) as file, pybigtools.open(str(bigbed)) as second:
        assert file.isBigBed()
        assert file.chroms() == {gene.contig: contigs[gene.contig] for gene in genes}
        for contig in file.chroms():
            expected = [format_bed(gene).rstrip("\n").split("\t", 3) for gene in genes]
            rows = [(int(a), int(b), rest) for name, a, b, rest in expected if name == contig]
            assert file.entries(contig, 0, contigs[contig]) == rows
            assert [(a, b, "\t".join(cells)) for a, b, *cells in second.records(contig)] == rows
        assert b"identifier" in file.SQL()


def test_no_gene_on_the_genome_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SeqcovError, match="no gene lies on a contig"):
        write_gene_files(ANNOTATION, {"x": 9}, {}, bed=tmp_path / "b", bigbed=tmp_path / "bb")
