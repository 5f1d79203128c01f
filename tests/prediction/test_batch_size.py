"""The number of windows per forward pass follows from a GPU's free memory."""

from dataclasses import replace

import pytest
import torch

from seqcov_models.checkpoints.load import build
from seqcov_models.networks import registry
from seqcov_models.networks.shared import compute
from seqcov_models.prediction import batch_size
from seqcov_models.prediction.batch_size import choose_batch_size
from seqcov_models.prediction.ensemble import Ensemble

SIZES = {
    "sequence_length": 1_024, "crop_bins": 2, "stem_channels": 6, "num_labels": 3,
    "conv_tower_channels": (8, 8, 8, 8, 8, 8),
}  # fmt: skip
WEIGHTS, WINDOW = 1_000, 100
"""Bytes that the driver's stand-in says the weights and one window take."""


@pytest.fixture
def ensemble() -> Ensemble:
    return Ensemble([build(registry.NETWORKS["basenji2"].config_class.from_dict(SIZES))])


def stand_in(monkeypatch: pytest.MonkeyPatch, free: int, unused: int = 0) -> None:
    """Let the CPU be routed as a GPU is, whose driver has `free` bytes and torch `unused` ones."""
    monkeypatch.setitem(compute.ROUTES, "cpu", replace(compute.CPU, asynchronous=True))
    for name, result in {
        "reset_peak_memory_stats": None,
        "memory_allocated": WEIGHTS,
        "max_memory_allocated": WEIGHTS + WINDOW,
        "memory_reserved": WEIGHTS + unused,
        "mem_get_info": (free, 10**9),
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, result=result: result)


def test_a_cpu_predicts_single_windows(ensemble: Ensemble) -> None:
    """Short ones, too: a continued job has other batches, and other last bits with more windows."""
    assert choose_batch_size(ensemble, "float32") == 1


@pytest.mark.parametrize(
    ("free", "unused", "expected"),
    [
        (1_000, 0, 7),  # 70 % of 10 windows
        (600, 400, 7),  # what torch has reserved, but does not use, is free, too
        (50, 0, 1),  # less than a window: it fitted just now
        (10**9, 0, batch_size.BASES_PER_PASS // 1_024),
    ],
)
def test_windows_fill_the_free_memory_of_a_gpu(
    free: int, unused: int, expected: int, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, free, unused)
    assert choose_batch_size(ensemble, "float32") == expected
