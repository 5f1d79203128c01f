"""Write the page that shows the tracks in a web browser."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.browsers.observed import add_observed
    from seqcov_models.browsers.page import write_page
    from seqcov_models.run.paths import Paths
    from seqcov_models.run.plan import SharedPlan
    from seqcov_models.run.track_table import read_table

    plan = SharedPlan.load(snakemake.input.plan)
    paths = Paths.from_config(plan.config)
    write_page(
        paths.folder,
        plan.config["genome"]["name"],
        plan.fasta.contigs,
        add_observed(read_table(Path(snakemake.input.tracks)), plan.observed, paths),
        plan.view if plan.config["browsers"]["locus"] else None,
        [Path(peaks) for peaks in snakemake.input.peaks],
        Path(snakemake.input.genes) if snakemake.input.genes else None,
        page=Path(snakemake.output.page),
        script=Path(snakemake.output.script),
        sizes=Path(snakemake.output.sizes),
        two_bit=Path(snakemake.input.two_bit) if snakemake.input.two_bit else None,
        aliases=Path(snakemake.input.aliases) if snakemake.input.aliases else None,
        show=plan.config["browsers"]["show"],
    )
