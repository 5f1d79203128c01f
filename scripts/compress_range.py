"""Compress the chunks of one range."""

import time
from pathlib import Path

from seqcov_models.run.job import job_log, log

with job_log(snakemake.log[0]):
    from seqcov_models.run.coverage_plan import CoveragePlan
    from seqcov_models.run.range_files import write_range

    start = time.perf_counter()
    write_range(
        CoveragePlan.load(snakemake.input.plan),
        snakemake.wildcards.range,
        [Path(file) for file in snakemake.input.chunks],
        [Path(file) for file in snakemake.output],
        snakemake.threads,
    )
    log.info("bigwigs %.3f s", time.perf_counter() - start)
