"""Join the profiles of all windows into one file."""

from pathlib import Path

from jobs import logged

with logged(snakemake.log[0]):
    from seqcov_models.run.outputs import write_windows
    from seqcov_models.run.plan import plan_run

    run = plan_run(snakemake.config)
    plan = run.profiles[snakemake.wildcards.profile]
    windows, _ = plan.chunks(Path(snakemake.input.peaks), run.fasta.contigs)
    write_windows(
        Path(snakemake.output[0]),
        list(map(Path, snakemake.input.windows)),
        plan.config.tasks,
        plan.config.num_strands,
        windows,
        plan.geometry,
        list(run.fasta.contigs),
    )
