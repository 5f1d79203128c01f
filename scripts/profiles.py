"""Write the bigWigs of one of a BPNet's tasks."""

from pathlib import Path

from jobs import logged

with logged(snakemake.log[0]):
    from seqcov_models.run.outputs import write_task
    from seqcov_models.run.plan import plan_run

    run = plan_run(snakemake.config)
    plan = run.profiles[snakemake.wildcards.profile]
    files = {what: Path(path) for what, path in snakemake.output.items()}
    _, chunks = plan.chunks(Path(snakemake.input.peaks), run.fasta.contigs)
    segments = [chunk.segments for chunk in chunks]
    write_task(
        files,
        files.pop("table"),
        plan.name,
        *plan.tasks[snakemake.wildcards.task],
        list(zip(map(Path, snakemake.input.chunks), segments, strict=True)),
        run.fasta.contigs,
        plan.unit,
        snakemake.params.negative_minus,
    )
