"""Write the report of a run and its pictures."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.report.page import write_report
    from seqcov_models.run.plan import load_run

    write_report(
        Path(snakemake.output.page),
        Path(snakemake.output.pictures),
        load_run(snakemake.input.plan),
        agreements=[Path(file) for file in snakemake.input.agreements],
        genes=Path(snakemake.input.genes) if snakemake.input.genes else None,
        logs=Path(snakemake.params.logs),
    )
