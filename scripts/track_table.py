"""Join the tables of all groups of tracks into one."""

from pathlib import Path

from jobs import logged

with logged(snakemake.log[0]):
    from seqcov_models.run.outputs import join_tables

    join_tables(map(Path, snakemake.input), Path(snakemake.output[0]))
