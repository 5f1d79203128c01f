"""Units: calico's transforms, computed here from their description, and their inverse."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.tracks.table import Track, read_tracks
from seqcov_models.tracks.units import Untransform

Array = npt.NDArray[np.float64]


def transform_old(s: Array, track: Track) -> Array:
    """Transform a statistic of coverage as for the published Borzoi folds, without hard clip."""
    if "_sqrt" in track.columns["sum_stat"]:
        s = s**0.75
    soft = float(track.columns["clip_soft"])
    s = np.where(s > soft, soft + np.sqrt(np.maximum(s - soft, 0)), s)
    return s * float(track.columns["scale"])


def transform_new(s: Array, track: Track) -> Array:
    """Transform as for later models: scaled first, and 1 added under the root."""
    s = s * float(track.columns["scale"])
    if "_sqrt" in track.columns["sum_stat"]:
        s = np.sqrt(1 + s) - 1
    elif "exp75" in track.columns["sum_stat"]:
        s = (1 + s) ** 0.75 - 1
    soft = float(track.columns["clip_soft"])
    return np.where(s > soft, soft - 1 + np.sqrt(np.maximum(s - soft + 1, 0)), s)


def transform_scale(s: Array, track: Track) -> Array:
    return s * float(track.columns["scale"])


TABLES = [
    ("borzoi_targets_human.txt", "old", transform_old),
    ("borzoi_targets_human.txt", "new", transform_new),
    ("borzoi_targets_mouse.txt", "old", transform_old),
    ("borzoi_targets_gtex.txt", "old", transform_old),
    ("enformer_basenji2_targets_human.txt", "scale", transform_scale),
    ("enformer_basenji2_targets_mouse.txt", "scale", transform_scale),
]


@pytest.mark.parametrize(("table", "transform", "forward"), TABLES)
def test_round_trip_on_every_row_of_the_real_tables(
    real_input: Callable[[str], Path],
    table: str,
    transform: str,
    forward: Callable[[Array, Track], Array],
) -> None:
    tracks = read_tracks(real_input(f"targets/{table}"))
    raw = np.array([0.0, 1e-3, 0.5, 3.0, 31.0, 120.0, 500.0, 4_000.0])
    stored = np.stack([forward(raw, track) for track in tracks], 1)
    inverted = Untransform(tracks, transform)(torch.from_numpy(stored).float()).numpy()
    # float32 holds y to 6e-8 of itself. Past a soft clip c it inverts a root: the error of y is
    # multiplied by 2(s − c)·y/s' in scaled units, below 2e3 for these rows and values.
    limit = 2e3 * 6e-8 * np.maximum(raw, 1)[:, None]
    assert (np.abs(inverted - raw[:, None]) <= limit).all()


def test_exp75_is_inverted() -> None:
    columns = {"sum_stat": "sum_exp75", "clip_soft": "64", "scale": "0.5"}
    track = Track(0, 0, "t", columns=columns)
    raw = np.array([0.0, 2.0, 50.0, 1_000.0])
    stored = torch.from_numpy(transform_new(raw, track)).float()[:, None]
    assert Untransform([track], "new")(stored).numpy()[:, 0] == pytest.approx(raw, rel=1e-4)


def test_the_published_heads_have_the_old_transform_and_others_the_new() -> None:
    borzoi = NETWORKS["borzoi"]
    assert borzoi.default_transform(7_611) == borzoi.default_transform(2_608) == "old"
    assert borzoi.default_transform(74) == "new"
    assert NETWORKS["enformer"].default_transform(5_313) == "scale"


@pytest.mark.parametrize("column", ["scale", "clip_soft", "sum_stat"])
def test_a_table_without_a_needed_column_is_refused(column: str) -> None:
    columns = {"sum_stat": "sum", "clip_soft": "64", "scale": "1"}
    track = Track(0, 0, "t", columns={k: v for k, v in columns.items() if k != column})
    with pytest.raises(SeqcovError, match=f"raw needs the column '{column}'"):
        Untransform([track], "old")


@pytest.mark.parametrize("value", ["0", "-1", "many", "nan"])
def test_a_scale_that_cannot_be_divided_by_is_refused(value: str) -> None:
    track = Track(0, 0, "t", columns={"scale": value})
    with pytest.raises(SeqcovError, match="track t: scale"):
        Untransform([track], "scale")


def test_unknown_transform_is_refused() -> None:
    with pytest.raises(SeqcovError, match="choose one of scale, old, new"):
        Untransform([dataclasses.replace(Track(0, 0, "t"), columns={"scale": "1"})], "older")
