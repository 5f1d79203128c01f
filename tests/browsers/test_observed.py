"""Measured tracks: placed in the results, and shown below the predicted ones."""

import json
import os
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pyBigWig
import pytest

from seqcov_models.browsers.display import first_rows, rgb_colour, scale_group
from seqcov_models.browsers.files import write_aliases
from seqcov_models.browsers.hub import HubOptions, build_hub
from seqcov_models.browsers.igv import build_igv_session
from seqcov_models.browsers.jbrowse import build_jbrowse_config
from seqcov_models.browsers.observed import add_observed
from seqcov_models.run.observed import ObservedTrack
from seqcov_models.run.observed_files import copied_bytes, place_observed
from seqcov_models.run.paths import Paths
from seqcov_models.tracks.labels import label_tracks, name_track
from seqcov_models.tracks.table import Track
from support.hub_rules import check_hub

VIEW = ("chr1", 0, 1_000)
TRACKS = [("D1", "DNASE:K562"), ("C1+", "CAGE:K562"), ("C1-", "CAGE:K562"), ("D2", "DNASE:liver")]
Row = dict[str, str]


@pytest.fixture
def measured(tmp_path: Path) -> tuple[Paths, list[Row], list[ObservedTrack]]:
    """The paths and the table of a run, and its tracks that are measured: all but the last."""
    paths = Paths(tmp_path / "results" / "g")
    rows: list[Row] = []
    for number, (identifier, description) in enumerate(TRACKS):
        track = Track(number, number, identifier, description)
        names = name_track(track, "m", "x")._asdict()
        name = identifier.replace("+", ".plus").replace("-", ".minus")
        rows.append(
            {"model": "m", "group": "x", "index": str(number), "identifier": identifier,
             "description": description, "file": f"m/tracks/x/m.{name}.bw", "bin": "32",
             "unit": "sum", "minimum": "0", "maximum": "9", "mean": "1", **names}
        )  # fmt: skip
    rows = [row | {"label": text} for row, text in zip(rows, label_tracks(rows), strict=True)]
    tracks = []
    for number, row in enumerate(rows[:3]):
        path = tmp_path / "lab" / f"ENCFF{number}.bigWig"
        path.parent.mkdir(exist_ok=True)
        with pyBigWig.open(str(path), "w") as file:
            file.addHeader([("1", 1_000)])
            file.addEntries(["1"], [10], ends=[20], values=[-0.25 if number == 2 else 700.5])
        predicted = paths.folder / row["file"]
        tracks.append(
            ObservedTrack("m", predicted.stem, row["identifier"], predicted, predicted.parent, 32,
                          "", path)
        )  # fmt: skip
    paths.observed("m").parent.mkdir(parents=True)
    return paths, rows, tracks


def test_files_are_linked_without_a_change_and_copied_if_they_cannot_be(
    measured: tuple[Paths, list[Row], list[ObservedTrack]], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, _, tracks = measured
    link = tracks[0].path.with_name("link.bw")
    link.symlink_to(tracks[0].path)
    before = [(track.path.read_bytes(), track.path.stat().st_mtime_ns) for track in tracks]
    folder = paths.observed("m")
    placed = [paths.observed_bigwig("m", track.name) for track in tracks]
    device = folder.parent.stat().st_dev
    sizes = sum(track.path.stat().st_size for track in tracks)
    assert [copied_bytes(tracks, paths, disk) for disk in (device, device + 1)] == [0, sizes]
    place_observed(folder, tracks, paths)
    assert sorted(folder.iterdir()) == sorted(placed)
    assert all(a.samefile(b.path) for a, b in zip(placed, tracks, strict=True))
    assert copied_bytes(tracks, paths, device + 1) == 0, "they are there"

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    place_observed(folder, tracks, paths)
    assert [file.stat().st_nlink for file in placed] == [1, 1, 1]
    shutil.move(paths.folder, paths.folder.with_name("moved"))
    shutil.rmtree(tracks[0].path.parent.with_name("moved"), ignore_errors=True)
    after = [(track.path.read_bytes(), track.path.stat().st_mtime_ns) for track in tracks]
    assert before == after
    assert [(paths.folder.with_name("moved") / "m/observed" / file.name).read_bytes()
            for file in placed] == [content for content, _ in before]  # fmt: skip


def test_a_measured_track_follows_the_predicted_one_everywhere(
    measured: tuple[Paths, list[Row], list[ObservedTrack]],
) -> None:
    paths, table, tracks = measured
    place_observed(paths.observed("m"), tracks, paths)
    rows = add_observed(table, tracks, paths)
    labels = [
        "K562 DNASE D1", "K562 DNASE observed D1", "K562 CAGE + C1", "K562 CAGE + observed C1",
        "K562 CAGE - C1", "K562 CAGE - observed C1", "liver DNASE D2",
    ]  # fmt: skip
    assert [row["label"] for row in rows] == labels
    observed = [rows[number] for number in (1, 3, 5)]
    assert [(row["minimum"], row["maximum"]) for row in observed] == [
        ("700.5", "700.5"), ("700.5", "700.5"), ("-0.25", "-0.25"),
    ]  # fmt: skip
    assert len({rgb_colour(row) for row in observed}) == 1
    assert not {rgb_colour(row) for row in observed} & {rgb_colour(row) for row in table}
    scales = [scale_group(row) for row in rows]
    assert scales[3] == scales[5], "one scale for both strands"
    assert len(set(scales)) == 4
    assert scales[0] == scales[6]

    assert [row["label"] for row in first_rows(rows)] == labels
    assert [row["label"] for row in first_rows(rows, limit=3)] == [labels[0], labels[1], labels[6]]
    assert [row["label"] for row in first_rows(rows, ["D1", 3])] == [*labels[:2], labels[6]]

    session = ET.fromstring(build_igv_session("g.fa", rows, VIEW).encode())
    names = [track.get("name") for track in session.iter("Track")]
    assert names[:3] == ["K562 DNASE", "K562 DNASE observed", "K562 CAGE +"]
    groups = [track.get("autoscaleGroup") for track in session.iter("Track")]
    assert (groups[0], groups[3]) == (groups[6], groups[5])
    assert len(set(groups)) == 4

    config = json.loads(build_jbrowse_config("g", "g.fa", rows, VIEW, aliases="genome.aliases"))
    assert config["defaultSession"]["views"][0]["init"]["tracks"] == [row["file"] for row in rows]
    maps = [track for track in config["tracks"] if track["type"] == "MultiQuantitativeTrack"]
    assert [len(track["adapter"]["subadapters"]) for track in maps] == [2, 2], "predicted ones"

    write_aliases(paths.aliases, {"1": "chr1", "NC_1.1": "chr1", "2": "chr2"})
    assert paths.aliases.read_text() == (
        "# name\talias1\talias2\nchr1\t1\tNC_1.1\nchr2\t2\t\n"
    )  # fmt: skip
    texts = build_hub("g", rows, HubOptions(None, VIEW, aliases=paths.aliases.name))
    texts[paths.aliases.name] = paths.aliases.read_text()
    hub = check_hub(texts[""], texts.__getitem__)
    parents = {track["bigDataUrl"]: track["parent"].split()[0] for track in hub.bigwigs}
    lists = [parents[row["file"]] for row in rows]
    assert lists[0] == lists[6]
    assert lists[3] == lists[5]
    assert len(set(lists)) == 4, "each list has one scale"
    pages = [text for name, text in texts.items() if "CAGE_observed" in name]
    assert "were measured" in pages[0]
