"""A draft assembly: thousands of contigs, each predicted by a job of its own."""

import re
from pathlib import Path

import pytest

from support.data import REPOSITORY
from support.fasta import write_fasta
from support.runs import snakemake

CONTIGS = 1_984


@pytest.mark.workflow
def test_a_window_per_job_on_thousands_of_contigs_is_planned(tmp_path: Path) -> None:
    fasta = write_fasta(tmp_path / "g.fa", {f"c{n}": "ACGT" * 250 for n in range(CONTIGS)})
    config = {
        "genome": {"name": "g", "fasta": str(fasta)},
        "models": {
            "borzoi": {"architecture": "borzoi", "weights": str(REPOSITORY / "demo/borzoi")}
        },
        "prediction": {"windows_per_chunk": 1},
    }
    planned = snakemake(tmp_path / "run", config, "--dry-run", "--quiet", "rules")
    assert planned.returncode == 0, planned.stderr
    output = planned.stdout + planned.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE))
    assert int(counts["predict_coverage"]) == CONTIGS
    others = sum(int(count) for rule, count in counts.items() if rule != "total") - CONTIGS
    assert others < CONTIGS / 10
