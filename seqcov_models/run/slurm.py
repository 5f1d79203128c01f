"""Ask Slurm what a run must know: its configuration, its nodes, and the jobs of this folder.

Only Slurm's own programs are called (scontrol, sinfo, squeue, scancel). `run.slurm_executor`
uses this in the process that submits jobs.
"""

import hashlib
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqcov_models.errors import SeqcovError

MAX_PREFIX = 50
"""Letters that the executor allows before the name of a run's jobs."""


@dataclass(frozen=True)
class Nodes:
    """Nodes of one kind in a partition.

    Attributes:
        partition: Its name.
        cpus: CPUs per node.
        memory: Memory per node in MB.
        gpus: GPUs per node, by their type; "" if the site names none.
        minutes: The longest time that a job may ask for; None if there is no limit.
    """

    partition: str
    cpus: int
    memory: int
    gpus: dict[str, int]
    minutes: int | None


@dataclass(frozen=True)
class Request:
    """What each job of a rule asks for; 0 or "" if it asks for nothing."""

    rule: str
    partitions: tuple[str, ...]
    cpus: int
    memory: int
    gpus: int
    gpu_type: str
    minutes: int


def ask(*command: str) -> str:
    """Return what a program of Slurm prints.

    Raises:
        SeqcovError: If the program is missing or fails, or if Slurm does not answer in a minute.
    """
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split()) or f"exit status {error.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    raise SeqcovError(f"Slurm does not answer ({command[0]}: {reason}); start again when it does")


def read_configuration() -> dict[str, str]:
    """Return Slurm's configuration: the value of each key.

    Raises:
        SeqcovError: If Slurm does not answer.
    """
    lines = ask("scontrol", "show", "config").splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}


def has_accounting() -> bool:
    """Return whether sacct tells what became of jobs: it fails if Slurm does not store that."""
    try:
        ask("sacct", "-n", "-X", "-S", "now")
    except SeqcovError:
        return False
    return True


def job_age(configuration: dict[str, str]) -> int:
    """Return how many seconds squeue still lists a job that has ended."""
    match = re.match(r"\d+", configuration.get("MinJobAge", ""))
    return int(match[0]) if match else 300


def read_nodes() -> list[Nodes]:
    """Return the kinds of nodes in all partitions.

    Raises:
        SeqcovError: If Slurm does not answer.
    """
    kinds = []
    for line in ask("sinfo", "-h", "-a", "-e", "-o", "%R|%c|%m|%G|%l").splitlines():
        partition, cpus, memory, resources, limit = line.strip().split("|")
        gpus: dict[str, int] = {}
        for kind, count in re.findall(r"(?:^|,)gpu(?::([^:,(]+))?:(\d+)", resources):
            gpus[kind] = gpus.get(kind, 0) + int(count)
        kinds.append(Nodes(partition, int(cpus), int(memory), gpus, parse_minutes(limit)))
    return kinds


def parse_minutes(limit: str) -> int | None:
    """Return the minutes of a time limit as Slurm prints it, [[days-]hours:]minutes:seconds."""
    days, _, clock = limit.rpartition("-")
    fields = clock.split(":")
    if not all(field.isdigit() for field in fields):  # infinite, n/a
        return None
    hours, minutes = [0, 0, *map(int, fields[:-1])][-2:]
    return 1440 * int(days or 0) + 60 * hours + minutes


def find_unmet(request: Request, kinds: Sequence[Nodes]) -> str | None:
    """Return why Slurm can never start jobs of a rule, and the key to set; None if it can.

    Args:
        request: What each of them asks for.
        kinds: The nodes of all partitions.
    """
    partitions = sorted({kind.partition for kind in kinds})
    if unknown := [name for name in request.partitions if name not in partitions]:
        return (
            f"rule {request.rule}: Slurm has no partition {unknown[0]!r}; set slurm_partition in"
            f" the profile to one of {', '.join(partitions)}"
        )
    chosen = [kind for kind in kinds if kind.partition in (request.partitions or partitions)]
    place = f"partition {','.join(request.partitions)}" if request.partitions else "the cluster"
    largest = max((kind.cpus for kind in chosen), default=0)
    if request.cpus > largest:
        return (
            f"rule {request.rule} asks for {request.cpus} CPUs, but the nodes of {place} have at"
            f" most {largest}; set max-threads: {largest} in the profile"
        )
    largest = max((kind.memory for kind in chosen), default=0)
    if request.memory > largest:
        return _unmet(request, f"{request.memory:,} MB of memory", place, f"{largest:,}", "mem_mb")
    largest = max((_count_gpus(kind, request.gpu_type) for kind in chosen), default=0)
    if request.gpus > largest:
        gpus = f"GPUs of type {request.gpu_type}" if request.gpu_type else "GPUs"
        return _unmet(request, f"{gpus}: {request.gpus}", place, str(largest), "slurm_partition")
    limits = [kind.minutes for kind in chosen]
    if None not in limits and request.minutes > max(limit or 0 for limit in limits):
        longest = max(limit or 0 for limit in limits)
        return _unmet(request, f"{request.minutes} minutes", place, str(longest), "runtime")
    if not any(_fits(request, kind) for kind in chosen):
        return (
            f"rule {request.rule}: no node of {place} has {request.cpus} CPUs,"
            f" {request.memory:,} MB and {request.gpus} GPUs at once; set max-threads, mem_mb or"
            " slurm_partition in the profile"
        )
    return None


def _unmet(request: Request, amount: str, place: str, most: str, key: str) -> str:
    """Return the message about one resource of which a rule asks for too much."""
    return (
        f"rule {request.rule} asks for {amount}, but {place} has at most {most} per job; set {key}"
        f" under set-resources: {request.rule} in the profile"
    )


def _count_gpus(kind: Nodes, gpu_type: str) -> int:
    """Return the GPUs of a node, or those of one type."""
    return kind.gpus.get(gpu_type, 0) if gpu_type else sum(kind.gpus.values())


def _fits(request: Request, kind: Nodes) -> bool:
    """Return whether a job fits on a node."""
    return (
        request.cpus <= kind.cpus
        and request.memory <= kind.memory
        and request.gpus <= _count_gpus(kind, request.gpu_type)
        and (kind.minutes is None or request.minutes <= kind.minutes)
    )


def name_prefix(prefix: str, folder: Path) -> str:
    """Return what the names of all Slurm jobs that write into a folder begin with.

    Args:
        prefix: A prefix that the user has chosen, or "".
        folder: The folder of results.
    """
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return f"{(prefix or 'seqcov')[: MAX_PREFIX - 13]}_{digest}"


def find_jobs(prefix: str) -> list[str]:
    """Return the numbers of this user's jobs, in the queue or running, with such a name.

    Raises:
        SeqcovError: If Slurm does not answer.
    """
    lines = [line.split() for line in ask("squeue", "-h", "--me", "-o", "%A %j").splitlines()]
    return [number for number, name, *_ in lines if name.startswith(prefix)]


def known_jobs(name: str) -> set[str]:
    """Return the numbers of all jobs with this name that Slurm remembers; an array has one number.

    Raises:
        SeqcovError: If Slurm does not answer.
    """
    return set(ask("squeue", "-h", "--me", "-t", "all", "-o", "%F", "--name", name).split())


def cancel_jobs(name: str) -> None:
    """Cancel this user's jobs of a name, in the queue or running.

    Raises:
        SeqcovError: If Slurm does not answer.
    """
    ask("scancel", "--quiet", "--name", name)


def end_jobs(numbers: Iterable[str], patience: float = 120, poll: float = 1) -> None:
    """Cancel jobs and wait until they have ended, so that they no longer write.

    Args:
        numbers: The jobs.
        patience: Seconds to wait.
        poll: Seconds between two questions to Slurm.

    Raises:
        SeqcovError: If they do not end, or if Slurm does not answer.
    """
    jobs = set(numbers)
    ask("scancel", "--quiet", *sorted(jobs))
    end = time.monotonic() + patience
    while jobs := jobs & set(ask("squeue", "-h", "--me", "-o", "%A").split()):
        if time.monotonic() > end:
            names = ",".join(sorted(jobs))
            raise SeqcovError(
                f"Slurm jobs {names} of an earlier run were cancelled but have not ended; start"
                f" again when `squeue -j {names}` lists none"
            )
        time.sleep(poll)
