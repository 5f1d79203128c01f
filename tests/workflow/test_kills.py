"""A few kills of the campaign that `tests/support/kills.py` runs at length."""

from pathlib import Path

import pytest

from support import kills

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def test_no_kill_leaves_a_wrong_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = kills.main(["--kills", "2", "--folder", str(tmp_path / "campaign"), "--seed", "5"])
    output = capsys.readouterr().out
    assert status == 0, output
    assert output.startswith("2 kills")
    assert output.endswith("nothing wrong\n")
