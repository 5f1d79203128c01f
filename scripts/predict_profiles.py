"""Predict the windows of one job at a model's peaks."""

from pathlib import Path

from seqcov_models.run.job import job_log, log

with job_log(snakemake.log[0]):
    from seqcov_models.run.predict import predict_profile_chunk
    from seqcov_models.run.profile_plan import ProfilePlan

    seconds, device = predict_profile_chunk(
        ProfilePlan.load(snakemake.input.plan),
        int(snakemake.wildcards.chunk),
        Path(snakemake.input.peaks),
        [Path(file) for file in snakemake.output],
        device=snakemake.resources.device,
        threads=snakemake.threads,
        batch_size=snakemake.resources.batch_size,
    )
    log.info("on %s with %d threads: %s", device, snakemake.threads, seconds)
