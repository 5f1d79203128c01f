"""Write which bins' windows were partly N or beyond the contig."""

from pathlib import Path

from jobs import logged

with logged(snakemake.log[0]):
    from seqcov_models.run.outputs import write_mask
    from seqcov_models.run.plan import plan_run

    run = plan_run(snakemake.config)
    plan = run.models[snakemake.wildcards.model]
    chunks = list(zip(map(Path, snakemake.input.chunks), plan.chunks.values(), strict=True))
    write_mask(Path(snakemake.output[0]), chunks, run.fasta.contigs, plan.tiling)
