# What a person reads at the end: predicted beside measured coverage, and the report.


rule compare_observed:
    input:
        predicted=lambda wildcards: observed_track(wildcards).output,
        observed=lambda wildcards: ancient(observed_track(wildcards).path),
        folds=lambda wildcards: ancient(observed_track(wildcards).folds or []),
        peaks=[paths.peaks(name) for name in run.profiles],
        plan=plan_of_run,
    output:
        paths.agreement("{model}", "{track}"),
    log:
        f"{LOGS}/compare_observed/{{model}}.{{track}}.log",
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: run.comparison_digest(observed_track(wildcards)),
    script:
        "../../scripts/compare_observed.py"


rule write_agreement:
    input:
        agreements=[paths.agreement(track.model, track.name) for track in run.observed],
        plan=plan_of_run,
    output:
        report(
            paths.agreement_table,
            caption="../report/agreement.rst",
            category="Tracks",
            labels={
                "table": "predicted and measured",
                "genome": config["genome"]["name"],
            },
        ),
    log:
        f"{LOGS}/write_agreement.log",
    localrule: True
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=run.agreement_digest,
    script:
        "../../scripts/write_agreement.py"
