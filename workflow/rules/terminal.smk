# What a run prints besides its plan: how far it is, over all jobs, and a summary at the end.

import atexit
import time

from snakemake.logging import get_event
from snakemake_interface_logger_plugins.common import LogEvent

from seqcov_models.run.run_progress import RunProgress, count_windows, summarise

HIDDEN_EVENTS = (LogEvent.PROGRESS, LogEvent.JOB_FINISHED, LogEvent.RESOURCES_INFO)
HIDDEN_MESSAGES = (
    "Select jobs to execute",
    "Execute ",
    "Assuming unrestricted shared filesystem usage",
    "Using shell",
    "Conda environments: ignored",
    "Activating conda environment",
)


def is_of_interest(record):
    """Return whether a message of Snakemake says more than that it still works."""
    return get_event(
        record
    ) not in HIDDEN_EVENTS and not record.getMessage().startswith(HIDDEN_MESSAGES)


def prediction_jobs():
    """Return the prediction jobs of this run, and those it has finished; None before it begins."""
    if workflow.scheduler is None:
        return None
    jobs = [
        job
        for job in list(workflow.dag.needrun_jobs(exclude_finished=False))
        if job.rule.name.endswith(("predict_coverage", "predict_profiles"))
    ]
    finished = [job for job in jobs if workflow.dag.finished(job)]
    return tuple(
        {(job.wildcards.model, job.wildcards.chunk) for job in group}
        for group in (jobs, finished)
    )


if "rules" in {kind.name.lower() for kind in workflow.output_settings.quiet or ()}:
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(is_of_interest)


def report_progress():
    """Print progress until the process ends, and then what a run that succeeded has written."""
    progress = RunProgress(run, paths, count_windows(run, peaks), prediction_jobs)
    began = time.monotonic()

    def finish():
        progress.stop()
        is_complete = workflow.scheduler is not None and not any(
            workflow.dag.needrun_jobs()
        )
        if is_complete:
            progress.describe()
            print(
                summarise(run, time.monotonic() - began, progress.predicted),
                file=sys.stderr,
            )

    atexit.register(finish)
    progress.start()
