# Check the config and plan the run. Nothing here reads weights or sequences.

import gc
import re
import sys
from dataclasses import replace
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import IOFile
from snakemake.settings.types import DeploymentMethod

from seqcov_models import SeqcovError
from seqcov_models.browsers.igv_js import find_igv_js
from seqcov_models.locks import check_run
from seqcov_models.run.costs import check_space, check_writable
from seqcov_models.run.estimate import describe
from seqcov_models.run.paths import Paths
from seqcov_models.run.peak_sets import count_peaks
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.planner import plan_run
from seqcov_models.run.settings import check_duplicate_keys, complete_config
from seqcov_models.run.shared_jobs import plan_shared_jobs
from seqcov_models.run.track_set import MASK

try:
    if workflow.is_main_process:
        check_duplicate_keys(workflow.configfiles)
    config = complete_config(config)
except SeqcovError as error:
    raise WorkflowError(str(error)) from None

output, logs = take_prefix(config["output"], "logs")
config = {**config, "output": output}

# The main process plans. Jobs read the Snakefile again and load the plan.
paths = Paths.from_config(config)
try:
    if workflow.is_main_process:
        check_writable(Path(logs), "log folder")
        # With --sdm conda, jobs have the packages of envs/
        if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
            find_igv_js()
        run = plan_run(config)
        peaks = count_peaks(run.profiles)
        run = replace(run, shared_jobs=plan_shared_jobs(run, peaks))
        print(describe(run, peaks), file=sys.stderr)
        check_space(run, peaks)
    else:
        check_run()  # before Snakemake removes the outputs of this job
        run = RunPlan.load(paths)
except SeqcovError as error:
    raise WorkflowError(str(error)) from None

# The plan lives until the process ends. Without this, the garbage collector visits its contigs and
# windows again and again while Snakemake builds its jobs (0.6 s for 23,475 contigs).
gc.freeze()


def planned(document):
    """Return a document of the plan as a job's input, or nothing in a dry run before the first run.

    ancient: the digest in params says what a job depends on, not the date of the document.
    """
    begin_run()
    remake_unfinished()
    return ancient(document) if is_executing() or document.exists() else []


def plan_of_run(wildcards):
    """Return the document that all models share."""
    return planned(paths.run_plan)


def plan_of_model(wildcards):
    """Return the document of the model that the wildcards name."""
    return planned(paths.plan(wildcards.model))


def plans_of_job(job):
    """Return a function that returns the documents of the models that share a job."""
    documents = [paths.plan(name) for name in job.models]
    return lambda wildcards: list(filter(None, map(planned, documents)))


def shared_jobs(rule_name):
    """Yield the name of a rule, and a job that several models share as its only job.

    The rule is preferred to the one for single models, whose resources it has.
    """
    for number, job in enumerate(run.shared_jobs):
        if rule_name == job.rule:
            name = f"{rule_name}_{number}"
            workflow.ruleorder(name, rule_name)
            single, shared = map(workflow.modifier.modify_rulename, (rule_name, name))
            settings = workflow.resource_settings
            for chosen in (settings.overwrite_threads, settings.overwrite_resources):
                if single in chosen:
                    chosen[shared] = chosen[single]
            yield name, job


def digest_unless_shared(file, digest):
    """Return a digest for params; "" if a job that several models shared has written the file.

    Which models share a job differs between runs, and Snakemake has one record for all of a job's
    outputs. Outdated files are found when the run is planned, see `run.shared_jobs`.
    """
    recorded = workflow.persistence.params(IOFile(str(file)))
    return "" if recorded == [repr("")] else digest


def plans_of_models(wildcards):
    """Return the documents of all models."""
    documents = [paths.plan(name) for name in [*run.models, *run.profiles]]
    return list(filter(None, map(planned, documents)))


def any_of(names):
    """Return a pattern that matches one of the names, and nothing if there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    track=any_of({track.name for track in run.observed}),
    model=any_of([*run.models, *run.profiles]),
    task=any_of(task for profile in run.profiles.values() for task in profile.tasks),
    chunk=r"(\d+-)?\d+",
    range=r"(\d+-)?\d+",
    batch=r"(\d+-)?\d+",
    group=r"[A-Za-z0-9_.-]+",


COVERAGE_MODEL = any_of(run.models)
MOST_BATCHES = max(
    (
        len(tracks.batches) or 1
        for plan in run.models.values()
        for tracks in plan.needed_sets
    ),
    default=1,
)
PROFILE_MODEL = any_of(run.profiles)
LOGS = f"{logs}/{config['genome']['name']}"


def coverage_plan(wildcards):
    """Return the plan of the model of coverage that the wildcards name."""
    return run.models[wildcards.model]


def profile_plan(wildcards):
    """Return the plan of the BPNet that the wildcards name."""
    return run.profiles[wildcards.model]


def observed_track(wildcards):
    """Return the track that the wildcards name, which is compared with a measured one."""
    return run.find_observed(wildcards.model, wildcards.track)


def observed_folders(wildcards):
    """Return the folders of all models' measured bigWigs."""
    return [
        paths.observed(name)
        for name in dict.fromkeys(track.model for track in run.observed)
    ]


def model_plan(wildcards):
    """Return the plan of the model that the wildcards name, of either kind."""
    return (run.models | run.profiles)[wildcards.model]


def weights_of_model(wildcards):
    """Return the files of all folds of the model that the wildcards name.

    ancient, as the FASTA and the files of peaks: the digests in params follow the contents.
    """
    return ancient(files_of_weights([wildcards.model]))


def files_of_weights(names):
    """Return the files of all folds of models."""
    plans = [(run.models | run.profiles)[name] for name in names]
    return [file for plan in plans for fold in plan.folds for file in fold.files]


def set_of_group(wildcards, group=None):
    """Return the set of tracks of a group, by default the one that the wildcards name."""
    return coverage_plan(wildcards).groups[group or wildcards.group]


def set_of_range(wildcards):
    """Return the set of tracks of the range that the wildcards name."""
    return coverage_plan(wildcards).find_set(wildcards.range)


def set_of_batch(wildcards):
    """Return the set of tracks of the batch that the wildcards name."""
    return coverage_plan(wildcards).find_set(wildcards.batch)


def chunk_paths(wildcards, chunks):
    """Return the files of some chunks of the model that the wildcards name."""
    return [paths.chunk(wildcards.model, chunk) for chunk in chunks]


def chunks_of_range(wildcards):
    """Return the chunks of a range, in the plan's order."""
    return chunk_paths(wildcards, set_of_range(wildcards).ranges[wildcards.range])


def packed_ranges(wildcards, tracks, batch):
    """Return the compressed files of a batch of a set of tracks, in the plan's order."""
    return [paths.packed(wildcards.model, name, batch) for name in tracks.ranges]


def ranges_of_batch(wildcards):
    """Return the compressed files of the batch that the wildcards name."""
    tracks = set_of_batch(wildcards)
    return packed_ranges(wildcards, tracks, tracks.batch_index(wildcards.batch))


def earlier_batch(wildcards, tracks, batch):
    """Return what must be joined before a batch, so that few batches are joined at once.

    Only groups that this run writes wait, and only for each other. The inputs are not ancient:
    Snakemake 9.27 does not look at a job behind an ancient input whose job runs.
    """
    work = run.works.get(wildcards.model)
    unfinished = work.groups.get(tracks.number, []) if work else []
    if tracks.batches[batch].group not in unfinished:
        return []
    needed = [
        index
        for index, other in enumerate(tracks.batches[:batch])
        if other.group in unfinished
    ]
    if len(needed) < tracks.batches_at_once:
        return []
    earlier = needed[-tracks.batches_at_once]
    group = tracks.batches[earlier].group
    is_group = len(tracks.batch_indices(group)) == 1
    return (
        paths.tracks(wildcards.model, group)
        if is_group
        else paths.joined(wildcards.model, tracks.batch_names[earlier])
    )


def earlier_of_batch(wildcards):
    """Return what must be joined before the batch that the wildcards name."""
    tracks = set_of_batch(wildcards)
    return earlier_batch(wildcards, tracks, tracks.batch_index(wildcards.batch))


def files_of_group(wildcards):
    """Return what a group's bigWigs are written from; see `write_coverage_bigwigs`."""
    tracks = set_of_group(wildcards)
    batches = tracks.batch_indices(wildcards.group)
    if not tracks.ranges:
        return chunk_paths(wildcards, tracks.chunks)
    if len(batches) == 1:
        return packed_ranges(wildcards, tracks, batches[0])
    return [
        paths.joined(wildcards.model, tracks.batch_names[batch]) for batch in batches
    ]


def earlier_of_group(wildcards):
    """Return what must be joined before a group that is a single batch."""
    tracks = set_of_group(wildcards)
    batches = tracks.batch_indices(wildcards.group)
    return earlier_batch(wildcards, tracks, batches[0]) if len(batches) == 1 else []


def genome_order(wildcards):
    """Return the priority of a chunk: 1 for the first, falling to 0 along the genome.

    So few ranges are incomplete at any time, and complete ones are compressed.
    """
    chunks = coverage_plan(wildcards).find_set(wildcards.chunk).chunks
    return 1 - list(chunks).index(wildcards.chunk) / len(chunks)


def gpus_of_chunk(wildcards):
    """Return the number of GPUs that a chunk needs: none if its windows are copied."""
    plan, chunk = coverage_plan(wildcards), wildcards.chunk
    is_predicted = plan.count_predicted(plan.find_set(chunk), chunk) > 0
    return int(is_predicted and config["prediction"]["device"] != "cpu")


def chunks_of_profiles(wildcards):
    """Return the chunks of all jobs of a BPNet, in order."""
    name = wildcards.model
    return [paths.chunk(name, job) for job in run.profiles[name].jobs]


def tables_of_run(wildcards):
    """Return the folders of all groups' bigWigs, and the tables of all tasks' bigWigs."""
    return [
        paths.tracks(model.name, group)
        for model in run.models.values()
        for group in model.groups
    ] + [
        paths.task_table(profile.name, task)
        for profile in run.profiles.values()
        for task in profile.tasks
    ]


def profiles_of_run(wildcards):
    """Return all results of BPNets except the tables of their bigWigs."""
    files = []
    for profile in run.profiles.values():
        name = profile.name
        files.append(paths.peak_table(name))
        files += [
            paths.profile_bigwig(name, task, strand)
            for task in profile.tasks
            for strand in profile.strands
        ]
        files += [paths.profile_windows(name)] if profile.write_windows else []
    return files
