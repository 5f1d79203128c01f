"""Profiles as a user makes them: whole runs of the workflow with peaks, and what they leave."""

import csv
import gzip
import hashlib
import json
import re
import shutil
import signal
from collections.abc import Callable
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
from support.position_coded import position_coded_bin, save_position_coded
from support.profiles import (
    BPNET,
    BPNET_LITE,
    LETTERS,
    UNSTRANDED,
    assert_close,
    network,
    run,
    write_profile_run,
)
from support.runs import bigwigs, digests, every_base, snakemake, start, wait_for

pytestmark = pytest.mark.workflow

Config = dict[str, Any]
SACCER = "genomes/sacCer3.fa.gz"
CTCF = "models/bpnetlite_ctcf/ctcf.safetensors"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return write_profile_run(tmp_path)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with gzip.open(folder / "peaks.tsv.gz", "rt") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def test_a_run_leaves_what_the_library_computes(config: Config, tmp_path: Path) -> None:
    """Base by base the library is compared with plain loops in test_profiles.py."""
    config["profiles"] = {"jobs": 3, "windows": True, "overlap": "mean", "strand": "peak"}
    config["models"]["plain"]["reverse_complement"] = True
    process = snakemake(tmp_path, config)
    assert process.returncode == 0, process.stderr
    assert "one, two on both strands at 65 peaks (narrow, b)" in process.stderr
    folder = tmp_path / "results/g/plain"
    tasks = {
        f"plain.{task}{strand}" for task in ("one", "two") for strand in ("", ".plus", ".minus")
    }
    files = {f"{task}.bw" for task in tasks}
    assert {path.name for path in folder.glob("*.bw")} == files
    assert not list(folder.glob("chunks/*")), "temporary files are gone"

    reference = tmp_path / "by_hand"
    reference.mkdir()
    (reference / "peaks.bed").write_text(
        gzip.decompress((tmp_path / "a.narrowPeak").read_bytes()).decode()
        + (tmp_path / "b.bed").read_text()
    )
    genome = Genome(open_fasta(tmp_path / "g.fa", tmp_path))
    bins = select_bins(genome.contigs, 1, None, [])
    run(reference, [network(BPNET)], genome, 1, True, bins, both_strands=True, overlap="mean")
    genome.close()
    for name in files:
        task, _, kind = name.removeprefix("plain.").removesuffix(".bw").partition(".")
        for contig, text in LETTERS.items():
            expected_values = every_base(
                reference / f"{task}.{kind or 'both'}.bw", contig, len(text)
            )
            assert_close(every_base(folder / name, contig, len(text)), expected_values)
    rows, expected = rows_of(folder), rows_of(reference)
    assert [row["summit"] for row in rows] == [row["summit"] for row in expected]
    assert {row["set"] for row in rows} == {"narrow", "b"}
    assert len(rows) == 65
    with h5py.File(folder / "profiles.h5") as file:
        assert len(file["profiles"]) == len({row["window"] for row in rows})

    table = {row["file"]: row for row in read_table(tmp_path / "results/g/tracks.tsv")}
    assert set(table) == {f"plain/{name}" for name in files}
    assert {row["bin"] for row in table.values()} == {"1"}
    hub = (tmp_path / "results/g/hub.txt").read_text()
    session = (tmp_path / "results/g/igv_session.xml").read_text()
    assert all(f"plain/{name}" in hub for name in files)
    assert {row["strand"] for row in table.values()} == {"+", "-", "."}
    assert '<Resource path="plain/plain.peaks.bb" type="bb"' in session
    facts = json.loads((tmp_path / "results/g/provenance.json").read_text())
    assert facts["models"]["plain"][0]["config"]["tasks"] == ["one", "two"]
    assert [file["path"] for file in facts["peaks"]] == ["a.narrowPeak", "b.bed"]


@pytest.mark.parametrize(
    ("network_config", "architecture", "files"),
    [
        (
            BPNET_LITE,
            "bpnetlite",
            {"lite.signal.bw", "lite.signal.plus.bw", "lite.signal.minus.bw"},
        ),
        (UNSTRANDED, "bpnetlite", {"lite.a.bw", "lite.b.bw"}),
    ],
)
def test_bpnet_lite_in_a_run(
    network_config: BPNetConfig, architecture: str, files: set[str], config: Config, tmp_path: Path
) -> None:
    save_model(network(network_config), tmp_path / "lite")
    entry = {"architecture": architecture, "weights": "lite", "peaks": "b.bed"}
    process = snakemake(tmp_path, config | {"models": {"lite": entry}})
    assert process.returncode == 0, process.stderr
    assert set(bigwigs(tmp_path / "results/g/lite")) == files
    assert {row["set"] for row in rows_of(tmp_path / "results/g/lite")} == {"b"}


PUBLISHED = {
    "nobias": ("chrombpnet", "keras_chrombpnet", "chrombpnet_nobias.h5", ["chrombpnet_nobias"]),
    "full": ("chrombpnet", "keras_chrombpnet", "", ["chrombpnet"]),
    "chip": ("bpnet", "keras_bpnet_encode", "", ["signal.plus", "signal.minus"]),
    "catv1": ("cherimoya", "cherimoya", "", ["signal"]),
}
"""Architecture, golden, file in it, and bigWigs of published files."""


def test_files_as_published_in_a_run(
    config: Config, tmp_path: Path, goldens: Callable[[str], Path]
) -> None:
    models: Config = {}
    for name, (architecture, golden, file, _) in PUBLISHED.items():
        weights = str(goldens(golden) / file)
        models[name] = {"architecture": architecture, "weights": weights, "peaks": "one.bed"}
    folds = [models["nobias"]["weights"], str(tmp_path / "fold_1.h5")]
    shutil.copy(*folds)
    layer = "wo_bias_bpnet_logcount_predictions"
    with h5py.File(folds[1], "r+") as file:
        file[f"model_weights/{layer}/{layer}/bias:0"][...] += 1
    models["folds"] = {**models["nobias"], "weights": folds}
    (tmp_path / "one.bed").write_text("chrI\t1000\t1001\n")
    process = snakemake(tmp_path, config | {"models": models})
    assert process.returncode == 0, process.stderr
    letters = ("N" * 100 + LETTERS["chrI"] + "N" * 100)[43 : 43 + 2_114]
    for name, (architecture, _, _, files) in PUBLISHED.items():
        model = load_model(architecture, models[name]["weights"])
        expected = model.predict([letters])[0]
        for track, file in enumerate(files):
            path = tmp_path / f"results/g/{name}/{name}.{file}.bw"
            values = every_base(path, "chrI", 2_000)[500:1_500]
            known = np.isfinite(values)
            assert known.sum() > 800
            assert_close(values[known], expected[known, track])
    average = every_base(tmp_path / "results/g/folds/folds.chrombpnet_nobias.bw", "chrI", 2_000)
    single = every_base(tmp_path / "results/g/nobias/nobias.chrombpnet_nobias.bw", "chrI", 2_000)
    known = np.isfinite(single)
    assert_close(average[known], single[known] * np.exp(0.5))  # the mean of log counts


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
    process = snakemake(tmp_path, config)
    assert process.returncode == 0, process.stderr
    # The network says each bin's number; bins of 16 bp, windows of 40, so 20 bp or 1 bin around.
    maxima = [
        index for index in range(300)
        if numbers[index] == max(numbers[max(0, index - 1) : index + 2])
    ]  # fmt: skip
    highest_bins = sorted(maxima, key=lambda index: -numbers[index])[:10]
    bins_above_threshold = [index for index in maxima if numbers[index] >= 6_000]
    rows = rows_of(tmp_path / "results/g/plain")
    for name, bins in (("high", highest_bins), ("above", bins_above_threshold)):
        actual = [int(row["start"]) for row in rows if row["set"] == name]
        assert actual == [16 * index for index in sorted(bins)], name
    assert all(int(row["summit"]) == int(row["start"]) + 8 for row in rows)
    assert np.nanmax(every_base(tmp_path / "results/g/plain/plain.one.bw", "c", 4_800)) > 0


def test_killed_and_again_gives_the_same_bytes(config: Config, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    write_fasta(tmp_path / "g.fa", {"c": "".join(rng.choice(list("ACGT"), 200_000))})
    places = np.sort(rng.integers(0, 199_000, 6_000)).tolist()
    (tmp_path / "many.bed").write_text("".join(f"c\t{index}\t{index + 1}\n" for index in places))
    config["models"]["plain"]["peaks"] = "many.bed"
    config["profiles"] = {"jobs": 2, "batch_size": 4}
    config["prediction"] = {"threads": 1}
    process = snakemake(tmp_path, config)
    assert process.returncode == 0, process.stderr
    expected = digests(tmp_path / "results")
    table = hashlib.sha256((tmp_path / "results/g/plain/peaks.tsv.gz").read_bytes()).hexdigest()
    config["output"] = "again"
    for pattern in ("chunks/.0.npy.*.part", "chunks/.1.npy.*.part", ".*.bw.*.part"):
        running = start(tmp_path, config)
        wait_for(tmp_path, f"again/g/plain/{pattern}")
        running.send_signal(signal.SIGKILL)
        running.wait()
    process = snakemake(tmp_path, config)
    assert process.returncode == 0, process.stderr
    assert digests(tmp_path / "again") == expected
    content = (tmp_path / "again/g/plain/peaks.tsv.gz").read_bytes()
    assert hashlib.sha256(content).hexdigest() == table


def test_an_alias_works_everywhere_and_as_the_message_writes_it(
    config: Config, tmp_path: Path
) -> None:
    (tmp_path / "b.bed").write_text("1\t50\t90\n2\t5\t9\n1\t990\t999\n")
    config["models"]["plain"]["peaks"] = "b.bed"
    process = snakemake(tmp_path, config)
    assert process.returncode != 0
    match = re.search(r"contig_aliases: (\{.*?\})", process.stderr)
    assert match, process.stderr
    config["genome"] |= {"contig_aliases": yaml.safe_load(match[1]), "regions": ["1:51-80", "2"]}
    process = snakemake(tmp_path, config)
    assert process.returncode == 0, process.stderr
    values = every_base(tmp_path / "results/g/plain/plain.one.bw", "chrI", 2_000)
    has_value = np.flatnonzero(np.isfinite(values))
    assert has_value.min() >= 50
    assert has_value.max() < 80
    assert (tmp_path / "results/g/hub.txt").is_file()
    assert "at 2 peaks (b), 1 left out" in process.stderr


# Real input


def test_the_trained_ctcf_network_writes_its_authors_values(
    real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    """bpnet-lite's own logits and counts at 16 windows of hg38, against the bigWigs' bases."""
    reference = np.load(real_input("reference_outputs/bpnetlite_ctcf_hg38_chr1_1Mb.npz"))
    summits = (reference["start"] + 1_057).tolist()
    (tmp_path / "windows.bed").write_text(
        "".join(f"chr1\t{index}\t{index + 1}\n" for index in summits)
    )
    entry = {"architecture": "bpnetlite", "weights": str(real_input(CTCF)), "peaks": "windows.bed"}
    fasta = real_input("genomes/hg38_chr1_1Mb.fa.gz")
    run = {"genome": {"name": "hg38", "fasta": str(fasta)}, "models": {"ctcf": entry}}
    process = snakemake(tmp_path, run)
    assert process.returncode == 0, process.stderr
    logits = reference["example_final_profile_logits"].astype(np.float64)  # (windows, 2, 1000)
    odds = np.exp(logits - logits.max((1, 2), keepdims=True))
    reads = np.exp(reference["example_final_logcounts"].astype(np.float64))
    expected = odds / odds.sum((1, 2), keepdims=True) * reads[:, :, None]
    values = [every_base(tmp_path / f"results/hg38/ctcf/ctcf.signal.{strand}.bw", "chr1", 1_000_000)
             for strand in ("plus", "minus")]  # fmt: skip
    nearest: dict[int, tuple[int, int]] = {}
    for number, summit in enumerate(summits):
        for base in range(summit - 500, summit + 500):
            candidate = abs(base - summit), number
            nearest[base] = min(nearest.get(base, candidate), candidate)
    compared = 0
    for base, (_, number) in nearest.items():
        expected_values = expected[number, :, base - summits[number] + 500]
        for strand in range(2):
            if np.isfinite(values[strand][base]):  # a base that is N has no value
                # the networks agree to 1e-4 in logits and counts (their float32), so values to 2e-4
                assert values[strand][base] == pytest.approx(expected_values[strand], rel=3e-4)
                compared += 1
    assert compared > 25_000
    has_value = np.flatnonzero(np.isfinite(values[0]))
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
    process = snakemake(tmp_path, run)
    assert process.returncode != 0
    match = re.search(r"contig_aliases: (\{.*?\})", process.stderr)
    assert match, process.stderr
    table = yaml.safe_load(match[1])
    assert table["chr9"] == "chrIX"
    numerals = "I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI"
    aliases = {
        f"chr{index}": f"chr{roman}" for index, roman in enumerate(re.findall(r"\w+", numerals), 1)
    }
    assert table.items() <= aliases.items(), "what the message says can be copied"
    run["genome"]["contig_aliases"] = aliases
    process = snakemake(tmp_path, run)
    assert process.returncode == 0, process.stderr
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
    process = snakemake(
        tmp_path, {"genome": {"name": "hg38", "fasta": str(fasta)}, "models": models}
    )
    assert process.returncode == 0, process.stderr
    (track,) = (tmp_path / "results/hg38/mini/tracks").glob("DNASE/*.bw")
    bins = np.nan_to_num(every_base(track, "chr1", 1_000_000)[::32], nan=-np.inf)
    rows = rows_of(tmp_path / "results/hg38/ctcf")
    summits = [int(row["summit"]) for row in rows]
    assert len(summits) == 60
    maxima = {
        index
        for index in range(len(bins))
        if np.isfinite(bins[index]) and bins[index] == bins[max(0, index - 15) : index + 16].max()
    }  # 500 bp around
    assert {(summit - 16) // 32 for summit in summits} <= maxima
    selection = {(summit - 16) // 32 for summit in summits}
    assert min(bins[index] for index in selection) >= max(
        bins[index] for index in maxima - selection
    )

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
        probabilities = [np.exp(x) / np.exp(x).sum() for x in odds]
        log = np.mean([float(output.count_logits[0, 0, 0]) for output in outputs])
        expected = (probabilities[0] + probabilities[1][::-1, ::-1]) / 2 * np.exp(log)
        for strand, name in enumerate(("plus", "minus")):
            path = tmp_path / f"results/hg38/ctcf/ctcf.signal.{name}.bw"
            # the bases that no other summit is as near to: none is within 500 bp, so at least half
            values = every_base(path, "chr1", 1_000_000)[summit - 250 : summit + 250]
            np.testing.assert_allclose(values, expected[250:750, strand], rtol=1e-4)
