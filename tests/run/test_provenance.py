"""The provenance of a run: what it says about rounding."""

import json
from pathlib import Path

from seqcov_models.run.plan import load_run
from seqcov_models.run.planner import plan_run
from seqcov_models.run.provenance import write_provenance
from support.plans import Config, changed


def test_the_provenance_says_how_values_were_rounded(config: Config, tmp_path: Path) -> None:
    facts = {}
    for bits in (None, 5):
        run = plan_run(changed(config, "bigwig.significant_bits", bits))
        run.save(run.paths)
        write_provenance(tmp_path / "provenance.json", load_run(run.paths.run_plan), [], [])
        facts[bits] = json.loads((tmp_path / "provenance.json").read_text())
    assert facts[5].pop("rounding") == {"significant_bits": 5, "largest_relative_error": 1 / 32}
    assert facts[5]["config"]["bigwig"]["significant_bits"] == 5
    assert list(facts[5]) == list(facts[None])
