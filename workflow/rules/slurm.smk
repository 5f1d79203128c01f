# Slurm: what the executor leaves open. Only the process that submits jobs uses this.

import asyncio
import signal
import threading

from seqcov_models.run import slurm

# Resources that send a job to another cluster; sinfo lists the nodes of this one
OTHER_CLUSTERS = {"cluster", "clusters", "slurm_cluster"}


def prepare_slurm(folder):
    """Choose settings that this Slurm needs, and end the jobs of a killed run of this folder.

    The folder is locked: jobs whose names begin with its digest belong to no run that is alive.
    """
    settings, configuration = workflow.executor_settings, slurm.read_configuration()
    if not slurm.has_accounting():
        # The executor would ask sacct, and the run would wait for ever. With squeue, its first
        # question must come before Slurm forgets a job; otherwise it asks sacct after all.
        settings.status_command = "squeue"
        settings.init_seconds_before_status_checks = max(
            1,
            min(
                settings.init_seconds_before_status_checks,
                slurm.job_age(configuration) // 3,
            ),
        )
    settings.jobname_prefix = slurm.name_prefix(settings.jobname_prefix, folder)
    if jobs := slurm.find_jobs(settings.jobname_prefix):
        print(
            f"Cancelling Slurm jobs of an earlier run that was killed: {', '.join(jobs)}."
            " What they have predicted is kept.",
            file=sys.stderr,
        )
        slurm.end_jobs(jobs)
    workflow.executor_plugin.executor = extend_executor(
        workflow.executor_plugin.executor
    )


def request_of_job(job):
    """Return what a job asks of Slurm."""
    resources = job.resources
    gpus, gpu_type = resources.get("gpu") or 0, resources.get("gpu_model") or ""
    if match := re.fullmatch(
        r"gpu(?::([^:]*\D[^:]*))?(?::(\d+))?", str(resources.get("gres"))
    ):
        gpu_type, gpus = match[1] or "", int(match[2] or 1)
    per_gpu = (resources.get("cpus_per_gpu") or 0) * gpus
    cpus = resources.get("cpus_per_task") or per_gpu or job.threads
    memory = resources.get("mem_mb") or (resources.get("mem_mb_per_cpu") or 0) * cpus
    numbers = (cpus, memory, gpus, resources.get("runtime") or 0)
    cpus, memory, gpus, minutes = (
        number if isinstance(number, int) else 0 for number in numbers
    )
    partitions = str(resources.get("slurm_partition") or "").split(",")
    return slurm.Request(
        job.rule.name,
        tuple(filter(None, partitions)),
        cpus,
        memory,
        gpus,
        gpu_type,
        minutes,
    )


def extend_executor(base):
    """Return the executor with four gaps closed.

    It refuses jobs that no node can run before it submits any; it neither loses a job nor fails a
    submission while Slurm does not answer; it does not wait for a job that Slurm has forgotten;
    and SIGTERM ends it as Ctrl-C does.
    """

    class Executor(base):
        def __post_init__(self, *args, **kwargs):
            self.ended, self.missing = set(), {}
            self.is_silent, self.is_cancelled = False, threading.Event()
            super().__post_init__(*args, **kwargs)
            jobs = {
                job.rule.name: job
                for job in self.dag.needrun_jobs()
                if not job.is_local and not OTHER_CLUSTERS & set(job.resources.keys())
            }
            kinds = slurm.read_nodes()
            requests = [request_of_job(job) for job in jobs.values()]
            unmet = [slurm.find_unmet(request, kinds) for request in requests]
            if any(unmet):
                raise WorkflowError("\n".join(filter(None, unmet)))

        def known_jobs(self):
            """Return the jobs that Slurm remembers, or None if it does not answer now."""
            try:
                jobs = slurm.known_jobs(self.run_uuid)
            except SeqcovError as error:
                if not self.is_silent:
                    self.logger.warning(
                        f"{error}. Its jobs go on; asking again until it answers."
                    )
                self.is_silent = True
                return None
            if self.is_silent:
                self.logger.warning("Slurm answers again.")
            self.is_silent = False
            return jobs

        def run_jobs(self, jobs):
            # Snakemake's handler of SIGTERM waits until all jobs have ended; it is set later than
            # this executor is created.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            super().run_jobs(jobs)

        def run_job(self, job):
            self.wait_for_slurm()
            super().run_job(job)

        def run_array_jobs(self, jobs):
            self.wait_for_slurm()
            super().run_array_jobs(jobs)

        def wait_for_slurm(self):
            while self.known_jobs() is None and not self.is_cancelled.wait(5):
                pass

        def report_job_success(self, job_info):
            self.ended.add(job_info.external_jobid)
            super().report_job_success(job_info)

        def report_job_error(self, job_info, *args, **kwargs):
            self.ended.add(job_info.external_jobid)
            super().report_job_error(job_info, *args, **kwargs)

        async def check_active_jobs(self, active_jobs):
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

        def is_forgotten(self, number, known):
            """Return whether Slurm has twice not listed a job."""
            if known is None or self.get_status_command() != "squeue":
                return False
            is_known = number.partition("_")[0] in known
            self.missing[number] = 0 if is_known else self.missing.get(number, 0) + 1
            return self.missing[number] > 1

        def report_forgotten(self, job_info):
            if all(Path(file).exists() for file in job_info.job.output):
                self.report_job_success(job_info)
            else:
                message = (
                    f"Slurm does not know job {job_info.external_jobid} any more. "
                )
                self.report_job_error(job_info, msg=message)

        def cancel(self):
            self.is_cancelled.set()
            try:
                super().cancel()
                # also those that the executor is asking about or submitting just now
                slurm.cancel_jobs(self.run_uuid)
            except (SeqcovError, WorkflowError) as error:
                raise WorkflowError(
                    f"{error}. Its jobs may go on; the next run of this config cancels them."
                ) from None

        async def sleep(self):
            """Wait between two questions to Slurm, but not once the run ends."""
            for _ in range(int(self.next_seconds_between_status_checks) + 1):
                if self.wait:
                    await asyncio.sleep(1)

    return Executor
