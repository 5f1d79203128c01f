"""Paths of the repository and of the real data.

The folder of real data is named by the environment variable SEQCOV_TEST_DATA; by default it is
../shared/data beside the repository. If a file of it is missing, the tests that need the file are
skipped.
"""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SEQCOV_TEST_DATA", REPOSITORY.parent / "shared" / "data")).resolve()
MISSING_DATA = f"Real data is not in {DATA}. SEQCOV_TEST_DATA names its folder"


def real_input(name: str) -> Path:
    """Return the path of a file of real data, or skip the test that asks for it."""
    if not (DATA / name).exists():
        pytest.skip(f"{MISSING_DATA} (missing: {name})")
    return DATA / name
