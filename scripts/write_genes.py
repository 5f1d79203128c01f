"""Write the genes of the annotation as the browsers and the table of genes read them."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.browsers.genes import write_gene_files
    from seqcov_models.run.plan import SharedPlan

    plan = SharedPlan.load(snakemake.input.plan)
    write_gene_files(
        Path(snakemake.input.annotation),
        plan.fasta.contigs,
        plan.config["genome"]["contig_aliases"],
        bed=Path(snakemake.output.bed),
        bigbed=Path(snakemake.output.bigbed),
    )
