"""Compare a predicted track with a measured one."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.report.agreement_files import write_agreement
    from seqcov_models.run.plan import SharedPlan

    plan = SharedPlan.load(snakemake.input.plan)
    wanted = snakemake.wildcards.model, snakemake.wildcards.track
    (track,) = (track for track in plan.observed if (track.model, track.name) == wanted)
    write_agreement(
        Path(snakemake.output[0]),
        track,
        plan.fasta.contigs,
        plan.config["genome"]["contig_aliases"],
        [Path(file) for file in snakemake.input.peaks],
    )
