"""Bad inputs of every kind, and the messages that refuse them: the manual's troubleshooting page.

`PYTHONPATH=.:tests python -m support.bad_inputs` writes the page. Every message is that of a real
run: each input is made in a new folder with a small genome, models, regions and peaks.
"""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqcov_models import save_model
from seqcov_models.cli import main
from seqcov_models.errors import SeqcovError
from seqcov_models.run.peak_sets import count_peaks
from seqcov_models.run.planner import plan_run
from support.data import REPOSITORY
from support.plans import Config, changed, complete, set_free_space, write_genome, write_weights
from support.profiles import BPNET, network

PAGE = REPOSITORY / "docs/troubleshooting.md"
FREE = 10**12
"""Bytes that every disk has free."""

Refused = Callable[[Config], object]
"""Function that makes a bad input in the current folder, and does what refuses it."""
Case = tuple[str, Refused]
"""What is wrong, in Markdown, and the function."""

# ruff: noqa: E501, the page's lines are longer
INTRODUCTION = """\
# Troubleshooting

What is refused, and with which message. seqcov finds these mistakes before anything is predicted: when it plans a
run (`snakemake --dry-run` and `seqcov estimate yours.yaml` do only that), or, if only the weights show them, when it
checks the checkpoints. A message says what is wrong, where, and what to do.

Snakemake reads the file of `--configfile` itself, before seqcov starts. If it cannot, it ends with a line of
the [second table](#a-config-that-snakemake-cannot-read), often below a traceback. `seqcov estimate yours.yaml` names
the mistake in one line, as in the first table.

A job that fails prints its message and writes it to its log (`logs/…`, named by Snakemake). Run the same command
again when the cause is removed: finished work is kept. If a message says that an error is unexpected, please report
it together with the log.

`python -m support.bad_inputs` generates the tables from real runs; the tests compare them with what the code says.
"""


def plan(config: Config) -> None:
    """Do what the workflow does before any job: complete the config, plan, count the peaks."""
    count_peaks(plan_run(complete(config)).profiles)


def write_inputs(folder: Path) -> Config:
    """Write a genome, a model of coverage, a BPNet and its peaks; return the config of a run."""
    write_genome(folder / "g.fa", {"chrI": 2_000, "chrII": 300, "scaffold_2": 500})
    write_weights(folder / "tiny")
    save_model(network(BPNET), folder / "bpnet")
    (folder / "b.bed").write_text("chrII\t295\t300\nchrI\t0\t1\n")
    return {
        "output": "results",
        "genome": {"name": "g", "fasta": "g.fa"},
        "models": {
            "tiny": {"architecture": "borzoi", "weights": "tiny"},
            "bpnet": {"architecture": "bpnet", "weights": "bpnet", "peaks": {"b": "b.bed"}},
        },
    }


def setting(path: str, value: Any) -> Case:
    """Return the case of one wrong setting of the config."""
    text = yaml.safe_dump(value, default_flow_style=True, default_style='"', width=10_000)
    text = text if "\\n" in text else yaml.safe_dump(value, default_flow_style=True, width=10_000)
    text = text.removesuffix("\n").removesuffix("\n...")
    text = f"{text[:80]}…" if len(text) > 80 else text

    def refused(config: Config) -> None:
        config.setdefault(path.partition(".")[0], {})
        plan(changed(config, path, value))

    return f"`{path}: {text}`".replace("\n", "\\n"), refused


def without(path: str) -> Case:
    """Return the case of a setting that is missing."""

    def refused(config: Config) -> None:
        *parents, key = path.split(".")
        section = config
        for parent in parents:
            section = section[parent]
        del section[key]
        plan(config)

    return f"`{path}` is missing", refused


def file(what: str, name: str, content: str | bytes, **settings: Any) -> Case:
    """Return the case of one wrong file. settings: with __ for the dots between keys."""

    def refused(config: Config) -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
        for path, value in settings.items():
            config = changed(config, path.replace("__", "."), value)
        plan(config)

    return what, refused


def command(what: str, content: str | bytes | None, *arguments: str) -> Case:
    """Return the case of a command line. content: of the file bad.yaml; None writes none."""

    def refused(_: Config) -> None:
        if content is not None:
            Path("bad.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
        with contextlib.redirect_stderr(io.StringIO()) as screen:
            assert main(list(arguments) or ["estimate", "bad.yaml"]) == 1
        raise SeqcovError(screen.getvalue().removeprefix("error: ").removesuffix("\n"))

    return what, refused


def groups() -> dict[str, list[Case]]:
    """Return all cases, by the title of their table."""
    from support import bad_checkpoints, bad_files, bad_machines, bad_observed, bad_settings

    return {
        "The config": bad_settings.CASES,
        "A config that Snakemake cannot read": bad_settings.UNREADABLE,
        "The FASTA and its index": bad_files.FASTAS,
        "Regions and BED files": bad_files.REGIONS,
        "Genes": bad_files.ANNOTATIONS,
        "Track tables and selections": bad_files.TRACKS,
        "Peaks": bad_files.PEAKS,
        "Measured bigWigs": bad_observed.CASES,
        "Checkpoints": bad_checkpoints.CASES,
        "The Python environment": bad_machines.PACKAGES,
        "Devices": bad_machines.DEVICES,
        "Disk and permissions": bad_machines.DISKS,
        "Clusters": bad_machines.CLUSTERS,
    }


def collect_messages() -> Iterator[tuple[str, str, str]]:
    """Yield the title, what is wrong and the message of every case."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        inputs = Path(folder, "inputs")
        inputs.mkdir()
        config = write_inputs(inputs)
        patch.setenv("HOME", "/home/you")
        patch.setenv("XDG_CACHE_HOME", str(Path(folder, "cache")))
        patch.delenv("XDG_RUNTIME_DIR", raising=False)
        set_free_space(patch, FREE)
        for title, cases in groups().items():
            for number, (what, refused) in enumerate(cases):
                place = Path(folder, f"{title}.{number}")
                shutil.copytree(inputs, place)
                with contextlib.chdir(place), contextlib.redirect_stderr(io.StringIO()):
                    yield title, what, _message(refused, config, f"{place}{os.sep}")


def _message(refused: Refused, config: Mapping[str, Any], place: str) -> str:
    """Return the message of a case, without the folder in which it was made."""
    try:
        refused(changed(dict(config), "output", "results"))
    except SeqcovError as error:
        message = str(error).replace(os.path.realpath(place) + os.sep, "").replace(place, "")
        return message.replace(place.rstrip(os.sep), "/home/you")
    raise AssertionError("it was not refused")


def format_page(messages: Iterable[tuple[str, str, str]]) -> str:
    """Return the text of the page with what `collect_messages` yields."""
    lines, last = [INTRODUCTION], ""
    for title, what, message in messages:
        if title != last:
            lines.append(f"\n## {title}\n\n| what is wrong | message |\n|---|---|")
            last = title
        cell = "<br>".join(f"`` {line} ``" for line in message.split("\n"))
        lines.append(f"| {_escape(what)} | {_escape(cell)} |")
    return "\n".join(lines) + "\n"


def _escape(cell: str) -> str:
    """Return a text that ends no cell of a table."""
    return cell.replace("|", "\\|").replace("\t", "\\t").replace("\0", "\\0")


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(format_page(collect_messages()), "utf-8")
