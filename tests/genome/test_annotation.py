"""Reading genes: the formats as their makers write them, and mistakes named in one line."""

# ruff: noqa: E501, the lines are those of real files

import gzip
from pathlib import Path

import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.annotation import Gene, check_annotation, format_bed, read_genes

CONTIGS = {"chr1": 10_000, "chr2": 5_000}

GENCODE_GTF = """\
##description: evidence-based annotation
chr1\tHAVANA\tgene\t101\t900\t.\t+\t.\tgene_id "ENSG1.5"; gene_type "protein_coding"; gene_name "ABC1"; level 2;
chr1\tHAVANA\ttranscript\t101\t900\t.\t+\t.\tgene_id "ENSG1.5"; transcript_id "T1"; gene_name "ABC1";
chr1\tHAVANA\texon\t101\t200\t.\t+\t.\tgene_id "ENSG1.5"; transcript_id "T1"; gene_name "ABC1"; exon_number 1;
chr1\tHAVANA\texon\t501\t900\t.\t+\t.\tgene_id "ENSG1.5"; transcript_id "T1"; gene_name "ABC1"; exon_number 2;
chr1\tHAVANA\tCDS\t151\t200\t.\t+\t0\tgene_id "ENSG1.5"; transcript_id "T1"; gene_name "ABC1";
chr1\tHAVANA\tCDS\t501\t600\t.\t+\t2\tgene_id "ENSG1.5"; transcript_id "T1"; gene_name "ABC1";
chr1\tHAVANA\texon\t151\t250\t.\t+\t.\tgene_id "ENSG1.5"; transcript_id "T2"; gene_name "ABC1"; tag "a"; tag "b";
chr2\tHAVANA\tgene\t1\t50\t.\t-\t.\tgene_id "ENSG2"; gene_type "x";
chrUn_1\tHAVANA\texon\t1\t50\t.\t-\t.\tgene_id "ENSG3"; gene_name "lost";
"""
GENES = [
    Gene("ENSG1.5", "ABC1", "chr1", 100, 900, "+", ((100, 250), (500, 900)), (150, 600)),
    Gene("ENSG2", "ENSG2", "chr2", 0, 50, "-", ((0, 50),), None),
]
ENSEMBL_GFF3 = """\
##gff-version 3
##sequence-region 1 1 10000
1\tEnsembl\tchromosome\t1\t10000\t.\t.\t.\tID=chromosome:1;Alias=chr1
1\thavana\tbiological_region\t5\t50\t0.9\t+\t.\tlogic_name=eponine
1\thavana\tpseudogene\t31\t60\t.\t+\t.\tID=gene:ENSG9
###
1\thavana\texon\t101\t200\t.\t-\t.\tParent=transcript:T1;Name=ENSE1;exon_id=ENSE1
1\thavana\tmRNA\t101\t900\t.\t-\t.\tID=transcript:T1;Parent=gene:ENSG1;Name=ABC-201
1\thavana\tgene\t101\t900\t.\t-\t.\tID=gene:ENSG1;Name=ABC%2C1;biotype=protein_coding
1\thavana\texon\t801\t900\t.\t-\t.\tParent=transcript:T1,transcript:T2
1\thavana\tCDS\t811\t820\t.\t-\t0\tID=CDS:P1;Parent=transcript:T1
##FASTA
>1
ACGT
"""
NCBI_GFF3 = """\
##gff-version 3
NC_1.1\tRefSeq\tregion\t1\t5000\t.\t+\t.\tID=NC_1.1:1..5000;Is_circular=true;gbkey=Src
NC_1.1\tRefSeq\tgene\t190\t255\t.\t+\t.\tID=gene-b0001;Name=thrL;gbkey=Gene;locus_tag=b0001
NC_1.1\tRefSeq\tCDS\t190\t255\t.\t+\t0\tID=cds-1;Parent=gene-b0001;Name=NP_1;gbkey=CDS
NC_1.1\tRefSeq\tgene\t4900\t5100\t.\t+\t.\tID=gene-b2;locus_tag=b0002
NC_1.1\tProdigal\tCDS\t300\t400\t9.1\t-\t0\tID=1_3;partial=00
"""


def write(folder: Path, content: str, name: str = "genes") -> Path:
    path = folder / name
    path.write_text(content)
    return path


def test_gencode_gtf(tmp_path: Path) -> None:
    assert read_genes(write(tmp_path, GENCODE_GTF), CONTIGS) == GENES


def test_ensembl_gff3_with_aliases(tmp_path: Path) -> None:
    genes = read_genes(write(tmp_path, ENSEMBL_GFF3), CONTIGS, {"1": "chr1"})
    assert genes == [
        Gene("gene:ENSG9", "ENSG9", "chr1", 30, 60, "+", ((30, 60),)),
        Gene("gene:ENSG1", "ABC,1", "chr1", 100, 900, "-", ((100, 200), (800, 900)), (810, 820)),
    ]


def test_ncbi_gff3_of_a_circular_genome(tmp_path: Path) -> None:
    path = write(tmp_path, NCBI_GFF3)
    contigs = {"NC_1.1": 5_000}
    check_annotation(path, contigs)
    assert [(gene.name, gene.start, gene.end, gene.coding) for gene in read_genes(path, contigs)] == [
        ("thrL", 189, 255, (189, 255)),
        ("1_3", 299, 400, (299, 400)),
        ("b0002", 4899, 5000, None),
    ]  # fmt: skip


def test_bed_of_every_width_and_gzip(tmp_path: Path) -> None:
    path = tmp_path / "genes.bed.gz"
    lines = ["track name=x\n", *map(format_bed, GENES), "chr1\t3\t9\n", "chr2\t3\t9\tx y\t0\t+\n"]
    path.write_bytes(gzip.compress("".join(lines).encode()))
    genes = read_genes(path, CONTIGS)
    assert [gene for gene in genes if gene.identifier.startswith("ENS")] == GENES
    assert [(g.name, g.start, g.end, g.strand, g.exons) for g in genes if g not in GENES] == [
        ("chr1:4-9", 3, 9, ".", ((3, 9),)),
        ("x y", 3, 9, "+", ((3, 9),)),
    ]


def test_a_circle_of_parents_ends(tmp_path: Path) -> None:
    content = (
        "chr1\t.\tmRNA\t1\t9\t.\t+\t.\tID=a;Parent=b\n"
        "chr1\t.\tmRNA\t1\t9\t.\t+\t.\tID=b;Parent=a\n"
        "chr1\t.\texon\t1\t9\t.\t+\t.\tParent=a\n"
    )
    assert len(read_genes(write(tmp_path, content), CONTIGS)) == 1


def test_a_name_is_cleaned(tmp_path: Path) -> None:
    content = f'chr1\t.\texon\t1\t9\t.\t+\t.\tgene_id "a\x1b[1m{"b" * 500}\u2028c"\n'
    (gene,) = read_genes(write(tmp_path, content), CONTIGS)
    assert gene.name.isprintable()
    assert len(gene.name) == 100


def test_a_file_is_checked_against_the_genome(tmp_path: Path) -> None:
    path = write(tmp_path, GENCODE_GTF)
    annotation = check_annotation(path, CONTIGS)
    assert annotation.path == path
    for _ in range(2):  # read, then remembered
        with pytest.raises(SeqcovError, match=r"line 2: ends at 900, but chr1 has 899 bp"):
            check_annotation(path, {"chr1": 899, "chr2": 50})
        with pytest.raises(SeqcovError, match=r'contig_aliases: {"chr1": "1", "chr2": "2"}'):
            check_annotation(path, {"1": 5_000, "2": 5_000})
    with pytest.raises(SeqcovError, match="no contig 'chr1', nor any other of this file; contigs"):
        check_annotation(path, {"scaffold": 5_000})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "there are no genes"),
        ("# nothing\n", "there are no genes"),
        ("chr1 5 9\n", "neither GTF, GFF3 nor BED"),
        ("x\t.\texon\t5\tb\t.\t+\t.\t\n", "neither GTF, GFF3 nor BED"),
        (GENCODE_GTF + "chr1\t.\texon\t9\t5\t.\t+\t.\tgene_id 1\n", "line 11: 8-5 .* must end"),
        (GENCODE_GTF + "chr1\t.\texon\t9\n", "line 11: .* does not have nine columns"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SeqcovError, match=message):
        check_annotation(write(tmp_path, content), CONTIGS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('chr1\t.\texon\t1\t5\t.\t+\t.\tname "x"\n', "line 1: there is no gene_id"),
        ("chr1\t1\t9\tx\t0\t+\t1\t9\t0\t2\t1,\t0,\n", "line 1: columns 10 to 12 are not"),
    ],
)
def test_a_wrong_gene_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SeqcovError, match=message):
        read_genes(write(tmp_path, content), CONTIGS)
