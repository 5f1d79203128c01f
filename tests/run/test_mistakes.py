"""Mistakes in a config or its files that are found when a run is planned, with helpful messages.

Those that only a checkpoint's weights show are in tests/workflow/test_mistakes.py.
"""

import dataclasses
import gzip
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqcov_models import save_model
from seqcov_models.errors import SeqcovError
from seqcov_models.run import planner
from seqcov_models.run.peak_sets import count_peaks
from seqcov_models.run.planner import plan_run
from seqcov_models.run.settings import find_duplicate_keys
from support.data import REPOSITORY
from support.fasta import build_fasta, write_bgzip, write_sparse_fasta
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
    ("models.tiny.architecture", "bpnet", r"describes 'borzoi', asked for is 'bpnet'"),
    ("models.tiny.peaks", "genome", r"models\.tiny: unknown key 'peaks': borzoi predicts tracks"),
    ("models.tiny.stride", 250, r"models\.tiny: unknown key 'stride': borzoi predicts tracks"),
    ("models.bpnet", {"architecture": "bpnet", "weights": "bpnet", "stride": 41},
     r"bpnet: stride: 41 bp is more than the 40 bp of a profile, .*; choose at most 40"),
    ("models.bpnet", {"architecture": "bpnet", "weights": "bpnet", "shifts": [0, 1]},
     r"models\.bpnet: unknown key 'shifts': bpnet predicts profiles along the genome"),
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
    ("models.tiny.tracks", ["id2\n"], r"models\.tiny\.tracks\.0: 'id2\\n' has a line break or an"),
    ("models.tiny.tracks", ["file:tiny/params.json"], r"params\.json: the selection is empty; add"),
    ("models.tiny.weights", ["tiny", "tiny"], r"weights tiny: this is the fold tiny again; list e"),
    ("models.tiny.weights", ["tiny", "./tiny/model.h5"], r"model\.h5: this is the fold tiny again"),
    ("models.tiny.weights", "~/tiny", r"models\.tiny\.weights: ~/tiny: '~' is not replaced in a con"
                                      r"fig; write the path in full, as in /.*/tiny"),
    ("models.tiny.weights", "s3://a/b", r"tiny\.weights: s3://a/b is an address, not a path; dow"),
    ("models.tiny.targets", "t{x}.txt", r"tiny\.targets: t\{x\}\.txt: braces in a path are wildca"),
    ("models.tiny.shifts", [0, float("nan")], r"models\.tiny\.shifts\.1: nan is not a number that"),
    ("genome.name", "g\n", r"genome\.name: 'g\\n' has a line break .*; write it in one line and "),
    ("genome.assembly", "hg38\n", r"genome\.assembly: 'hg38\\n' has a line break"),
    ("genome.fasta", "https://a.org/g.fa", r"genome\.fasta: https://a\.org/g\.fa is an address, "),
    ("genome.fasta", "~/g.fa", r"genome\.fasta: ~/g\.fa: '~' is not replaced in a config"),
    ("genome.fasta", "g{1}.fa", r"genome\.fasta: g\{1\}\.fa: braces in a path are wildcards for "),
    ("genome.regions", ["~/a.bed"], r"genome\.regions\.0: ~/a\.bed: '~' is not replaced in a con"),
    ("output", "~/results", r"output: ~/results: '~' is not replaced in a config"),
    ("output", "{genome}", r"output: \{genome\}: braces in a path are wildcards for Snakemake; r"),
    ("output", "results\n", r"output: 'results\\n' has a line break"),
    ("models.tiny\n", {}, r"models: 'tiny\\n' has a line break or another control character; writ"),
    ("prediction", {"min_acgt": float("nan")}, r"prediction\.min_acgt: nan is not a number that "),
    ("prediction", {"overlap": float("inf")}, r"prediction\.overlap: inf is not a number that can"),
    ("prediction", {"threads": 2.5}, r"prediction\.threads: 2\.5 is not of type 'integer'"),
    ("prediction", {"precision": "tf32", "device": "cpu"},
     r"prediction\.precision: tf32 needs a GPU, but device is cpu; use float32"),
    ("models.bpnet.peaks", "~/b.bed", r"models\.bpnet\.peaks: ~/b\.bed: '~' is not replaced"),
    ("models.bpnet.peaks", {"x": "a{b}.bed"}, r"models\.bpnet\.peaks\.x: a\{b\}\.bed: braces in "),
    ("models.bpnet.peaks", {"x\n": "b.bed"}, r"models\.bpnet\.peaks: 'x\\n' has a line break"),
    ("models.bpnet.peaks", {"x": {"model": "tiny", "track": 0, "threshold": float("nan")}},
     r"models\.bpnet\.peaks\.x\.threshold: nan is not a number that can be used"),
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

TABLE = "\tidentifier\n" + "".join(f"{row}\tE{row}\n" for row in range(7))
RAGGED = r"g\.fa: contig 'c', line \d of the file: not all lines .*; write the file again with even"

FILES: list[tuple[str, str | bytes, str]] = [
    ("g.fa", ">track\nACGT\n", r"g\.fa: contig 'track': in a BED file, .*; rename the contig"),
    ("g.fa", ">a\nACGT\n>#x\nAC\n", r"g\.fa: contig '#x': in a BED file, .*; rename the contig"),
    ("g.fa", b"\xef\xbb\xbf>a\nAC\n", r"g\.fa begins with a byte order mark .*; remove these 3 b"),
    ("g.fa", ">a\nACGT\n".encode("utf-16"), r"g\.fa is UTF-16 text or not a text at all; convert"),
    ("g.fa", ">a\nACGT\n".encode("utf-16-le"), r"g\.fa is UTF-16 text or not a text at all"),
    ("g.fa", b">caf\xe9\nACGT\n", r"g\.fa: it is not UTF-8 text \(byte 0xe9\); if it is Latin-1"),
    ("g.fa", ">c\nACGT\nAC\n\n\n", RAGGED),
    ("g.fa", ">c\nACGT\nAC\n\n\n>d\nA\n", RAGGED),
    ("regions.bed", "", r"genome\.regions: there are no intervals in regions\.bed; add some, or "),
    ("regions.bed", "# x\n", r"genome\.regions: there are no intervals in regions\.bed"),
    ("regions.bed", b"chrI\t0\t9\tcaf\xe9\n", r"BED regions\.bed: it is not UTF-8 text"),
    ("regions.bed", "chrI\t0\t9\n".encode("utf-16"), r"BED regions\.bed: it is UTF-16 text; conv"),
    ("b.bed", "", r"models\.bpnet: peaks b\.bed: the file is empty or holds comments alone"),
    ("b.bed", b"chrI\t0\t9\tcaf\xe9\n", r"BED b\.bed: it is not UTF-8 text .*; if it is Latin-1"),
    ("b.bed", gzip.compress(b"chrI\t0\t9\n" * 99)[:-9], r"BED b\.bed: Compressed file ended bef"),
    ("tiny/targets.txt", TABLE.replace("3\tE3", "2\tE3"),
     r"targets\.txt, line 5: index 2 is already that of line 4; number the tracks differently"),
    ("tiny/targets.txt", TABLE.replace("E3", "E\0003"),
     r"targets\.txt, line 5: a NUL character; remove it"),
    ("tiny/targets.txt", TABLE.replace("E3", "\u00e9").encode("latin-1"),
     r"track table tiny/targets\.txt: it is not UTF-8 text \(byte 0xe9\)"),
    ("tiny/targets.txt", TABLE.encode("utf-16"), r"targets\.txt: it is UTF-16 text; convert it"),
    ("tiny/targets.txt", "\tidentifier\tidentifier\n", r"targets\.txt: column 'identifier' appea"),
    ("tiny/params.json", b"\xff\xfe{", r"tiny/params\.json: not JSON"),
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
    name: str, text: str | bytes, message: str, config: Config, tmp_path: Path
) -> None:
    if name == "regions.bed":
        config["genome"]["regions"] = [name]
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(SeqcovError, match=message):
        plan(config)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("g.fa", b">chrI\n" + b"ACGT" * 500 + b"\n\n>chrII\n" + b"A" * 300 + b"\n\n"),
        ("g.fa", b"\n>chrI a\r\n" + b"ACGT" * 500 + b"\r\n>chrII\r\n" + b"A" * 300),
        ("b.bed", b"\xef\xbb\xbfchrI\t0\t9\n"),
        ("b.bed", b"chrI\t0\t9\r\n"),
        ("tiny/targets.txt", b"\xef\xbb\xbf" + TABLE.encode()),
        ("tiny/targets.txt", TABLE.replace("\n", "\r\n").encode()),
    ],
)
def test_harmless_oddities_of_files_are_accepted(
    name: str, text: bytes, config: Config, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(text)
    plan(config)


def test_whole_numbers_with_a_decimal_point_are_integers(config: Config) -> None:
    config |= {"prediction": {"windows_per_chunk": 2.0, "batch_size": 1.0, "threads": 4.0}}
    config |= {"bigwig": {"tracks_per_job": 2.0}, "profiles": {"jobs": 1.0, "batch_size": 8.0}}
    config["models"]["tiny"] |= {"shifts": [0.0, 1.0], "tracks": [2.0]}
    completed = complete(config)
    count_peaks(plan_run(completed).profiles)
    assert "." not in re.sub(r"[\w/]+\.\w+", "", json.dumps(completed))


def test_a_key_that_a_section_has_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "genome: &a {name: g}\nprediction:\n  threads: 2\n  blend: mean\n  threads: 4\n"
        "models:\n  a: {<<: *a}\n  b: {name: x}\nprediction: {}\n"
    )
    lines = sorted(find_duplicate_keys(path))
    assert [line.removeprefix(f"config {path}, ") for line in lines] == [
        "line 5: 'threads' is already in line 3 of the same section; merge the two",
        "line 9: 'prediction' is already in line 2 of the same section; merge the two",
    ]


def test_the_keys_of_a_config_without_mistakes_differ() -> None:
    assert not list(find_duplicate_keys(REPOSITORY / "config.yaml"))


def test_selectors_of_digits_and_without_strand(config: Config, tmp_path: Path) -> None:
    names = ["C1+", "C1-", "C2+", "C2-", "12", "5000", "x"]
    rows = [f"{10 + row}\t{name}\n" for row, name in enumerate(names)]
    (tmp_path / "tiny/targets.txt").write_text("\tidentifier\n" + "".join(rows))

    def selected(*selectors: str | int) -> list[str]:
        run = plan_run(complete(changed(config, "models.tiny.tracks", list(selectors))))
        return [track.identifier for track in run.models["tiny"].tracks]

    assert selected(12) == ["C2+"]
    assert selected("12") == ["12"]  # as a text it is the identifier
    assert selected("11") == ["C1-"]
    assert selected("5000") == ["5000"]
    with pytest.raises(SeqcovError, match=r"no track has index 5000.*write it in quotes: '5000'"):
        selected(5000)
    with pytest.raises(
        SeqcovError, match=r"'C2' does not .*with its strand it is 'C2\+' and 'C2-'"
    ):
        selected("x", "C2")


STATISTICS_TABLE = "\tidentifier\tclip_soft\tscale\tsum_stat\n" + "".join(
    f"{row}\tE{row}\t384\t0.3\tsum_sqrt\n" for row in range(7)
)


@pytest.mark.parametrize("transform", ["old", "new"])
@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            "384\t0.3\tsum_log",
            r"track E3: sum_stat 'sum_log' is unknown, .*; write sum, mean, .* or",
        ),
        ("384\t0.3\t", r"track E3: sum_stat '' is unknown"),
        ("384\tinf\tsum", r"track E3: scale 'inf' must be above 0 and finite"),
        ("nan\t0.3\tsum", r"track E3: clip_soft 'nan' must be above 0 and finite"),
    ],
)
def test_a_statistic_that_raw_cannot_undo_is_refused(
    cells: str, message: str, transform: str, config: Config, tmp_path: Path
) -> None:
    table = STATISTICS_TABLE.replace("3\tE3\t384\t0.3\tsum_sqrt", f"3\tE3\t{cells}")
    (tmp_path / "tiny/targets.txt").write_text(table)
    plan(config)  # the scale of the model needs no statistic
    config["models"]["tiny"] |= {"scale": "raw", "transform": transform}
    with pytest.raises(SeqcovError, match=message):
        plan(config)


DAMAGES: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda b: b[:-28], "is cut off, or something follows its end: .*; copy it again"),
    (lambda b: b[: len(b) // 2], "is cut off, or something follows its end"),
    (lambda b: b + b"x", "is cut off, or something follows its end"),
    (lambda b: b[:30_000] + bytes([b[30_000] ^ 255]) + b[30_001:],
     "the compressed file is damaged; copy it again, or compress it again with bgzip"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_damaged_bgzip_file_is_refused(
    damage: Callable[[bytes], bytes], message: str, config: Config, tmp_path: Path
) -> None:
    letters = "".join(random.Random(1).choices("ACGT", k=300_000))
    path = write_bgzip(tmp_path / "d", build_fasta({"chrI": letters, "chrII": letters[:300]}))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SeqcovError, match=rf"genome\.fa\.gz.*{message}"):
        plan(changed(config, "genome.fasta", "d/genome.fa.gz"))


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


@pytest.mark.parametrize(
    ("lengths", "assembly", "message"),
    [
        ({"a": 2**32, "b": 10}, "x", r"contig 'a' has 4,294,967,296 bp, but a bigWig holds at mos"),
        ({"x" * 256: 10}, None, r"contig 'xxx.* has a name of 256 bytes, but a .2bit file holds"),
        ({"a": 2**32 - 1, "b": 2**32 - 1, "c": 2**32 - 1, "d": 2**32 - 1, "e": 90}, None,
         r"contig 'e' would begin at byte 4,294,967,.* of a .2bit file, .*; set genome\.assembly"),
    ],
)  # fmt: skip
def test_a_genome_that_a_format_cannot_hold_is_refused(
    lengths: dict[str, int], assembly: str | None, message: str, config: Config, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The .2bit file is written after all predictions."""
    monkeypatch.setattr(planner, "check_letters", lambda fasta: fasta)  # a sparse file has none
    write_sparse_fasta(tmp_path / "g.fa", lengths)
    config["genome"] |= {"assembly": assembly, "regions": [f"{next(iter(lengths))}:1-9"]}
    del config["models"]["bpnet"]
    with pytest.raises(SeqcovError, match=rf"FASTA g\.fa: {message}"):
        plan(config)
    if assembly is None:
        config["genome"]["assembly"] = "hg38"
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
