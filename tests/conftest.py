"""The fixtures that tests of several rooms share."""

import faulthandler
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from goldens.common import unpack
from support import data
from support.calico import Tiny, Weights, draw_keras_weights, write_calico
from support.programs import Program

torch.set_num_threads(1)  # networks this small only wait for a second thread
settings.register_profile("seqcov", deadline=None, database=None, derandomize=True)
settings.load_profile("seqcov")


@pytest.hookimpl(tryfirst=True)  # before pytest selects by markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as `data` every test that asks for a file of the real data.

    Among several workers the longest files begin first, so that no worker ends long after others.
    """
    for item in items:
        if {"real_input", "real_data"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.data)
    if hasattr(config, "workerinput"):
        items.sort(
            key=lambda item: (
                "cluster" not in getattr(item, "fixturenames", ()),
                "workflow" not in item.keywords,
            )
        )


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data, or skip the test if it is absent."""
    if not data.DATA.is_dir():
        pytest.skip(data.MISSING_DATA)
    return data.DATA


@pytest.fixture(scope="session")
def real_input() -> Callable[[str], Path]:
    """Return a function that finds a file of the real data, or skips the test if it is absent."""
    return data.real_input


@pytest.fixture(scope="session")
def tiny_weights() -> Weights:
    return draw_keras_weights(Tiny())


@pytest.fixture
def tiny_folder(tmp_path: Path, tiny_weights: Weights) -> Path:
    """Return a fresh calico checkpoint of `Tiny()` that a test may damage."""
    return write_calico(tmp_path / "weights", Tiny(), tiny_weights)


@pytest.fixture(scope="session")
def goldens(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that unpacks a golden, once."""
    folder = tmp_path_factory.mktemp("goldens")

    def unpack_once(name: str) -> Path:
        if not (folder / name).exists():
            unpack(name, folder / name)
        return folder / name

    return unpack_once


@pytest.fixture
def copy_golden(goldens: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that unpacks a golden for a test that changes it."""

    def copy(name: str) -> Path:
        shutil.copytree(goldens(name), tmp_path / name)
        return tmp_path / name

    return copy


@pytest.fixture
def no_hang() -> Iterator[None]:
    """End the tests with a traceback if one takes minutes: a hang is a failure, too."""
    faulthandler.dump_traceback_later(120, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return a function that installs a shell script as one of a scheduler's programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def install(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o700)

    return install
