# Coverage along the genome: chunks of windows, then bigWigs per group of tracks, and the mask.
#
# A run of several chunks compresses them range by range into pieces of bigWigs, one file per batch
# of tracks, and joins these batch by batch. Chunks and pieces are deleted as soon as possible.


rule predict_coverage:
    input:
        fasta=ancient(run.fasta.path),
        plan=plan_of_model,
        # not ancient: if the card is made again, Snakemake 9.27 would not compare the params
        card=rules.check_checkpoint.output[0],
    output:
        temp(paths.chunk("{model}", "{chunk}")),
    log:
        f"{LOGS}/predict_coverage/{{model}}.{{chunk}}.log",
    benchmark:
        f"{LOGS}/predict_coverage/{{model}}.{{chunk}}.benchmark.tsv"
    wildcard_constraints:
        model=COVERAGE_MODEL,
    priority: genome_order
    conda:
        "../../envs/seqcov.yaml"
    threads: config["prediction"]["threads"]
    resources:
        gpu=gpus_of_chunk,
        batch_size=config["prediction"]["batch_size"],
        device=config["prediction"]["device"],
    params:
        digest=lambda wildcards: digest_unless_shared(
            paths.chunk(wildcards.model, wildcards.chunk),
            coverage_plan(wildcards).find_set(wildcards.chunk).digest,
        ),
    script:
        "../../scripts/predict_coverage.py"


for name, job in shared_jobs("predict_coverage"):

    rule:
        name:
            name
        input:
            fasta=ancient(run.fasta.path),
            plan=plans_of_job(job),
            card=[paths.card(model) for model in job.models],
        output:
            temp([paths.chunk(model, "{chunk}") for model in job.models]),
        log:
            f"{LOGS}/predict_coverage/{name}.{{chunk}}.log",
        benchmark:
            f"{LOGS}/predict_coverage/{name}.{{chunk}}.benchmark.tsv"
        wildcard_constraints:
            chunk=any_of(job.chunks),
        priority: lambda wildcards, chunks=job.chunks: 1 - chunks.index(wildcards.chunk) / len(chunks)
        conda:
            "../../envs/seqcov.yaml"
        threads: config["prediction"]["threads"]
        resources:
            gpu=0 if config["prediction"]["device"] == "cpu" else 1,
            batch_size=config["prediction"]["batch_size"],
            device=config["prediction"]["device"],
        params:
            digest="",
        script:
            "../../scripts/predict_coverage.py"


rule compress_range:
    input:
        chunks=chunks_of_range,
        plan=plan_of_model,
    output:
        # as many as the model with most batches needs: those of other models may be empty
        temp(
            [
                paths.packed("{model}", "{range}", batch)
                for batch in range(MOST_BATCHES)
            ]
        ),
    log:
        f"{LOGS}/compress_range/{{model}}.{{range}}.log",
    benchmark:
        f"{LOGS}/compress_range/{{model}}.{{range}}.benchmark.tsv"
    wildcard_constraints:
        model=COVERAGE_MODEL,
    priority: 2
    conda:
        "../../envs/seqcov.yaml"
    threads: 4
    params:
        digest=lambda wildcards: set_of_range(wildcards).packing_digest,
    script:
        "../../scripts/compress_range.py"


rule join_batch:
    input:
        ranges=ranges_of_batch,
        plan=plan_of_model,
        earlier=earlier_of_batch,
    output:
        temp(directory(paths.joined("{model}", "{batch}"))),
    log:
        f"{LOGS}/join_batch/{{model}}.{{batch}}.log",
    benchmark:
        f"{LOGS}/join_batch/{{model}}.{{batch}}.benchmark.tsv"
    wildcard_constraints:
        model=COVERAGE_MODEL,
    priority: 2
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: set_of_batch(wildcards).batch_digest(wildcards.batch),
    script:
        "../../scripts/join_batch.py"


rule write_coverage_bigwigs:
    input:
        files=files_of_group,
        plan=plan_of_model,
        earlier=earlier_of_group,
    output:
        directory(paths.tracks("{model}", "{group}")),
    log:
        f"{LOGS}/write_coverage_bigwigs/{{model}}.{{group}}.log",
    benchmark:
        f"{LOGS}/write_coverage_bigwigs/{{model}}.{{group}}.benchmark.tsv"
    wildcard_constraints:
        model=COVERAGE_MODEL,
    priority: 2
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: set_of_group(wildcards).group_digest(wildcards.group),
    script:
        "../../scripts/write_coverage_bigwigs.py"


rule write_mask:
    input:
        folder=lambda wildcards: paths.tracks(wildcards.model, MASK),
        plan=plan_of_model,
    output:
        paths.mask("{model}"),
    log:
        f"{LOGS}/write_mask/{{model}}.log",
    wildcard_constraints:
        model=COVERAGE_MODEL,
    priority: 2
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: set_of_group(wildcards, MASK).group_digest(MASK),
    script:
        "../../scripts/write_mask.py"
