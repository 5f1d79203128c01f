"""Write the bigWigs of one batch of tracks from compressed ranges."""

import time
from pathlib import Path

from seqcov_models.run.job import job_log, log

with job_log(snakemake.log[0]):
    from seqcov_models.run.coverage_outputs import join_batch
    from seqcov_models.run.coverage_plan import CoveragePlan

    start = time.perf_counter()
    join_batch(
        Path(snakemake.output[0]),
        CoveragePlan.load(snakemake.input.plan),
        snakemake.wildcards.batch,
        [Path(file) for file in snakemake.input.ranges],
    )
    log.info("bigwigs %.3f s", time.perf_counter() - start)
