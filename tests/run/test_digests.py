"""What changes a digest, so that jobs run again, and what does not."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seqcov_models.run import digests
from seqcov_models.run.planner import plan_run
from support.data import REPOSITORY
from support.fasta import write_fasta
from support.plans import GENOME, TINY, Config, changed, write_weights


def digest(config: Config) -> str:
    return plan_run(config).models["borzoi"].sets[0].digest


def test_the_digest_follows_the_content_of_the_fasta_and_not_its_date(config: Config) -> None:
    """`cp -p` and `mv` keep a date from before the last run; `touch` sets a later one."""
    before = digest(config)
    fasta = Path(config["genome"]["fasta"])
    date, content = fasta.stat().st_mtime_ns, fasta.read_bytes()
    for moved in (-(10**12), 10**9):
        os.utime(fasta, ns=(0, date + moved))
        os.utime(fasta.with_name(f"{fasta.name}.fai"))
        assert digest(config) == before
    fasta.write_bytes(content.replace(b"ACG", b"TCG", 1))
    os.utime(fasta, ns=(0, date))
    assert digest(config) != before


def test_the_digest_follows_the_weights_and_not_the_names_of_tracks(config: Config) -> None:
    def both() -> tuple[str, str]:
        model = plan_run(config).models["borzoi"]
        return model.sets[0].digest, model.card_digest

    before = both()
    folder = Path(config["models"]["borzoi"]["weights"])
    state = (folder / "model.h5").stat()
    (folder / "model.h5").write_bytes(b"Not read when a run is planned")
    os.utime(folder / "model.h5", ns=(0, state.st_mtime_ns))
    changed_weights = both()
    assert not set(before) & set(changed_weights)
    table = folder / "targets.txt"
    run = plan_run(config)
    table.write_text(table.read_text().replace("cell 2", "cell two"))
    assert both() == changed_weights
    assert plan_run(config).table_digest != run.table_digest
    assert plan_run(config).provenance_digest != run.provenance_digest


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
def test_the_digest_changes_with_values_and_chunks(path: str, value: Any, config: Config) -> None:
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
    path: str, value: Any, config: Config
) -> None:
    assert digest(changed(config, path, value)) == digest(config)


def test_the_digest_is_the_same_in_every_process_and_version_of_the_package(
    config: Config, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    script = (
        "import json, sys, seqcov_models; seqcov_models.__version__ = '99.0';"
        " from seqcov_models.run.planner import plan_run;"
        " print(plan_run(json.load(open(sys.argv[1]))).models['borzoi'].sets[0].digest)"
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
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_digests() -> list[str]:
        run = plan_run(config)
        model = run.models["borzoi"]
        return [
            run.browser_digest, run.provenance_digest, model.card_digest, model.values_digest,
            *map(model.sets[0].group_digest, model.groups),
        ]  # fmt: skip

    before = all_digests()
    monkeypatch.setattr(digests, "RESULTS_VERSION", digests.RESULTS_VERSION + 1)
    assert not set(before) & set(all_digests())


def test_browser_files_follow_an_edit_of_a_bed_file_that_moves_no_bin(
    config: Config, tmp_path: Path
) -> None:
    bed = tmp_path / "regions.bed"
    config["genome"]["regions"] = [str(bed)]
    bed.write_text("chr1\t1\t200\n")
    before = plan_run(config)
    bed.write_text("chr1\t2\t200\n")  # still in the first bin of 4 bp
    after = plan_run(config)
    assert after.models["borzoi"].sets == before.models["borzoi"].sets
    assert after.browser_digest != before.browser_digest


def test_the_digest_changes_with_the_networks_geometry(config: Config) -> None:
    before = digest(config)
    write_weights(Path(config["models"]["borzoi"]["weights"]), dataclasses.replace(TINY, crop=6))
    assert digest(config) != before


def test_the_digest_changes_with_the_contigs(config: Config) -> None:
    before = digest(config)
    longer = {contig: "A" * (length + 4) for contig, length in GENOME.items()}
    write_fasta(Path(config["genome"]["fasta"]), longer)
    Path(config["genome"]["fasta"] + ".fai").unlink()
    assert digest(config) != before


def test_an_unfinished_chunk_is_only_continued_from_the_same_files(config: Config) -> None:
    plan = plan_run(config).models["borzoi"]
    chunks = plan.sets[0].chunks
    identities = {plan.chunk_identity(chunk) for chunk in chunks}
    assert len(identities) == len(chunks) > 1
    assert plan.chunk_identity("0") in identities
    weights = Path(config["models"]["borzoi"]["weights"]) / "model.h5"
    weights.write_bytes(b"other weights")
    identities.add(plan_run(config).models["borzoi"].chunk_identity("0"))
    fasta = plan.fasta.path
    fasta.write_bytes(fasta.read_bytes().replace(b"ACG", b"TCG", 1))
    identities.add(plan_run(config).models["borzoi"].chunk_identity("0"))
    other = plan_run(changed(config, "prediction.precision", "bfloat16")).models["borzoi"]
    identities.add(other.chunk_identity("0"))
    assert len(identities) == len(chunks) + 3
