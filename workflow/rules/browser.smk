# What genome browsers open: a UCSC hub in one file and a session of IGV desktop.


rule browsers:
    input:
        tracks=rules.track_table.output[0],
        peaks=expand(rules.peaks.output, profile=run.profiles),
        fasta=run.fasta.path,
    output:
        hub=f"{run.folder}/hub.txt",
        igv=f"{run.folder}/igv_session.xml",
        # UCSC does not know an assembly without a name there: the hub then carries the sequence
        two_bit=[] if config["genome"]["assembly"] else f"{run.folder}/genome.2bit",
    log:
        f"{LOGS}/browsers.log",
    localrule: True
    conda:
        "../../envs/seqcov.yaml"
    params:
        genome=config["genome"],
    script:
        "../../scripts/browsers.py"


rule provenance:
    input:
        tracks=rules.track_table.output[0],
        models=expand(
            f"{run.folder}/{{name}}/model.json", name=[*run.models, *run.profiles]
        ),
        peaks=lambda wildcards: [
            file for plan in run.profiles.values() for file in plan.peak_files
        ],
        fasta=run.fasta.path,
    output:
        f"{run.folder}/provenance.json",
    log:
        f"{LOGS}/provenance.log",
    localrule: True
    conda:
        "../../envs/seqcov.yaml"
    params:
        config=lambda wildcards: config,
    script:
        "../../scripts/provenance.py"
