"""Write the bigWigs of one group of tracks."""

import time
from pathlib import Path

from jobs import log, logged

with logged(snakemake.log[0]):
    from seqcov_models.run.outputs import write_group
    from seqcov_models.run.plan import plan_run

    run = plan_run(snakemake.config)
    plan = run.models[snakemake.wildcards.model]
    began = time.perf_counter()
    write_group(
        Path(snakemake.output[0]),
        plan.name,
        plan.groups[snakemake.wildcards.group],
        list(zip(map(Path, snakemake.input.chunks), plan.chunks.values(), strict=True)),
        run.fasta.contigs,
        plan.tiling,
        plan.unit_of,
    )
    log.info("Seconds(bigwigs=%.3f)", time.perf_counter() - began)
