"""Mistakes in a config or its files that are found when a run is planned, with helpful messages.

Those that only a checkpoint's weights show are in tests/workflow/test_mistakes.py.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqcov_models import save_model
from seqcov_models.errors import SeqcovError
from seqcov_models.run.peak_sets import count_peaks
from seqcov_models.run.planner import plan_run
from support.plans import TINY, Config, changed, complete, write_genome, write_weights
from support.profiles import BPNET, network


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A run of a model of coverage and a BPNet, without defaults, in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_genome(tmp_path / "g.fa", {"chrI": 2_000, "chrII": 300, "scaffold_2": 500})
    write_weights(tmp_path / "tiny")
    save_model(network(BPNET), tmp_path / "bpnet")
    (tmp_path / "b.bed").write_text("chrII\t295\t300\nchrI\t0\t1\n")
    return {
        "output": "results",
        "genome": {"name": "g", "fasta": "g.fa"},
        "models": {
            "tiny": {"architecture": "borzoi", "weights": "tiny"},
            "bpnet": {"architecture": "bpnet", "weights": "bpnet", "peaks": {"b": "b.bed"}},
        },
    }


def plan(config: Config) -> None:
    """Do what the workflow does before any job: complete the config, plan, count the peaks."""
    count_peaks(plan_run(complete(config)).profiles)


def test_a_config_without_mistakes_is_planned(config: Config) -> None:
    plan(config)


def peaks_of_track(track: str | int, **limits: Any) -> Config:
    return {"x": {"model": "tiny", "track": track} | limits}


SETTINGS: list[tuple[str, Any, str]] = [
    ("genome.fasta", "nowhere.fa", r"FASTA nowhere\.fa: no such file"),
    ("genome.name", "../elsewhere", r"genome\.name: '\.\./elsewhere' does not match"),
    ("genome.regions", ["chrI:1,900-2,100"], r"region chrI:1,900-2,100: ends at 2,100, but chrI"
                                             r" has 2,000 bp"),
    ("genome.regions", ["chr1:1-100"], r"no contig 'chr1'; this FASTA calls it 'chrI'"),
    ("genome.regions", ["scafold_2"], r"'scafold_2' is not a contig.*; similar names: scaffold_2"),
    ("genome.regions", "chrI", r"genome\.regions: write a list: \[chrI\]"),
    ("genome.exclude", ["chr9"], r"'chr9' is not a contig"),
    ("genome.exclude", ["chrI", "chrII", "scaffold_2"], r"exclude leaves nothing of genome\.reg"),
    ("genome.contig_aliases", {"chr1": 1}, r"contig_aliases\.chr1: 1 is not text in YAML; put it"),
    ("genome.contig_aliases", {"chr1": "chrl"}, r"contig_aliases, chr1: chrl: no contig 'chrl';"
                                                r" similar names: chrI"),
    ("genome.contig_aliases", {"chrII": "chrI"}, r"contig_aliases, chrII: chrI: 'chrII' is itself"),
    ("prediction", {"windows_per_chunks": 3}, r"prediction: unknown key 'windows_per_chunks'; did"
                                              r" you mean 'windows_per_chunk'"),
    ("prediction", {"overlap": 0.001}, r"overlap 0\.001 has no effect: it is less than one of the"),
    ("prediction", {"blend": "taper"}, r"blend 'taper' has no effect without overlap"),
    ("profiles", {"overlap": "average"}, r"profiles\.overlap: 'average' is not one of: nearest, m"),
    ("models.tiny.weight", "tiny", r"models\.tiny: unknown key 'weight'; did you mean 'weights'\?"),
    ("models.tiny.architecture", "borzio", r"models\.tiny: architecture: 'borzio' is not one of: .*"
                                           r"borzoi"),
    ("models.tiny.architecture", "bpnet", r"models\.tiny: peaks is missing: bpnet predicts"),
    ("models.bpnet.architecture", "borzoi", r"models\.bpnet: unknown key 'peaks': borzoi predicts"),
    ("models.tiny.architecture", "enformer", r"params\.json describes 'borzoi', .* 'enformer'"),
    ("models.tiny.architecture", "basenji2", r"params\.json describes 'borzoi', .* 'basenji2'"),
    ("models.tiny.weights", "nowhere", r"models\.tiny: weights nowhere: no such file or folder"),
    ("models.tiny.species", "mouse", r"models\.tiny: .*no head for species 'mouse'; heads in this"
                                     r" file: human"),
    ("models.tiny.targets", "nowhere.txt", r"models\.tiny.*nowhere\.txt"),
    ("models.tiny.tracks", "assay:CHIP", r"models\.tiny\.tracks: 'assay:CHIP' does not fit: .*or a"
                                         r" list of"),
    ("models.tiny.tracks", ["id2", "DNASE:cell x"], r"models\.tiny: .*'DNASE:cell x' does not match"
                                                    r" any track; .*DNASE:cell 2"),
    ("models.tiny.tracks", ["assay:CAEG"], r"models\.tiny.*assay:CAGE"),
    ("models.tiny.tracks", [7], r"models\.tiny.*0 to 6"),
    ("models.tiny.shifts", [0, 21], r"shifts: 21 bp is more than the 20 bp that the network crops"),
    ("models.tiny.standard_deviation", True, r"standard_deviation: it needs more than one predict"),
    ("models.tiny.reverse_complement", True, r"no track table says which tracks are strand pairs"),
    ("models.tiny.scale", "raw", r"scale: raw needs the column 'scale', which the track table"),
    ("models.bpnet.tracks", "all", r"models\.bpnet: unknown key 'tracks'; known are architecture"),
    ("models.bpnet.weights", "tiny", r"describes 'borzoi', asked for is 'bpnet'"),
    ("models.bpnet.peaks", ["b.bed"], r"models\.bpnet\.peaks: .*several by name, as in peaks"),
    ("models.bpnet.peaks", {1: "b.bed"}, r"models\.bpnet\.peaks: the name 1 is not text in YAML"),
    ("models.bpnet.peaks", {"x": "nowhere.bed"}, r"bpnet: peaks x: nowhere\.bed: no such file"),
    ("models.bpnet.peaks", {"model": "tiny", "track": "id0", "number": 5},
     r"peaks\.number: 5 is not text in YAML|in peaks: \{open: …\}"),
    ("models.bpnet.peaks", {"x": {"model": "bpnet", "track": 0, "number": 5}},
     r"peaks x: 'bpnet' is not a model that predicts tracks; such models of this config: tiny"),
    ("models.bpnet.peaks", peaks_of_track("id7", number=5),
     r"peaks x: among the tracks of tiny, track selector 'id7'"),
    ("models.bpnet.peaks", peaks_of_track("assay:CAGE", number=5),
     r"track 'assay:CAGE' matches 2 tracks of tiny \(id0, id1\); choose one of them"),
    ("models.bpnet.peaks", peaks_of_track(0), r"bpnet\.peaks\.x: .*those of at least threshold"),
    ("models.bpnet.peaks", peaks_of_track(0, treshold=5),
     r"bpnet\.peaks\.x: unknown key 'treshold'; did you mean 'threshold'"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), SETTINGS)
def test_a_wrong_setting_is_named_with_its_place_and_a_remedy(
    path: str, value: Any, message: str, config: Config
) -> None:
    with pytest.raises(SeqcovError, match=f"(?s){message}"):
        plan(changed(config, path, value))


def test_exclusions_that_leave_nothing_of_the_regions_are_refused(config: Config) -> None:
    config["genome"] |= {"regions": ["chrI:101-200"], "exclude": ["chrI"]}
    with pytest.raises(SeqcovError, match=r"genome\.exclude leaves nothing of genome\.regions"):
        plan(config)


@pytest.mark.parametrize(
    ("model", "key", "message"),
    [
        ("tiny", "weights", "'weights' is a required property"),
        ("bpnet", "peaks", "peaks is missing: bpnet predicts profiles at peaks"),
    ],
)
def test_a_missing_setting_is_named(model: str, key: str, message: str, config: Config) -> None:
    del config["models"][model][key]
    with pytest.raises(SeqcovError, match=f"models.{model}: {message}"):
        plan(config)


def test_a_track_that_the_run_does_not_predict_has_no_peaks(config: Config) -> None:
    config["models"]["tiny"]["tracks"] = [0, 1]
    config["models"]["bpnet"]["peaks"] = peaks_of_track("id2", number=5)
    with pytest.raises(SeqcovError, match="among the tracks of tiny, track selector 'id2'"):
        plan(config)


def test_peaks_outside_the_regions_are_refused(config: Config) -> None:
    config["genome"]["regions"] = ["scaffold_2:1-30"]
    with pytest.raises(
        SeqcovError, match="all 2 summits of peaks lie outside the selected regions"
    ):
        plan(config)


STRAND_TABLE = "\tidentifier\tstrand_pair\n0\tE1+\t1\n1\tE1-\t1\n" + "".join(
    f"{row}\tE{row}\t{row}\n" for row in range(2, 7)
)

FILES: list[tuple[str, str, str]] = [
    ("g.fa", "", r"FASTA g\.fa: the file is empty"),
    ("g.fa", "chr1\t5\nACGT\n", r"FASTA g\.fa does not begin with '>'"),
    ("g.fa", ">chr1\nACGT\n>chr2\nACGT\n>chr1\nACGT\n", r"FASTA g\.fa: contig 'chr1' appears twi"),
    ("regions.bed", "# loci\nchrI\t10\t20\nchrI\tten\t20\n", r"BED regions\.bed, line 3: .* does"
                                                             r" not begin with contig, start, end"),
    ("regions.bed", "1\t10\t20\n", r"BED regions\.bed, line 1: no contig '1'; .* calls it 'chrI'"),
    ("b.bed", "chr1\t5\t9\nchr2\t5\t9\n",
     r"b\.bed, line 1: no contig 'chr1'; this FASTA calls it 'chrI'; write into the config: genome:"
     r' \{contig_aliases: \{"chr1": "chrI", "chr2": "chrII"\}\}'),
    ("b.bed", "chrI\t5\t9\nchrI\t2000\t2003\n",
     r"b\.bed, line 2: the summit is base 2,001, but chrI has 2,000 bp"),
    ("tiny/targets.txt", "\tidentifier\n0\tENCFF1\n",
     r"targets\.txt: 1 rows, but the human head has 7 tracks"),
    ("tiny/targets.txt", STRAND_TABLE, r"strand_pair of E1\+ is E1-, but the pair of E1-"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), FILES)
def test_a_wrong_file_is_named_with_its_line_and_a_remedy(
    name: str, text: str, message: str, config: Config, tmp_path: Path
) -> None:
    if name == "regions.bed":
        config["genome"]["regions"] = [name]
    (tmp_path / name).write_text(text)
    with pytest.raises(SeqcovError, match=message):
        plan(config)


def fewer_tracks(folder: Path) -> None:
    write_weights(folder, dataclasses.replace(TINY, tracks=2))
    (folder / "targets.txt").unlink()


def wider_network(folder: Path) -> None:
    write_weights(folder, dataclasses.replace(TINY, nac=15))


def other_tracks(folder: Path) -> None:
    write_weights(folder)
    text = (folder / "targets.txt").read_text()
    (folder / "targets.txt").write_text(text.replace("id3", "id9"))


@pytest.mark.parametrize(
    ("write_fold", "message"),
    [
        (fewer_tracks, "weights other: 2 tracks, but the first fold has 7; folds must"),
        (wider_network, "weights other: the network differs from the first fold's; folds must"),
        (other_tracks, "weights other: the identifiers in the track table differ from the first"),
    ],
)
def test_folds_that_cannot_be_averaged_are_refused(
    write_fold: Callable[[Path], None], message: str, config: Config, tmp_path: Path
) -> None:
    write_fold(tmp_path / "other")
    config["models"]["tiny"]["weights"] = ["tiny", "other"]
    with pytest.raises(SeqcovError, match=message):
        plan(config)


@pytest.mark.parametrize("blocked", ["results", "results/g", "", "results/g/tiny"])
def test_an_output_folder_that_is_a_file_is_refused(
    blocked: str, config: Config, tmp_path: Path
) -> None:
    """A file has the name of the output folder, a folder in it, or one above it."""
    file = tmp_path / "out" / blocked
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a file")
    with pytest.raises(SeqcovError, match=r"output out/results.*: .*out.* is a file, not a folder"):
        plan(changed(config, "output", "out/results"))
