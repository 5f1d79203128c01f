# What a person reads at the end: predicted beside measured coverage, and the report.


# Links where browsers find them. Snakemake sets the date of a folder, not of the files in it, which
# are those of the user.
rule place_observed:
    input:
        observed=lambda wildcards: ancient(
            [track.path for track in run.observed if track.model == wildcards.model]
        ),
        plan=plan_of_run,
    output:
        directory(paths.observed("{model}")),
    log:
        f"{LOGS}/place_observed/{{model}}.log",
    localrule: True
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=lambda wildcards: run.observed_digest(wildcards.model),
    script:
        "../../scripts/place_observed.py"


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


# One HTML file that opens by double click, and its pictures, which are also in Snakemake's report.
rule write_report:
    input:
        tracks=rules.write_track_table.output[0],
        masks=[paths.mask(name) for name in run.models],
        peaks=[paths.peaks(name) for name in run.profiles],
        agreements=rules.write_agreement.input.agreements,
        genes=paths.genes if run.annotation else [],
        plan=plan_of_run,
        models=plans_of_models,
    output:
        page=report(
            paths.report,
            caption="../report/report.rst",
            category="Report",
            labels={"page": "report", "genome": config["genome"]["name"]},
        ),
        pictures=report(
            directory(paths.report_pictures),
            patterns=["{picture}.png"],
            caption="../report/pictures.rst",
            category="Report",
            subcategory="Pictures",
            labels={"page": "{picture}", "genome": config["genome"]["name"]},
        ),
    log:
        f"{LOGS}/write_report.log",
    conda:
        "../../envs/seqcov.yaml"
    params:
        digest=run.report_digest,
        logs=LOGS,
    script:
        "../../scripts/write_report.py"
