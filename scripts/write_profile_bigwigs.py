"""Write the bigWigs of one task of a model of profiles."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.run.finished import write_seal
    from seqcov_models.run.profile_outputs import write_profile_bigwigs
    from seqcov_models.run.profile_plan import ProfilePlan

    plan, table = ProfilePlan.load(snakemake.input.plan), Path(snakemake.output.table)
    write_profile_bigwigs(
        {strand: Path(file) for strand, file in snakemake.output.items() if strand != "table"},
        table,
        plan,
        snakemake.wildcards.task,
        Path(snakemake.input.peaks),
        [Path(file) for file in snakemake.input.chunks],
    )
    write_seal(table, plan.bigwig_digest)
