# Results of the run as a whole: the table of tracks, browser files, and the provenance.


rule write_track_table:
    input:
        tables=tables_of_run,
        plan=plan_of_run,
        models=plans_of_models,
    output:
        report(
            paths.track_table,
            caption="../report/tracks.rst",
            category="Tracks",
            labels={"table": "all tracks", "genome": config["genome"]["name"]},
        ),
    log:
        f"{LOGS}/write_track_table.log",
    localrule: True
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=run.table_digest,
    script:
        "../../scripts/write_track_table.py"


# Hubs of UCSC and WashU, a session of IGV desktop and a configuration of JBrowse 2.
rule write_browser_files:
    input:
        tracks=rules.write_track_table.output[0],
        peaks=[paths.peaks(name) for name in run.profiles],
        genes=[paths.genes, paths.genes_bigbed] if run.annotation else [],
        peak_tables=[paths.peak_table(name) for name in run.profiles],
        observed=observed_folders,
        fasta=ancient(run.fasta.path),
        plan=plan_of_run,
    output:
        hub=paths.hub,
        pages=directory(paths.hub_pages),
        peaks=[paths.peaks_bigbed(name) for name in run.profiles],
        igv=paths.igv_session,
        jbrowse=paths.jbrowse_config,
        # the browser of WashU shows a hub along an assembly that it knows
        washu=paths.washu_hub if config["genome"]["assembly"] else [],
        aliases=(
            [paths.aliases, paths.igv_genome]
            if config["genome"]["contig_aliases"]
            else []
        ),
        # the hub of an assembly that UCSC does not know contains the sequence
        two_bit=[] if config["genome"]["assembly"] else paths.two_bit,
    log:
        f"{LOGS}/write_browser_files.log",
    localrule: True
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=run.browser_digest,
    script:
        "../../scripts/write_browser_files.py"


rule write_provenance:
    input:
        tracks=rules.write_track_table.output[0],
        cards=[paths.card(name) for name in [*run.models, *run.profiles]],
        peaks=ancient(
            [file for plan in run.profiles.values() for file in plan.peak_files]
        ),
        fasta=ancient(run.fasta.path),
        plan=plan_of_run,
        models=plans_of_models,
    output:
        paths.provenance,
    log:
        f"{LOGS}/write_provenance.log",
    localrule: True
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=run.provenance_digest,
    script:
        "../../scripts/write_provenance.py"
