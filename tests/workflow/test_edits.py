"""Only what changed runs again: the table of edits, what runs after each, and what it writes."""

import os
import re
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyBigWig
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from seqcov_models import save_model
from support.data import REPOSITORY
from support.fasta import write_fasta
from support.plans import changed
from support.position_coded import position_coded_bin, save_position_coded
from support.profiles import BPNET, network
from support.runs import SNAKEFILE, snakemake, start, wait_for

Config = dict[str, Any]
Change = Callable[[Config, Path], Config]

pytestmark = pytest.mark.workflow

CONTIGS = {"c": 60, "d": 40, "e": 8}
"""Bins per contig, in cores of 24 bins: 3, 2 and 1 windows."""
ASSAYS = ["CAGE", "CAGE", "DNASE", "DNASE", "CAGE", "RNA"]
SUMMARY = {"write_track_table": 1, "write_browser_files": 1, "write_page": 1, "write_provenance": 1}
PROVENANCE = {"write_provenance": 1}
BROWSERS = {"write_browser_files": 1, "write_page": 1, "write_provenance": 1}
MEASURED = BROWSERS | {"place_observed": 1, "compare_observed": 1, "write_agreement": 1}
GENES = BROWSERS | {"write_genes": 1, "write_gene_table": 1}
NEW = {"predict_coverage": 2, "compress_range": 2}
"""Jobs of a set of tracks, besides one per folder of bigWigs."""
ALL = NEW | {"write_coverage_bigwigs": 3, "write_mask": 1} | SUMMARY
"""Jobs of one model whose values change."""
BOTH = {rule: 2 * count if rule not in SUMMARY else count for rule, count in ALL.items()}
ONE_CHUNK = {rule: count for rule, count in BOTH.items() if rule != "compress_range"} | {
    "predict_coverage": 2
}
"""Jobs of both models if they have one chunk each."""
PEAKS = SUMMARY | {
    "combine_peaks": 1, "predict_profiles": 1, "write_stranded_profile_bigwigs": 2,
    "write_peak_table": 1,
}  # fmt: skip
"""Jobs of the BPNet at peaks."""


def write_table(folder: Path, names: str = "id") -> None:
    """Write a track table with assays, strand pairs and the constants of `scale: raw`."""
    columns = ["", "identifier", "clip_soft", "scale", "sum_stat", "strand_pair", "description"]
    rows = [
        [str(row), f"{names}{row}", "32", "0.5", "sum", str(row), f"{assay}:{names} {row}"]
        for row, assay in enumerate(ASSAYS)
    ]
    text = "".join("\t".join(cells) + "\n" for cells in [columns, *rows])
    (folder / "targets.txt").write_text(text)


def letters(bins: int, first: int = 0) -> str:
    """Return a contig whose bins spell their numbers."""
    return "".join(position_coded_bin(first + number) for number in range(bins))


def entry(**settings: Any) -> Config:
    return {"architecture": "borzoi", "weights": "net", "shifts": [0, 1], **settings}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of two models, whose paths are relative."""
    folder = tmp_path_factory.mktemp("finished")
    write_fasta(folder / "g.fa", {name: letters(bins) for name, bins in CONTIGS.items()})
    save_position_coded(folder / "net", tracks=len(ASSAYS))
    write_table(folder / "net")
    config = {
        "genome": {"name": "g", "fasta": "g.fa", "regions": ["c", "d"], "assembly": "hg38"},
        "models": {"toy": entry(tracks=[0, 1, 2, 3]), "twin": entry(tracks=[1, 4, 2, 3])},
        "prediction": {"windows_per_chunk": 3, "device": "cpu", "threads": 1},
    }
    process = snakemake(folder, config)
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture(scope="module")
def finished_peaks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of a BPNet at peaks."""
    folder = tmp_path_factory.mktemp("finished_peaks")
    write_fasta(folder / "g.fa", {name: letters(bins) for name, bins in CONTIGS.items()})
    save_model(network(BPNET), folder / "net")
    for name, first in (("one", 100), ("two", 500)):
        (folder / f"{name}.bed").write_text(f"c\t{first}\t{first + 9}\n")
    model = {"architecture": "bpnet", "weights": "net", "peaks": {"one": "one.bed"}}
    config = {
        "genome": {"name": "g", "fasta": "g.fa", "assembly": "hg38"},
        "models": {"toy": model},
        "prediction": {"device": "cpu", "threads": 1},
    }
    process = snakemake(folder, config)
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, with all dates."""
    shutil.copytree(finished, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def setting(path: str, value: Any) -> Change:
    """Return the edit of one setting of the config."""
    return lambda config, folder: changed(config, path, value)


def edit_files(edit: Callable[[Path], Any]) -> Change:
    """Return an edit of files beside the config."""

    def change(config: Config, folder: Path) -> Config:
        edit(folder)
        return config

    return change


def change_weights(folder: Path) -> None:
    file = folder / "net/model.safetensors"
    weights = load_file(file)
    save_file({name: weight + torch.ones(()) for name, weight in weights.items()}, file)


def add_contig(folder: Path) -> None:
    write_fasta(
        folder / "g.fa",
        {name: letters(bins) for name, bins in (CONTIGS | {"f": 10}).items()},
    )


def touch_inputs(folder: Path) -> None:
    for name in ("g.fa", "net/model.safetensors", "net/config.json"):
        os.utime(folder / name)
    os.utime(folder / "g.fa.fai")


def replace_sequence(folder: Path) -> None:
    """Replace the FASTA by one of the same size and an older date, as `cp -p` does."""
    state = (folder / "g.fa").stat()
    sequences = {name: letters(bins, 100) for name, bins in CONTIGS.items()}
    write_fasta(folder / "g.fa", sequences)
    os.utime(folder / "g.fa", ns=(0, state.st_mtime_ns - 10**9))


def cut_bigwig(folder: Path) -> None:
    file = folder / "results/g/toy/tracks/DNASE/toy.id2.bw"
    file.write_bytes(file.read_bytes()[:-1])


def write_measured(path: Path, value: float) -> None:
    """Write a measured bigWig with this value in the first bin of contig c."""
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([("c", CONTIGS["c"] * len(letters(1)))])
        file.addEntries(["c"], [0], ends=[len(letters(1))], values=[value])


def add_measured(config: Config, folder: Path) -> Config:
    write_measured(folder / "id1.bw", 1.0)
    return changed(config, "models.toy.observed", {"id1": "{identifier}.bw"})


def add_annotation(config: Config, folder: Path) -> Config:
    (folder / "genes.bed").write_text("c\t10\t20\tgene\n")
    return changed(config, "genome.annotation", "genes.bed")


def add_folds(config: Config, folder: Path) -> Config:
    (folder / "folds.bed").write_text("c\t0\t640\tfold1\n")
    return changed(config, "models.toy.folds", "folds.bed")


def move_peak(folder: Path) -> None:
    (folder / "one.bed").write_text("c\t300\t309\n")


def edit_code(file: str, old: str, new: str) -> Callable[[Path], None]:
    """Return the edit that puts another version of seqcov beside a run."""

    def edit(folder: Path) -> None:
        for name in ("workflow", "scripts", "seqcov_models", "profiles", "envs"):
            shutil.copytree(REPOSITORY / name, folder / "code" / name)
        shutil.copy(SNAKEFILE, folder / "code")
        path = folder / "code/seqcov_models" / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return edit


def new_model(config: Config, folder: Path) -> Config:
    return changed(config, "models.third", entry(tracks=[0, 2]))


def without_model(config: Config, folder: Path) -> Config:
    return config | {"models": {"toy": config["models"]["toy"]}}


@dataclass(frozen=True)
class Edit:
    """A row of the table of edits.

    Attributes:
        name: The edit in words.
        effect: What runs again, in words.
        change: The edit of a config and of the files beside it.
        jobs: The number of jobs per rule that run.
        words: What the summary of a dry run says about the model `toy`.
        is_at_peaks: Whether the model is a BPNet at peaks.
    """

    name: str
    effect: str
    change: Change
    jobs: dict[str, int] = field(default_factory=dict)
    words: str = "nothing to predict: all 5 bigWigs are finished"
    is_at_peaks: bool = False


EDITS = [
    Edit("nothing", "nothing", setting("output", "results")),
    Edit(
        "a track is added",
        "predictions and bigWigs of this track; table, browser files",
        setting("models.toy.tracks", [0, 1, 2, 3, 4]),
        NEW | {"write_coverage_bigwigs": 1} | SUMMARY,
        "5 windows to predict: 5 of 6 bigWigs are finished; 1 track is new or missing",
    ),
    Edit(
        "a track is left out",
        "table, browser files; its bigWig stays and is found again",
        setting("models.toy.tracks", [0, 2, 3]),
        SUMMARY,
        "nothing to predict: all 4 bigWigs are finished",
    ),
    Edit(
        "tracks are selected in another way or order",
        "provenance",
        setting("models.toy.tracks", ["assay:DNASE", "id1", 0]),
        PROVENANCE,
    ),
    Edit(
        "identifiers or descriptions in the track table",
        "table, browser files; files keep their names",
        edit_files(lambda folder: write_table(folder / "net", "other")),
        SUMMARY,
    ),
    Edit(
        "standard_deviation: true",
        "predictions, bigWigs of the deviations; the others stay",
        setting("models.toy.standard_deviation", True),
        NEW | {"write_coverage_bigwigs": 2} | SUMMARY,
        "5 windows to predict: 5 of 9 bigWigs are finished; 4 tracks are new or missing",
    ),
    Edit(
        "reverse_complement, shifts, scale, transform",
        "everything of this model",
        setting("models.toy.reverse_complement", True),
        ALL,
        "5 windows to predict, everything, because reverse_complement changed from false to true",
    ),
    Edit(
        "scale: raw",
        "everything of this model",
        setting("models.toy.scale", "raw"),
        ALL,
        'everything, because scale changed from "model" to "raw"',
    ),
    Edit(
        "overlap, blend, precision, chunk_dtype, min_acgt",
        "everything",
        setting("prediction.min_acgt", 0.01),
        BOTH,
        "everything, because min_acgt changed from 0 to 0.01",
    ),
    Edit(
        "significant_bits",
        "all bigWigs, which are copied if they are not rounded; else everything",
        setting("bigwig", {"significant_bits": 5}),
        BOTH,
        "5 windows copied from earlier bigWigs, because significant_bits changed from null to 5",
    ),
    Edit(
        "weights, number of folds",
        "everything of the models that use them",
        edit_files(change_weights),
        BOTH | {"check_checkpoint": 2},
        "everything, because the weights changed",
    ),
    Edit(
        "sequence of the FASTA",
        "predictions of the contigs that differ; all bigWigs, which copy the other contigs",
        edit_files(replace_sequence),
        BOTH,
        "everything, because the sequence in the FASTA changed",
    ),
    Edit(
        "a region is added, exclude is smaller",
        "predictions of the new windows; all bigWigs, which copy the other windows",
        setting("genome.regions", ["c", "d", "e"]),
        BOTH,
        "1 window to predict, 5 windows copied from earlier bigWigs, because regions or exclude",
    ),
    Edit(
        "a region is removed, exclude is larger",
        "all bigWigs, which are copied",
        setting("genome.regions", ["c"]),
        ONE_CHUNK,
        "no windows to predict, 3 windows copied from earlier bigWigs, because regions or exclude",
    ),
    Edit(
        "regions of a model",
        "the same, of this model",
        setting("models.toy.regions", ["c", "d:1-9"]),
        ALL,
        "no windows to predict, 4 windows copied from earlier bigWigs, because regions or exclude",
    ),
    Edit(
        "a contig is added to the FASTA or removed",
        "predictions of new contigs; all bigWigs, which copy the other contigs",
        edit_files(add_contig),
        BOTH,
        "no windows to predict, 5 windows copied from earlier bigWigs, because the contigs of the",
    ),
    Edit("dates of FASTA and weights", "nothing", edit_files(touch_inputs)),
    Edit(
        "windows_per_chunk, threads, batch_size, device",
        "provenance",
        setting("prediction", {"windows_per_chunk": 1, "threads": 2, "batch_size": 3}),
        PROVENANCE,
    ),
    Edit("tracks_per_job", "provenance", setting("bigwig", {"tracks_per_job": 1}), PROVENANCE),
    Edit(
        "assembly, browsers",
        "browser files, report",
        lambda config, folder: changed(
            changed(config, "genome.assembly", None), "browsers", {"show": ["assay:CAGE"]}
        ),
        BROWSERS,
    ),
    Edit(  # as after an update to a version that writes one more
        "a browser file is deleted",
        "browser files",
        edit_files(lambda folder: (folder / "results/g/washu_hub.json").unlink()),
        {"write_browser_files": 1},
    ),
    Edit(
        "a bigWig is cut, changed or deleted",
        "predictions and bigWigs of the tracks in its folder",
        edit_files(cut_bigwig),
        NEW | {"write_coverage_bigwigs": 1} | SUMMARY,
        "5 windows to predict: 3 of 5 bigWigs are finished; 2 tracks are new or missing",
    ),
    Edit(
        "a model, or a name in weights, is added",
        "this model; table, browser files",
        new_model,
        ALL | {"check_checkpoint": 1, "write_coverage_bigwigs": 2},
    ),
    Edit(
        "a measured bigWig is added or changes",
        "its comparison; agreement.tsv, browser files, report",
        add_measured,
        MEASURED,
    ),
    Edit(
        "an annotation is added or changes", "genes.*, browser files, report", add_annotation, GENES
    ),
    Edit(
        "a model, or a name in weights, is left out",
        "table, browser files",
        without_model,
        SUMMARY,
    ),
    Edit(
        "a set of peaks is added",
        "everything of this BPNet",
        setting("models.toy.peaks", {"one": "one.bed", "two": "two.bed"}),
        PEAKS,
        "2 peaks to predict, everything, because the peaks, regions or exclude changed",
        is_at_peaks=True,
    ),
    Edit(
        "a file of peaks changes",
        "everything of this BPNet",
        edit_files(move_peak),
        PEAKS,
        "1 peak to predict, everything, because the peaks, regions or exclude changed",
        is_at_peaks=True,
    ),
    Edit(
        "a new version of seqcov",
        "nothing",
        edit_files(edit_code("__init__.py", '__version__ = "', '__version__ = "9')),
    ),
    Edit(
        "a new version of seqcov that computes other numbers (its results version is higher)",
        "everything",
        edit_files(edit_code("run/digests.py", "RESULTS_VERSION = ", "RESULTS_VERSION = 9")),
        BOTH | {"check_checkpoint": 2},
        "everything, because this version of seqcov computes other numbers",
    ),
]


EDITS_OF_MEASURED = [
    Edit(
        "folds",
        "comparisons; agreement.tsv, report",
        add_folds,
        {"compare_observed": 1, "write_agreement": 1} | PROVENANCE,
    ),
    Edit(
        "genes.statistic",
        "genes.tsv.gz",
        setting("genes", {"statistic": "mean"}),
        {"write_gene_table": 1} | PROVENANCE,
    ),
    Edit("report: true", "report", setting("report", True), {"write_report": 1} | PROVENANCE),
    Edit(
        "the last measured bigWig of a model is left out",
        "browser files, report",
        setting("models.toy.observed", {}),
        BROWSERS,
    ),
]
"""Edits of a run that is compared with a measured bigWig, and has an annotation."""


def count_jobs(output: str) -> dict[str, int]:
    """Return the number of jobs per rule in Snakemake's output, except rules without output."""
    match = re.search(r"Job stats:\njob +count\n-+ +-+\n(.*?)\ntotal", output, re.S)
    rows = (line.split() for line in match[1].splitlines()) if match else ()
    return {rule: int(count) for rule, count in rows if rule not in ("all", "seqcov")}


def read_config(folder: Path) -> Config:
    config: Config = yaml.safe_load((folder / "run.yaml").read_text())
    return config


def states(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the date and the bytes of every bigWig below a folder."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*.bw"))
    }


@pytest.mark.parametrize("edit", EDITS, ids=[edit.name for edit in EDITS])
def test_an_edit_runs_what_the_table_says_and_the_summary_says_so(
    edit: Edit, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    finished = request.getfixturevalue("finished_peaks" if edit.is_at_peaks else "finished")
    run = shutil.copytree(finished, tmp_path / "run", symlinks=True)
    config = edit.change(read_config(run), run)
    snakefile = run / "code/Snakefile" if (run / "code").exists() else SNAKEFILE
    process = snakemake(run, config, "--dry-run", snakefile=snakefile)
    assert process.returncode == 0, process.stderr
    assert count_jobs(process.stdout) == edit.jobs
    (line,) = re.findall(r"plan of toy: (.*)", process.stderr)
    assert edit.words in line


def test_added_tracks_leave_other_bigwigs_alone_and_removed_ones_are_found_again(
    run: Path,
) -> None:
    config, before = read_config(run), states(run / "results")
    wanted = changed(config, "models.toy.tracks", "all")
    process = snakemake(run, wanted)
    assert process.returncode == 0, process.stderr
    after = states(run / "results")
    assert before.items() <= after.items()
    added = {"g/toy/tracks/CAGE_2/toy.id4.bw", "g/toy/tracks/RNA/toy.id5.bw"}
    assert after.keys() - before.keys() == added
    fresh = snakemake(run, wanted | {"output": "fresh"})
    assert fresh.returncode == 0, fresh.stderr
    for name in added:
        again = run / "fresh" / name.replace("_2", "")
        assert (run / "results" / name).read_bytes() == again.read_bytes()
    for selectors, rows in (([0, 2, 4, 5], {0, 2, 4, 5}), ("all", set(range(6)))):
        process = snakemake(run, changed(config, "models.toy.tracks", selectors))
        assert process.returncode == 0, process.stderr
        assert count_jobs(process.stderr) == SUMMARY
        assert states(run / "results") == after
        listed = (run / "results/g/tracks.tsv").read_text()
        assert {row for row in range(6) if f"toy.id{row}.bw" in listed} == rows
    forced = snakemake(run, wanted, "--forceall")
    assert forced.returncode == 0, forced.stderr
    written = states(run / "results")
    assert {name: content for name, (_, content) in written.items()} == {
        name: content for name, (_, content) in after.items()
    }
    assert all(written[name][0] > date for name, (date, _) in after.items())


def test_windows_that_are_copied_have_the_bytes_of_a_new_run_after_a_kill(run: Path) -> None:
    config = without_model(read_config(run), run)
    wanted = changed(config, "genome.regions", ["c", "d:201-640", "e"])
    running = start(run, wanted)
    part = wait_for(run, "results/g/toy/chunks/.2-*.npy.*.part")
    running.kill()
    with suppress(ProcessLookupError):  # the job may have ended just now
        os.kill(int(part.name.split(".")[-2]), signal.SIGKILL)
    running.wait()
    process = snakemake(run, wanted)
    assert process.returncode == 0, process.stderr
    assert "windows copied from earlier bigWigs" in process.stderr
    logs = [path.read_text() for path in (run / "logs/g/predict_coverage").glob("toy.2-*.log")]
    assert ["copied from earlier" in log for log in sorted(logs)].count(True) == 1
    fresh = snakemake(run, wanted | {"output": "fresh"})
    assert fresh.returncode == 0, fresh.stderr
    for file in ("tracks.tsv", "toy/mask.bed", *(f"toy/tracks/CAGE/toy.id{n}.bw" for n in (0, 1))):
        copied = (run / "results/g" / file).read_bytes()
        assert copied == (run / "fresh/g" / file).read_bytes(), file


def test_measured_bigwigs_are_compared_again_only_if_something_changes(run: Path) -> None:
    config = add_annotation(add_measured(read_config(run), run), run)
    before = states(run / "results")
    process = snakemake(run, config)
    assert process.returncode == 0, process.stderr
    assert count_jobs(process.stderr) == MEASURED | GENES
    placed = run / "results/g/toy/observed/toy.id1.observed.bw"
    assert placed.samefile(run / "id1.bw")
    assert before.items() <= states(run / "results").items()
    assert "observed/toy.id1.observed.bw" in (run / "results/g/index.html").read_text()
    several, jobs = config, {}
    for edit in EDITS_OF_MEASURED[:-1]:
        several, jobs = edit.change(several, run), jobs | edit.jobs
    assert count_jobs(snakemake(run, several, "--dry-run").stdout) == jobs
    without = EDITS_OF_MEASURED[-1]
    process = snakemake(run, without.change(config, run), "--dry-run")
    assert count_jobs(process.stdout) == without.jobs
    os.utime(run / "id1.bw")
    assert count_jobs(snakemake(run, config, "--dry-run").stdout) == {}
    placed.parent.rename(run / "kept")
    assert count_jobs(snakemake(run, config, "--dry-run").stdout)["place_observed"] == 1
    (run / "kept").rename(placed.parent)
    write_measured(run / "id2.bw", 1.0)
    both = changed(config, "models.toy.observed", {"id1": "id1.bw", "id2": "id2.bw"})
    assert count_jobs(snakemake(run, both, "--dry-run").stdout) == MEASURED
    write_measured(run / "id1.bw", 2.0)
    assert count_jobs(snakemake(run, config, "--dry-run").stdout) == MEASURED


def test_a_first_config_that_was_wrong_costs_nothing(run: Path) -> None:
    """The run of all tracks is killed before a chunk is complete; only one track is wanted."""
    config = changed(read_config(run), "output", "other")
    wrong = changed(config, "models.toy.tracks", "all")
    assert snakemake(run, wrong, "--until", "check_checkpoint").returncode == 0
    process = snakemake(run, changed(config, "models.toy.tracks", [0]))
    assert process.returncode == 0, process.stderr
    names = {Path(name).name for name in states(run / "other/g/toy")}
    assert names == {"toy.id0.bw", "toy.unknown.bw"}


def test_an_unfinished_run_keeps_its_chunks_if_job_sizes_change(run: Path) -> None:
    config = changed(read_config(run), "output", "other")
    assert snakemake(run, config, "--notemp", "other/g/toy/chunks/0.npy").returncode == 0
    chunk = run / "other/g/toy/chunks/0.npy"
    date = chunk.stat().st_mtime_ns
    other = changed(config, "prediction.windows_per_chunk", 1)
    process = snakemake(run, other, "--until", "predict_coverage", "--notemp")
    assert process.returncode == 0, process.stderr
    assert "continues: 1 of 2 chunks are finished" in process.stderr
    assert chunk.stat().st_mtime_ns == date


def test_the_manual_has_the_same_table() -> None:
    table = "".join(f"| {edit.name} | {edit.effect} |\n" for edit in EDITS + EDITS_OF_MEASURED)
    assert (
        f"| edit | runs again |\n|---|---|\n{table}\n" in (REPOSITORY / "docs/edits.md").read_text()
    )
