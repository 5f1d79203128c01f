"""The page: what it says of hostile names, and what Chromium shows of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from seqcov_models.browsers.igv_js import read_igv_js
from seqcov_models.browsers.page import build_page
from seqcov_models.errors import SeqcovError
from support.chromium import IS_INSTALLED, chromium, serving

EVIL = "</script><script>document.title='evil'</script><img src=x onerror=document.title='evil'>"


def row(number: int, **cells: str) -> dict[str, str]:
    """Return a row of the table of tracks."""
    return {
        "model": "m", "group": "CAGE", "index": str(number), "identifier": f"ENCFF{number}",
        "file": f"m/tracks/CAGE/m.{number}.bw", "bin": "32", "unit": "sum", "minimum": "0",
        "maximum": "9", "mean": "1", "description": f"CAGE:cell {number}", "assay": "CAGE",
        "target": "", "biosample": f"cell {number}", "strand": ".", "label": f"cell {number} CAGE",
    } | cells  # fmt: skip


def read_data(html: str) -> Any:
    """Return the data of a page."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html)
    return json.loads(text)


def build(rows: list[dict[str, str]], **settings: Any) -> str:
    loci = [("chr1", 0, 1_000), ("chr1", 500, 1_000)]
    reference = {"format": "chromsizes", "fastaURL": "genome.sizes"}
    return build_page("g", reference, rows, loci, igv="igv.min.js", **settings)


def test_hostile_names_stay_text() -> None:
    html = build([row(1, biosample=EVIL, label=EVIL, description=EVIL, identifier="a\u2028b\x1b")])
    assert "<img" not in html
    assert html.count("</script>") == html.count("<script") == 3
    track = dict(zip(read_data(html)["columns"], read_data(html)["rows"][0], strict=True))
    assert track["biosample"] == EVIL
    assert track["identifier"] == "a b"
    with pytest.raises(SeqcovError, match="not the path of a file below"):
        build([row(1, file="../../etc/passwd")])


def test_strands_are_mirrored_and_shares_of_unknown_bases_have_a_fixed_scale() -> None:
    rows = [
        row(1, strand="+"), row(2, strand="-"), row(3, assay="mask"),
        row(4, strand="-", minimum="-5", maximum="0"), row(5, target="CTCF"),
    ]  # fmt: skip
    data = read_data(build(rows))
    tracks = [dict(zip(data["columns"], cells, strict=True)) for cells in data["rows"]]
    assert [track["flipped"] for track in tracks] == [False, True, False, False, False]
    assert [track["window"] for track in tracks] == ["max", "max", "max", "min", "max"]
    assert [track["range"] for track in tracks] == [None, None, [0, 1], None, None]
    assert tracks[0]["scale"] == tracks[1]["scale"] != tracks[4]["scale"]
    assert tracks[0]["colour"] == tracks[1]["colour"] != tracks[4]["colour"]


def test_at_most_40_of_many_tracks_are_open() -> None:
    data = read_data(build([row(number) for number in range(7_611)]))
    assert len(data["rows"]) == 7_611
    assert len(data["shown"]) == data["limit"] == 40


def test_igv_js_comes_with_its_licence() -> None:
    text = read_igv_js()
    assert "MIT License" in text[:200]
    assert "createBrowser" in text


@pytest.mark.slow
@pytest.mark.skipif(not IS_INSTALLED, reason="chromium and chromedriver are not installed")
def test_many_tracks_with_hostile_names_can_be_searched(tmp_path: Path) -> None:
    """7,611 tracks, of which none exists: the list must work, and say what cannot be opened."""
    rows = [row(number) for number in range(7_610)] + [row(7_610, biosample=EVIL, label=EVIL)]
    (tmp_path / "index.html").write_text(build(rows, show=["ENCFF7610"]))
    (tmp_path / "igv.min.js").write_text(read_igv_js())
    (tmp_path / "genome.sizes").write_text("chr1\t1000\n")
    with serving(tmp_path) as server, chromium() as page:
        page.open(server.address)
        page.wait("document.querySelectorAll('.row').length > 5")
        assert page.run("return document.querySelectorAll('.row').length") < 60
        assert page.run("return document.getElementById('count').textContent").startswith("7,611")
        page.run(
            "const box = document.getElementById('search'); box.value = 'cell 4242';"
            "box.dispatchEvent(new Event('input'))"
        )
        titles = "[...document.querySelectorAll('.row b')].map((title) => title.textContent)"
        assert page.run(f"return {titles}") == ["cell 4242 CAGE"]
        assert page.run("return document.title").startswith("g ")
        assert page.hosts() == {f"127.0.0.1:{server.server_port}"}
