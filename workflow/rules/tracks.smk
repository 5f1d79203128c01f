# Chunks to bigWigs, one job a group of tracks, and the table of all tracks.


rule bigwigs:
    input:
        chunks=chunks_of,
        plan=rules.plan.output.table,
    output:
        directory(f"{MODEL}/tracks/{{group}}"),
    log:
        f"{LOGS}/bigwigs/{{model}}.{{group}}.log",
    benchmark:
        f"{LOGS}/bigwigs/{{model}}.{{group}}.benchmark.tsv"
    conda:
        "../../envs/seqcov.yaml"
    params:
        rows=lambda wildcards: [
            (row, track.identifier, track.file_name)
            for row, track in model_of(wildcards).groups[wildcards.group]
        ],
        version=__version__,
    script:
        "../../scripts/bigwigs.py"


rule mask:
    input:
        chunks=chunks_of,
        plan=rules.plan.output.table,
    output:
        f"{MODEL}/mask.bed",
    log:
        f"{LOGS}/mask/{{model}}.log",
    conda:
        "../../envs/seqcov.yaml"
    params:
        version=__version__,
    script:
        "../../scripts/mask.py"


rule track_table:
    input:
        tables_of_run,
    output:
        report(
            f"{run.folder}/tracks.tsv",
            caption="../report/tracks.rst",
            category="Tracks",
            labels={"table": "all tracks", "genome": config["genome"]["name"]},
        ),
    log:
        f"{LOGS}/track_table.log",
    localrule: True
    conda:
        "../../envs/seqcov.yaml"
    script:
        "../../scripts/track_table.py"
