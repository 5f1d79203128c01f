# The folder of a run's results: its place below a module's prefix, its lock, and its leftovers.
# This also works if another workflow imports this one, when Snakemake ignores onstart and onsuccess.

import atexit
import functools
import time

from snakemake.path_modifier import PathModifier

from seqcov_models.files import remove
from seqcov_models.locks import begin_run as lock_and_name
from seqcov_models.run.estimate import check_gpu
from seqcov_models.run.finished import (
    find_damaged_file,
    find_damaged_table,
    is_sealed_from,
)
from seqcov_models.run.shared_jobs import list_outdated


def take_prefix(*folders):
    """Return folders of outputs below the prefix of the `module` statement, if there is one.

    By default Snakemake puts the prefix before every relative path of a rule, including the FASTA
    and the weights, and the planner does not know it. After this call, Snakemake changes no path.
    """
    modifier = workflow.modifier.path_modifier
    workflow.modifier.path_modifier = PathModifier(None, None, workflow)
    return [
        modifier.replace_prefix(f"{folder}/").removesuffix("/") for folder in folders
    ]


def is_executing():
    """Return whether this process is about to run jobs: not a job, a dry run, --lint or --dag."""
    return (
        workflow.is_main_process
        and workflow.executor_plugin is not None
        and not workflow.dryrun
    )


@functools.cache
def advise_on_profile():
    """Name the keys that a user's own workflow profile lacks, once; see profiles/default."""
    is_advised = {
        "rerun-triggers: [mtime, params]": any(
            trigger.name in ("CODE", "SOFTWARE_ENV", "INPUT")
            for trigger in workflow.dag_settings.rerun_triggers
        ),
        "rerun-incomplete: true": not workflow.dag_settings.force_incomplete,
        "nolock: true": workflow.execution_settings.lock,
    }
    if keys := [key for key, is_missing in is_advised.items() if is_missing]:
        print(
            f"The workflow profile lacks {', '.join(keys)}: a new version of seqcov or a"
            " moved file may compute finished genomes again, or a killed run leave a lock (profiles/README.md)",
            file=sys.stderr,
        )


def begin_run():
    """Lock the results folder and save the plan if Snakemake is about to run jobs.

    Every job has a document of the plan as its input. Snakemake calls the functions that name these
    before any job, in the process that starts the jobs.
    """
    if workflow.is_main_process and workflow.executor_plugin is not None:
        advise_on_profile()
    if not is_executing():
        return
    try:
        if not lock_and_name(paths.folder):
            return
        if workflow.executor_plugin.name == "local":
            check_gpu(run, peaks)
        if workflow.executor_plugin.name == "slurm":
            from seqcov_models.run.slurm_executor import prepare_slurm

            prepare_slurm(workflow, paths.folder)
        run.save(paths)
    except SeqcovError as error:
        raise WorkflowError(str(error)) from None
    chunks, results = run.leftovers(paths)
    chunks = [file.absolute() for file in chunks]
    # Absolute, since Snakemake has left --directory when the process exits
    absolute = replace(paths, folder=paths.folder.absolute())
    atexit.register(
        name_failures, Path.cwd()
    )  # what is registered first is called last
    report_progress()
    atexit.register(remove_leftovers, absolute, chunks, results, time.time())


@functools.cache
def remake_unfinished():
    """Let Snakemake make again what is damaged, missing or made from something else; once.

    Snakemake compares dates, and digests in params, which are lost if somebody deletes .snakemake.
    Nor does it compare params behind an ancient input whose job runs. Damaged bigWigs of models of
    coverage are named when the run is planned, see `run.reuse`.
    """
    if not workflow.is_main_process:
        return
    unfinished = list(list_outdated(run))
    unfinished += [
        paths.tracks(name, group)
        for name, work in run.works.items()
        for groups in work.groups.values()
        for group in groups
    ]
    unfinished += [folder for folder in observed_folders(None) if not folder.exists()]
    for name, profile in run.profiles.items():
        made_from = {paths.peaks(name): profile.peaks_digest}
        for table in (paths.task_table(name, task) for task in profile.tasks):
            made_from[table] = profile.bigwig_digest
            if table.exists() and (damage := find_damaged_table(table)):
                print(f"{damage}; it is made again", file=sys.stderr)
                unfinished.append(table)
        for file, digest in made_from.items():
            if damage := file.exists() and find_damaged_file(file):
                print(f"{damage}; it is made again", file=sys.stderr)
            if damage or not is_sealed_from(file, digest):
                unfinished.append(file)
    # Snakemake makes a missing file only for a job that runs: not if all later files exist.
    workflow.dag.forcefiles.update(
        str(file) for file in unfinished if file.exists() or paths.track_table.exists()
    )


def name_failures(folder):
    """Print what failed and its log, below everything that Snakemake prints.

    folder: the working directory of the run.
    """
    failed = workflow.scheduler.failed if workflow.scheduler is not None else ()
    for job in list(failed)[:5]:
        for log in getattr(job, "log", ()):
            path = folder / log
            lines = (
                path.read_text("utf-8", "replace").split("\n") if path.exists() else []
            )
            last = next((line for line in reversed(lines) if line.strip()), "")
            reason = last.partition(" ERROR ")[2] or "it ended without a message"
            print(f"{job.rule.name} failed: {reason} (log: {log})", file=sys.stderr)


def remove_leftovers(paths, chunks, results, began):
    """Delete the chunks of earlier runs and name their results, if this run has succeeded.

    A run that was killed may have had other chunks, which no job of this run writes or deletes.
    Unfinished files stay until a run of all targets ends, which writes the provenance: a run of
    some targets does not continue them. They are listed now, since a job of a killed run may have
    begun one after this run had begun.
    """
    if workflow.scheduler is None or any(workflow.dag.needrun_jobs()):
        return
    provenance = paths.provenance
    if provenance.exists() and provenance.stat().st_mtime >= began - 1:
        chunks = [*chunks, *paths.unfinished_files()]
    for file in chunks:
        remove(file)
    if results:
        names = ", ".join(map(str, results))
        print(
            f"Left over from earlier runs (not used by this run): {names}",
            file=sys.stderr,
        )
