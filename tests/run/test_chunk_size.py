"""Windows per chunk: from the work per window, never from the machine."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from seqcov_models.checkpoints.load import build
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.networks.shared.config import BinnedConfig
from seqcov_models.run.chunk_size import MAX_BYTES, choose_windows_per_chunk, seconds_per_window
from seqcov_models.run.estimate import describe
from seqcov_models.run.planner import plan_run
from seqcov_models.tiling import Tiling
from support.plans import Config, changed


def published(name: str, tracks: int | None = None) -> BinnedConfig:
    """The config of a published network, with so many tracks."""
    config = NETWORKS[name].config_class()
    assert isinstance(config, BinnedConfig)
    return config.with_tracks(tracks) if tracks else config


@pytest.mark.parametrize(
    ("name", "operations"), [("basenji2", 0.233e12), ("enformer", 3.28e12), ("borzoi", 4.91e12)]
)
def test_operations_are_those_of_the_published_networks(name: str, operations: float) -> None:
    config = published(name)
    assert config.stem_operations + config.trunk_operations == pytest.approx(operations, rel=0.1)


@pytest.mark.parametrize("name", ["basenji2", "enformer", "borzoi"])
def test_operations_are_those_that_torch_counts(name: str) -> None:
    small = {
        "sequence_length": 16_384, "num_labels": 50, "stem_channels": 64, "head_hidden_size": 96,
        "conv_tower_channels": (64, 80, 96, 96, 112, 128),
    }  # fmt: skip
    blocks = {"num_hidden_layers": 2, "target_length": 64 if name == "enformer" else 256}
    config = NETWORKS[name].config_class.from_dict(small | (blocks if name != "basenji2" else {
        "crop_bins": 16, "blocks": {"num_blocks": 3, "bottleneck_size": 64},
    }))  # fmt: skip
    assert isinstance(config, BinnedConfig)
    model = build(config).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.zeros(1, config.sequence_length, dtype=torch.int64))
    operations = config.stem_operations + config.trunk_operations
    assert counter.get_total_flops() == pytest.approx(operations, rel=0.15)


def choose(name: str, windows: int, precision: str, tracks: int, members: int = 1) -> int:
    config = published(name, tracks)
    value_bytes = config.geometry.bins * (tracks + 1) * 4
    tiling = Tiling.from_overlap(config.geometry)
    seconds = seconds_per_window(config, tiling, members, precision, value_bytes)
    return choose_windows_per_chunk(windows, seconds, value_bytes)


@pytest.mark.parametrize(
    ("name", "windows", "precision", "tracks", "chunks"),
    [
        ("borzoi", 15_700, "float32", 100, 24),
        ("borzoi", 15_700, "bfloat16", 100, 8),
        ("borzoi", 15_700, "bfloat16", 7_611, 59),
        ("enformer", 26_900, "float32", 100, 27),
        ("enformer", 26_900, "bfloat16", 100, 8),
        ("basenji2", 26_900, "float32", 100, 8),
        ("borzoi", 150, "float32", 10, 5),
        ("borzoi", 3, "float32", 10, 1),
    ],
)
def test_chunks_of_a_human_genome_and_of_regions(
    name: str, windows: int, precision: str, tracks: int, chunks: int
) -> None:
    assert -(-windows // choose(name, windows, precision, tracks)) == chunks


def test_members_share_the_start() -> None:
    alone = choose("borzoi", 10**6, "float32", 100)
    assert choose("borzoi", 10**6, "float32", 100, 8) == pytest.approx(alone / 8, abs=1)


@given(st.integers(1, 10**6), st.floats(1e-7, 1e3), st.floats(1, 1e11))
def test_a_chunk_is_within_its_limits(windows: int, seconds: float, value_bytes: float) -> None:
    chosen = choose_windows_per_chunk(windows, seconds, value_bytes)
    assert 1 <= chosen <= windows
    assert (chosen - 1) * value_bytes <= MAX_BYTES
    assert (chosen - 1) * seconds <= 80
    chunks = -(-windows // chosen)
    is_small = chosen * seconds < 80 and chosen * value_bytes < MAX_BYTES
    assert not is_small or chunks <= 8


def test_the_plan_takes_what_is_chosen_and_says_so(config: Config) -> None:
    run = plan_run(changed(config, "prediction.windows_per_chunk", "auto"))
    (tracks,) = run.models["borzoi"].sets
    assert len(tracks.chunks) == 1  # a start of a job is longer than this genome takes
    assert f"1 chunk of up to {tracks.window_count} (windows_per_chunk: auto)" in describe(run, {})
    assert "auto" not in describe(plan_run(config), {})
