"""A small run to plan: its files, its config, and the config as the workflow completes it."""

import copy
import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqcov_models.run.settings import complete_config
from support.calico import Tiny
from support.fasta import write_fasta

Config = dict[str, Any]

TINY = Tiny()
"""A Borzoi with bins of 4 bp, 118 of them per core."""
CORE = TINY.bins * 4
"""Bases of a core of `TINY`."""
GENOME = {"chr1": 5_000, "chr2": 1_003, "scaffold": 3}
ASSAYS = ["CAGE", "CAGE", "DNASE", "CHIP", "CHIP", "CHIP", "CHIP"]


def write_genome(path: Path, lengths: dict[str, int]) -> Path:
    """Write a FASTA of contigs of these lengths."""
    return write_fasta(path, {name: ("ACGT" * length)[:length] for name, length in lengths.items()})


def write_weights(folder: Path, tiny: Tiny = TINY) -> Path:
    """Write a checkpoint whose weights are just a name: planning does not read them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.json").write_text(json.dumps(tiny.params()))
    (folder / "model.h5").write_bytes(b"not read when a run is planned")
    rows = [f"{row}\tid{row}\t{assay}:cell {row}\n" for row, assay in enumerate(ASSAYS)]
    (folder / "targets.txt").write_text("\tidentifier\tdescription\n" + "".join(rows))
    return folder


def complete(config: Config) -> Config:
    """Return a config with all defaults, as the workflow reads it from a file.

    Raises:
        SeqcovError: If the config does not fit the schema.
    """
    return complete_config(yaml.safe_load(yaml.safe_dump(config)))


DiskUsage = namedtuple("DiskUsage", ["total", "used", "free"])


def set_free_space(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Let every disk have `free` bytes of free space."""
    usage = DiskUsage(10**15, 10**15 - free, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


def changed(config: Config, path: str, value: Any) -> Config:
    """Return a copy of `config` with another value at a dotted path."""
    copy_of_config = copy.deepcopy(config)
    *parents, key = path.split(".")
    section = copy_of_config
    for parent in parents:
        section = section[parent]
    section[key] = value
    return copy_of_config
