# The work: windows through the network, one job a chunk.


rule predict:
    input:
        fasta=run.fasta.path,
        plan=rules.plan.output.table,
        model=rules.plan.output.model,
    output:
        temp(f"{MODEL}/chunks/{{chunk}}.npy"),
    log:
        f"{LOGS}/predict/{{model}}.{{chunk}}.log",
    benchmark:
        f"{LOGS}/predict/{{model}}.{{chunk}}.benchmark.tsv"
    conda:
        "../../envs/seqcov.yaml"
    threads: config["prediction"]["threads"]
    resources:
        gpu=0 if config["prediction"]["device"] == "cpu" else 1,
        batch_size=config["prediction"]["batch_size"],
    params:
        entry=lambda wildcards: model_of(wildcards).entry,
        digest=lambda wildcards: model_of(wildcards).digest,
        prediction={key: config["prediction"][key] for key in CHANGES_VALUES},
        version=__version__,
    script:
        "../../scripts/predict.py"
