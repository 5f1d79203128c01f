# Genome-wide tracks of sequence-to-coverage models: FASTA and weights in, bigWigs out.
# config.yaml says what to predict; README.md says how to run it; profiles/ says where.

from snakemake.utils import min_version

min_version("9.17")


# The demo's config.yaml is read only where no other config is given: nothing of it leaks into yours.
if not config:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"


resource_scopes:
    gpu="local",


report: "workflow/report/workflow.rst"


onstart:
    # Instead of Snakemake's own lock (the profiles say nolock), which a killed run leaves behind.
    lock_folder(run.folder)


onsuccess:
    # A killed run with other chunks, or jobs, has left some that no job of this one knows.
    chunks, results = leftovers(run)
    for file in chunks:
        file.unlink()
    if results:
        names = ", ".join(map(str, results))
        print(f"Of earlier runs, and not of this one: {names}", file=sys.stderr)


rule all:
    default_target: True
    input:
        run.folder / "tracks.tsv",
        run.folder / "hub.txt",
        run.folder / "igv_session.xml",
        run.folder / "provenance.json",
        expand(f"{MODEL}/mask.bed", model=run.models),
        profiles_of_run,


include: "workflow/rules/plan.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/tracks.smk"
include: "workflow/rules/profiles.smk"
include: "workflow/rules/browser.smk"
