"""Write what was predicted for each peak."""

from pathlib import Path

from jobs import logged

with logged(snakemake.log[0]):
    from seqcov_models.peaks.windows import statistics_of
    from seqcov_models.run.outputs import write_peak_table
    from seqcov_models.run.plan import plan_run

    plan = plan_run(snakemake.config).profiles[snakemake.wildcards.profile]
    write_peak_table(
        Path(snakemake.output[0]),
        Path(snakemake.input.peaks),
        list(map(Path, snakemake.input.tables)),
        statistics_of(list(plan.tasks), plan.config.num_strands, plan.config.joint_strands),
        plan.by_strand,
    )
