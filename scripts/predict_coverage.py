"""Predict the windows of one chunk of a model, or of several models."""

from pathlib import Path

from seqcov_models.run.job import job_log, list_files, log

with job_log(snakemake.log[0]):
    from seqcov_models.run.coverage_plan import CoveragePlan
    from seqcov_models.run.paths import Paths
    from seqcov_models.run.shared_jobs import Share, write_shares

    documents = list_files(snakemake.input.plan)
    plans, paths = list(map(CoveragePlan.load, documents)), Paths.from_plan(documents[0])
    chunk = snakemake.wildcards.chunk

    def write(number: int, files: list[Path]) -> None:
        plan = plans[number]
        if plan.count_predicted(plan.find_set(chunk), chunk):
            from seqcov_models.run.predict import predict_coverage_chunk

            seconds, device = predict_coverage_chunk(
                plan,
                chunk,
                *files,
                paths,
                device=snakemake.resources.device,
                threads=snakemake.threads,
                batch_size=snakemake.resources.batch_size,
            )
            log.info("%s on %s with %d threads: %s", plan.name, device, snakemake.threads, seconds)
        else:
            from seqcov_models.run.coverage_chunk import copy_coverage_chunk

            seconds = copy_coverage_chunk(plan, chunk, *files, paths)
            log.info("%s copied from earlier bigWigs: %s", plan.name, seconds)

    shares = [
        Share([file], plan.chunk_identity(chunk))
        for plan, file in zip(plans, list_files(snakemake.output), strict=True)
    ]
    write_shares(shares, write)
