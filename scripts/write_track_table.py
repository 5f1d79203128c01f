"""Write the table of all bigWigs of the run."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.run.plan import load_run
    from seqcov_models.run.run_table import write_run_table

    write_run_table(Path(snakemake.output[0]), load_run(snakemake.input.plan))
