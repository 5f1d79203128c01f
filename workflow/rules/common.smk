# The config, checked, and the plan that follows from it. Nothing here reads a weight or a sequence.

import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from seqcov_models import SeqcovError, __version__
from seqcov_models.files import lock_folder, sha256
from seqcov_models.run.plan import check_space, count_peaks, leftovers, plan_run
from seqcov_models.run.settings import explain, odd_names

CONFIG_SCHEMA = (
    Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
    / "../schemas/config.schema.yaml"
)

if odd := list(odd_names(config)):
    raise WorkflowError("config: " + "\n".join(odd))
try:
    validate(config, CONFIG_SCHEMA)
except WorkflowError as error:
    import yaml

    said = explain(config, yaml.safe_load(CONFIG_SCHEMA.read_text())) or error
    raise WorkflowError(f"config: {said}") from None

try:
    run = plan_run(config)
    if workflow.is_main_process:
        peaks = count_peaks(run)
        print(run.summary(peaks), file=sys.stderr)
        check_space(run, peaks)
except SeqcovError as error:
    raise WorkflowError(str(error)) from None


def any_of(names):
    """What matches one of the names, and nothing where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    model=any_of(run.models),
    profile=any_of(run.profiles),
    task=any_of(task for profile in run.profiles.values() for task in profile.tasks),
    chunk=r"\d+",
    group=r"[A-Za-z0-9_.-]+",


# Of config["prediction"], what can change a value; the rest only says how fast it comes.
CHANGES_VALUES = ("precision", "chunk_dtype", "overlap", "blend", "min_acgt")
MODEL = f"{run.folder}/{{model}}"  # one that tiles the genome
PROFILES = f"{run.folder}/{{profile}}"  # a BPNet
JOBS = range(config["profiles"]["jobs"])
LOGS = f"logs/{config['genome']['name']}"


def model_of(wildcards):
    """The plan of the model that the wildcards name."""
    return run.models[wildcards.model]


def chunks_of(wildcards):
    """Files of all chunks of a model, in the plan's order."""
    return expand(
        f"{MODEL}/chunks/{{chunk}}.npy", chunk=model_of(wildcards).chunks, **wildcards
    )


def profile_of(wildcards):
    """The plan of the BPNet that the wildcards name."""
    return run.profiles[wildcards.profile]


def tables_of_run(wildcards):
    """Folders of all tracks of the run, and tables of all profiles."""
    groups = [
        f"{run.folder}/{model.name}/tracks/{group}"
        for model in run.models.values()
        for group in model.groups
    ]
    return groups + [
        f"{run.folder}/{profile.name}/{task}.tsv"
        for profile in run.profiles.values()
        for task in profile.tasks
    ]


def profiles_of_run(wildcards):
    """What comes of BPNets besides their tracks' tables."""
    return [
        f"{run.folder}/{profile.name}/{file}"
        for profile in run.profiles.values()
        for file in [
            "peaks.tsv.gz",
            *profile.bigwigs,
            *(["profiles.h5"] if config["profiles"]["windows"] else []),
        ]
    ]
