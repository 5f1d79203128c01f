"""Profiles as a user makes them: whole runs of the workflow with peaks, and what they leave."""

import csv
import gzip
import hashlib
import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml

from seqcov_models import BPNetConfig, load_model, save_model
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.run.track_table import read_table
from seqcov_models.sequence import encode
from seqcov_models.tiling import select_bins
from support.fasta import write_fasta
from support.profiles import LITE, PLAIN, UNSTRANDED, close, network, run
from support.runs import (
    bigwigs,
    digests,
    every_base,
    position_coded_bin,
    save_position_coded,
    snakemake,
    start,
    wait_for,
)

pytestmark = pytest.mark.workflow

Config = dict[str, Any]
SACCER = "genomes/sacCer3.fa.gz"
CTCF = "models/bpnetlite_ctcf/ctcf.safetensors"


@pytest.fixture
def letters() -> dict[str, str]:
    rng = np.random.default_rng(7)
    return {
        name: "".join(rng.choice(list("ACGTacgtN"), length)) for name, length in
        {"chrI": 2_000, "chrII": 300, "tiny": 12}.items()
    }  # fmt: skip


@pytest.fixture
def config(letters: dict[str, str], tmp_path: Path) -> Config:
    """A BPNet of two tasks and two sets of peaks on `letters`."""
    write_fasta(tmp_path / "g.fa", letters)
    save_model(network(PLAIN), tmp_path / "plain")
    rng = np.random.default_rng(8)
    lines = [
        f"{name}\t{at}\t{at + 9}\tpeak\t0\t{rng.choice(['+', '-', '.'])}\t1.5\t-1\t2\t{at % 9}\n"
        for name, places in (("chrI", rng.integers(0, 1_980, 60)), ("chrII", [0, 280]))
        for at in places
    ]
    (tmp_path / "a.narrowPeak").write_bytes(gzip.compress("".join(lines).encode()))
    (tmp_path / "b.bed").write_text("track name=b\ntiny\t0\t12\nchrII\t295\t300\nchrI\t0\t1\n")
    entry = {
        "architecture": "bpnet",
        "weights": "plain",
        "peaks": {"narrow": "a.narrowPeak", "b": "b.bed"},
    }
    return {"genome": {"name": "g", "fasta": "g.fa"}, "models": {"plain": entry}}


def rows_of(folder: Path) -> list[dict[str, str]]:
    with gzip.open(folder / "peaks.tsv.gz", "rt") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def test_a_run_leaves_what_the_library_computes(
    config: Config, letters: dict[str, str], tmp_path: Path
) -> None:
    """Base by base the library is compared with plain loops in test_profiles.py."""
    config["profiles"] = {"jobs": 3, "windows": True, "overlap": "mean", "strand": "peak"}
    config["models"]["plain"]["reverse_complement"] = True
    done = snakemake(tmp_path, config)
    assert done.returncode == 0, done.stderr
    assert "one, two on both strands at 65 peaks (narrow, b)" in done.stderr
    folder = tmp_path / "results/g/plain"
    files = {"one.plus.bw", "one.minus.bw", "one.bw", "two.plus.bw", "two.minus.bw", "two.bw"}
    assert {path.name for path in folder.glob("*.bw")} == files
    assert not list(folder.glob("chunks/*")), "temporary files are gone"

    by_hand = tmp_path / "by_hand"
    by_hand.mkdir()
    (by_hand / "peaks.bed").write_text(
        gzip.decompress((tmp_path / "a.narrowPeak").read_bytes()).decode()
        + (tmp_path / "b.bed").read_text()
    )
    genome = Genome(open_fasta(tmp_path / "g.fa", tmp_path))
    wanted = select_bins(genome.contigs, 1, None, [])
    run(by_hand, [network(PLAIN)], genome, 1, True, wanted, both=True, overlap="mean")
    genome.close()
    for name in files:
        task, _, kind = name.removesuffix(".bw").partition(".")
        for contig, text in letters.items():
            theirs = every_base(by_hand / f"{task}.{kind or 'both'}.bw", contig, len(text))
            close(every_base(folder / name, contig, len(text)), theirs)
    found, expected = rows_of(folder), rows_of(by_hand)
    assert [row["summit"] for row in found] == [row["summit"] for row in expected]
    assert {row["set"] for row in found} == {"narrow", "b"}
    assert len(found) == 65
    with h5py.File(folder / "profiles.h5") as file:
        assert len(file["profiles"]) == len({row["window"] for row in found})

    table = {row["file"]: row for row in read_table(tmp_path / "results/g/tracks.tsv")}
    assert set(table) == {f"plain/{name}" for name in files}
    assert {row["bin"] for row in table.values()} == {"1"}
    hub = (tmp_path / "results/g/hub.txt").read_text()
    session = (tmp_path / "results/g/igv_session.xml").read_text()
    assert all(f"plain/{name}" in hub and f"plain/{name}" in session for name in files)
    assert '<Resource path="plain/peaks.narrowPeak" type="narrowPeak"' in session
    assert "shortLabel one+ plain" in hub
    facts = json.loads((tmp_path / "results/g/provenance.json").read_text())
    assert facts["models"]["plain"][0]["config"]["tasks"] == ["one", "two"]
    assert [file["path"] for file in facts["peaks"]] == ["a.narrowPeak", "b.bed"]


@pytest.mark.parametrize(
    ("network_config", "architecture", "files"),
    [
        (LITE, "bpnetlite", {"signal.bw", "signal.plus.bw", "signal.minus.bw"}),
        (UNSTRANDED, "bpnetlite", {"a.bw", "b.bw"}),
    ],
)
def test_bpnet_lite_in_a_run(
    network_config: BPNetConfig, architecture: str, files: set[str], config: Config, tmp_path: Path
) -> None:
    save_model(network(network_config), tmp_path / "lite")
    entry = {"architecture": architecture, "weights": "lite", "peaks": "b.bed"}
    done = snakemake(tmp_path, config | {"models": {"lite": entry}})
    assert done.returncode == 0, done.stderr
    assert set(bigwigs(tmp_path / "results/g/lite")) == files
    assert {row["set"] for row in rows_of(tmp_path / "results/g/lite")} == {"b"}


def test_from_a_genome_to_profiles_without_an_experiment(config: Config, tmp_path: Path) -> None:
    """A track's highest local maxima become peaks, in the same run."""
    rng = np.random.default_rng(2)
    numbers = rng.permutation(3**8)[:300]
    write_fasta(tmp_path / "g.fa", {"c": "".join(map(position_coded_bin, numbers.tolist()))})
    save_position_coded(tmp_path / "toy")
    config["models"]["toy"] = {"architecture": "borzoi", "weights": "toy"}
    config["models"]["plain"]["peaks"] = {
        "high": {"model": "toy", "track": "track_1", "number": 10},
        "above": {"model": "toy", "track": 2, "threshold": 3 * 6_000 + 40},
    }
    done = snakemake(tmp_path, config)
    assert done.returncode == 0, done.stderr
    # The network says each bin's number; bins of 16 bp, windows of 40, so 20 bp or 1 bin around.
    tops = [
        at for at in range(300)
        if numbers[at] == max(numbers[max(0, at - 1) : at + 2])
    ]  # fmt: skip
    high = sorted(tops, key=lambda at: -numbers[at])[:10]
    above = [at for at in tops if numbers[at] >= 6_000]
    rows = rows_of(tmp_path / "results/g/plain")
    for name, bins in (("high", high), ("above", above)):
        found = [int(row["start"]) for row in rows if row["set"] == name]
        assert found == [16 * at for at in sorted(bins)], name
    assert all(int(row["summit"]) == int(row["start"]) + 8 for row in rows)
    assert np.nanmax(every_base(tmp_path / "results/g/plain/one.bw", "c", 4_800)) > 0


def test_killed_and_again_gives_the_same_bytes(config: Config, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    write_fasta(tmp_path / "g.fa", {"c": "".join(rng.choice(list("ACGT"), 200_000))})
    places = np.sort(rng.integers(0, 199_000, 6_000)).tolist()
    (tmp_path / "many.bed").write_text("".join(f"c\t{at}\t{at + 1}\n" for at in places))
    config["models"]["plain"]["peaks"] = "many.bed"
    config["profiles"] = {"jobs": 2, "batch_size": 4}
    config["prediction"] = {"threads": 1}
    done = snakemake(tmp_path, config)
    assert done.returncode == 0, done.stderr
    whole = digests(tmp_path / "results")
    table = hashlib.sha256((tmp_path / "results/g/plain/peaks.tsv.gz").read_bytes()).hexdigest()
    config["output"] = "again"
    for unfinished in ("chunks/.0.npy.*.part", "chunks/.1.npy.*.part", ".*.bw.*.part"):
        running = start(tmp_path, config)
        wait_for(tmp_path, f"again/g/plain/{unfinished}")
        running.send_signal(signal.SIGKILL)
        running.wait()
    done = snakemake(tmp_path, config)
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "again") == whole
    again = (tmp_path / "again/g/plain/peaks.tsv.gz").read_bytes()
    assert hashlib.sha256(again).hexdigest() == table


def test_an_alias_works_everywhere_and_as_the_message_writes_it(
    config: Config, tmp_path: Path
) -> None:
    (tmp_path / "b.bed").write_text("1\t50\t90\n2\t5\t9\n1\t990\t999\n")
    config["models"]["plain"]["peaks"] = "b.bed"
    done = snakemake(tmp_path, config)
    assert done.returncode != 0
    printed = re.search(r"contig_aliases: (\{.*?\})", done.stderr)
    assert printed, done.stderr
    config["genome"] |= {"contig_aliases": yaml.safe_load(printed[1]), "regions": ["1:51-80", "2"]}
    done = snakemake(tmp_path, config)
    assert done.returncode == 0, done.stderr
    found = every_base(tmp_path / "results/g/plain/one.bw", "chrI", 2_000)
    has_value = np.flatnonzero(np.isfinite(found))
    assert has_value.min() >= 50
    assert has_value.max() < 80
    assert (tmp_path / "results/g/hub.txt").is_file()
    assert "at 2 peaks (b), 1 left out" in done.stderr


CHANGES: list[tuple[str, Callable[[Config, Path], None]]] = [
    ("combine_peaks", lambda run, folder: run["genome"].update(exclude=["chrI:506-510"])),
    ("check_checkpoint", lambda run, folder: run.update(profiles={"counts": "expm1"})),
    ("combine_peaks", lambda run, folder: run.update(profiles={"jobs": 2})),
    ("combine_peaks", lambda run, folder: os.utime(
        (folder / "b.bed").replace(folder / "a.bed").rename(folder / "b.bed"), (9, 9))),
]  # fmt: skip


@pytest.mark.parametrize(("last", "change"), CHANGES)
def test_a_change_reaches_every_result_though_the_run_was_cut_off(
    last: str, change: Callable[[Config, Path], None], config: Config, tmp_path: Path
) -> None:
    """All files as a fresh run writes them: only what bears a date or a path may differ."""
    (tmp_path / "b.bed").write_text("chrI\t490\t492\nchrI\t520\t522\nchrII\t50\t52\n")
    config["models"]["plain"]["peaks"] = "b.bed"
    assert snakemake(tmp_path, config).returncode == 0
    (tmp_path / "a.bed").write_text("chrI\t990\t992\n")
    change(config, tmp_path)
    assert snakemake(tmp_path, config, "--until", last).returncode == 0
    assert snakemake(tmp_path, config).returncode == 0
    done = snakemake(tmp_path, config | {"output": "fresh"})
    assert done.returncode == 0, done.stderr
    fresh = {path.relative_to(tmp_path / "fresh/g") for path in (tmp_path / "fresh/g").rglob("*.*")}
    compared = 0
    for name in fresh - {Path("provenance.json"), Path("plan.json")}:
        if (path := tmp_path / "fresh/g" / name).is_file():
            assert (tmp_path / "results/g" / name).read_bytes() == path.read_bytes(), name
            compared += 1
    assert compared > 12
    facts = [json.loads((tmp_path / at / "g/provenance.json").read_text())
             for at in ("results", "fresh")]  # fmt: skip
    assert facts[0]["models"] == facts[1]["models"]
    assert facts[0]["config"] | {"output": "fresh"} == facts[1]["config"]


def test_what_a_killed_run_of_more_jobs_left_goes(config: Config, tmp_path: Path) -> None:
    config["profiles"] = {"jobs": 3, "windows": True}
    assert snakemake(tmp_path, config, "--until", "predict_profiles").returncode == 0
    chunks = tmp_path / "results/g/plain/chunks"
    left = {path.name for path in chunks.iterdir()}
    assert left == {f"{job}{end}.npy" for job in range(3) for end in ("", ".table", ".windows")}
    config["profiles"] = {"jobs": 2}
    done = snakemake(tmp_path, config)
    assert done.returncode == 0, done.stderr
    assert not list(chunks.iterdir())
    assert "Left over" not in done.stderr


def test_results_of_earlier_runs_are_told_apart(config: Config, tmp_path: Path) -> None:
    config["models"]["lite"] = config["models"]["plain"] | {"weights": "lite"}
    save_model(network(replace(PLAIN, tasks=("other", "two"))), tmp_path / "lite")
    assert snakemake(tmp_path, config).returncode == 0
    config["models"] = {"plain": config["models"]["lite"]}
    done = snakemake(tmp_path, config)
    assert done.returncode == 0, done.stderr
    (printed,) = re.findall(
        "Left over from earlier runs \\(not used by this run\\): (.*)", done.stderr
    )
    old = ["lite", "plain/one.bw", "plain/one.minus.bw", "plain/one.plus.bw"]
    assert printed.split(", ") == [f"results/g/{name}" for name in old]


# Mistakes


def name_that_is_a_number(config: Config, folder: Path) -> None:
    config["models"]["plain"]["peaks"] = {1: "b.bed"}


def alias_that_is_a_number(config: Config, folder: Path) -> None:
    config["genome"]["contig_aliases"] = {"chr1": 1}


def set_without_a_name(config: Config, folder: Path) -> None:
    config["models"]["plain"]["peaks"] = {"model": "toy", "track": "CTCF", "number": 5}


def list_of_files(config: Config, folder: Path) -> None:
    config["models"]["plain"]["peaks"] = ["b.bed"]


def other_names(config: Config, folder: Path) -> None:
    (folder / "b.bed").write_text("chr1\t5\t9\nchr2\t5\t9\n")


def wrong_alias(config: Config, folder: Path) -> None:
    config["genome"]["contig_aliases"] = {"chr1": "chrl"}


def alias_of_a_contig(config: Config, folder: Path) -> None:
    config["genome"]["contig_aliases"] = {"chrII": "chrI"}


def summit_beyond(config: Config, folder: Path) -> None:
    (folder / "b.bed").write_text("chrI\t5\t9\nchrI\t2000\t2003\n")


def no_such_file(config: Config, folder: Path) -> None:
    config["models"]["plain"]["peaks"] = {"x": "nowhere.bed"}


def no_peaks(config: Config, folder: Path) -> None:
    del config["models"]["plain"]["peaks"]


def no_peak_wanted(config: Config, folder: Path) -> None:
    config["genome"]["regions"] = ["tiny:1-3"]


def tracks_of_no_model(config: Config, folder: Path) -> None:
    config["models"]["plain"]["peaks"] = {"x": {"model": "borzoi", "track": 0, "number": 5}}


def with_toy(config: Config, folder: Path, track: Any, **limits: Any) -> None:
    save_position_coded(folder / "toy")
    config["models"]["toy"] = {"architecture": "borzoi", "weights": "toy", "tracks": [0, 1]}
    peaks = {"model": "toy", "track": track} | limits
    config["models"]["plain"]["peaks"] = {"x": peaks}


def track_not_chosen(config: Config, folder: Path) -> None:
    with_toy(config, folder, "track_2", number=5)


def two_tracks(config: Config, folder: Path) -> None:
    with_toy(config, folder, "all", number=5)


def neither_threshold_nor_number(config: Config, folder: Path) -> None:
    with_toy(config, folder, 0)


def misspelt_threshold(config: Config, folder: Path) -> None:
    with_toy(config, folder, 0, treshold=5)


def key_of_another_network(config: Config, folder: Path) -> None:
    config["models"]["plain"]["tracks"] = "all"


def unknown_overlap(config: Config, folder: Path) -> None:
    config["profiles"] = {"overlap": "average"}


def weights_of_another_network(config: Config, folder: Path) -> None:
    save_position_coded(folder / "plain")


MISTAKES: list[tuple[Callable[[Config, Path], None], str]] = [
    (other_names, r"b\.bed, line 1: no contig 'chr1'; this FASTA calls it 'chrI'; write into the"
                  r' config: genome: \{contig_aliases: \{"chr1": "chrI", "chr2": "chrII"\}\}'),
    (wrong_alias, r"contig_aliases, chr1: chrl: no contig 'chrl'; similar names: chrI"),
    (alias_of_a_contig, r"contig_aliases, chrII: chrI: 'chrII' is itself a contig"),
    (summit_beyond, r"b\.bed, line 2: the summit is base 2,001, but chrI has 2,000 bp"),
    (name_that_is_a_number, r"models\.plain\.peaks: the name 1 is not text in YAML; put"),
    (alias_that_is_a_number, r"contig_aliases\.chr1: 1 is not text in YAML; put it in quotes"),
    (set_without_a_name, r"peaks\.number: 5 is not text in YAML|in peaks: \{open: …\}"),
    (list_of_files, r"models\.plain\.peaks: .*several by name, as in peaks: \{a: a\.bed"),
    (no_such_file, r"models\.plain: peaks x: nowhere\.bed: no such file"),
    (no_peaks, r"models\.plain: 'peaks' is a required property"),
    (no_peak_wanted, r"none of the 65 peaks' summits lies in a selected region"),
    (tracks_of_no_model, r"peaks x: 'borzoi' is not a model that predicts tracks; .*: none"),
    (track_not_chosen, r"peaks x: among the tracks of toy, track selector 'track_2'"),
    (two_tracks, r"track 'all' matches 2 tracks of toy \(track_0, track_1\); choose one of them"),
    (neither_threshold_nor_number, r"models\.plain\.peaks\.x: .*of at least threshold, or the"),
    (misspelt_threshold, r"models\.plain\.peaks\.x: unknown key 'treshold'; did you mean 'thresh"),
    (key_of_another_network, r"models\.plain: unknown key 'tracks'; known are architecture"),
    (unknown_overlap, r"profiles\.overlap: 'average' is not one of: nearest, mean, max"),
    (weights_of_another_network, r"describes 'borzoi', asked for is 'bpnet'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("mistake", "message"), MISTAKES, ids=lambda case: getattr(case, "__name__", "")
)
def test_a_mistake_is_found_before_prediction(
    mistake: Callable[[Config, Path], None], message: str, config: Config, tmp_path: Path
) -> None:
    mistake(config, tmp_path)
    done = snakemake(tmp_path, config)
    assert done.returncode != 0
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("logs/g/predict*/*")), "something was predicted"
    assert not list(tmp_path.rglob("*.bw"))


# Real input


def test_the_trained_ctcf_network_writes_its_authors_values(
    real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    """bpnet-lite's own logits and counts at 16 windows of hg38, against the bigWigs' bases."""
    reference = np.load(real_input("reference_outputs/bpnetlite_ctcf_hg38_chr1_1Mb.npz"))
    summits = (reference["start"] + 1_057).tolist()
    (tmp_path / "windows.bed").write_text("".join(f"chr1\t{at}\t{at + 1}\n" for at in summits))
    entry = {"architecture": "bpnetlite", "weights": str(real_input(CTCF)), "peaks": "windows.bed"}
    fasta = real_input("genomes/hg38_chr1_1Mb.fa.gz")
    run = {"genome": {"name": "hg38", "fasta": str(fasta)}, "models": {"ctcf": entry}}
    done = snakemake(tmp_path, run)
    assert done.returncode == 0, done.stderr
    logits = reference["example_final_profile_logits"].astype(np.float64)  # (windows, 2, 1000)
    odds = np.exp(logits - logits.max((1, 2), keepdims=True))
    reads = np.exp(reference["example_final_logcounts"].astype(np.float64))
    expected = odds / odds.sum((1, 2), keepdims=True) * reads[:, :, None]
    found = [every_base(tmp_path / f"results/hg38/ctcf/signal.{strand}.bw", "chr1", 1_000_000)
             for strand in ("plus", "minus")]  # fmt: skip
    nearest: dict[int, tuple[int, int]] = {}
    for number, summit in enumerate(summits):
        for base in range(summit - 500, summit + 500):
            candidate = abs(base - summit), number
            nearest[base] = min(nearest.get(base, candidate), candidate)
    compared = 0
    for base, (_, number) in nearest.items():
        theirs = expected[number, :, base - summits[number] + 500]
        for strand in range(2):
            if np.isfinite(found[strand][base]):  # a base that is N has no value
                # the networks agree to 1e-4 in logits and counts (their float32), so values to 2e-4
                assert found[strand][base] == pytest.approx(theirs[strand], rel=3e-4)
                compared += 1
    assert compared > 25_000
    has_value = np.flatnonzero(np.isfinite(found[0]))
    assert set(has_value.tolist()) <= set(nearest)


def test_chexmix_sites_of_yeast_need_and_get_aliases(
    real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    entry = {
        "architecture": "bpnetlite",
        "weights": str(real_input(CTCF)),
        "peaks": {
            name: str(real_input(f"peaks/sacCer3_{name}_CX.bed")) for name in ("Gcn4", "Cbf1")
        },
    }
    run: Config = {
        "genome": {"name": "yeast", "fasta": str(real_input(SACCER))}, "models": {"m": entry}
    }  # fmt: skip
    done = snakemake(tmp_path, run)
    assert done.returncode != 0
    printed = re.search(r"contig_aliases: (\{.*?\})", done.stderr)
    assert printed, done.stderr
    table = yaml.safe_load(printed[1])
    assert table["chr9"] == "chrIX"
    numerals = "I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI"
    aliases = {
        f"chr{at}": f"chr{roman}" for at, roman in enumerate(re.findall(r"\w+", numerals), 1)
    }
    assert table.items() <= aliases.items(), "what the message says can be copied"
    run["genome"]["contig_aliases"] = aliases
    done = snakemake(tmp_path, run)
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "results/yeast/m")
    sites = [
        (aliases[cells[0]], int(cells[1]), int(cells[2]))
        for name in ("Gcn4", "Cbf1")
        for cells in map(
            str.split, real_input(f"peaks/sacCer3_{name}_CX.bed").read_text().splitlines()
        )
    ]
    assert {(row["contig"], int(row["start"]), int(row["end"])) for row in rows} == set(sites)
    assert all(float(row["signal.plus.counts"]) > 0 for row in rows)


def test_profiles_at_the_peaks_of_a_real_predicted_track(
    real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    """hg38: the highest places of the mini Borzoi's DNASE track, and the CTCF network there."""
    fasta = real_input("genomes/hg38_chr1_1Mb.fa.gz")
    peaks = {"dnase": {"model": "mini", "track": "DNASE:HepG2", "number": 60}}
    models = {
        "mini": {
            "architecture": "borzoi",
            "weights": str(real_input("models/mini_borzoi")),
            "tracks": ["DNASE:HepG2"],
        },
        "ctcf": {
            "architecture": "bpnetlite",
            "weights": str(real_input(CTCF)),
            "reverse_complement": True,
            "peaks": peaks,
        },
    }
    done = snakemake(tmp_path, {"genome": {"name": "hg38", "fasta": str(fasta)}, "models": models})
    assert done.returncode == 0, done.stderr
    (track,) = (tmp_path / "results/hg38/mini/tracks").glob("DNASE/*.bw")
    bins = np.nan_to_num(every_base(track, "chr1", 1_000_000)[::32], nan=-np.inf)
    rows = rows_of(tmp_path / "results/hg38/ctcf")
    summits = [int(row["summit"]) for row in rows]
    assert len(summits) == 60
    tops = {
        at
        for at in range(len(bins))
        if np.isfinite(bins[at]) and bins[at] == bins[max(0, at - 15) : at + 16].max()
    }  # 500 bp around
    assert {(summit - 16) // 32 for summit in summits} <= tops
    chosen = {(summit - 16) // 32 for summit in summits}
    assert min(bins[at] for at in chosen) >= max(bins[at] for at in tops - chosen)

    text = "".join(gzip.decompress(fasta.read_bytes()).decode().split("\n")[1:]).upper()
    model = load_model("bpnetlite", real_input(CTCF))
    complement = str.maketrans("ACGTN", "TGCAN")
    for summit in summits[::7]:
        window = text[summit - 1_057 : summit + 1_057]
        codes = [torch.from_numpy(encode(x))[None]
                 for x in (window, window.translate(complement)[::-1])]  # fmt: skip
        with torch.inference_mode():
            outputs = [model(x) for x in codes]
        odds = [output.profile_logits[0, :, 0].double().numpy() for output in outputs]
        share = [np.exp(x) / np.exp(x).sum() for x in odds]
        log = np.mean([float(output.count_logits[0, 0, 0]) for output in outputs])
        expected = (share[0] + share[1][::-1, ::-1]) / 2 * np.exp(log)
        for strand, name in enumerate(("plus", "minus")):
            path = tmp_path / f"results/hg38/ctcf/signal.{name}.bw"
            # the bases that no other summit is as near to: none is within 500 bp, so at least half
            found = every_base(path, "chr1", 1_000_000)[summit - 250 : summit + 250]
            np.testing.assert_allclose(found, expected[250:750, strand], rtol=1e-4)
