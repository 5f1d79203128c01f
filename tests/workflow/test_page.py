"""The demo's genes and page: the table against the bigWigs, and what Chromium shows."""

import csv
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyBigWig
import pytest

from seqcov_models.run.track_table import read_table
from support.chromium import IS_INSTALLED, chromium, serving
from support.data import REPOSITORY

pytestmark = pytest.mark.workflow

SCORES = """
    const views = window.igvBrowser.trackViews;
    const track = views.find(view => view.track.name === "bpnet peaks").track;
    const peaks = await track.getFeatures(arguments[0], 0, 1000000, 1);
    return peaks.map(peak => peak.score);
"""
"""Returns the scores of all peaks of a contig."""
OPEN = """
const [index, locus] = arguments;
const id = `track-${index}`;
const row = () => [...document.querySelectorAll(".row")].find((row) => row.dataset.index == index);
const list = document.getElementById("list");
list.scrollTop = 40 * index;
list.dispatchEvent(new Event("scroll"));
const browser = window.igvBrowser;
const find = () => browser.trackViews.map((view) => view.track).find((track) => track.id === id);
if (!find()) row().click();
while (!find()) await new Promise((resolve) => setTimeout(resolve, 20));
const features = await find().featureSource.getFeatures(
  {chr: locus[0], start: locus[1], end: locus[2], bpPerPixel: 1, windowFunction: "max"});
const values = features.map((feature) => [feature.start, feature.end, feature.value]);
row().click();
while (find()) await new Promise((resolve) => setTimeout(resolve, 20));
return values;
"""


def read_rows(page: Path) -> list[dict[str, Any]]:
    """Return what a page knows of its tracks."""
    pattern = r'<script type="application/json" id="data">(.*?)</script>'
    data = json.loads(re.findall(pattern, page.read_text("utf-8"))[0])
    return [dict(zip(data["columns"], cells, strict=True)) for cells in data["rows"]]


@pytest.fixture(scope="module")
def results(demo_run: Path) -> Path:
    return demo_run / "results" / "demo"


def test_the_table_of_genes_is_the_sum_over_exons(results: Path) -> None:
    """Base by base with pyBigWig, of each gene's strand; the demo's values are sums over 32 bp."""
    with gzip.open(results / "genes.tsv.gz", "rt") as handle:
        table = list(csv.DictReader(handle, delimiter="\t"))
    lines = [line.split("\t") for line in (results / "genes.bed").read_text().splitlines()]
    assert [row["name"] for row in table] == [cells[3] for cells in lines]
    assert len(table) > 80
    rows = read_table(results / "tracks.tsv")
    coverage = [row for row in rows if row["model"] == "borzoi" and row["assay"] != "mask"]
    assert len(table[0]) == 7 + 6, "a strand pair is one column"
    for row in coverage:
        name = row["label"].replace(" + ", " ").replace(" - ", " ")
        with pyBigWig.open(str(results / row["file"])) as file:
            for cells, gene in zip(lines, table, strict=True):
                if row["strand"] in (cells[5], "."):
                    values = file.values(cells[0], int(cells[1]), int(cells[2]), numpy=True)
                    expected = np.nansum(values.astype(np.float64)) / 32
                    assert float(gene[name]) == pytest.approx(expected, rel=2e-6)


@pytest.mark.skipif(not IS_INSTALLED, reason="chromium and chromedriver are not installed")
def test_every_track_opens_with_its_values_and_nothing_else_is_asked(results: Path) -> None:
    rows = read_rows(results / "index.html")
    assert [row["file"] for row in rows if row["observed"]] == [
        f"borzoi/observed/borzoi.{name}.observed.bw"
        for name in (
            *(f"DEMO000{number}" for number in range(1, 5)),
            *(f"DEMO000{number}.{strand}" for number in (5, 6) for strand in ("plus", "minus")),
        )
    ] + [
        "bpnet/observed/bpnet.CTCF.plus.observed.bw",
        "bpnet/observed/bpnet.CTCF.minus.observed.bw",
    ]
    contig, start, end = locus = ("chrB", 60_000, 70_000)
    with serving(results) as server, chromium() as page:
        page.open(server.address)
        page.wait("window.igvBrowser")
        shown = page.run("return window.igvBrowser.trackViews.map(view => view.track.name)")
        assert {"Genes", "bpnet peaks", "GATA cells DNASE DEMO0001"} <= set(shown)
        below = shown[shown.index("AP-1 cells DNASE DEMO0002") + 1]
        assert below == "AP-1 cells DNASE observed DEMO0002"
        scores = page.run(SCORES, contig)
        assert len(set(scores)) > 10, "peaks differ in shade"
        assert min(scores) >= 200
        assert max(scores) <= 1_000
        compared = 0
        for index, row in enumerate(rows):
            values = np.full(end - start, np.nan)
            for first, last, value in page.run(OPEN, index, locus):
                values[max(0, first - start) : max(0, last - start)] = value
            with pyBigWig.open(str(results / row["file"])) as file:
                name = contig if contig in file.chroms() else f"NC_{contig.removeprefix('chr')}"
                expected = file.values(name, start, end, numpy=True)
            np.testing.assert_array_equal(values, expected, err_msg=row["file"])
            compared += int(np.isfinite(values).sum())
        assert compared > 100_000
        page.run("await window.igvBrowser.search('sim-40')")
        assert page.run("return window.igvBrowser.referenceFrameList[0].chr") == "chrB"
        letters = "await window.igvBrowser.genome.getSequence('chrC', 1000, 1040)"
        text = "".join((REPOSITORY / "demo/genome.fa").read_text().split(">chrC")[1].split())
        assert page.run(f"return {letters}").upper() == text[1_000:1_040].upper()
        page.run(
            "const select = document.querySelector('[aria-label=\"All sources\"]');"
            "select.value = '=true'; select.dispatchEvent(new Event('change'))"
        )
        assert page.run("return document.getElementById('count').textContent").startswith(
            "10 tracks"
        )
        assert page.console() == []
        assert page.hosts() == {f"127.0.0.1:{server.server_port}"}
        page.open((results / "index.html").as_uri())
        assert "seqcov serve" in page.run("return document.body.textContent")
