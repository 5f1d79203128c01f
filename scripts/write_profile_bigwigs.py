"""Write the bigWigs of one task of a model of profiles."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.run.profile_outputs import write_profile_bigwigs
    from seqcov_models.run.profile_plan import ProfilePlan

    write_profile_bigwigs(
        {strand: Path(file) for strand, file in snakemake.output.items() if strand != "table"},
        Path(snakemake.output.table),
        ProfilePlan.load(snakemake.input.plan),
        snakemake.wildcards.task,
        Path(snakemake.input.peaks),
        [Path(file) for file in snakemake.input.chunks],
    )
