"""Write the table of the agreement of predicted and measured tracks."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.report.agreement_files import write_agreement_table
    from seqcov_models.run.plan import SharedPlan

    plan = SharedPlan.load(snakemake.input.plan)
    agreements = [Path(file) for file in snakemake.input.agreements]
    write_agreement_table(Path(snakemake.output[0]), plan.observed, agreements)
