# The page that shows the tracks in a web browser: `seqcov serve results/{genome}`.


rule write_page:
    input:
        tracks=rules.write_track_table.output[0],
        peaks=[paths.peaks_bigbed(name) for name in run.profiles],
        genes=paths.genes if run.annotation else [],
        observed=observed_folders,
        two_bit=[] if config["genome"]["assembly"] else paths.two_bit,
        aliases=paths.aliases if config["genome"]["contig_aliases"] else [],
        plan=plan_of_run,
    output:
        page=paths.page,
        script=paths.page_script,
        sizes=paths.sizes,
    log:
        f"{LOGS}/write_page.log",
    localrule: True
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=[run.browser_digest, run.annotation_digest],
    script:
        "../../scripts/write_page.py"
