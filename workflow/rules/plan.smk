# What will be predicted, written down, and the checkpoint, read and checked before anything else.


rule plan:
    input:
        weights=lambda wildcards: [
            file for fold in model_of(wildcards).folds for file in fold.files
        ],
    output:
        table=f"{MODEL}/plan.tsv",
        wanted=f"{MODEL}/wanted.bed",
        model=f"{MODEL}/model.json",
    log:
        f"{LOGS}/plan/{{model}}.log",
    priority: 1
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: model_of(wildcards).digest,
        units=lambda wildcards: {
            "scale": model_of(wildcards).entry["scale"],
            "transform": model_of(wildcards).transform,
        },
        version=__version__,
    script:
        "../../scripts/plan.py"
