"""Write the table of predictions per peak."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.run.profile_outputs import write_peak_table
    from seqcov_models.run.profile_plan import ProfilePlan

    plan = ProfilePlan.load(snakemake.input.plan)
    peaks = Path(snakemake.input.peaks)
    write_peak_table(
        Path(snakemake.output[0]),
        peaks,
        [Path(file) for file in snakemake.input.statistics],
        plan.statistics,
        plan.uses_peak_strand,
        plan.chunk_identities(peaks),
    )
