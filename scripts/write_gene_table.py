"""Write the table of genes and tracks."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.genome.annotation import read_genes
    from seqcov_models.report.gene_table import write_gene_table
    from seqcov_models.run.plan import load_run
    from seqcov_models.run.track_table import read_table

    run = load_run(snakemake.input.plan)
    write_gene_table(
        Path(snakemake.output[0]),
        run,
        read_table(Path(snakemake.input.tracks)),
        read_genes(Path(snakemake.input.genes), run.fasta.contigs),
        run.config["genes"]["statistic"],
        snakemake.threads,
    )
