"""Write the regions whose input window contained N or ran past the contig end."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.run.coverage_outputs import write_mask
    from seqcov_models.run.coverage_plan import CoveragePlan

    plan = CoveragePlan.load(snakemake.input.plan)
    write_mask(Path(snakemake.output[0]), plan, Path(snakemake.input.folder))
