"""Join the profiles of all windows into one file."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.run.profile_outputs import write_profile_windows
    from seqcov_models.run.profile_plan import ProfilePlan

    plan = ProfilePlan.load(snakemake.input.plan)
    peaks = Path(snakemake.input.peaks)
    windows, _ = plan.chunks(peaks)
    write_profile_windows(
        Path(snakemake.output[0]),
        [Path(file) for file in snakemake.input.windows],
        plan.config.tasks,
        plan.config.num_strands,
        windows,
        plan.geometry,
        list(plan.fasta.contigs),
        plan.chunk_identities(peaks),
    )
