"""Mistakes in a config or its files, and what looks like one: what single messages do not show.

Every message is in docs/troubleshooting.md, which tests/test_troubleshooting.py compares with the
code. That mistakes stop a run before anything is predicted is in tests/workflow/test_mistakes.py.
"""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.run import planner
from seqcov_models.run.peak_sets import count_peaks
from seqcov_models.run.planner import plan_run
from seqcov_models.run.settings import find_duplicate_keys
from support.bad_inputs import plan, write_inputs
from support.data import REPOSITORY
from support.fasta import write_sparse_fasta
from support.plans import TINY, Config, changed, complete, write_weights


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A run of a model of coverage and a BPNet, without defaults, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return write_inputs(tmp_path)


def test_a_config_without_mistakes_is_planned(config: Config) -> None:
    plan(config)


TABLE = "\tidentifier\n" + "".join(f"{row}\tE{row}\n" for row in range(7))


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
