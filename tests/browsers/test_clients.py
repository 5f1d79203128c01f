"""The run's files in real clients: IGV desktop draws every row, JBrowse opens the configuration."""

import gzip
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from seqcov_models.browsers.files import (
    BrowserGenome,
    write_aliases,
    write_hub,
    write_igv_genome,
    write_igv_session,
    write_jbrowse_config,
)
from seqcov_models.browsers.observed import add_observed
from seqcov_models.genome.fasta import open_fasta
from seqcov_models.run.observed import ObservedTrack
from seqcov_models.run.observed_files import place_observed
from seqcov_models.run.paths import Paths
from seqcov_models.run.track_table import write_table
from seqcov_models.tracks.labels import label_tracks, name_track
from seqcov_models.tracks.table import Track
from support.chromium import IS_INSTALLED, chromium, serving
from support.hub_rules import check_hub
from support.igv_desktop import draw_session, find_igv
from support.jbrowse import PAGE, fetch_jbrowse

CONTIG, LENGTH = "chrA", 60_000
NAMES = [
    ("a", "CAGE", "C1+", "CAGE:liver"),
    ("a", "CAGE", "C1-", "CAGE:liver"),
    ("a", "CHIP", "E1", "CHIP:CTCF:K562"),
    ("a", "RNA3", "E2", "RNA3:K562"),
    ("a", "mask", "unknown", "Fraction of the input window that is N"),
    ("b", "profiles", "CTCF+", "CTCF profile, plus strand"),
    ("b", "profiles", "CTCF-", "CTCF profile, minus strand"),
    ("c", "profiles", "CTCF+", "CTCF profile, plus strand"),
    ("c", "profiles", "CTCF-", "CTCF profile, minus strand"),
]


MEASURED = 2
"""Number of the track of which a measured bigWig is shown, below it."""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of results whose tracks have peaks at places of their own, and sets of peaks."""
    pyBigWig = pytest.importorskip("pyBigWig")
    rng = np.random.default_rng(1)
    folder = tmp_path / "run" / "results"
    folder.mkdir(parents=True)
    letters = "".join(rng.choice(list("ACGT"), LENGTH))
    (tmp_path / "run" / "g.fa").write_text(f">{CONTIG}\n{letters}\n")
    rows = []
    for number, (model, group, identifier, description) in enumerate(NAMES):
        path = folder / model / f"{model}.{number}.bw"
        path.parent.mkdir(exist_ok=True)
        values = np.full(LENGTH // 100, 0.2)
        values[20 + 40 * number : 40 + 40 * number] = 1 if group == "mask" else 10
        with pyBigWig.open(str(path), "w") as file:
            file.addHeader([(CONTIG, LENGTH)])
            file.addEntries(CONTIG, 0, values=values.tolist(), span=100, step=100)
        track = Track(0, number, identifier, description)
        rows.append(
            {"model": model, "group": group, "index": str(number), "identifier": identifier,
             "file": f"{model}/{path.name}", "bin": "100", "unit": "sum", "minimum": "0.2",
             "maximum": f"{values.max()}", "description": description}
            | name_track(track, model, group)._asdict()
        )  # fmt: skip
    rows = [row | {"label": text} for row, text in zip(rows, label_tracks(rows), strict=True)]
    write_table(folder / "tracks.tsv", rows)
    aliases = {"NC_1.1": CONTIG}  # no client knows this name by itself
    measured = tmp_path / "measured.bw"
    with pyBigWig.open(str(measured), "w") as file:
        file.addHeader([("NC_1.1", LENGTH)])
        start = 100 * (40 + 40 * (len(NAMES) - 1)) + 2_000
        file.addEntries(["NC_1.1"], [start], ends=[start + 2_000], values=[70.0])
    predicted = folder / rows[MEASURED]["file"]
    track = ObservedTrack("a", predicted.stem, "E1", predicted, predicted, 100, "", measured)
    place_observed(folder / "a" / "observed", [track], Paths(folder))
    rows = add_observed(rows, [track], Paths(folder))
    peaks = {}
    for model in ("b", "c"):
        combined, table = (folder / model / f"{model}.{name}" for name in ("narrowPeak", "tsv.gz"))
        starts = range(5_000, 55_000, 5_000) if model == "b" else range(8_000, 55_000, 9_000)
        combined.write_text(
            "".join(
                f"{CONTIG}\t{start}\t{start + 400}\tp{start}\t0\t.\t0\t-1\t-1\t200\tset\n"
                for start in starts
            )
        )
        with gzip.open(table, "wt") as handle:
            handle.write("contig\tCTCF.plus.counts\tCTCF.minus.counts\n")
            handle.writelines(f"{CONTIG}\t{n}\t{2 * n}\n" for n, _ in enumerate(starts, 1))
        peaks[model] = combined, table, folder / model / f"{model}.peaks.bb"
    fasta = open_fasta(str(tmp_path / "run" / "g.fa"), folder)
    genome = BrowserGenome(
        fasta, "toy", None, (CONTIG, 0, LENGTH), aliases=folder / "genome.aliases",
        igv_genome=folder / "genome.json",
    )  # fmt: skip
    write_aliases(folder / "genome.aliases", aliases)
    write_igv_genome(genome)
    browsers = {"show": [], "email": "a@b.org"}
    bigbeds = {model: files[2] for model, files in peaks.items()}
    write_hub(
        genome, rows, browsers, peaks, hub=folder / "hub.txt", pages=folder / "hub",
        two_bit=folder / "genome.2bit", networks={"a": "borzoi"},
    )  # fmt: skip
    write_igv_session(folder / "igv_session.xml", genome, rows, browsers, bigbeds)
    write_jbrowse_config(folder / "jbrowse_config.json", genome, rows, browsers, bigbeds)
    return folder


def test_every_file_of_the_hub_exists_and_peaks_have_scores(results: Path) -> None:
    pybigtools = pytest.importorskip("pybigtools")
    hub = check_hub((results / "hub.txt").read_text(), lambda path: (results / path).read_text())
    assert all((results / file).is_file() for file in hub.files)
    assert "seqcov 0" in (results / "hub/a.html").read_text()
    with pybigtools.open(str(results / hub.tracks["c_peaks"]["bigDataUrl"])) as file:
        entries = list(file.records(CONTIG))
    scores = [int(entry[3]) for entry in entries]
    assert scores == sorted(scores)
    assert (scores[0] > 200, scores[-1]) == (True, 1000)
    assert [float(entry[5]) for entry in entries] == [2, 4, 6, 8, 10, 12]
    assert {len(entry) for entry in entries} == {2 + 7}


LEFT, TOP, HEIGHT = 175, 131, 40
"""Where IGV draws the first row of 40 pixels, right of the names."""


def read_pixels(picture: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    """Return whether each pixel of a picture's data is ink: coloured or dark."""
    Image = pytest.importorskip("PIL.Image")
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)[TOP:, LEFT:-30]
    return (pixels.max(2) - pixels.min(2) > 40) | (pixels.max(2) < 120)


@pytest.mark.slow
@pytest.mark.skipif(not find_igv(), reason="IGV desktop or Xvfb is not installed")
def test_igv_draws_every_row_also_after_the_folder_has_moved(results: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.move(results.parent, moved)
    (tmp_path / "drawn").mkdir()
    session = moved / "results" / "igv_session.xml"
    assert str(tmp_path) not in session.read_text()
    picture = draw_session(session, moved / "g.fa", tmp_path / "drawn", session.parent)
    ink = read_pixels(picture)
    middles = []
    for row in range(len(NAMES) + 1):
        columns = ink[HEIGHT * row : HEIGHT * (row + 1)].sum(0) > 10
        assert 20 < columns.sum() < 100, f"row {row}: the block of 2 kb"
        middles.append(float(np.median(np.nonzero(columns))))
    middles.append(middles.pop(MEASURED + 1))
    steps = np.diff(middles)
    assert 60 < min(steps) <= max(steps) < 90, "each row shows its own file"
    peaks = [line for line in ink[HEIGHT * len(middles) + 20 :] if line.any()]
    assert len(peaks) > 15, "two rows of peaks"


@pytest.mark.slow
@pytest.mark.skipif(not IS_INSTALLED, reason="chromium and chromedriver are not installed")
def test_jbrowse_opens_the_configuration(results: Path) -> None:
    bundle = fetch_jbrowse()
    if bundle is None:
        pytest.skip("JBrowse cannot be fetched from npm")
    shutil.copy(bundle, results / "jbrowse.js")
    (results / "jbrowse.html").write_text(PAGE)
    (results.parent / "favicon.ico").touch()
    config = json.loads((results / "jbrowse_config.json").read_text())
    view = config["defaultSession"]["views"][0]["init"]
    assert len(view["tracks"]) == 8 + 2
    view["tracks"] = [track["trackId"] for track in config["tracks"]]
    (results / "jbrowse_config.json").write_text(json.dumps(config))
    with serving(results.parent) as server, chromium(1200, 2400) as window:
        window.open(f"{server.address}results/jbrowse.html")
        window.wait("window.state && window.state.session && window.state.session.views[0]")
        window.wait(f"window.state.session.views[0].tracks.length == {len(view['tracks'])}")
        deadline = time.monotonic() + 60
        asked: set[str] = set()
        while time.monotonic() < deadline and len(asked) < len(NAMES) + 3:
            asked = {url for url in window.requests() if url.endswith((".bw", ".bb"))}
            time.sleep(0.2)
        assert len(asked) == len(NAMES) + 3, "every track is read"
        names = "window.state.assemblyManager.assemblies[0].refNameAliases"
        assert window.run(f"return {names}['NC_1.1']") == CONTIG
        assert not window.run("return document.body.innerText.match(/error/i)")
        assert not window.console()
        assert len(window.hosts()) == 1, "nothing is fetched from outside"
