"""Check every checkpoint of a model, or of several models, and write their model cards."""

from seqcov_models.run.job import job_log, list_files

with job_log(snakemake.log[0]):
    from seqcov_models.run.model_cards import write_cards
    from seqcov_models.run.plan import load_plan

    for plan, card in zip(
        list_files(snakemake.input.plan), list_files(snakemake.output), strict=True
    ):
        write_cards(card, load_plan(plan))
