"""Write the files that genome browsers open: hubs, sessions of IGV desktop and JBrowse."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.browsers.files import (
        BrowserGenome,
        find_view,
        write_aliases,
        write_hub,
        write_igv_genome,
        write_igv_session,
        write_jbrowse_config,
        write_washu_hub,
    )
    from seqcov_models.browsers.observed import add_observed
    from seqcov_models.run.paths import Paths
    from seqcov_models.run.plan import SharedPlan
    from seqcov_models.run.track_table import read_table

    plan = SharedPlan.load(snakemake.input.plan)
    section, browsers = plan.config["genome"], plan.config["browsers"]
    genes = [Path(file) for file in snakemake.input.genes]  # BED and bigBed, or none
    folder = Path(snakemake.input.tracks).parent
    table = read_table(Path(snakemake.input.tracks))
    rows = add_observed(table, plan.observed, Paths(folder))
    view = (
        None if browsers["locus"] else find_view(rows, folder, plan.fasta.contigs, browsers["show"])
    )
    genome = BrowserGenome(
        plan.fasta,
        section["name"],
        section["assembly"],
        view or plan.view,
        *(genes or [None, None]),
        *map(Path, snakemake.output.aliases),
    )
    if genome.aliases:
        write_aliases(genome.aliases, section["contig_aliases"])
        write_igv_genome(genome)
    peaks, tables = map(Path, snakemake.input.peaks), map(Path, snakemake.input.peak_tables)
    files = zip(peaks, tables, map(Path, snakemake.output.peaks), strict=True)
    peaks_of_models = dict(zip(plan.profiles, files, strict=True))
    write_hub(
        genome,
        rows,
        browsers,
        peaks_of_models,
        hub=Path(snakemake.output.hub),
        pages=Path(snakemake.output.pages),
        two_bit=Path(snakemake.output.two_bit) if snakemake.output.two_bit else None,
        networks={name: entry["architecture"] for name, entry in plan.config["models"].items()},
    )
    bigbeds = {model: bigbed for model, (*_, bigbed) in peaks_of_models.items()}
    write_igv_session(Path(snakemake.output.igv), genome, rows, browsers, bigbeds)
    write_jbrowse_config(Path(snakemake.output.jbrowse), genome, rows, browsers, bigbeds)
    if snakemake.output.washu:
        write_washu_hub(Path(snakemake.output.washu), genome, rows, browsers)
