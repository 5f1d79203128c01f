"""The hub and the IGV session, read back by readers that share nothing with the writers.

The rules of hubs are those of UCSC's hub and trackDb documentation.
"""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from seqcov_models import SeqcovError
from seqcov_models.browsers.display import scale_group
from seqcov_models.browsers.hub import build_hub
from seqcov_models.browsers.igv import build_igv_session
from seqcov_models.run.track_table import read_table, write_table
from seqcov_models.tracks.labels import label_tracks, name_track
from seqcov_models.tracks.table import Track
from support.data import REPOSITORY
from support.two_bit import read_two_bit

VIEW = ("chr1", 1000, 2000)
ASSAYS = {"CAGE": 1276, "DNASE": 674, "ATAC": 232, "CHIP": 3886, "RNA": 1543}  # Borzoi, human
HOSTILE = [
    "two\nlines",
    "two\n\ntrack evil\nbigDataUrl http://example.org/evil.bw",
    "two\r\nlines\x0b\x0c\x1c\x85\u2028and more",
    "\tvisibility hide",
    "goes on \\",
    "# no comment",
    "<script>alert('x')</script>",
    '"&<>\'" />',
    "]]> <!-- &amp; -->",
    "nul \x00 \x1b[31m \ufffe \ud800 lone",
    "β-cells of Langerhans’ islets",
    "",
    " ",
    "long " * 100,
    "../../etc/passwd",
]


FOLDER = Path("/results/g")


def row(model, group, number, identifier=None, description="", **columns):
    identifier = f"ENCFF{number:03}" if identifier is None else identifier
    file = f"{model}/tracks/{group}/{model}.track{number}.bw"
    values = {
        "minimum": "0.00123457",
        "maximum": "12.3457",
        "mean": "0.5",
        "bin": "32",
        "unit": "mean over 32 bp",
    }
    names = {"model": model, "group": group, "index": str(number), "identifier": identifier}
    columns = {"file": file, "bases": "960", **values, "description": description} | columns
    named = name_track(Track(0, number, names["identifier"], description), model, group)
    line = names | columns | named._asdict()
    return line | {"label": label_tracks([line])[0]}


def build_rows(assays, models=("borzoi",), group_size=200):
    rows = []
    for model in models:
        for assay, count in assays.items():
            for index in range(count):
                group = assay if count <= group_size else f"{assay}_{index // group_size + 1:02}"
                strand = "+-"[index % 2] if assay in ("CAGE", "RNA") else ""
                name = f"{assay}{index // 2 if strand else index}{strand}"
                rows.append(row(model, group, len(rows), name, f"{assay}:some tissue {index}"))
    return rows


def stanzas(text):
    """Return the stanzas of a hub.txt as a parser of .ra files sees them."""
    blocks = [[]]
    for line in text.replace("\\\n", "").split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            blocks[-1].append(line.strip())
        elif not line.strip():
            blocks.append([])
    parsed = []
    for block in filter(None, blocks):
        pairs = [line.split(" ", 1) for line in block]
        assert all(len(pair) == 2 and pair[1].strip() for pair in pairs), block
        assert len({key for key, _ in pairs}) == len(pairs), block
        parsed.append(dict(pairs))
    return parsed


def check_hub(text, rows, with_assembly):
    """Check the rules of one-file hubs; return the genome's, the composites' and the tracks'."""
    assert re.fullmatch(r"[ -\[\]-~\n]*", text), "printable ASCII without a backslash"
    hub, genome, *tracks = stanzas(text)
    assert list(hub) == ["hub", "shortLabel", "longLabel", "useOneFile", "email"]
    assert re.fullmatch(r"[A-Za-z0-9_]+", hub["hub"])
    assert len(hub["shortLabel"]) <= 20
    assert len(hub["longLabel"]) <= 70
    assert hub["useOneFile"] == "on"
    if with_assembly:
        assert {"genome", "twoBitPath", "organism", "defaultPos"} <= set(genome)
        assert re.fullmatch(r"[A-Za-z0-9_]+", genome["genome"])
        assert re.fullmatch(r".+:\d+-\d+", genome["defaultPos"])
    else:
        assert list(genome) == ["genome"]

    composites = {track["track"]: track for track in tracks if "compositeTrack" in track}
    children = [track for track in tracks if "compositeTrack" not in track]
    current = None
    for track in tracks:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", track["track"])
        assert len(track["shortLabel"]) <= 17
        assert len(track["longLabel"]) <= 76
        low, high = re.fullmatch(r"bigWig (-?[\d.]+) (-?[\d.]+)", track["type"]).groups()
        assert float(low) < float(high)
        if track["track"] in composites:
            current = track
            assert track["autoScale"] == "group"
            assert track["visibility"] in ("full", "hide")
            assert "bigDataUrl" not in track
        else:
            parent, state = track["parent"].split(" ")
            assert parent == current["track"], "children follow their parent"
            assert state in ("on", "off")
            assert "autoScale" not in track
            assert re.fullmatch(r"\d+,\d+,\d+", track["color"])
            limits = [float(value) for value in current["type"].split()[1:]]
            assert limits[0] <= float(low) < float(high) <= limits[1]
    names = [track["track"].lower() for track in tracks]
    assert len(set(names)) == len(names)
    assert [track["bigDataUrl"] for track in children] == [row["file"] for row in rows]
    for track, source in zip(children, rows, strict=True):
        low, high = (float(value) for value in track["type"].split()[1:])
        for value in (float(source["minimum"]), float(source["maximum"])):
            assert not np.isfinite(value) or low <= value <= high
    visible = [track["parent"].split()[0] for track in children if track["parent"].endswith(" on")]
    assert 1 <= len(visible) <= 40
    assert {name for name, c in composites.items() if c["visibility"] == "full"} == set(visible)
    return genome, composites, children


def check_igv(text, rows):
    """Check a session; return its root and its tracks."""
    root = ET.fromstring(text.encode())
    tracks = root.findall("./Panel/Track")
    paths = [resource.get("path") for resource in root.iter("Resource")]
    assert [track.get("id") for track in tracks] == paths
    assert len({Path(path).name for path in paths}) == len(paths) <= 40
    assert set(paths) <= {row["file"] for row in rows}
    rows_by_file = {row["file"]: row for row in rows}
    groups = {}
    for track in tracks:
        source = rows_by_file[track.get("id")]
        groups.setdefault(scale_group(source), set()).add(track.get("autoscaleGroup"))
        assert track.get("autoScale") == "true"
        assert track.get("name").isprintable()
        assert track.get("name")
    numbers = sorted(int(number) for numbers in groups.values() for number in numbers)
    assert numbers == list(range(1, len(groups) + 1))
    assert int(root.get("nextAutoscaleGroup")) == len(groups) + 1
    return root, tracks


def test_hub_of_a_whole_table():
    rows = build_rows(ASSAYS)
    assert len(rows) == 7611
    text = build_hub("hg38", "hg38", rows, VIEW)
    genome, composites, children = check_hub(text, rows, with_assembly=False)
    assert genome == {"genome": "hg38"}
    assert len(text) < 64 << 20
    assert len(composites) == 7 + 4 + 2 + 20 + 8
    visible = [name for name, c in composites.items() if c["visibility"] == "full"]
    assert len(visible) == 5, "parts of one assay are one assay"
    assert sum(track["parent"].endswith(" on") for track in children) == 40
    assert sum(len(stanza["longLabel"]) for stanza in children) > 20 * len(children)


def test_igv_session_of_a_whole_table():
    rows = build_rows(ASSAYS, ("borzoi_0", "borzoi_1"))
    root, tracks = check_igv(build_igv_session("../g.fa", rows, VIEW, FOLDER), rows)
    assert (root.get("genome"), root.get("locus")) == ("../g.fa", "chr1:1001-2000")
    assert len(tracks) == 40
    assert Counter(Path(track.get("id")).parts[0] for track in tracks) == {
        "borzoi_0": 20, "borzoi_1": 20,
    }  # fmt: skip


def test_a_single_track_and_a_model_alone():
    rows = build_rows({"tracks": 1}, ["m"])
    check_hub(build_hub("g", None, rows, VIEW), rows, with_assembly=True)
    _, [track] = check_igv(build_igv_session("g.fa", rows, VIEW, FOLDER), rows)
    assert track.get("name") == "tracks:some tissue 0 tracks0"


def test_two_models_of_the_same_tracks():
    rows = build_rows({"CAGE": 12, "CHIP": 3}, ("rep-0", "0rep"))
    _, composites, children = check_hub(build_hub("g", "hg38", rows, VIEW), rows, False)
    assert list(composites) == ["rep-0_CAGE", "rep-0_CHIP", "t0rep_CAGE", "t0rep_CHIP"]
    assert sum(track["parent"].endswith(" on") for track in children) == 30
    assert {track["longLabel"].split(":")[0] for track in children} == {"rep-0", "0rep"}


def test_names_that_differ_only_in_what_ucsc_drops():
    files = ["m/a.b.bw", "m/a_b.bw", "m/A-b.bw", "m/A_B.bw", "m/1.bw", "m/_.bw"]
    rows = [row("m", "a", index, file=file) for index, file in enumerate(files)]
    _, _, children = check_hub(build_hub("g", "hg38", rows, VIEW), rows, False)
    assert [c["track"] for c in children] == ["a_b", "a_b_2", "A-b", "A_B_3", "t1", "t_"]
    # a track may not take its composite's name either
    rows = [row("m", "a", 0, file="m/m.a.bw")]
    _, [composite], [child] = check_hub(build_hub("g", "hg38", rows, VIEW), rows, False)
    assert (composite, child["track"]) == ("m_a", "m_a_2")


def test_hostile_tables_stay_inside_their_values():
    texts = [*HOSTILE, *HOSTILE]
    rows = [
        row("m", "CHIP", index, texts[index] if index < len(HOSTILE) else "id", texts[-index])
        for index in range(len(texts))
    ]
    text = build_hub("g", None, rows, VIEW)
    _, composites, children = check_hub(text, rows, with_assembly=True)
    assert len(composites) == 1
    for track in children:
        assert set(track) == {
            "track", "parent", "type", "shortLabel", "longLabel", "bigDataUrl", "color"
        }  # fmt: skip
        assert not set("<>\\") & set(track["longLabel"] + track["shortLabel"])
    _, tracks = check_igv(build_igv_session("a & b/<g>.fa", rows, VIEW, FOLDER), rows)
    assert len(tracks) == len(rows)
    names = " ".join(track.get("name") for track in tracks)
    assert "<script>alert('x')</script>" in names
    assert "β-cells" in names


def test_igv_tells_files_of_one_name_apart():
    """It takes m1/x.bw and m2/x.bw for one file unless their paths are absolute."""
    rows = [
        row(model, "profiles", index, f"{task}+", file=f"{model}/{task}.plus.bw", bin="1")
        for index, (model, task) in enumerate([("a", "CTCF"), ("b", "CTCF"), ("b", "Oct4")])
    ]
    root = ET.fromstring(build_igv_session("g.fa", rows, VIEW, FOLDER))
    paths = [resource.get("path") for resource in root.iter("Resource")]
    assert paths == [f"{FOLDER}/a/CTCF.plus.bw", f"{FOLDER}/b/CTCF.plus.bw", "b/Oct4.plus.bw"]
    assert [track.get("id") for track in root.iter("Track")] == paths


def test_of_several_values_the_farthest_from_zero_is_drawn():
    rows = [
        row("m", "profiles", 0, "a+", bin="1", minimum="0", maximum="3"),
        row("m", "profiles", 1, "a-", bin="1", minimum="-3", maximum="-0.1"),
    ]
    root = ET.fromstring(build_igv_session("g.fa", rows, VIEW, FOLDER))
    assert [track.get("windowFunction") for track in root.iter("Track")] == ["max", "min"]
    hub = stanzas(build_hub("g", "hg38", rows, VIEW))
    functions = [track["windowingFunction"] for track in hub if "bigDataUrl" in track]
    assert functions == ["maximum", "minimum"]


@pytest.mark.parametrize(
    "file",
    ["../x.bw", "m/../../x.bw", "/x.bw", "m//x.bw", "m/.x.bw", "http://e.org/x.bw", "a b.bw",
     "x.bw\n", "x.bw\ntrack y", "m\\x.bw", "é.bw", ""],
)  # fmt: skip
def test_files_elsewhere_are_refused(file):
    rows = [row("m", "a", 0, file=file)]
    with pytest.raises(SeqcovError, match="is not the path of a file below the table's folder"):
        build_hub("g", None, rows, VIEW)
    with pytest.raises(SeqcovError, match="is not the path of a file below the table's folder"):
        build_igv_session("g.fa", rows, VIEW, FOLDER)


@pytest.mark.parametrize(
    ("minimum", "maximum", "limits"),
    [
        ("0", "0", "0 1"),
        ("nan", "nan", "0 1"),
        ("inf", "-inf", "0 1"),
        ("0.5", "2", "0 2.01"),
        ("0", "1e-05", "0 0.0000101"),
        ("0", "123456", "0 124000"),
        ("-1.23456", "-1", "-1.24 1"),
        ("-2.5e+07", "1.00001", "-25100000 1.01"),
    ],
)
def test_limits_enclose_what_was_rounded(minimum, maximum, limits):
    rows = [row("m", "a", 0, minimum=minimum, maximum=maximum)]
    _, _, [child] = check_hub(build_hub("g", "hg38", rows, VIEW), rows, False)
    assert child["type"] == f"bigWig {limits}"


def test_colours_by_assay_and_strand():
    rows = build_rows({"CAGE": 4, "CHIP": 201, "odd": 1})
    _, _, children = check_hub(build_hub("g", "hg38", rows, VIEW), rows, False)
    colours = [track["color"] for track in children]
    assert set(colours[:4]) == {"214,99,1"}, "both strands"
    assert set(colours[4:-1]) == {"0,160,111"}, "both parts of CHIP"
    assert colours[-1] == "60,60,60"


def test_an_own_genome():
    rows = build_rows({"CAGE": 1})
    text = build_hub("s.cerevisiae-R64", None, rows, VIEW)
    genome, _, _ = check_hub(text, rows, with_assembly=True)
    assert genome["genome"] == "s_cerevisiae_R64"
    assert genome["twoBitPath"] == "genome.2bit"
    assert genome["defaultPos"] == "chr1:1001-2000"


JOB = """
import runpy, sys
from types import SimpleNamespace as Names
_, root, folder, assembly = sys.argv
sys.path.insert(0, root)
from seqcov_models.genome.fasta import open_fasta
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.paths import Paths
from pathlib import Path
genome = {"name": "toy", "assembly": assembly or None}
browsers = {"show": [], "email": "a@b.org"}
fasta = open_fasta("data/toy.fa", folder)
config = {"genome": genome, "browsers": browsers}
RunPlan(config, fasta, ("chr1", 100, 500), {}, {}).save(Paths(Path(folder)))
snakemake = Names(
    log=["log"],
    input=Names(tracks=f"{folder}/tracks.tsv", peaks=[], plan=f"{folder}/plan.json"),
    output=Names(
        hub=f"{folder}/hub.txt",
        igv=f"{folder}/igv_session.xml",
        two_bit=[] if assembly else f"{folder}/genome.2bit",
    ),
)
runpy.run_path(f"{root}/scripts/write_browser_files.py", {"snakemake": snakemake})
"""


def test_script_in_a_small_tree(tmp_path):
    pyBigWig = pytest.importorskip("pyBigWig")
    folder = tmp_path / "results" / "toy"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "toy.fa").write_text(">chr1\n" + "ACGTacgtNN" * 100 + "\n")
    rows = build_rows({"CAGE": 4, "CHIP": 2}, ("a", "b"))
    rows[0]["description"] = HOSTILE[1]
    for index, line in enumerate(rows):
        path = folder / line["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with pyBigWig.open(str(path), "w") as bigwig:
            bigwig.addHeader([("chr1", 1000)])
            bigwig.addEntries("chr1", 0, values=[0.0, index + 0.1, 2.0], span=32, step=32)
        line |= {"minimum": "0", "maximum": f"{max(index + 0.1, 2.0):.6g}"}
    write_table(folder / "tracks.tsv", rows)

    def run(assembly):
        command = [sys.executable, "-c", JOB, str(REPOSITORY), "results/toy", assembly]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        assert not list(folder.glob(".*")), "nothing half-written is left"
        return (folder / "hub.txt").read_text(encoding="utf-8")

    table = read_table(folder / "tracks.tsv")
    check_hub(run("toy1"), table, with_assembly=False)
    assert not (folder / "genome.2bit").exists()
    genome, _, children = check_hub(run(""), table, with_assembly=True)
    assert read_two_bit(folder / genome["twoBitPath"]) == {"chr1": "ACGTacgtNN" * 100}
    assert genome["defaultPos"] == "chr1:101-500"
    for track in children:
        with pyBigWig.open(str(folder / track["bigDataUrl"])) as bigwig:
            low, high = (float(value) for value in track["type"].split()[1:])
            header = bigwig.header()
            assert low <= header["minVal"] <= header["maxVal"] <= high
    text = (folder / "igv_session.xml").read_text(encoding="utf-8")
    root, tracks = check_igv(text, table)
    assert len(tracks) == len(rows)
    assert (folder / root.get("genome")).resolve() == tmp_path / "data" / "toy.fa"
    assert all((folder / track.get("id")).is_file() for track in tracks)
