"""Check every checkpoint of a model, and write their model cards."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.run.model_cards import write_cards
    from seqcov_models.run.plan import load_plan

    write_cards(Path(snakemake.output[0]), load_plan(snakemake.input.plan))
