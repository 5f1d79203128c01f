"""Write the files that genome browsers open: a UCSC hub and a session of IGV desktop."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.browsers.files import write_browser_files
    from seqcov_models.run.plan import SharedPlan
    from seqcov_models.run.track_table import read_table

    plan = SharedPlan.load(snakemake.input.plan)
    write_browser_files(
        plan.fasta,
        plan.config["genome"]["name"],
        plan.config["genome"]["assembly"],
        plan.view,
        read_table(Path(snakemake.input.tracks)),
        [Path(peaks) for peaks in snakemake.input.peaks],
        hub=Path(snakemake.output.hub),
        igv_session=Path(snakemake.output.igv),
        two_bit=Path(snakemake.output.two_bit) if snakemake.output.two_bit else None,
        show=plan.config["browsers"]["show"],
        email=plan.config["browsers"]["email"],
    )
