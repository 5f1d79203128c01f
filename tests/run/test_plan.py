"""The plan of a run: what it contains, and its documents."""

import ast
import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seqcov_models.errors import SeqcovError
from seqcov_models.run import planner
from seqcov_models.run.costs import check_space
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.coverage_planner import choose_chunk_dtype
from seqcov_models.run.estimate import describe
from seqcov_models.run.paths import Paths
from seqcov_models.run.plan import RunPlan, load_plan
from seqcov_models.run.planner import plan_run
from seqcov_models.run.set_planner import group_tracks, plan_batches, plan_ranges
from seqcov_models.run.track_set import MASK
from seqcov_models.tracks.table import Track
from support.data import REPOSITORY
from support.fasta import write_sparse_fasta
from support.plans import CORE, GENOME, TINY, Config, changed, set_free_space, write_weights

# Content


def test_a_whole_genome_is_planned_window_by_window(config: Config) -> None:
    run = plan_run(config)
    plan = run.models["borzoi"]
    assert run.fasta.contigs == GENOME
    assert run.paths.folder == Path(config["output"], "tiny")
    (tracks,) = plan.sets
    assert tracks.window_count == sum(-(-length // CORE) for length in GENOME.values())
    assert plan.bin_count == sum(-(-length // 4) for length in GENOME.values())
    assert [track.identifier for track in plan.tracks] == [f"id{row}" for row in range(7)]
    assert (plan.geometry.window, plan.geometry.bin, plan.geometry.core) == (512, 4, CORE)
    assert len(tracks.chunks) == -(-tracks.window_count // 4)


def test_names_of_chunks_sort_as_they_are_computed(config: Config) -> None:
    run = plan_run(changed(config, "prediction.windows_per_chunk", 1))
    chunks = run.models["borzoi"].sets[0].chunks
    assert len(chunks) > 10
    assert list(chunks) == sorted(chunks)
    assert len({len(name) for name in chunks}) == 1


def test_ranges_and_batches_divide_chunks_and_tracks(config: Config) -> None:
    run = plan_run(changed(config, "prediction.windows_per_chunk", 1))
    plan = run.models["borzoi"].sets[0]
    assert [chunk for chunks in plan.ranges.values() for chunk in chunks] == list(plan.chunks)
    for group, rows in plan.groups.items():
        batches = [plan.batches[index].rows for index in plan.batch_indices(group)]
        assert [row for batch in batches for row in batch] == rows
    assert len(plan_ranges([str(number) for number in range(1_000)])) == 50
    run = plan_run(changed(config, "prediction.windows_per_chunk", 1_000))
    alone = run.models["borzoi"].sets[0]
    assert len(alone.chunks) == 1
    assert (alone.ranges, alone.batches) == ({}, [])


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(1, 10**9))
def test_batches_are_a_small_share_of_all_tracks_unless_they_are_small(
    counts: list[int], bytes_per_track: int
) -> None:
    starts = [sum(counts[:index]) for index in range(len(counts))]
    groups = {
        str(first): list(range(first, first + n)) for first, n in zip(starts, counts, strict=True)
    }
    batches = plan_batches(groups, bytes_per_track)
    assert [row for batch in batches for row in batch.rows] == list(range(sum(counts)))
    limit = max(sum(counts) / 48, 2e8 / bytes_per_track)
    assert max(len(batch.rows) for batch in batches) <= limit + 1


def test_regions_and_exclusions_narrow_the_plan(config: Config) -> None:
    config = changed(config, "genome.regions", ["chr1:1-100", "chr2"])
    config = changed(config, "genome.exclude", ["chr2:501-1,003"])
    plan = plan_run(config).models["borzoi"]
    assert {contig: bins.tolist() for contig, bins in plan.selected_bins.items()} == {
        "chr1": [[0, 25]],
        "chr2": [[0, 125]],
    }


def test_a_model_may_name_regions_of_its_own(config: Config, tmp_path: Path) -> None:
    """They lie within those of the genome, base by base; the other model does not change."""
    config = changed(config, "genome.regions", ["chr1:1-100", "chr2"])
    config["models"]["other"] = {**config["models"]["borzoi"]}
    before = plan_run(config)
    bed = tmp_path / "open.bed"
    bed.write_text("chr1\t10\t12\nchr1\t98\t300\nchr2\t1000\t1003\nscaffold\t0\t3\n")
    after = plan_run(changed(config, "models.borzoi.regions", [str(bed)]))
    assert {name: bins.tolist() for name, bins in after.models["borzoi"].selected_bins.items()} == {
        "chr1": [[2, 3], [24, 25]],  # bins of 4 bp
        "chr2": [[250, 251]],
    }
    assert after.view == ("chr2", 1000, 1003)
    assert after.models["other"].contents() == before.models["other"].contents()
    assert after.models["borzoi"].sets[0].digest != before.models["borzoi"].sets[0].digest
    bed.write_text("chr1\t13\t14\n")
    edited = plan_run(changed(config, "models.borzoi.regions", [str(bed)])).models["borzoi"]
    assert edited.selected_bins["chr1"].tolist() == [[3, 4]]


def test_two_models_are_planned_side_by_side(config: Config, tmp_path: Path) -> None:
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


def test_groups_hold_each_track_with_its_row_in_the_chunks(config: Config) -> None:
    plan = plan_run(changed(config, "models.borzoi.tracks", [1, 3, 4, 6])).models["borzoi"]
    members = [
        pair
        for name, tracks in plan.groups.items()
        if name != MASK
        for pair in plan.members(tracks, tracks.groups[name])
    ]
    assert sorted((row, track.identifier) for row, track in members) == [
        (0, "id1"),
        (1, "id3"),
        (2, "id4"),
        (3, "id6"),
    ]


def test_the_summary_says_how_much_it_will_be(config: Config) -> None:
    text = describe(plan_run(changed(config, "models.borzoi.tracks", ["assay:CHIP"])), {})
    for fact in ("tiny", "3 contigs", "6,006 bp", "4 of 7 tracks", "15 windows", "1,502 bins"):
        assert fact in text


@pytest.mark.parametrize(
    ("precision", "scale", "chosen"),
    [
        ("float32", "model", "float32"),
        ("tf32", "model", "float32"),
        ("bfloat16", "model", "float16"),
        ("bfloat16", "raw", "float32"),
    ],
)
def test_chunks_are_float16_only_if_that_costs_no_accuracy(
    precision: str, scale: str, chosen: str
) -> None:
    prediction = {"precision": precision, "chunk_dtype": "auto"}
    assert choose_chunk_dtype(prediction, scale) == chosen
    for named in ("float16", "float32"):
        assert choose_chunk_dtype({**prediction, "chunk_dtype": named}, scale) == named


def test_bytes_of_chunks_are_those_of_the_files(config: Config) -> None:
    for dtype, width in (("float32", 4), ("float16", 2)):
        run = plan_run(changed(config, "prediction.chunk_dtype", dtype))
        plan = run.models["borzoi"]
        chunks = sum(plan.chunk_bytes(plan.sets[0]).values())
        assert chunks == 1_502 * (7 + 1) * width  # one row per track, and one of unknown bases


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
    config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planner, "check_letters", lambda fasta: fasta)  # a sparse file has none
    sizes = {"a": 50, "chr1": 30_000_000, "b": 1_000}
    fasta = write_sparse_fasta(tmp_path / "long.fa", sizes)
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
def test_each_track_lies_in_one_group_of_a_bounded_size(assays: list[str], limit: int) -> None:
    tracks = tracks_of(assays)
    groups = group_tracks(tracks, limit)
    groups.pop(MASK)
    rows = [row for members in groups.values() for row in members]
    assert sorted(rows) == list(range(len(tracks)))
    assert all(0 < len(members) <= limit for members in groups.values())
    for name in groups:
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name)


@given(st.lists(ASSAY_NAMES, min_size=1, max_size=25), st.integers(1, 5))
def test_folders_of_groups_differ_where_case_does_not_count(assays: list[str], limit: int) -> None:
    names = list(group_tracks(tracks_of(assays), limit))
    assert len({name.lower() for name in names}) == len(names)


def test_tracks_are_grouped_by_assay_in_the_tables_order(config: Config) -> None:
    plan = plan_run(config).models["borzoi"]
    members = {
        name: [track.row for _, track in plan.members(tracks, tracks.groups[name])]
        for name, tracks in plan.groups.items()
    }
    assert [rows for name, rows in members.items() if name.startswith("CHIP")] == [[3, 4, 5], [6]]
    assert members["CAGE"] == [0, 1]
    assert members["DNASE"] == [2]


def test_planning_writes_nothing_but_an_index(config: Config, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    plan_run(config)
    assert [path.name for path in set(tmp_path.rglob("*")) - before] == ["genome.fa.fai"]


def test_the_published_network_and_table_are_planned_along_hg38(
    config: Config,
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
    monkeypatch.setattr(planner, "check_letters", lambda fasta: fasta)  # a sparse file has none
    fasta = write_sparse_fasta(tmp_path / "hg38.fa", {name: int(size) for name, size in lines})
    config = changed(config, "genome.fasta", str(fasta))
    config = changed(config, "models.borzoi.weights", str(weights))
    config = changed(config, "prediction.chunk_dtype", "float16")
    config = changed(config, "prediction.windows_per_chunk", 256)
    run = plan_run(config)
    plan = run.models["borzoi"]
    bases = sum(int(size) for _, size in lines)
    (tracks,) = plan.sets
    assert tracks.window_count == sum(-(-int(size) // 196_608) for _, size in lines)
    assert plan.bin_count == pytest.approx(bases / 32, rel=1e-4)
    assert sum(plan.chunk_bytes(tracks).values()) == pytest.approx(1.5e12, rel=0.05)
    assert plan.output_bytes[0] < 0.1 * plan.output_bytes[1]
    assert len(plan.tracks) == 7_611
    assert {name.rpartition("_")[0] or name for name in plan.groups} - {MASK} == {
        "CAGE", "DNASE", "ATAC", "CHIP", "RNA"
    }  # fmt: skip
    set_free_space(monkeypatch, 10**12)
    with pytest.raises(SeqcovError, match="TB"):
        check_space(run, {})


# The document


def test_a_plan_is_read_back_as_it_was(config: Config, tmp_path: Path) -> None:
    config["models"]["borzoi"] |= {"standard_deviation": True, "shifts": [-1, 0]}
    second = write_weights(tmp_path / "second")
    config["models"]["borzoi"]["weights"] = [config["models"]["borzoi"]["weights"], str(second)]
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
    assert after.values_digest == before.values_digest
    assert after.card_digest == before.card_digest
    for group, tracks in before.groups.items():
        rows = tracks.groups[group]
        assert after.members(after.groups[group], rows) == before.members(tracks, rows)
        assert after.groups[group] == tracks
    assert isinstance(load_plan(run.paths.plan("borzoi")), CoveragePlan)


def test_a_document_is_written_only_when_its_content_changes(config: Config) -> None:
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
def test_a_damaged_document_is_refused(text: str, config: Config) -> None:
    run = plan_run(config)
    run.save(run.paths)
    run.paths.plan("borzoi").write_text(text)
    with pytest.raises(SeqcovError, match=r"plan\.json: .*start the run again"):
        CoveragePlan.load(run.paths.plan("borzoi"))


def test_no_script_plans() -> None:
    """A script reads the plan from its input; nothing that it imports by name makes one."""
    scripts = sorted((REPOSITORY / "scripts").glob("*.py"))
    assert len(scripts) >= 15
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
