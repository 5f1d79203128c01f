"""Windows that earlier bigWigs cover are copied: all results have the bytes of a fresh run."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from seqcov_models.run.coverage_chunk import copy_coverage_chunk
from seqcov_models.run.coverage_outputs import join_batch, write_coverage_bigwigs, write_mask
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.planner import plan_run
from seqcov_models.run.predict import predict_coverage_chunk
from seqcov_models.run.range_files import write_range
from seqcov_models.run.track_set import MASK, TrackSet
from support.data import REPOSITORY
from support.fasta import write_fasta
from support.plans import Config, changed, complete

DRAW = random.Random(5)
CONTIGS = {
    "a": "N" * 20_000 + "".join(DRAW.choices("ACGTacgtN", k=60_001)),
    "b": "".join(DRAW.choices("ACGT", k=40_000)),
}
ADDED = "".join(DRAW.choices("ACGT", k=20_000))

Job = tuple[str, Callable[[], object]]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The demo's Borzoi with overlapping windows and two groups of tracks."""
    write_fasta(tmp_path / "g.fa", CONTIGS)
    model = {
        "architecture": "borzoi",
        "weights": str(REPOSITORY / "demo/borzoi"),
        "tracks": ["assay:CAGE", "assay:DNASE"],
    }
    regions = ["a:25,001-50,000", "b"]
    exclude = ["a:30,001-31,000", "b:5,001-6,000"]
    return complete(
        {
            "output": str(tmp_path / "results"),
            "genome": {
                "name": "g", "fasta": str(tmp_path / "g.fa"), "regions": regions,
                "exclude": exclude,
            },
            "models": {"m": model},
            "prediction": {
                "windows_per_chunk": 2, "device": "cpu", "overlap": 0.3, "blend": "taper",
                "min_acgt": 0.5,
            },
        }
    )  # fmt: skip


def execute(config: Config, until: str = "") -> RunPlan:
    """Do the jobs of a run as the workflow does, until the job of a name begins."""
    run = plan_run(config)
    run.save(run.paths)
    for plan in run.models.values():
        for number in run.works[plan.name].groups:
            track_set = next(tracks for tracks in plan.sets if tracks.number == number)
            for name, job in list_jobs(run, plan, track_set):
                if name == until:
                    return run
                job()
    return run


def list_jobs(run: RunPlan, plan: CoveragePlan, tracks: TrackSet) -> list[Job]:
    """Return the jobs of a set of tracks in order, each with its name."""
    paths, model, work = run.paths, plan.name, run.works[plan.name]
    paths.chunks(model).mkdir(parents=True, exist_ok=True)
    files = {chunk: paths.chunk(model, chunk) for chunk in tracks.chunks}
    batches = range(len(tracks.batches))

    def predict(chunk: str) -> None:
        if plan.count_predicted(tracks, chunk):
            predict_coverage_chunk(plan, chunk, files[chunk], paths)
        else:
            copy_coverage_chunk(plan, chunk, files[chunk], paths)

    def compress(name: str) -> None:
        chunks = [files[chunk] for chunk in tracks.ranges[name]]
        packed = [paths.packed(model, name, batch) for batch in batches]
        write_range(plan, name, chunks, packed)
        for chunk in chunks:
            chunk.unlink()

    def write(group: str) -> None:
        folder = paths.tracks(model, group)
        shutil.rmtree(folder, ignore_errors=True)
        indices, sources = tracks.batch_indices(group), [*files.values()]
        packed = {
            index: [paths.packed(model, name, index) for name in tracks.ranges] for index in indices
        }
        if len(indices) == 1:
            sources = packed[indices[0]]
        elif indices:
            sources = [paths.joined(model, tracks.batch_names[index]) for index in indices]
            for index, joined in zip(indices, sources, strict=True):
                join_batch(joined, plan, tracks.batch_names[index], packed[index])
        write_coverage_bigwigs(folder, plan, group, sources)

    jobs: list[Job] = [
        (f"chunk {chunk}", lambda c=chunk: predict(c)) for chunk in work.chunks[tracks.number]
    ]
    jobs += [(f"range {name}", lambda n=name: compress(n)) for name in tracks.ranges]
    jobs += [(f"group {group}", lambda g=group: write(g)) for group in work.groups[tracks.number]]
    jobs.append(("mask", lambda: write_mask(paths.mask(model), plan, paths.tracks(model, MASK))))
    return [*jobs, ("end", lambda: shutil.rmtree(paths.chunks(model)))]


def contents(run: RunPlan) -> dict[str, bytes]:
    """Return the bytes of all bigWigs, their tables and the masks that a run needs."""
    paths, found = run.paths, dict[str, bytes]()
    for name, plan in run.models.items():
        found[f"{name}.mask"] = paths.mask(name).read_bytes()
        for group in plan.groups:
            for file in sorted(paths.tracks(name, group).glob("*.[bt][ws]*")):
                found[f"{name} {file.name} {group if file.suffix == '.tsv' else ''}"] = (
                    file.read_bytes()
                )
    return found


def assert_fresh(config: Config) -> None:
    """Assert that the results of a config are those of a run that begins anew."""
    again = plan_run(config)
    assert not any(work.groups for work in again.works.values()), "it is finished"
    fresh = execute(changed(config, "output", f"{config['output']}_fresh"))
    assert contents(again) == contents(fresh)
    shutil.rmtree(fresh.paths.folder)


def counts(run: RunPlan, model: str = "m") -> tuple[int, int]:
    """Return the numbers of windows that a run predicts and copies."""
    return run.works[model].windows, run.works[model].copied


def edit_fasta(config: Config, **contigs: str) -> None:
    write_fasta(Path(config["genome"]["fasta"]), CONTIGS | contigs)


def test_regions_and_contigs_that_are_added_changed_or_removed(config: Config) -> None:
    assert counts(execute(config)) == (7, 0)
    # more on both sides of a region, a hole that is filled, and one of another place
    more = changed(config, "genome.regions", ["a:15,001-80,001", "b"])
    more = changed(more, "genome.exclude", ["a:30,001-31,000", "b:35,001-36,000"])
    assert counts(execute(more)) == (6, 4)
    assert_fresh(more)
    # a contig more, and one with the same letters in other lines and cases; less of a contig
    write_fasta(
        Path(config["genome"]["fasta"]),
        {"new": ADDED} | {n: s.lower() for n, s in CONTIGS.items()},
        71,
    )
    less = changed(more, "genome.regions", ["new", "a:40,001-80,000", "b"])
    assert counts(execute(less)) == (2, 8)
    assert_fresh(less)
    # one contig has another letter
    edit_fasta(config, b=CONTIGS["b"][:-1] + "N")
    other = changed(less, "genome.regions", ["a:40,001-80,000", "b"])
    assert counts(execute(other)) == (4, 4)
    assert_fresh(other)
    # back to the first config: what any of them still has
    edit_fasta(config)
    assert counts(execute(config)) == (6, 1)
    assert_fresh(config)
