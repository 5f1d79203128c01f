# Coverage along the genome: chunks of windows, then bigWigs per group of tracks, and the mask.


rule predict_coverage:
    input:
        fasta=run.fasta.path,
        plan=plan_of_model,
        card=rules.check_checkpoint.output[0],
    output:
        temp(paths.chunk("{model}", "{chunk}")),
    log:
        f"{LOGS}/predict_coverage/{{model}}.{{chunk}}.log",
    benchmark:
        f"{LOGS}/predict_coverage/{{model}}.{{chunk}}.benchmark.tsv"
    wildcard_constraints:
        model=COVERAGE_MODEL,
    conda:
        "../../envs/seqcov.yaml"
    threads: config["prediction"]["threads"]
    resources:
        gpu=0 if config["prediction"]["device"] == "cpu" else 1,
        batch_size=config["prediction"]["batch_size"],
        device=config["prediction"]["device"],
    params:
        digest=lambda wildcards: coverage_plan(wildcards).prediction_digest,
    script:
        "../../scripts/predict_coverage.py"


rule write_coverage_bigwigs:
    input:
        chunks=chunks_of_model,
        plan=plan_of_model,
    output:
        directory(paths.tracks("{model}", "{group}")),
    log:
        f"{LOGS}/write_coverage_bigwigs/{{model}}.{{group}}.log",
    benchmark:
        f"{LOGS}/write_coverage_bigwigs/{{model}}.{{group}}.benchmark.tsv"
    wildcard_constraints:
        model=COVERAGE_MODEL,
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: coverage_plan(wildcards).bigwig_digest(wildcards.group),
    script:
        "../../scripts/write_coverage_bigwigs.py"


rule write_mask:
    input:
        chunks=chunks_of_model,
        plan=plan_of_model,
    output:
        paths.mask("{model}"),
    log:
        f"{LOGS}/write_mask/{{model}}.log",
    wildcard_constraints:
        model=COVERAGE_MODEL,
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: coverage_plan(wildcards).prediction_digest,
    script:
        "../../scripts/write_mask.py"
