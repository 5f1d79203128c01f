"""A job only writes what it predicts from the files that its plan was made from."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.run.inputs import Inputs
from seqcov_models.run.planner import plan_run
from support.plans import Config

CHANGES: dict[str, Callable[[Path], None]] = {
    "another byte": lambda file: rewrite(file, file.read_bytes()[:-2] + b"C\n"),
    "another byte, old date": lambda file: rewrite(file, file.read_bytes()[:-2] + b"C\n", 0),
    "cut": lambda file: os.truncate(file, file.stat().st_size - 1),
    "replaced": lambda file: replace(file, file.read_bytes().swapcase()),
    "missing": lambda file: file.unlink(),
}  # fmt: skip


def rewrite(file: Path, content: bytes, later: int = 10) -> None:
    """Write into an existing file; its date becomes that of before plus so many ns."""
    date = file.stat().st_mtime_ns
    file.write_bytes(content)
    os.utime(file, ns=(date, date + later))


def replace(file: Path, content: bytes) -> None:
    """Give a new file the name and the date of another."""
    date = file.stat().st_mtime_ns
    other = file.with_name("other")
    other.write_bytes(content)
    os.utime(other, ns=(date, date))
    other.replace(file)


def input_file(config: Config, name: str) -> Path:
    fasta = Path(config["genome"]["fasta"])
    return fasta if name == "fasta" else Path(config["models"]["borzoi"]["weights"], name)


@pytest.mark.parametrize("moment", ["before", "during"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["fasta", "model.h5", "params.json", "targets.txt"])
def test_a_changed_input_is_named(name: str, change: str, moment: str, config: Config) -> None:
    inputs = Inputs(plan_run(config).models["borzoi"])
    if moment == "during":
        inputs.check()
    file = input_file(config, name)
    CHANGES[change](file)
    with pytest.raises(SeqcovError, match=f"{file}.* since this run began"):
        inputs.check()


def test_a_date_or_a_second_name_is_not_a_change(config: Config, tmp_path: Path) -> None:
    inputs = Inputs(plan_run(config).models["borzoi"])
    for name in ("fasta", "model.h5", "targets.txt"):
        file = input_file(config, name)
        os.utime(file)
        inputs.check()
        os.link(file, tmp_path / "link")
        inputs.check()
        shutil.copy(file, tmp_path / "copy")
        (tmp_path / "copy").replace(file)
        inputs.check()
        (tmp_path / "link").unlink()
