"""Predict the windows of one chunk."""

from pathlib import Path

from seqcov_models.run.job import job_log, log

with job_log(snakemake.log[0]):
    from seqcov_models.run.coverage_plan import CoveragePlan
    from seqcov_models.run.paths import Paths

    document, chunk = Path(snakemake.input.plan), snakemake.wildcards.chunk
    plan, paths = CoveragePlan.load(document), Paths.from_plan(document)
    if plan.count_predicted(plan.find_set(chunk), chunk):
        from seqcov_models.run.predict import predict_coverage_chunk

        seconds, device = predict_coverage_chunk(
            plan,
            chunk,
            Path(snakemake.output[0]),
            paths,
            device=snakemake.resources.device,
            threads=snakemake.threads,
            batch_size=snakemake.resources.batch_size,
        )
        log.info("on %s with %d threads: %s", device, snakemake.threads, seconds)
    else:
        from seqcov_models.run.coverage_chunk import copy_coverage_chunk

        seconds = copy_coverage_chunk(plan, chunk, Path(snakemake.output[0]), paths)
        log.info("copied from earlier bigWigs: %s", seconds)
