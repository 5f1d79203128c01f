# What genome browsers open: a UCSC hub in one file and a session of IGV desktop.


rule browsers:
    input:
        tracks=rules.track_table.output,
        fasta=run.fasta.path,
    output:
        hub=f"{run.folder}/hub.txt",
        igv=f"{run.folder}/igv_session.xml",
    log:
        f"{LOGS}/browsers.log",
    conda:
        "../../envs/seqcov.yaml"
    params:
        genome=config["genome"],
    localrule: True
    script:
        "../../scripts/browsers.py"


rule provenance:
    input:
        tracks=rules.track_table.output,
        models=expand(f"{MODEL}/model.json", model=run.models),
        fasta=run.fasta.path,
    output:
        f"{run.folder}/provenance.json",
    log:
        f"{LOGS}/provenance.log",
    conda:
        "../../envs/seqcov.yaml"
    localrule: True
    script:
        "../../scripts/provenance.py"
