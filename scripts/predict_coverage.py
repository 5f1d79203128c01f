"""Predict the windows of one chunk of a model, or of several models."""

from pathlib import Path

from seqcov_models.run.job import job_log, list_files, log

with job_log(snakemake.log[0]):
    from seqcov_models.run.coverage_plan import CoveragePlan
    from seqcov_models.run.predict import predict_coverage_chunk
    from seqcov_models.run.shared_jobs import Share, write_shares

    plans = [CoveragePlan.load(plan) for plan in list_files(snakemake.input.plan)]
    chunk = snakemake.wildcards.chunk

    def predict(number: int, files: list[Path]) -> None:
        seconds, device = predict_coverage_chunk(
            plans[number],
            chunk,
            *files,
            device=snakemake.resources.device,
            threads=snakemake.threads,
            batch_size=snakemake.resources.batch_size,
        )
        name = plans[number].name
        log.info("%s on %s with %d threads: %s", name, device, snakemake.threads, seconds)

    shares = [
        Share([file], plan.chunk_identity(chunk))
        for plan, file in zip(plans, list_files(snakemake.output), strict=True)
    ]
    write_shares(shares, predict)
