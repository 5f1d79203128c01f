"""Predict the windows of one chunk."""

from pathlib import Path

from seqcov_models.run.job import job_log, log

with job_log(snakemake.log[0]):
    from seqcov_models.run.coverage_plan import CoveragePlan
    from seqcov_models.run.predict import predict_coverage_chunk

    seconds, device = predict_coverage_chunk(
        CoveragePlan.load(snakemake.input.plan),
        snakemake.wildcards.chunk,
        Path(snakemake.output[0]),
        device=snakemake.resources.device,
        threads=snakemake.threads,
        batch_size=snakemake.resources.batch_size,
    )
    log.info("on %s with %d threads: %s", device, snakemake.threads, seconds)
