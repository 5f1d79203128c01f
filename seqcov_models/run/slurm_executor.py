"""Run jobs through Slurm: what Snakemake's executor leaves open.

This is imported only in the process that submits jobs; it needs Snakemake's plugin for Slurm.
"""

import asyncio
import re
import signal
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import snakemake_executor_plugin_slurm as plugin
from snakemake_interface_common.exceptions import WorkflowError

from seqcov_models.errors import SeqcovError
from seqcov_models.files import FileState
from seqcov_models.run import slurm

OTHER_CLUSTERS = {"cluster", "clusters", "slurm_cluster"}
"""Resources that send a job to another cluster; sinfo lists the nodes of this one."""


def prepare_slurm(workflow: Any, folder: Path) -> None:
    """Choose settings that this Slurm needs, and end the jobs of a killed run of a folder.

    The folder is locked: jobs whose names begin with its digest belong to no run that is alive.

    Args:
        workflow: Snakemake's workflow, before it creates its executor.
        folder: The folder of results.

    Raises:
        SeqcovError: If Slurm does not answer, or if jobs of a killed run do not end.
    """
    settings, configuration = workflow.executor_settings, slurm.read_configuration()
    if not slurm.has_accounting():
        # The executor would ask sacct, and the run would wait for ever. With squeue, its first
        # question must come before Slurm forgets a job; otherwise it asks sacct after all.
        settings.status_command = "squeue"
        settings.init_seconds_before_status_checks = max(
            1,
            min(settings.init_seconds_before_status_checks, slurm.job_age(configuration) // 3),
        )
    settings.jobname_prefix = slurm.name_prefix(settings.jobname_prefix, folder)
    if jobs := slurm.find_jobs(settings.jobname_prefix):
        print(
            f"Cancelling Slurm jobs of an earlier run that was killed: {', '.join(jobs)}."
            " What they have predicted is kept.",
            file=sys.stderr,
        )
        slurm.end_jobs(jobs)
    workflow.executor_plugin.executor = Executor


def request_of_job(job: Any) -> slurm.Request:
    """Return what a job of Snakemake asks of Slurm."""
    resources = job.resources
    gpus, gpu_type = resources.get("gpu") or 0, resources.get("gpu_model") or ""
    gres = re.fullmatch(r"gpu(?::([^:]*[^:\d][^:]*))?(?::(\d+))?", str(resources.get("gres")))
    if gres:
        gpu_type, gpus = gres[1] or "", int(gres[2] or 1)
    per_gpu = (resources.get("cpus_per_gpu") or 0) * gpus
    cpus = resources.get("cpus_per_task") or per_gpu or job.threads
    memory = resources.get("mem_mb") or (resources.get("mem_mb_per_cpu") or 0) * cpus
    # Snakemake may know a number only when the job starts; until then it is a text
    cpus, memory, gpus, minutes = (
        number if isinstance(number, int) else 0
        for number in (cpus, memory, gpus, resources.get("runtime") or 0)
    )
    partitions = str(resources.get("slurm_partition") or "").split(",")
    return slurm.Request(
        job.rule.name, tuple(filter(None, partitions)), cpus, memory, gpus, gpu_type, minutes
    )


def output_states(job: Any) -> list[FileState | None]:
    """Return the state of each output of a job; None for one that does not exist."""
    states: list[FileState | None] = []
    for file in map(Path, job.output):
        try:
            states.append(FileState.read(file))
        except OSError:
            states.append(None)
    return states


class Executor(plugin.Executor):  # type: ignore[misc]  # Snakemake's plugin has no types
    """Snakemake's executor for Slurm with four gaps closed.

    It refuses jobs that no node can run before it submits any; it neither loses a job nor fails a
    submission while Slurm does not answer; it does not wait for a job that Slurm has forgotten;
    and SIGTERM ends it as Ctrl-C does.
    """

    next_seconds_between_status_checks: int

    def __post_init__(self, *args: Any, **kwargs: Any) -> None:
        """Prepare the executor; raise WorkflowError if no node can run some jobs."""
        self.ended, self.written = set[str](), set[Any]()
        self.missing: dict[str, int] = {}
        self.earlier: dict[Any, list[FileState | None]] = {}
        self.is_silent, self.is_cancelled = False, threading.Event()
        super().__post_init__(*args, **kwargs)
        jobs = {
            job.rule.name: job
            for job in self.dag.needrun_jobs()
            if not job.is_local and not OTHER_CLUSTERS & set(job.resources.keys())
        }
        kinds = slurm.read_nodes()
        requests = [request_of_job(job) for job in jobs.values()]
        if unmet := list(filter(None, (slurm.find_unmet(request, kinds) for request in requests))):
            raise WorkflowError("\n".join(unmet))

    def known_jobs(self) -> set[str] | None:
        """Return the jobs that Slurm remembers, or None if it does not answer now."""
        try:
            jobs = slurm.known_jobs(self.run_uuid)
        except SeqcovError as error:
            if not self.is_silent:
                self.logger.warning(f"{error}. Its jobs go on; asking again until it answers.")
            self.is_silent = True
            return None
        if self.is_silent:
            self.logger.warning("Slurm answers again.")
        self.is_silent = False
        return jobs

    def run_jobs(self, jobs: Any) -> None:
        """Submit jobs."""
        # Snakemake's handler of SIGTERM waits until all jobs have ended; it is set later than
        # this executor is created.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        super().run_jobs(jobs)

    def run_job(self, job: Any) -> None:
        """Submit a job when Slurm answers."""
        self.wait_for_slurm()
        self.written.discard(job)
        self.earlier[job] = output_states(job)
        super().run_job(job)

    def run_array_jobs(self, jobs: Any) -> None:
        """Submit an array of jobs when Slurm answers."""
        self.wait_for_slurm()
        self.written.difference_update(jobs)
        self.earlier |= {job: output_states(job) for job in jobs}
        super().run_array_jobs(jobs)

    def wait_for_slurm(self) -> None:
        """Return when Slurm answers, or when the run ends."""
        while self.known_jobs() is None and not self.is_cancelled.wait(5):
            pass

    def report_job_success(self, job_info: Any) -> None:
        """Tell Snakemake that a job has succeeded."""
        self.ended.add(job_info.external_jobid)
        super().report_job_success(job_info)

    def report_job_error(self, job_info: Any, *args: Any, **kwargs: Any) -> None:
        """Tell Snakemake that a job has failed."""
        self.ended.add(job_info.external_jobid)
        super().report_job_error(job_info, *args, **kwargs)

    async def check_active_jobs(self, active_jobs: list[Any]) -> AsyncIterator[Any]:
        """Report the jobs that have ended, and yield the others."""
        # The first call comes before __post_init__, from another thread, without jobs
        known = await asyncio.to_thread(self.known_jobs) if active_jobs else set()
        if known is not None:
            # If its question fails, the executor drops all jobs: nothing of this is used
            async for _ in super().check_active_jobs(active_jobs):
                pass
        for job in active_jobs:
            if job.external_jobid in self.ended:
                continue
            if self.is_forgotten(job.external_jobid, known):
                self.report_forgotten(job)
            else:
                yield job

    def is_forgotten(self, number: str, known: set[str] | None) -> bool:
        """Return whether Slurm has twice not listed a job.

        Args:
            number: The job.
            known: What `known_jobs` returned.
        """
        if known is None or self.get_status_command() != "squeue":
            return False
        is_known = number.partition("_")[0] in known
        self.missing[number] = 0 if is_known else self.missing.get(number, 0) + 1
        return self.missing[number] > 1

    def has_written(self, job: Any) -> bool:
        """Return whether all outputs of a job exist and are newer than its submission."""
        states = output_states(job)
        return None not in states and not set(states) & set(self.earlier.get(job, ()))

    def report_forgotten(self, job_info: Any) -> None:
        """Report the end of a job that Slurm has forgotten: new outputs tell that it succeeded."""
        if self.has_written(job_info.job):
            self.report_job_success(job_info)
        else:
            message = f"Slurm does not know job {job_info.external_jobid} any more. "
            self.report_job_error(job_info, msg=message)

    def cancel(self) -> None:
        """Cancel all jobs of this run; raise WorkflowError if Slurm does not answer."""
        self.is_cancelled.set()
        try:
            super().cancel()
            # also those that the executor is asking about or submitting just now
            slurm.cancel_jobs(self.run_uuid)
        except (SeqcovError, WorkflowError) as error:
            raise WorkflowError(
                f"{error}. Its jobs may go on; the next run of this config cancels them."
            ) from None

    async def sleep(self) -> None:
        """Wait between two questions to Slurm, but not once the run ends.

        A job that has just written its outputs ends in a moment: the question comes soon.
        """
        seconds = int(self.next_seconds_between_status_checks) + 1
        while self.wait and seconds > 0:
            await asyncio.sleep(1)
            seconds -= 1
            with self.lock:
                jobs = [info.job for info in self.active_jobs if info.job not in self.written]
            if written := [job for job in jobs if self.has_written(job)]:
                self.written.update(written)
                self.next_seconds_between_status_checks = 5
                seconds = min(seconds, 4)
