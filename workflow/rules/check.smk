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
        digest=lambda wildcards: digest_unless_shared(
            paths.card(wildcards.model), model_plan(wildcards).card_digest
        ),
    script:
        "../../scripts/check_checkpoint.py"


for name, job in shared_jobs("check_checkpoint"):

    rule:
        name:
            name
        input:
            weights=ancient(files_of_weights(job.models)),
            plan=plans_of_job(job),
        output:
            [paths.card(model) for model in job.models],
        log:
            f"{LOGS}/check_checkpoint/{name}.log",
        priority: 3
        conda:
            "../../envs/seqcov.yaml"
        params:
            digest="",
        script:
            "../../scripts/check_checkpoint.py"
