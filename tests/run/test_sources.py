"""Windows that earlier bigWigs cover are copied: all results have the bytes of a fresh run."""

import json
import os
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from seqcov_models import save_model
from seqcov_models.errors import SeqcovError
from seqcov_models.run.coverage_chunk import copy_coverage_chunk
from seqcov_models.run.coverage_outputs import write_coverage_bigwigs, write_mask
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.paths import TRACK_TABLE
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.planner import plan_run
from seqcov_models.run.predict import predict_coverage_chunk
from seqcov_models.run.range_files import write_range
from seqcov_models.run.track_set import MASK, TrackSet
from support.data import REPOSITORY
from support.fasta import write_fasta
from support.plans import Config, changed, complete
from support.profiles import BPNET, BPNET_LITE, network

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
        if MASK in plan.groups:
            write_mask(run.paths.mask(plan.name), plan, run.paths.tracks(plan.name, MASK))
        shutil.rmtree(run.paths.chunks(plan.name), ignore_errors=True)
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
        folder, sources = paths.tracks(model, group), [*files.values()]
        shutil.rmtree(folder, ignore_errors=True)  # as Snakemake does before the job
        if tracks.ranges:
            (batch,) = tracks.batch_indices(group)
            sources = [paths.packed(model, name, batch) for name in tracks.ranges]
        write_coverage_bigwigs(folder, plan, group, sources)

    chunks, groups = work.chunks[tracks.number], work.groups[tracks.number]
    jobs: list[Job] = [(f"chunk {chunk}", partial(predict, chunk)) for chunk in chunks]
    for name, members in tracks.ranges.items():
        if any(chunk in chunks or files[chunk].exists() for chunk in members):
            jobs.append((f"range {name}", partial(compress, name)))
    return jobs + [(f"group {group}", partial(write, group)) for group in groups]


def contents(run: RunPlan) -> dict[str, bytes]:
    """Return the bytes of all bigWigs, their rows in tables, and the masks that a run needs."""
    paths, found = run.paths, dict[str, bytes]()
    for name, plan in run.models.items():
        found[f"{name}.mask"] = paths.mask(name).read_bytes()
        for bigwig in plan.bigwigs:
            folder = paths.tracks(name, bigwig.group)
            rows = (folder / TRACK_TABLE).read_bytes().splitlines()
            file = paths.bigwig(name, bigwig.group, bigwig.track.file_name)
            found[file.name] = file.read_bytes()
            found[f"{file.name} row"] = next(row for row in rows if file.name.encode() in row)
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


def test_rounded_values_are_copied_only_to_values_of_so_many_bits(config: Config) -> None:
    execute(config)
    rounded = changed(config, "bigwig.significant_bits", 5)
    assert counts(execute(rounded)) == (0, 7)
    assert_fresh(rounded)
    smaller = changed(rounded, "genome.regions", ["b"])
    assert counts(execute(smaller)) == (0, 4)
    assert_fresh(smaller)
    assert counts(plan_run(changed(smaller, "bigwig.significant_bits", 6))) == (4, 0)
    assert counts(plan_run(changed(smaller, "bigwig.significant_bits", None))) == (4, 0)


def test_float16_chunks_copy_exactly(config: Config) -> None:
    config = changed(config, "prediction.chunk_dtype", "float16")
    execute(config)
    smaller = changed(config, "genome.regions", ["b", "a:40,001-50,000"])
    assert counts(execute(smaller)) == (0, 6)
    assert_fresh(smaller)


def test_each_track_is_copied_from_the_set_that_has_it(config: Config) -> None:
    execute(changed(config, "models.m.tracks", ["assay:CAGE"]))
    assert counts(execute(config)) == (7, 0)
    larger = changed(config, "genome.regions", ["a:20,001-50,000", "b"])
    assert counts(execute(larger)) == (2, 6)
    assert_fresh(larger)
    # one of the tracks was never predicted: all rows of all windows are
    more = changed(larger, "models.m.tracks", ["assay:CAGE", "assay:DNASE", "assay:RNA"])
    assert counts(plan_run(changed(more, "genome.regions", ["b"]))) == (4, 0)


@pytest.mark.parametrize("last", ["chunk 3-1", "group CAGE", "group mask"])
def test_a_run_that_was_killed_while_it_copied(last: str, config: Config) -> None:
    execute(config)
    execute(changed(config, "genome.regions", ["b"]))
    larger = changed(config, "genome.regions", ["a:20,001-60,000", "b"])
    run = execute(larger, until=last)
    jobs = list_jobs(run, run.models["m"], run.models["m"].needed_sets[-1])
    assert last in dict(jobs)
    again = execute(larger)
    assert again.models["m"].group_sets == run.models["m"].group_sets, "it is continued"
    assert_fresh(larger)
    # with another config in between, too
    execute(changed(larger, "genome.regions", ["a:30,001-70,000"]), until=last.replace("3-", "4-"))
    execute(config, until=last.replace("3-", "5-"))
    execute(larger)
    assert_fresh(larger)


def test_a_damaged_bigwig_is_deleted_and_predicted(config: Config) -> None:
    run = execute(config)
    file = next(run.paths.tracks("m", "CAGE").glob("*.bw"))
    content, state = bytearray(file.read_bytes()), file.stat()
    data = int.from_bytes(content[16:24], "little")
    content[data + 50] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))  # as a disk that loses a bit
    smaller = changed(config, "genome.regions", ["a:25,001-50,000"])
    with pytest.raises(SeqcovError, match=f"{file}: damaged; it was deleted, and the same command"):
        execute(smaller)
    assert not file.exists()
    assert counts(execute(smaller)) == (3, 0)
    assert_fresh(smaller)


def test_bigwigs_that_change_during_a_run_are_not_copied(config: Config) -> None:
    folder = execute(config).paths.tracks("m", "CAGE")
    smaller = changed(config, "genome.regions", ["b"])
    run = execute(smaller, until="chunk 2-0")
    shutil.rmtree(folder)
    (_, job), *_ = list_jobs(run, run.models["m"], run.models["m"].needed_sets[0])
    with pytest.raises(SeqcovError, match="CAGE has changed since this run began; start the same"):
        job()


def test_documents_of_earlier_versions_are_read(config: Config) -> None:
    run = execute(config)
    document = run.paths.plan("m")
    values = json.loads(document.read_text())
    del values["sources"], values["extents"], values["fasta"]["contig_digests"]
    document.write_text(json.dumps(values))
    assert counts(plan_run(config)) == (0, 0)
    assert counts(plan_run(changed(config, "genome.regions", ["b"]))) == (0, 4)
    edit_fasta(config, new=ADDED)
    assert counts(plan_run(config)) == (7, 0), "digests of its contigs were not known"


def test_folders_that_another_set_writes_are_not_copied_from(config: Config) -> None:
    """The set that was killed writes CAGE before the new set copies from the CAGE of another."""
    execute(config)
    smaller = changed(changed(config, "genome.regions", ["b"]), "models.m.tracks", [4])
    execute(smaller, until="range 2-0")
    both = changed(smaller, "models.m.tracks", [4, 5])
    run = execute(both)
    assert len({source.set_number for source in run.models["m"].sources}) <= 1
    assert_fresh(both)


def test_profiles_along_a_genome(tmp_path: Path) -> None:
    """Of a network that is computed once per base, only runs with equal ends are copied."""
    letters = {name: sequence[19_000:21_000] for name, sequence in CONTIGS.items()}
    write_fasta(tmp_path / "g.fa", letters)
    models = {}
    for name, settings in {"lite": BPNET_LITE, "same": BPNET}.items():
        save_model(network(settings), tmp_path / name)
        weights = str(tmp_path / name)
        models[name] = {"architecture": settings.ARCHITECTURE, "weights": weights, "stride": 10}
    genome = {"name": "g", "fasta": str(tmp_path / "g.fa"), "regions": ["a", "b:1-1,000"]}
    config = complete(
        {
            "output": str(tmp_path / "results"),
            "genome": genome,
            "models": models,
            "prediction": {"windows_per_chunk": 70, "device": "cpu"},
        }
    )
    execute(config)
    larger = changed(config, "genome.regions", ["a", "b:1-1,500"])
    run = execute(larger)
    assert (counts(run, "lite"), counts(run, "same")) == ((150, 200), (50, 300))
    assert_fresh(larger)
