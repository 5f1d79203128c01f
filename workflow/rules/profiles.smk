# Peaks to base-resolution profiles: BPNet's windows, and one bigWig a task and strand.


rule check_profiles:
    input:
        weights=lambda wildcards: [
            file for fold in profile_of(wildcards).folds for file in fold.files
        ],
    output:
        f"{PROFILES}/model.json",
    log:
        f"{LOGS}/check_profiles/{{profile}}.log",
    priority: 1
    conda:
        "../../envs/seqcov.yaml"
    params:
        unit=lambda wildcards: profile_of(wildcards).unit,
        version=__version__,
    script:
        "../../scripts/check_profiles.py"


rule peaks:
    input:
        files=lambda wildcards: profile_of(wildcards).peak_files,
        tracks=lambda wildcards: [
            f"{run.folder}/{peaks.model}/tracks/{peaks.group}"
            for peaks in profile_of(wildcards).peak_tracks
        ],
    output:
        f"{PROFILES}/peaks.narrowPeak",
    log:
        f"{LOGS}/peaks/{{profile}}.log",
    conda:
        "../../envs/seqcov.yaml"
    params:
        peaks=lambda wildcards: profile_of(wildcards).entry["peaks"],
        # a file may be replaced by an older one
        sha256=lambda wildcards: [
            sha256(file) for file in profile_of(wildcards).peak_files
        ],
        aliases=config["genome"]["contig_aliases"],
        digest=lambda wildcards: profile_of(wildcards).digest,
        version=__version__,
    script:
        "../../scripts/peaks.py"


rule predict_profiles:
    input:
        fasta=run.fasta.path,
        peaks=rules.peaks.output[0],
        model=rules.check_profiles.output[0],
    output:
        values=temp(f"{PROFILES}/chunks/{{chunk}}.npy"),
        table=temp(f"{PROFILES}/chunks/{{chunk}}.table.npy"),
        windows=(
            temp(f"{PROFILES}/chunks/{{chunk}}.windows.npy")
            if config["profiles"]["windows"]
            else []
        ),
    log:
        f"{LOGS}/predict_profiles/{{profile}}.{{chunk}}.log",
    benchmark:
        f"{LOGS}/predict_profiles/{{profile}}.{{chunk}}.benchmark.tsv"
    conda:
        "../../envs/seqcov.yaml"
    threads: config["prediction"]["threads"]
    resources:
        gpu=0 if config["prediction"]["device"] == "cpu" else 1,
        batch_size=config["profiles"]["batch_size"],
    params:
        entry=lambda wildcards: profile_of(wildcards).entry,
        digest=lambda wildcards: profile_of(wildcards).digest,
        prediction={key: config["prediction"][key] for key in ("precision", "min_acgt")},
        profiles={
            key: config["profiles"][key]
            for key in ("overlap", "counts", "strand", "jobs")
        },
        version=__version__,
    script:
        "../../scripts/predict_profiles.py"


rule stranded_profiles:
    input:
        chunks=expand(
            f"{PROFILES}/chunks/{{chunk}}.npy", chunk=JOBS, allow_missing=True
        ),
        peaks=rules.peaks.output[0],
    output:
        plus=f"{PROFILES}/{{task}}.plus.bw",
        minus=f"{PROFILES}/{{task}}.minus.bw",
        both=f"{PROFILES}/{{task}}.bw",
        table=f"{PROFILES}/{{task}}.tsv",
    log:
        f"{LOGS}/profiles/{{profile}}.{{task}}.log",
    wildcard_constraints:
        profile=any_of(name for name, plan in run.profiles.items() if plan.stranded),
    conda:
        "../../envs/seqcov.yaml"
    params:
        negative_minus=config["profiles"]["negative_minus"],
        version=__version__,
    script:
        "../../scripts/profiles.py"


use rule stranded_profiles as unstranded_profiles with:
    output:
        both=f"{PROFILES}/{{task}}.bw",
        table=f"{PROFILES}/{{task}}.tsv",
    wildcard_constraints:
        profile=any_of(name for name, plan in run.profiles.items() if not plan.stranded),


rule peak_table:
    input:
        peaks=rules.peaks.output[0],
        tables=expand(
            f"{PROFILES}/chunks/{{chunk}}.table.npy", chunk=JOBS, allow_missing=True
        ),
    output:
        f"{PROFILES}/peaks.tsv.gz",
    log:
        f"{LOGS}/peak_table/{{profile}}.log",
    conda:
        "../../envs/seqcov.yaml"
    params:
        version=__version__,
    script:
        "../../scripts/peak_table.py"


rule profile_windows:
    input:
        peaks=rules.peaks.output[0],
        windows=expand(
            f"{PROFILES}/chunks/{{chunk}}.windows.npy", chunk=JOBS, allow_missing=True
        ),
    output:
        f"{PROFILES}/profiles.h5",
    log:
        f"{LOGS}/profile_windows/{{profile}}.log",
    conda:
        "../../envs/seqcov.yaml"
    params:
        version=__version__,
    script:
        "../../scripts/profile_windows.py"
