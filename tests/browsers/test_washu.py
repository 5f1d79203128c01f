"""The hub for the WashU Epigenome Browser, read back by an independent reader of its format."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyBigWig
import pytest

from seqcov_models import SeqcovError
from seqcov_models.browsers.display import OBSERVED, TrackRow, first_rows
from seqcov_models.browsers.files import BrowserGenome, write_washu_hub
from seqcov_models.browsers.washu import build_washu_hub
from seqcov_models.genome.fasta import open_fasta
from seqcov_models.tracks.labels import label_tracks, name_track
from seqcov_models.tracks.table import Track
from support.washu_rules import check_washu_hub

Row = dict[str, str]

ASSAYS = {"CAGE": 1276, "DNASE": 674, "ATAC": 232, "CHIP": 3886, "RNA": 1543}  # Borzoi, human


def make_rows(
    tracks: Sequence[tuple[str, str]], model: str = "borzoi", **columns: str
) -> list[Row]:
    """Return rows of a table of tracks. tracks: identifiers and descriptions."""
    rows = []
    for number, (identifier, description) in enumerate(tracks):
        group = "mask" if "is N" in description else description.partition(":")[0]
        row = {
            "model": model, "group": group, "index": str(number), "identifier": identifier,
            "file": f"{model}/tracks/{group}/{model}.{number}.bw", "unit": "mean over 32 bp",
            "minimum": "0", "maximum": "12.5", "description": description,
        }  # fmt: skip
        named = name_track(Track(0, number, identifier, description), model, group)
        rows.append(row | columns | named._asdict())
    return [row | {"label": text} for row, text in zip(rows, label_tracks(rows), strict=True)]


def build(rows: Sequence[TrackRow], **options: Any) -> list[dict[str, Any]]:
    """Return the tracks of a hub that passed the check."""
    return check_washu_hub(build_washu_hub(rows, ["chr1", "chr2"], **options))


TRACKS = [
    ("E1", "DNASE:HepG2"),
    ("C1+", "CAGE:liver"),
    ("C1-", "CAGE:liver"),
    ("E2", "CHIP:H3K27me3:K562"),
    ("unknown", "Fraction of the input window that is N"),
]


def test_every_track_with_its_facets_colour_and_scale() -> None:
    tracks = build(make_rows(TRACKS))
    assert [track["metadata"] for track in tracks] == [
        dict(zip(("Sample", "Assay", "Target", "Strand", "Model"), (*cells, "borzoi"), strict=True))
        for cells in [
            ("HepG2", "DNASE", "none", "none"),
            ("liver", "CAGE", "none", "+"),
            ("liver", "CAGE", "none", "-"),
            ("K562", "CHIP", "H3K27me3", "none"),
            ("none", "mask", "none", "none"),
        ]
    ]
    assert [track["name"] for track in tracks][:2] == ["HepG2 DNASE E1", "liver CAGE + C1"]
    assert tracks[0]["details"] == {"description": "DNASE:HepG2", "unit": "mean over 32 bp"}
    options = [track["options"] for track in tracks]
    assert len({track["color"] for track in options}) == 4, "one for both strands"
    assert options[1] == options[2]
    assert all(track["color"] == track["color2"] for track in options)
    assert {track["aggregateMethod"] for track in options} == {"MAX"}
    scales = [[track.get(name) for name in ("yScale", "yMin", "yMax")] for track in options]
    assert scales == [[None] * 3] * 4 + [["fixed", 0, 1]], "only the share of unknown bases"


def test_negative_values_have_their_peaks_below() -> None:
    rows = make_rows(TRACKS[1:3])
    rows[1] |= {"minimum": "-3", "maximum": "0"}
    assert [track["options"]["aggregateMethod"] for track in build(rows)] == ["MAX", "MIN"]


def test_measured_tracks_follow_the_predicted_ones_in_their_own_colour() -> None:
    [row] = make_rows(TRACKS[:1])
    measured = row | {"source": OBSERVED, "file": "borzoi/observed/o.bw", "label": "observed"}
    first, second = build([row, measured])
    assert [track["url"] for track in (first, second)] == [row["file"], measured["file"]]
    assert first["options"]["color"] != second["options"]["color"] == "rgb(90,90,114)"
    assert (first["showOnHubLoad"], second["showOnHubLoad"]) == (True, True)


def test_the_tracks_of_other_browsers_are_shown_first() -> None:
    tracks = [
        (f"{assay}{number}", f"{assay}:{'target:' * (assay == 'CHIP')}tissue {number // 3}")
        for assay, count in ASSAYS.items()
        for number in range(count)
    ]
    rows = make_rows(tracks)
    text = build_washu_hub(rows, ["chr1"])
    hub = check_washu_hub(text)
    assert [track["url"] for track in hub] == [row["file"] for row in rows]
    assert len(hub) == 7611
    assert len(text) < 4_000_000
    shown = [track["url"] for track in hub if track["showOnHubLoad"]]
    assert shown == [row["file"] for row in first_rows(rows)]
    assert len(shown) == 40
    chosen = build(rows[:2000], show=["DNASE1", "CAGE3"])
    names = [track["name"] for track in chosen if track["showOnHubLoad"]]
    assert names == ["tissue 1 CAGE CAGE3", "tissue 0 DNASE DNASE1"]


def test_contigs_without_chr_are_found() -> None:
    rows = make_rows(TRACKS)
    assert not any("ensemblStyle" in track["options"] for track in build(rows))
    hub = check_washu_hub(build_washu_hub(rows, ["1", "2", "MT"]))
    assert all(track["options"]["ensemblStyle"] is True for track in hub)


def test_hostile_tables_stay_inside_their_values() -> None:
    text = '"},{"type":"bigwig","url":"http://example.org/evil.bw"}\n\x00\u2028\ud800</script>é'
    rows = make_rows([(f"E{number}", f"DNASE:{text}") for number in range(2)])
    assert len(build(rows)) == 2
    with pytest.raises(SeqcovError, match="is not the path of a file below the table's folder"):
        build([row | {"file": "http://example.org/x.bw"} for row in rows])
    with pytest.raises(SeqcovError, match="nobody"):
        build(rows, show=["nobody"])


def test_every_address_leads_to_the_file_with_the_values(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">chr1\n" + "ACGT" * 100 + "\n")
    fasta = open_fasta(str(tmp_path / "g.fa"), tmp_path)
    folder = tmp_path / "results" / "g"
    rows = make_rows(TRACKS)
    for number, row in enumerate(rows):
        (folder / row["file"]).parent.mkdir(parents=True, exist_ok=True)
        with pyBigWig.open(str(folder / row["file"]), "w") as file:
            file.addHeader([("chr1", 400)])
            file.addEntries(["chr1"], [0], ends=[32], values=[float(number)])
    genome = BrowserGenome(fasta, "g", "hg38", ("chr1", 0, 400))
    write_washu_hub(folder / "washu_hub.json", genome, rows, {"show": []})
    moved = folder.rename(tmp_path / "moved")
    hub = check_washu_hub((moved / "washu_hub.json").read_text("ascii"))
    for number, track in enumerate(hub):
        with pyBigWig.open(str(moved / track["url"])) as file:
            assert file.values("chr1", 0, 1) == [number]
            assert set(file.chroms()) == set(fasta.contigs)
    assert str(tmp_path) not in json.dumps(hub)
