"""Colours that everybody tells apart, and the tracks that are shown first."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from seqcov_models import SeqcovError
from seqcov_models.browsers.display import (
    COLOURS,
    first_rows,
    fixed_range,
    rgb_colour,
    scale_group,
)
from seqcov_models.tracks.labels import label_tracks, name_track
from seqcov_models.tracks.table import Track, read_tracks
from support.data import DATA

XYZ = np.array(  # IEC 61966-2-1
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip
VISION = {  # Machado, Oliveira and Fernandes (2009), severity 1.0
    "full": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
}  # fmt: skip


def linear(colour):
    share = np.array(colour) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(light):
    ratio = (XYZ @ np.clip(light, 0, 1)) / XYZ.sum(1)
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("colour", COLOURS.values())
def test_every_colour_is_seen_on_white(colour):
    assert 1.05 / (XYZ[1] @ linear(colour) + 0.05) >= 3, "contrast as WCAG defines it"


@pytest.mark.parametrize("vision", VISION)
def test_all_colours_are_told_apart_by_everybody(vision):
    seen = {kind: lab(np.array(VISION[vision]) @ linear(rgb)) for kind, rgb in COLOURS.items()}
    for first, second in combinations(seen, 2):
        assert np.linalg.norm(seen[first] - seen[second]) >= 15, (first, second)


def build_rows(tracks, model="m", group="x", unit="mean"):
    rows = [
        {"model": model, "group": group, "index": str(track.index), "unit": unit,
         "identifier": track.identifier, "description": track.description}
        | name_track(track, model, group)._asdict()
        for track in tracks
    ]  # fmt: skip
    return [row | {"label": text} for row, text in zip(rows, label_tracks(rows), strict=True)]


def rows_of(*descriptions, sign=""):
    return build_rows([Track(n, n, f"E{n}{sign}", text) for n, text in enumerate(descriptions)])


def test_colours_follow_assay_and_target():
    rows = rows_of("CHIP:CTCF:x", "CHIP:H3K27me3:x", "CHIP:MYC:x", "RNA3:x", "odd:x", "ATAC:x")
    kinds = ["CTCF", "repressed", "CHIP", "RNA", "", "ATAC"]
    assert [rgb_colour(row) for row in rows] == [COLOURS[kind] for kind in kinds]
    tasks = build_rows([Track(0, 0, name, f"{name} profile") for name in ("CTCF", "Oct4")])
    assert [rgb_colour(row) for row in tasks] == [COLOURS["CTCF"], COLOURS["CHIP"]]


def test_one_scale_per_assay_and_target():
    rows = rows_of("DNASE:a", "DNASE:b", "CHIP:MYC:a", "CHIP:MAX:a", "DNASE:a (standard deviation)")
    groups = [scale_group(row) for row in rows]
    assert groups[0] == groups[1]
    assert len(set(groups)) == 4
    assert fixed_range(rows[0]) is None
    [mask] = build_rows([Track(-1, -1, "unknown", "Fraction")], group="mask")
    assert fixed_range(mask) == (0, 1)


def test_one_of_each_biosample_and_assay_before_the_second_of_any():
    rows = rows_of(*["CHIP:MYC:K562"] * 5, "CHIP:CTCF:K562", "CHIP:CTCF:liver", "DNASE:K562")
    shown = [row["identifier"] for row in first_rows(rows, limit=3)]
    assert shown == ["E5", "E6", "E7"], "CTCF is the target that most biosamples have"
    assert len(first_rows(rows)) == len(rows)


def test_strand_pairs_stay_together_and_extras_are_left_out():
    names = [("a+", "CAGE:a"), ("a-", "CAGE:a"), ("b+", "CAGE:b"), ("b-", "CAGE:b"),
             ("c", "DNASE:c"), ("c", "DNASE:c (standard deviation)")]  # fmt: skip
    rows = build_rows([Track(n, n, *name) for n, name in enumerate(names)])
    assert [row["label"] for row in first_rows(rows, limit=4)] == [
        "a CAGE +", "a CAGE -", "c DNASE",
    ]  # fmt: skip
    task = [("CTCF+", "CTCF profile, plus strand"), ("CTCF-", "CTCF profile, minus strand"),
            ("CTCF", "CTCF profile")]  # fmt: skip
    rows = build_rows([Track(n, n, *name) for n, name in enumerate(task)], group="profiles")
    assert [row["strand"] for row in first_rows(rows)] == ["+", "-"], "their sum says nothing new"


def test_the_user_chooses():
    rows = rows_of("DNASE:K562", "CHIP:CTCF:K562", "CHIP:CTCF:liver")
    assert [row["label"] for row in first_rows(rows, ["liver", 0])] == [
        "K562 DNASE E0", "liver CTCF E2",
    ]  # fmt: skip
    with pytest.raises(SeqcovError, match="does not match any track"):
        first_rows(rows, ["kidney"])


def test_the_first_tracks_of_a_published_table():
    if not (path := DATA / "targets" / "borzoi_targets_human.txt").is_file():
        pytest.skip("needs the published tables")
    shown = first_rows(build_rows(read_tracks(path)))
    assert 38 <= len(shown) <= 40
    assert {"K562", "HepG2", "GM12878"} <= {row["biosample"] for row in shown}
    assert {row["assay"] for row in shown} >= {"CAGE", "DNASE", "CHIP", "RNA"}
    pairs = Counter(row["label"].replace(" + ", " - ") for row in shown if row["strand"] != ".")
    assert set(pairs.values()) == {2}
