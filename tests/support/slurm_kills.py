"""Kill runs and jobs on a real Slurm at random moments, and compare with undisturbed runs.

    PYTHONPATH=.:tests python tests/support/slurm_kills.py --kills 30 --folder FOLDER [--seed 1]

As `support.kills`, with two configs of coverage. Snakemake is killed while its jobs go on, the
process of a job is killed, or a job is cancelled. The next run ends the jobs of a killed one.
"""

import subprocess
import sys
import time
from pathlib import Path

import psutil

from support import kills
from support.kills import Campaign, Config, name_rule, stop
from support.slurm import Cluster, start_cluster


class SlurmCampaign(Campaign):
    """Runs of two configs in one folder through Slurm; undisturbed runs are local."""

    kinds = ("main process", "job", "scancel")

    def __init__(self, folder: Path, seed: int, cluster: Cluster) -> None:
        super().__init__(folder, seed)
        self.cluster = cluster

    def write_configs(self, folder: Path) -> list[Config]:
        """Write the inputs; return two configs of some jobs each, which share no results."""
        return [
            config
            | {
                "models": {"toy": config["models"]["toy"]},
                "prediction": {"windows_per_chunk": 120, "threads": 1, "min_acgt": min_acgt},
            }
            for config, min_acgt in zip(super().write_configs(folder)[:2], (0.2, 0.4), strict=True)
        ]

    def submit(self, number: int) -> "subprocess.Popen[bytes]":
        """Start a run of a config on the cluster. Each job may fail often."""
        return self.cluster.start_run(
            self.folder / "run", self.configs[number], "--retries", "20",
            environment=self.environment,
        )  # fmt: skip

    def kill(self, number: int) -> bool:
        """Start a run of a config; kill its jobs and at last itself.

        Return False if it has ended before.
        """
        run = self.submit(number)
        for _ in range(5):
            time.sleep(self.draw.uniform(0, 40))
            if run.poll() is not None:
                break
            kind, jobs = self.draw.choice(self.kinds), self.find_jobs()
            if kind == "main process":
                run.kill()
                run.wait()
                self.count(kind, jobs)
                self.check_bigwigs()
                return True
            if jobs:
                job = self.draw.choice(jobs)
                self.count(kind, [job])
                self.end_job(job, kind)
        self.wait(run, number)
        return False

    def count(self, kind: str, jobs: list[psutil.Process]) -> None:
        """Count a kill and what ran then."""
        self.kills[kind] += 1
        self.rules.update(filter(None, map(name_rule, jobs)) if jobs else ["no job"])

    def end_job(self, job: psutil.Process, kind: str) -> None:
        """Kill the process of a job, or cancel the job."""
        try:
            number = job.environ()["SLURM_JOB_ID"]
        except (psutil.Error, KeyError):  # it has just ended
            return
        if kind == "job":
            stop([job])
        else:
            self.cluster.ask("scancel", "--quiet", number)

    def find_jobs(self) -> list[psutil.Process]:
        """Return the processes on the nodes that execute a script of this campaign."""
        jobs = []
        for process in psutil.process_iter():
            try:
                if name_rule(process) and Path(process.cwd()) == self.folder / "run":
                    jobs.append(process)
            except psutil.Error:
                continue
        return jobs

    def wait(self, run: "subprocess.Popen[bytes]", number: int) -> None:
        """Wait for the end of a run, and compare every file."""
        (self.folder / "run/log").unlink(missing_ok=True)
        (self.folder / "run/log").symlink_to("output.txt")
        try:
            self.check_end(run.wait(timeout=900), number)
        except subprocess.TimeoutExpired:
            self.problems.append("a run did not end")
            run.kill()

    def finish(self, number: int) -> None:
        """Let a config run to its end, and compare every file."""
        self.wait(self.submit(number), number)

    def check_orphans(self) -> None:
        """Note every job that is still in the queue."""
        if jobs := self.cluster.jobs():
            self.problems.append(f"jobs that live on: {len(jobs)}")


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign; return its exit status."""
    with start_cluster() as cluster:
        return kills.main(arguments, lambda folder, seed: SlurmCampaign(folder, seed, cluster))


if __name__ == "__main__":
    sys.exit(main())
