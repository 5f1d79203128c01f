"""Let one job work on several models of an entry, if a job of each would mostly start.

A job starts for seconds: Python, torch, the checksums. A small network predicts its peaks, or a
chunk of a small genome, in less. Which models share a job depends on the run: only those whose
results are missing. So a job's digest must not contain its models: what it writes says itself what
it was made from (`list_outdated`).
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TypeVar

from seqcov_models.run.chunk_size import START_SECONDS, START_SHARE
from seqcov_models.run.estimate import Cost, Peaks, estimate, read_earlier
from seqcov_models.run.plan import RunPlan, SharedJob
from seqcov_models.run.sealed_array import is_sealed

MODELS = 16
"""Maximum number of models of a job, so that several cores or GPUs work on 50 models."""

Item = TypeVar("Item")


def plan_shared_jobs(run: RunPlan, peaks: Peaks) -> list[SharedJob]:
    """Return the jobs that several models share.

    Args:
        run: The plan.
        peaks: Numbers of peaks by BPNet; see `run.peak_sets.count_peaks`.
    """
    entries: dict[str, list[str]] = {}
    for name, entry in run.entries.items():
        entries.setdefault(entry, []).append(name)
    costs = estimate(run, peaks) if entries else {}
    jobs = []
    for names in entries.values():
        unchecked = [name for name in names if not _has_card(run, name)]
        jobs += [SharedJob("check_checkpoint", part) for part in _divide(unchecked, MODELS)]
        changed = [name for name in names if name in run.profiles and not _has_peaks(run, name)]
        for part in _group(changed, lambda name: run.profiles[name].peaks_digest).values():
            jobs.append(SharedJob("combine_peaks", part))
        for chunks, part in _group(names, lambda name: _missing_chunks(run, costs, name)).items():
            rule = "predict_profiles" if part[0] in run.profiles else "predict_coverage"
            size = _choose_size(run, [costs[name] for name in part], len(chunks))
            if chunks:
                jobs += [SharedJob(rule, some, [*chunks]) for some in _divide(part, size)]
    return [job for job in jobs if len(job.models) > 1]


def list_outdated(run: RunPlan) -> Iterator[Path]:
    """Yield the cards and chunks that were made from something else.

    Digests in params find those that jobs of one model wrote, but not those of shared jobs.

    Args:
        run: The plan.
    """
    paths = run.paths
    for name in (*run.models, *run.profiles):
        if paths.card(name).exists() and not _has_card(run, name):
            yield paths.card(name)
        combined = paths.peaks(name)
        if name not in run.profiles or not combined.is_file():
            continue
        plan = run.profiles[name]
        existing = {job: paths.chunk(name, job) for job in plan.jobs}
        existing = {job: chunk for job, chunk in existing.items() if chunk.exists()}
        identities = plan.chunk_identities(combined) if existing else []
        yield from (file for job, file in existing.items() if not is_sealed(file, identities[job]))


def _has_card(run: RunPlan, name: str) -> bool:
    """Return whether the checkpoints of a model have been checked."""
    plan = run.models[name] if name in run.models else run.profiles[name]
    try:
        cards = json.loads(run.paths.card(name).read_text("utf-8"))
        checked = [sorted(card["sha256"].values()) for card in cards]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return checked == [sorted(fold.network_digests) for fold in plan.folds]


def _has_peaks(run: RunPlan, name: str) -> bool:
    """Return whether the peaks of a BPNet were combined, as far as its last document says."""
    earlier = read_earlier(run.profiles[name], run.paths)
    digest = run.profiles[name].peaks_digest
    return run.paths.peaks(name).exists() and bool(earlier and earlier.peaks_digest == digest)


def _missing_chunks(run: RunPlan, costs: Mapping[str, Cost], name: str) -> tuple[str, ...]:
    """Return the names of the chunks of a model that are to be predicted."""
    if name in run.models:
        return tuple(chunk for names in run.works[name].chunks.values() for chunk in names)
    return tuple(map(str, run.profiles[name].jobs)) if costs[name].windows else ()


def _choose_size(run: RunPlan, costs: Sequence[Cost], chunks: int) -> int:
    """Return how many models share a job: starting takes 5 % of it, or it has `MODELS`."""
    threads = min(run.config["prediction"]["threads"], os.cpu_count() or 1)
    workers = 1 if costs[0].speed.is_gpu else threads
    seconds = sum(cost.seconds for cost in costs) / len(costs) / max(1, chunks) / workers
    return max(1, min(MODELS, ceil(START_SECONDS / START_SHARE / max(seconds, 1e-9))))


def _divide(names: Sequence[str], size: int) -> list[list[str]]:
    """Divide names into lists of nearly equal length, at most `size`."""
    count = -(-len(names) // size)
    return [list(names[number::count]) for number in range(count)]


def _group(names: Sequence[str], key: Callable[[str], Item]) -> dict[Item, list[str]]:
    """Return names by their key."""
    groups: dict[Item, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return groups


@dataclass(frozen=True)
class Share:
    """What a shared job writes for one model.

    Attributes:
        files: The arrays (.npy) to write.
        identity: What they are made from.
    """

    files: Sequence[Path]
    identity: str


def write_shares(shares: Sequence[Share], write: Callable[[int, Sequence[Path]], None]) -> None:
    """Write the files of several models; they get their names when all are complete.

    Snakemake deletes what a killed job has written under its name. So a model that is complete
    waits under another name, under which the next attempt finds it.

    Args:
        shares: What to write, by model.
        write: Function that writes the files of a model: number of the share, and where to.
    """
    if len(shares) == 1:
        write(0, shares[0].files)
        return
    for number, share in enumerate(shares):
        waiting = [waiting_path(file) for file in share.files]
        if not all(is_sealed(file, share.identity) for file in waiting):
            write(number, waiting)
    for share in shares:
        for file in share.files:
            waiting_path(file).replace(file)


def waiting_path(file: Path) -> Path:
    """Return the name of a complete chunk until those of the other models are complete.

    Args:
        file: The chunk, as `Paths` names it.
    """
    return file.with_name(file.name.replace(".", ".waiting.", 1))
