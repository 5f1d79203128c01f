"""The plan of a run: what it holds, when it changes, what it refuses."""

import ast
import copy
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seqcov_models.errors import SeqcovError
from seqcov_models.run import digests
from seqcov_models.run.coverage_plan import MASK, CoveragePlan
from seqcov_models.run.paths import Paths
from seqcov_models.run.plan import RunPlan, load_plan
from seqcov_models.run.planner import check_space, describe, group_tracks, plan_run
from seqcov_models.tracks.table import Track
from support.calico import Tiny
from support.data import REPOSITORY
from support.fasta import write_fasta

TINY = Tiny()  # bins of 4 bp, 118 of them a core: a core is 472 bp
CORE = TINY.bins * 4
GENOME = {"chr1": 5_000, "chr2": 1_003, "scaffold": 3}
ASSAYS = ["CAGE", "CAGE", "DNASE", "CHIP", "CHIP", "CHIP", "CHIP"]


def write_weights(folder: Path, tiny: Tiny = TINY) -> Path:
    """A checkpoint of which only params.json and the table are more than names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.json").write_text(json.dumps(tiny.params()))
    (folder / "model.h5").write_bytes(b"not read when a run is planned")
    rows = [f"{row}\tid{row}\t{assay}:cell {row}\n" for row, assay in enumerate(ASSAYS)]
    (folder / "targets.txt").write_text("\tidentifier\tdescription\n" + "".join(rows))
    return folder


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """A config that names everything the schema knows, as Snakemake hands it over."""
    sequences = {contig: "ACGT" * (length // 4 + 1) for contig, length in GENOME.items()}
    fasta = {contig: sequences[contig][:length] for contig, length in GENOME.items()}
    return {
        "output": str(tmp_path / "results"),
        "genome": {
            "name": "tiny",
            "fasta": str(write_fasta(tmp_path / "genome.fa", fasta)),
            "assembly": None,
            "regions": [],
            "exclude": [],
            "contig_aliases": {},
        },
        "models": {
            "borzoi": {
                "architecture": "borzoi",
                "weights": str(write_weights(tmp_path / "weights")),
                "species": "human",
                "targets": None,
                "tracks": "all",
                "reverse_complement": False,
                "shifts": [0],
                "scale": "model",
                "transform": None,
                "standard_deviation": False,
            }
        },
        "prediction": {
            "precision": "float32",
            "chunk_dtype": "float32",
            "windows_per_chunk": 4,
            "batch_size": 1,
            "threads": 2,
            "device": "cpu",
            "overlap": 0,
            "blend": "crop",
            "min_acgt": 0,
        },
        "bigwig": {"tracks_per_job": 3},
    }


def changed(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of `config` with another value at a dotted path."""
    copied = copy.deepcopy(config)
    *parents, last = path.split(".")
    inner = copied
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return copied


# What a plan holds


def test_a_whole_genome_is_planned_window_by_window(config: dict[str, Any]) -> None:
    run = plan_run(config)
    plan = run.models["borzoi"]
    assert run.fasta.contigs == GENOME
    assert run.paths.folder == Path(config["output"], "tiny")
    assert plan.window_count == sum(-(-length // CORE) for length in GENOME.values())
    assert plan.bin_count == sum(-(-length // 4) for length in GENOME.values())
    assert [track.identifier for track in plan.tracks] == [f"id{row}" for row in range(7)]
    assert (plan.geometry.window, plan.geometry.bin, plan.geometry.core) == (512, 4, CORE)
    assert sum(s.windows for chunk in plan.chunks.values() for s in chunk) == plan.window_count
    assert len(plan.chunks) == -(-plan.window_count // 4)


def test_names_of_chunks_sort_as_they_are_computed(config: dict[str, Any]) -> None:
    plan = plan_run(changed(config, "prediction.windows_per_chunk", 1)).models["borzoi"]
    assert len(plan.chunks) > 10
    assert list(plan.chunks) == sorted(plan.chunks)
    assert len({len(name) for name in plan.chunks}) == 1


def test_regions_and_exclusions_narrow_the_plan(config: dict[str, Any]) -> None:
    config = changed(config, "genome.regions", ["chr1:1-100", "chr2"])
    config = changed(config, "genome.exclude", ["chr2:501-1,003"])
    plan = plan_run(config).models["borzoi"]
    assert {contig: bins.tolist() for contig, bins in plan.selected_bins.items()} == {
        "chr1": [[0, 25]],
        "chr2": [[0, 125]],
    }


def test_two_models_are_planned_side_by_side(config: dict[str, Any], tmp_path: Path) -> None:
    other = dataclasses.replace(TINY, upsamples=1, crop=2)  # bins of 8 bp
    config["models"]["coarse"] = {
        **config["models"]["borzoi"],
        "weights": str(write_weights(tmp_path / "other", other)),
        "tracks": ["assay:CAGE", 6],
    }
    run = plan_run(config)
    assert list(run.models) == ["borzoi", "coarse"]
    assert [track.row for track in run.models["coarse"].tracks] == [0, 1, 6]
    assert run.models["coarse"].geometry.bin == 8
    assert run.models["coarse"].bin_count == sum(-(-length // 8) for length in GENOME.values())


def test_groups_hold_each_track_with_its_row_in_the_chunks(config: dict[str, Any]) -> None:
    plan = plan_run(changed(config, "models.borzoi.tracks", [1, 3, 4, 6])).models["borzoi"]
    found = [pair for name in plan.groups if name != MASK for pair in plan.members(name)]
    assert sorted((row, track.identifier) for row, track in found) == [
        (0, "id1"),
        (1, "id3"),
        (2, "id4"),
        (3, "id6"),
    ]


def test_the_summary_says_how_much_it_will_be(config: dict[str, Any]) -> None:
    text = describe(plan_run(changed(config, "models.borzoi.tracks", ["assay:CHIP"])), {})
    for fact in ("tiny", "3 contigs", "6,006 bp", "4 of 7 tracks", "15 windows", "1,502 bins"):
        assert fact in text


def test_bytes_of_chunks_are_those_of_the_files(config: dict[str, Any]) -> None:
    for dtype, width in (("float32", 4), ("float16", 2)):
        run = plan_run(changed(config, "prediction.chunk_dtype", dtype))
        chunks, _ = run.models["borzoi"].output_bytes
        assert chunks == 1_502 * (7 + 1) * width  # a row a track and one of unknown bases


@pytest.mark.parametrize(
    ("regions", "gaps", "view"),
    [
        ([], "", ("chr1", 9_966_666, 10_066_666)),
        (["b"], "", ("b", 0, 1_000)),
        (["a", "chr1:101-600"], "", ("chr1", 100, 600)),
        ([], "chr1\t0\t29000000\nchr1\t29050000\t30000000\n", ("chr1", 29_000_000, 29_050_000)),
    ],
)
def test_browsers_first_show_a_place_in_the_longest_predicted_stretch(
    regions: list[str],
    gaps: str,
    view: tuple[str, int, int],
    config: dict[str, Any],
    tmp_path: Path,
) -> None:
    fasta = tmp_path / "long.fa"
    fasta.write_text(">a\nA\n")  # only the index is read
    sizes = {"a": 50, "chr1": 30_000_000, "b": 1_000}
    Path(f"{fasta}.fai").write_text("".join(f"{n}\t{s}\t3\t50\t51\n" for n, s in sizes.items()))
    (tmp_path / "gaps.bed").write_text(gaps)
    config["genome"] |= {"fasta": str(fasta), "regions": regions}
    config["genome"]["exclude"] = [str(tmp_path / "gaps.bed")] if gaps else []
    assert plan_run(config).view == view


# Groups


def tracks_of(assays: list[str]) -> list[Track]:
    return [
        Track(row, row, f"id{row}", f"{assay}:x" if assay else "x", f"id{row}")
        for row, assay in enumerate(assays)
    ]


ASSAY_NAMES = st.sampled_from(["CAGE", "cage", "RNA", "RNA_1", "", "tracks", "mask", "a b", "a_b"])


@example(["RNA", "RNA", "RNA", "RNA", "RNA_1"], 3)
@given(st.lists(ASSAY_NAMES, min_size=1, max_size=25), st.integers(1, 5))
def test_each_track_lies_in_one_group_of_a_bounded_size(assays: list[str], most: int) -> None:
    tracks = tracks_of(assays)
    groups = group_tracks(tracks, most)
    groups.pop(MASK)
    rows = [row for members in groups.values() for row in members]
    assert sorted(rows) == list(range(len(tracks)))
    assert all(0 < len(members) <= most for members in groups.values())
    for name in groups:
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name)


@given(st.lists(ASSAY_NAMES, min_size=1, max_size=25), st.integers(1, 5))
def test_folders_of_groups_differ_where_case_does_not_count(assays: list[str], most: int) -> None:
    names = list(group_tracks(tracks_of(assays), most))
    assert len({name.lower() for name in names}) == len(names)


def test_tracks_are_grouped_by_assay_in_the_tables_order(config: dict[str, Any]) -> None:
    plan = plan_run(config).models["borzoi"]
    found = {name: [track.row for _, track in plan.members(name)] for name in plan.groups}
    assert [rows for name, rows in found.items() if name.startswith("CHIP")] == [[3, 4, 5], [6]]
    assert found["CAGE"] == [0, 1]
    assert found["DNASE"] == [2]


# When the plan changes


def digest(config: dict[str, Any]) -> str:
    return plan_run(config).models["borzoi"].prediction_digest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("genome.regions", ["chr1", "chr2"]),
        ("genome.regions", ["chr1:1-4996", "chr2", "scaffold"]),
        ("genome.exclude", ["chr1:1-1"]),
        ("models.borzoi.tracks", [0, 1]),
        ("prediction.windows_per_chunk", 5),
        ("prediction.overlap", 0.5),
        ("prediction.precision", "bfloat16"),
        ("prediction.chunk_dtype", "float16"),
        ("prediction.min_acgt", 0.5),
        ("models.borzoi.shifts", [0, 1]),
    ],
)
def test_the_digest_changes_with_values_and_chunks(
    path: str, value: Any, config: dict[str, Any]
) -> None:
    assert digest(changed(config, path, value)) != digest(config)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("genome.regions", ["scaffold", "chr2", "chr1"]),
        ("genome.regions", ["chr1:1-3,000", "chr1:2,000-5,000", "chr2", "scaffold", "chr2"]),
        ("genome.assembly", "hg38"),
        ("models.borzoi.tracks", list(range(7))),
        ("models.borzoi.tracks", ["assay:CHIP", "assay:CAGE", "id2"]),
        ("prediction.batch_size", 8),
        ("prediction.threads", 1),
        ("prediction.device", "auto"),
        ("bigwig.tracks_per_job", 100),
    ],
)
def test_the_digest_stays_where_nothing_of_the_plan_changes(
    path: str, value: Any, config: dict[str, Any]
) -> None:
    assert digest(changed(config, path, value)) == digest(config)


def test_the_digest_is_the_same_in_every_process_and_version_of_the_package(
    config: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    script = (
        "import json, sys, seqcov_models; seqcov_models.__version__ = '99.0';"
        " from seqcov_models.run.planner import plan_run;"
        " print(plan_run(json.load(open(sys.argv[1]))).models['borzoi'].prediction_digest)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path / "config.json")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest(config)


def test_a_new_results_version_changes_every_digest(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_digests() -> list[str]:
        run = plan_run(config)
        model = run.models["borzoi"]
        return [
            run.browser_digest, run.provenance_digest, model.card_digest, model.prediction_digest,
            *map(model.bigwig_digest, model.groups),
        ]  # fmt: skip

    before = all_digests()
    monkeypatch.setattr(digests, "RESULTS_VERSION", digests.RESULTS_VERSION + 1)
    assert not set(before) & set(all_digests())


def test_browser_files_follow_an_edit_of_a_bed_file_that_moves_no_bin(
    config: dict[str, Any], tmp_path: Path
) -> None:
    bed = tmp_path / "regions.bed"
    config["genome"]["regions"] = [str(bed)]
    bed.write_text("chr1\t1\t200\n")
    before = plan_run(config)
    bed.write_text("chr1\t2\t200\n")  # still in the first bin of 4 bp
    after = plan_run(config)
    assert after.models["borzoi"].prediction_digest == before.models["borzoi"].prediction_digest
    assert after.browser_digest != before.browser_digest


def test_the_digest_changes_with_the_networks_geometry(config: dict[str, Any]) -> None:
    before = digest(config)
    write_weights(Path(config["models"]["borzoi"]["weights"]), dataclasses.replace(TINY, crop=6))
    assert digest(config) != before


def test_the_digest_changes_with_the_contigs(config: dict[str, Any]) -> None:
    before = digest(config)
    longer = {contig: "A" * (length + 4) for contig, length in GENOME.items()}
    write_fasta(Path(config["genome"]["fasta"]), longer)
    Path(config["genome"]["fasta"] + ".fai").unlink()
    assert digest(config) != before


# The document


def test_a_plan_is_read_back_as_it_was(config: dict[str, Any], tmp_path: Path) -> None:
    config["models"]["borzoi"] |= {"standard_deviation": True, "shifts": [-1, 0]}
    config["models"]["borzoi"]["weights"] = [config["models"]["borzoi"]["weights"]] * 2
    config = changed(config, "genome.exclude", ["chr1:1001-3002"])
    run = plan_run(config)
    run.save(run.paths)
    loaded = RunPlan.load(Paths.from_config(config))
    assert loaded.config == config
    assert loaded.fasta == run.fasta
    before, after = run.models["borzoi"], loaded.models["borzoi"]
    for field in dataclasses.fields(CoveragePlan):
        if field.name != "selected_bins":
            assert getattr(after, field.name) == getattr(before, field.name), field.name
    assert before.selected_bins.keys() == after.selected_bins.keys()
    for contig, bins in before.selected_bins.items():
        assert after.selected_bins[contig].dtype == bins.dtype
        assert after.selected_bins[contig].tolist() == bins.tolist()
    assert after.prediction_digest == before.prediction_digest
    assert after.card_digest == before.card_digest
    for group in before.groups:
        assert after.members(group) == before.members(group)
        assert after.bigwig_digest(group) == before.bigwig_digest(group)
    assert isinstance(load_plan(run.paths.plan("borzoi")), CoveragePlan)


def test_a_document_is_written_only_when_its_content_changes(config: dict[str, Any]) -> None:
    run = plan_run(config)
    run.save(run.paths)
    files = [run.paths.run_plan, run.paths.plan("borzoi")]
    states = [file.stat() for file in files]
    plan_run(config).save(run.paths)
    assert [file.stat() for file in files] == states
    plan_run(changed(config, "prediction.batch_size", 9)).save(run.paths)
    assert files[1].stat() == states[1]
    plan_run(changed(config, "models.borzoi.tracks", [0])).save(run.paths)
    assert files[1].stat() != states[1]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "borzoi"}'])
def test_a_damaged_document_is_refused(text: str, config: dict[str, Any]) -> None:
    run = plan_run(config)
    run.save(run.paths)
    run.paths.plan("borzoi").write_text(text)
    with pytest.raises(SeqcovError, match=r"plan\.json: .*start the run again"):
        CoveragePlan.load(run.paths.plan("borzoi"))


def test_no_script_plans() -> None:
    """A script reads the plan from its input; nothing that it imports by name makes one."""
    scripts = sorted((REPOSITORY / "scripts").glob("*.py"))
    assert len(scripts) == 12
    for script in scripts:
        imported = set[str]()
        for node in ast.walk(ast.parse(script.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported |= {str(node.module), *(alias.name for alias in node.names)}
            assert not (
                isinstance(node, ast.Attribute)
                and node.attr == "config"
                and isinstance(node.value, ast.Name)
                and node.value.id == "snakemake"
            ), script
        assert not imported & {"seqcov_models.run.planner", "planner", "plan_run", "recognise"}


# What is refused


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("genome.fasta", "absent.fa", r"absent\.fa"),
        ("genome.regions", ["chr3"], "chr3"),
        ("genome.regions", ["1:1-100"], "'chr1'"),
        ("genome.regions", ["chr1:1-5,001"], "5,000"),
        ("genome.exclude", ["chr9"], "chr9"),
        ("genome.exclude", ["chr1", "chr2", "scaffold"], "exclude"),
        ("models.borzoi.weights", "absent", r"models\.borzoi.*absent"),
        ("models.borzoi.species", "mouse", r"models\.borzoi.*human"),
        ("models.borzoi.targets", "absent.txt", r"models\.borzoi.*absent\.txt"),
        ("models.borzoi.tracks", ["assay:CAEG"], r"models\.borzoi.*assay:CAGE"),
        ("models.borzoi.tracks", [7], r"models\.borzoi.*0 to 6"),
        ("models.borzoi.architecture", "enformer", "borzoi"),
    ],
)
def test_a_mistake_is_refused_with_where_it_is(
    path: str, value: Any, message: str, config: dict[str, Any]
) -> None:
    with pytest.raises(SeqcovError, match=message):
        plan_run(changed(config, path, value))


def test_exclusions_that_leave_nothing_of_the_regions_are_refused(config: dict[str, Any]) -> None:
    config = changed(config, "genome.regions", ["chr2:1-100"])
    with pytest.raises(SeqcovError, match="exclude"):
        plan_run(changed(config, "genome.exclude", ["chr2"]))


@pytest.mark.parametrize("blocked", ["results", "results/tiny", "", "results/tiny/borzoi"])
def test_an_output_folder_that_is_a_file_is_refused(
    blocked: str, config: dict[str, Any], tmp_path: Path
) -> None:
    """A file lies at the output folder, at the genome's or a model's in it, or above."""
    file = tmp_path / "blocked" / blocked if blocked else tmp_path / "blocked"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a file")
    with pytest.raises(SeqcovError, match="file"):
        plan_run(changed(config, "output", str(tmp_path / "blocked/results")))


Usage = namedtuple("Usage", ["total", "used", "free"])


def with_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**15, 10**15 - free, free))


def needed(run: RunPlan) -> int:
    return sum(sum(model.output_bytes) for model in run.models.values())


def test_a_disk_too_small_is_refused_and_one_byte_more_is_not(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan_run(config)
    assert needed(run) >= 1_502 * 7 * 4  # the chunks of the tracks alone
    with_free(monkeypatch, needed(run) - 1)
    with pytest.raises(SeqcovError, match="free"):
        check_space(run, {})
    with_free(monkeypatch, needed(run))
    check_space(run, {})


def test_what_an_unfinished_run_has_written_is_not_needed_again(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan_run(config)
    for name in ("borzoi/chunks/0.npy", "borzoi/tracks/CAGE/borzoi.id0.bw"):
        path = run.paths.folder / name
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(5_000))
    with_free(monkeypatch, needed(run) - 10_000)
    check_space(run, {})


def test_a_finished_run_needs_no_space_until_its_plan_changes(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan_run(config)
    with_free(monkeypatch, 0)
    run.save(run.paths)
    with pytest.raises(SeqcovError, match="free"):
        check_space(run, {})
    run.paths.provenance.touch()
    check_space(run, {})
    run = plan_run(changed(config, "models.borzoi.tracks", [0]))
    with pytest.raises(SeqcovError, match="free"):
        check_space(run, {})
    run.save(run.paths)  # the run begins, and is killed
    os.utime(run.paths.provenance, (1, 1))
    with pytest.raises(SeqcovError, match="free"):
        check_space(run, {})


def test_space_is_looked_for_on_the_disk_of_the_results(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> Usage:
        asked.append(Path(path))
        return Usage(10**15, 0, 10**15)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    check_space(plan_run(changed(config, "output", str(tmp_path / "not/yet/there"))), {})
    assert asked == [tmp_path]


def test_planning_writes_nothing_but_an_index(config: dict[str, Any], tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    plan_run(config)
    assert [path.name for path in set(tmp_path.rglob("*")) - before] == ["genome.fa.fai"]


def test_the_published_network_and_table_are_planned_along_hg38(
    config: dict[str, Any],
    real_input: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The sizes that the design states: 1.5 TB of float16 for all tracks of Borzoi."""
    weights = tmp_path / "published"
    weights.mkdir()
    params = json.loads(real_input("targets/borzoi_params_pred.json").read_text())
    params["model"]["trunk"][5]["cropping"] = 5_120
    (weights / "params.json").write_text(json.dumps(params))
    (weights / "model0_best.h5").touch()
    (weights / "targets.txt").write_bytes(
        real_input("targets/borzoi_targets_human.txt").read_bytes()
    )
    lines = [
        line.split("\t") for line in real_input("sizes/hg38.chrom.sizes").read_text().splitlines()
    ]
    fasta = tmp_path / "hg38.fa"
    fasta.write_text(">chr1\nA\n")  # the index alone is read
    Path(f"{fasta}.fai").write_text("".join(f"{n}\t{size}\t6\t50\t51\n" for n, size in lines))
    config = changed(config, "genome.fasta", str(fasta))
    config = changed(config, "models.borzoi.weights", str(weights))
    config = changed(config, "prediction.chunk_dtype", "float16")
    config = changed(config, "prediction.windows_per_chunk", 256)
    run = plan_run(config)
    plan = run.models["borzoi"]
    bases = sum(int(size) for _, size in lines)
    assert plan.window_count == sum(-(-int(size) // 196_608) for _, size in lines)
    assert plan.bin_count == pytest.approx(bases / 32, rel=1e-4)
    assert plan.output_bytes[0] == pytest.approx(1.5e12, rel=0.05)
    assert len(plan.tracks) == 7_611
    assert {name.rpartition("_")[0] or name for name in plan.groups} - {MASK} == {
        "CAGE", "DNASE", "ATAC", "CHIP", "RNA"
    }  # fmt: skip
    with_free(monkeypatch, 10**12)
    with pytest.raises(SeqcovError, match="TB"):
        check_space(run, {})
