# Profiles at peaks: BPNet's windows, then bigWigs per task and strand, and tables per peak.


rule combine_peaks:
    input:
        files=lambda wildcards: ancient(profile_plan(wildcards).peak_files),
        tracks=lambda wildcards: [
            paths.tracks(source.model, source.group)
            for source in profile_plan(wildcards).peak_tracks
        ],
        plan=plan_of_model,
    output:
        paths.peaks("{model}"),
    log:
        f"{LOGS}/combine_peaks/{{model}}.log",
    wildcard_constraints:
        model=PROFILE_MODEL,
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: profile_plan(wildcards).peaks_digest,
    script:
        "../../scripts/combine_peaks.py"


for name, job in shared_jobs("combine_peaks"):

    rule:
        name:
            name
        input:
            files=ancient(run.profiles[job.models[0]].peak_files),
            tracks=[
                paths.tracks(source.model, source.group)
                for source in run.profiles[job.models[0]].peak_tracks
            ],
            plan=plans_of_job(job),
        output:
            [paths.peaks(model) for model in job.models],
        log:
            f"{LOGS}/combine_peaks/{name}.log",
        conda:
            "../../envs/seqcov.yaml"
        params:
            digest=run.profiles[job.models[0]].peaks_digest,
        script:
            "../../scripts/combine_peaks.py"


rule predict_profiles:
    input:
        fasta=ancient(run.fasta.path),
        peaks=rules.combine_peaks.output[0],
        plan=plan_of_model,
        card=rules.check_checkpoint.output[0],
    output:
        values=temp(paths.chunk("{model}", "{chunk}")),
        statistics=temp(paths.chunk_statistics("{model}", "{chunk}")),
        windows=(
            temp(paths.chunk_windows("{model}", "{chunk}"))
            if config["profiles"]["windows"]
            else []
        ),
    log:
        f"{LOGS}/predict_profiles/{{model}}.{{chunk}}.log",
    benchmark:
        f"{LOGS}/predict_profiles/{{model}}.{{chunk}}.benchmark.tsv"
    wildcard_constraints:
        model=PROFILE_MODEL,
    conda:
        "../../envs/seqcov.yaml"
    threads: config["prediction"]["threads"]
    resources:
        gpu=0 if config["prediction"]["device"] == "cpu" else 1,
        batch_size=config["profiles"]["batch_size"],
        device=config["prediction"]["device"],
    params:
        digest=lambda wildcards: digest_unless_shared(
            paths.chunk(wildcards.model, wildcards.chunk),
            profile_plan(wildcards).prediction_digest,
        ),
    script:
        "../../scripts/predict_profiles.py"


for name, job in shared_jobs("predict_profiles"):

    rule:
        name:
            name
        input:
            fasta=ancient(run.fasta.path),
            peaks=[paths.peaks(model) for model in job.models],
            plan=plans_of_job(job),
            card=[paths.card(model) for model in job.models],
        output:
            values=temp([paths.chunk(model, "{chunk}") for model in job.models]),
            statistics=temp(
                [paths.chunk_statistics(model, "{chunk}") for model in job.models]
            ),
            windows=(
                temp([paths.chunk_windows(model, "{chunk}") for model in job.models])
                if config["profiles"]["windows"]
                else []
            ),
        log:
            f"{LOGS}/predict_profiles/{name}.{{chunk}}.log",
        benchmark:
            f"{LOGS}/predict_profiles/{name}.{{chunk}}.benchmark.tsv"
        wildcard_constraints:
            chunk=any_of(job.chunks),
        conda:
            "../../envs/seqcov.yaml"
        threads: config["prediction"]["threads"]
        resources:
            gpu=0 if config["prediction"]["device"] == "cpu" else 1,
            batch_size=config["profiles"]["batch_size"],
            device=config["prediction"]["device"],
        params:
            digest="",
        script:
            "../../scripts/predict_profiles.py"


rule write_stranded_profile_bigwigs:
    input:
        chunks=chunks_of_profiles,
        peaks=rules.combine_peaks.output[0],
        plan=plan_of_model,
    output:
        plus=paths.profile_bigwig("{model}", "{task}", "plus"),
        minus=paths.profile_bigwig("{model}", "{task}", "minus"),
        both=paths.profile_bigwig("{model}", "{task}"),
        table=paths.task_table("{model}", "{task}"),
    log:
        f"{LOGS}/write_profile_bigwigs/{{model}}.{{task}}.log",
    wildcard_constraints:
        model=any_of(name for name, plan in run.profiles.items() if plan.is_stranded),
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: profile_plan(wildcards).bigwig_digest,
    script:
        "../../scripts/write_profile_bigwigs.py"


use rule write_stranded_profile_bigwigs as write_unstranded_profile_bigwigs with:
    output:
        both=paths.profile_bigwig("{model}", "{task}"),
        table=paths.task_table("{model}", "{task}"),
    wildcard_constraints:
        model=any_of(
            name for name, plan in run.profiles.items() if not plan.is_stranded
        ),


rule write_peak_table:
    input:
        peaks=rules.combine_peaks.output[0],
        statistics=lambda wildcards: [
            paths.chunk_statistics(wildcards.model, job)
            for job in profile_plan(wildcards).jobs
        ],
        plan=plan_of_model,
    output:
        paths.peak_table("{model}"),
    log:
        f"{LOGS}/write_peak_table/{{model}}.log",
    wildcard_constraints:
        model=PROFILE_MODEL,
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: profile_plan(wildcards).prediction_digest,
    script:
        "../../scripts/write_peak_table.py"


rule write_profile_windows:
    input:
        peaks=rules.combine_peaks.output[0],
        windows=lambda wildcards: [
            paths.chunk_windows(wildcards.model, job)
            for job in profile_plan(wildcards).jobs
        ],
        plan=plan_of_model,
    output:
        paths.profile_windows("{model}"),
    log:
        f"{LOGS}/write_profile_windows/{{model}}.log",
    wildcard_constraints:
        model=PROFILE_MODEL,
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: profile_plan(wildcards).prediction_digest,
    script:
        "../../scripts/write_profile_windows.py"
