"""Comparisons with other implementations: collected if these are installed.

`make test-peers` installs them beside the project's own environment, into .venv-peers.
"""

import importlib.util

import pytest

if importlib.util.find_spec("multimolecule") is None:
    collect_ignore_glob = ["*"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignore the warnings of other projects' code."""
    for item in items:
        if "peers" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore"))
