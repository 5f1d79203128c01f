# Read and check every checkpoint before anything is predicted.


rule check_checkpoint:
    input:
        weights=weights_of_model,
        plan=plan_of_model,
    output:
        paths.card("{model}"),
    log:
        f"{LOGS}/check_checkpoint/{{model}}.log",
    priority: 3
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: model_plan(wildcards).card_digest,
    script:
        "../../scripts/check_checkpoint.py"
