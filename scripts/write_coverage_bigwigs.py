"""Write the bigWigs of one group of tracks."""

import time
from pathlib import Path

from seqcov_models.run.job import job_log, log

with job_log(snakemake.log[0]):
    from seqcov_models.run.coverage_outputs import write_coverage_bigwigs
    from seqcov_models.run.coverage_plan import CoveragePlan

    start = time.perf_counter()
    write_coverage_bigwigs(
        Path(snakemake.output[0]),
        CoveragePlan.load(snakemake.input.plan),
        snakemake.wildcards.group,
        [Path(file) for file in snakemake.input.files],
    )
    log.info("bigwigs %.3f s", time.perf_counter() - start)
