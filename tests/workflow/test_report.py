"""The report of the demo: complete, small, and opened by double click in Chromium."""

import os
import re
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqcov_models.report.page import write_report
from seqcov_models.run.plan import load_run
from seqcov_models.run.track_table import read_table, write_table
from support.chromium import IS_INSTALLED, chromium
from support.data import REPOSITORY
from support.runs import command

pytestmark = pytest.mark.workflow
needs_chromium = pytest.mark.skipif(
    not IS_INSTALLED, reason="chromium and chromedriver are not installed"
)

LIMIT = 10_000_000
EVIL = "</script><script>document.title='evil'</script><img src=x onerror=document.title='evil'>"

SEARCH = """
const [text] = arguments;
const field = document.getElementById("search");
field.value = text;
field.dispatchEvent(new Event("input"));
return [...document.querySelectorAll("#table tbody tr")].filter((row) => !row.hidden)
  .map((row) => row.cells[0].textContent.trim());
"""


@pytest.fixture(scope="module")
def results(demo_run: Path) -> Path:
    return demo_run / "results" / "demo"


def test_the_report_is_complete_small_and_loads_nothing(results: Path) -> None:
    text = (results / "report.html").read_text("utf-8")
    assert len(text) < LIMIT
    loaded = re.findall(r"(?:src|srcset|data|poster|xlink:href)=\"([^\"]*)", text)
    assert loaded
    assert all(address.startswith("data:image/png;base64,") for address in loaded)
    assert not re.search(r"<link|@import|url\(|fetch\(|XMLHttpRequest|<iframe", text)
    pictures = sorted(path.name for path in (results / "report_pictures").glob("*.png"))
    assert pictures == ["agreement.png", *(f"locus_{n:02}.png" for n in range(1, 13))]
    assert len(loaded) == len(pictures)
    rows = [row for row in read_table(results / "tracks.tsv") if row["assay"] != "mask"]
    for row in rows:
        assert f'<a href="{row["file"]}">{row["label"]}</a>' in text
    for reference in ("s41588-024-02053-6", "s41588-021-00782-6", "f1000research.29032"):
        assert reference in text
    compared = [row for row in read_table(results / "agreement.tsv") if row["where"] == "genome"]
    assert len(compared) == 10
    assert all(f"{float(row['pearson']):.3f}" in text for row in compared)
    assert re.search(r"<span>[^<]*sim-\d+", text), "no locus has a gene's name"
    assert "predict_coverage" in text.partition("Time and memory")[2]


@needs_chromium
def test_the_report_opens_by_double_click(results: Path) -> None:
    with chromium(1280, 900) as page:
        page.open((results / "report.html").as_uri())
        assert page.run(SEARCH, "gata DNASE") == ["GATA cells DNASE DEMO0001"]
        assert len(page.run(SEARCH, "profile")) == 12
        assert page.run(SEARCH, "nothing has this name") == []
        page.run("document.querySelectorAll('#table th')[8].click()")
        values = page.run(
            "return [...document.querySelectorAll('#table tbody tr')]"
            ".map((row) => parseFloat(row.cells[8].textContent))"
        )
        assert values == sorted(values)
        assert page.run(
            "return [...document.images].every((image) => { image.loading = 'eager';"
            " return image.src.startsWith('data:'); })"
        )
        page.wait("[...document.images].every((image) => image.naturalWidth > 200)")
        assert page.console() == []
        assert page.requests() == [(results / "report.html").as_uri()]


@pytest.fixture
def many(demo_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the report of a run whose table has 7,611 tracks, one of them with a hostile name."""
    (tmp_path / "demo").symlink_to(REPOSITORY / "demo")
    shutil.copytree(demo_run / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    table = Path("results/demo/tracks.tsv")
    rows: list[dict[str, Any]] = [dict(row) for row in read_table(table)]
    rows[1] |= {"label": EVIL, "biosample": EVIL, "identifier": EVIL}
    for number in range(7_611 - len(rows)):
        name = f"adult tissue {number} (20 weeks, female)"
        rows.append(rows[0] | {"label": f"{name} DNASE ENCFF{number:06}", "biosample": name})
    write_table(table, rows)
    run = replace(load_run("results/demo/plan.json"), observed=[])
    page = Path("results/demo/report.html")
    write_report(page, run.paths.report_pictures, run, logs=Path("logs"))
    return tmp_path / page


@needs_chromium
def test_thousands_of_tracks_stay_small_and_can_be_searched(many: Path) -> None:
    assert many.stat().st_size < LIMIT
    with chromium(1280, 900) as page:
        page.open(many.as_uri())
        assert page.run(SEARCH, "tissue 1234 dnase") == [
            "adult tissue 1234 (20 weeks, female) DNASE ENCFF001234"
        ]
        assert page.run("return document.title") == "demo: predicted coverage"
        assert page.run(SEARCH, "onerror") == [EVIL]
        assert page.console() == []


def test_snakemakes_own_report_has_the_pictures_without_a_network(demo_run: Path) -> None:
    nowhere = {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https", "all")}
    process = subprocess.run(
        command("--report", "report.zip"),
        cwd=demo_run, capture_output=True, text=True, env=os.environ | nowhere,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    with zipfile.ZipFile(demo_run / "report.zip") as archive:
        names = [Path(name).name for name in archive.namelist()]
        assert {"report.html", "agreement.png", "locus_01.png", "tracks.tsv"} <= set(names)
