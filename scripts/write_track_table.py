"""Join the tables of all groups and tasks into one."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.run.track_table import join_tables

    join_tables([Path(table) for table in snakemake.input], Path(snakemake.output[0]))
