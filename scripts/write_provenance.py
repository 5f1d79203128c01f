"""Write the provenance of a run's results."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.run.plan import load_run
    from seqcov_models.run.provenance import write_provenance

    write_provenance(
        Path(snakemake.output[0]),
        load_run(snakemake.input.plan),
        [Path(card) for card in snakemake.input.cards],
        [Path(file) for file in snakemake.input.peaks],
    )
