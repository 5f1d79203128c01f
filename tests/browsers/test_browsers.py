"""The hub, the IGV session and JBrowse's configuration, read back by independent readers."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from seqcov_models import SeqcovError
from seqcov_models.browsers.display import scale_group, strand_unit
from seqcov_models.browsers.files import BrowserGenome, write_igv_session
from seqcov_models.browsers.hub import HubOptions, build_hub
from seqcov_models.browsers.igv import build_igv_session
from seqcov_models.browsers.jbrowse import build_jbrowse_config
from seqcov_models.genome.fasta import open_fasta
from seqcov_models.run.track_table import read_table, write_table
from seqcov_models.tracks.labels import label_tracks, name_track
from seqcov_models.tracks.table import Track, read_tracks
from support.data import DATA, REPOSITORY
from support.hub_rules import check_hub, limits
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
                rows.append(row(model, group, len(rows), name, f"{assay}:some tissue {index // 2}"))
    return rows


def build(name, assembly, rows, **options):
    """Return a hub that passed the strict check, whose tracks say the rows' values."""
    texts = build_hub(name, rows, HubOptions(assembly, VIEW, **options))
    hub = check_hub(texts[""], texts.__getitem__)
    assert ("twoBitPath" in hub.genome) == (not assembly)
    source = {row["file"]: row for row in rows}
    assert Counter(track["bigDataUrl"] for track in hub.bigwigs) == Counter([*source])
    scales = defaultdict(set)
    for track in hub.bigwigs:
        row = source[track["bigDataUrl"]]
        low, high = limits(track)
        for value in (float(row["minimum"]), float(row["maximum"])):
            assert not np.isfinite(value) or low <= value <= high
        scales[track["parent"].split()[0]].add(scale_group(row))
    for name, composite in hub.composites.items():
        assert (composite["autoScale"] == "group") == (len(scales[name]) == 1)
    shown = Counter(strand_unit(source[track["bigDataUrl"]]) for track in hub.visible)
    stranded = {strand_unit(row) for row in rows if row["strand"] == "-"}
    assert all(count == 2 for unit, count in shown.items() if unit in stranded)
    return hub, texts


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


def check_jbrowse(text, rows):
    """Check a configuration of JBrowse; return it."""
    config = json.loads(text)
    tracks = {track["trackId"]: track for track in config["tracks"]}
    assert len(tracks) == len(config["tracks"])
    found = [t["adapter"]["bigWigLocation"]["uri"] for t in tracks.values()
             if t["type"] == "QuantitativeTrack"]  # fmt: skip
    assert found == [row["file"] for row in rows]
    [assembly] = config["assemblies"]
    assert all(track["assemblyNames"] == [assembly["name"]] for track in tracks.values())
    assert set(config["defaultSession"]["views"][0]["init"]["tracks"]) <= set(tracks)
    for track in tracks.values():
        assert all(word and word.isprintable() for word in (track["name"], *track["category"]))
        sources = [s["source"] for s in track["adapter"].get("subadapters", [])]
        assert len(set(sources)) == len(sources)
    return config


def test_hub_of_a_whole_table():
    rows = build_rows(ASSAYS)
    assert len(rows) == 7611
    hub, texts = build("hg38", "hg38", rows)
    assert [*hub.supers] == ["borzoi"]
    assert [*hub.composites] == [f"borzoi_{assay}" for assay in ASSAYS], "never by job"
    assert {c["compositeTrack"] for c in hub.composites.values()} == {"faceted"}
    assert len(hub.visible) == 40
    assert len(texts[""]) < 2_000_000
    assert sum(len(text) for path, text in texts.items() if path.endswith(".tsv")) < 600_000
    described = texts["hub/borzoi.html"]
    assert "<td>CAGE</td><td></td><td>mean over 32 bp</td><td>1,276</td>" in described


def test_hub_of_a_published_table_with_several_folds():
    if not (path := DATA / "targets" / "borzoi_targets_human.txt").is_file():
        pytest.skip("needs the published tables")
    rows = [
        row(model, f"{track.assay}_1", track.index, track.identifier, track.description)
        for model in ("f0", "f1")
        for track in read_tracks(path)
    ]
    hub, _ = build("hg38", "hg38", rows)
    labels = [track["shortLabel"] for track in hub.bigwigs]
    assert {"HepG2 DNASE", "K562 CTCF", "GM12878 RNA +"} <= set(labels)
    assert sum(len(label) == 17 for label in labels) < 0.7 * len(labels), "most are not cut"


def test_hub_of_74_tracks():
    assays = {"CAGE": 24, "DNASE": 10, "RNA": 30, "RNA3": 10}
    hub, texts = build("hg38", "hg38", build_rows(assays))
    assert {c["compositeTrack"] for c in hub.composites.values()} == {"on"}
    assert {c["autoScale"] for c in hub.composites.values()} == {"group"}
    assert len(hub.composites) == 4
    assert texts["hub/borzoi_RNA.html"].count("<tr>") == 31
    minus = [track for track in hub.bigwigs if track.get("negateValues")]
    assert len(minus) == 27, "minus strands are drawn downwards"
    assert all(limits(track)[0] <= -12.3 for track in minus)


def test_lists_of_targets():
    texts = [f"CHIP:{target}:x" for target in ("CTCF", "MYC", "CTCF", "H3K27ac")]
    rows = [row("m", "CHIP", n, description=text) for n, text in enumerate(texts)]
    hub, _ = build("g", "hg38", rows)
    assert [*hub.composites] == ["m_CHIP_CTCF"], "a single track needs no list"
    many = [row("m", "CHIP", n, description=f"CHIP:T{n % 20}:x") for n in range(40)]
    hub, _ = build("g", "hg38", many)
    assert [*hub.composites] == ["m_CHIP"]
    assert hub.composites["m_CHIP"]["autoScale"] == "on"


def test_genes_peaks_and_the_mask_of_a_hub():
    rows = [
        row("b", "mask", 0, "unknown", "Fraction that is N", minimum="0", maximum="0.2"),
        row("p", "profiles", 1, "CTCF+", "CTCF profile, plus strand", bin="1"),
        row("p", "profiles", 2, "CTCF-", "CTCF profile, minus strand", bin="1"),
        row("p", "profiles", 3, "CTCF", "CTCF profile", bin="1"),
    ]
    hub, _ = build("g", None, rows, genes="genes.bb", peaks={"p": "p/p.peaks.bb"}, email="a@b.c")
    assert hub.hub["email"] == "a@b.c"
    assert hub.tracks["genes"]["visibility"] == "pack"
    assert hub.tracks["p_peaks"]["type"] == "bigNarrowPeak"
    assert hub.tracks["b_track0"]["viewLimits"] == "0:1"
    assert [track["shortLabel"] for track in hub.visible] == [
        "N or contig end", "CTCF profile +", "CTCF profile -",
    ]  # fmt: skip


def test_igv_session_of_a_whole_table():
    rows = build_rows(ASSAYS, ("borzoi_0", "borzoi_1"))
    root, tracks = check_igv(build_igv_session("../g.fa", rows, VIEW), rows)
    assert (root.get("genome"), root.get("locus")) == ("../g.fa", "chr1:1001-2000")
    assert len(tracks) == 40
    models = Counter(Path(track.get("id")).parts[0] for track in tracks)
    assert min(models["borzoi_0"], models["borzoi_1"]) >= 19


def test_a_single_track_and_a_model_alone():
    rows = build_rows({"tracks": 1}, ["m"])
    build("g", None, rows)
    _, [track] = check_igv(build_igv_session("g.fa", rows, VIEW), rows)
    assert track.get("name") == "tracks:some tissue 0"


def test_two_models_of_the_same_tracks():
    rows = build_rows({"CAGE": 12, "CHIP": 3}, ("rep-0", "0rep"))
    hub, _ = build("g", "hg38", rows)
    assert [*hub.supers] == ["rep-0", "t0rep"]
    assert [*hub.composites] == ["rep-0_CAGE", "rep-0_CHIP", "t0rep_CAGE", "t0rep_CHIP"]
    assert len(hub.visible) == 30
    assert all(track["longLabel"].endswith(("(rep-0)", "(0rep)")) for track in hub.bigwigs)


def test_names_that_differ_only_in_what_ucsc_drops():
    files = ["m/a.b.bw", "m/a_b.bw", "m/A-b.bw", "m/A_B.bw", "m/1.bw", "m/_.bw", "m/m.a.bw"]
    hub, _ = build("g", "hg38", [row("m", "a", n, file=file) for n, file in enumerate(files)])
    assert [track["track"] for track in hub.bigwigs] == [
        "a_b", "a_b_2", "A-b", "A_B_3", "t1", "t", "m_a",
    ]  # fmt: skip


def test_hostile_tables_stay_inside_their_values():
    texts = [*HOSTILE, *HOSTILE]
    rows = [
        row("m", "CHIP", index, texts[index] if index < len(HOSTILE) else "id", texts[-index])
        for index in range(len(texts))
    ]
    rows = [line | {"label": text} for line, text in zip(rows, label_tracks(rows), strict=True)]
    build("g", None, rows)
    build("g", None, [line | {"file": f"{n}{line['file']}"} for n in range(8) for line in rows])
    text = build_igv_session("a & b/<g>.fa", rows, VIEW, show=["all"])
    _, tracks = check_igv(text, rows)
    assert len(tracks) == len(rows)
    names = " ".join(track.get("name") for track in tracks)
    assert "<script>alert('x')</script>" in names
    assert "β-cells" in names
    config = check_jbrowse(build_jbrowse_config("g", "g.fa", rows, VIEW), rows)
    assert "alert" in str(config)


def test_of_several_values_the_farthest_from_zero_is_drawn():
    rows = [
        row("m", "profiles", 0, "a+", bin="1", minimum="0", maximum="3"),
        row("m", "profiles", 1, "a-", bin="1", minimum="-3", maximum="-0.1"),
    ]
    root = ET.fromstring(build_igv_session("g.fa", rows, VIEW))
    assert [track.get("windowFunction") for track in root.iter("Track")] == ["max", "min"]
    _, texts = build("g", "hg38", rows)
    assert "windowingFunction minimum" in texts[""]
    assert "negateValues" not in texts[""]


@pytest.mark.parametrize(
    "file",
    ["../x.bw", "m/../../x.bw", "/x.bw", "m//x.bw", "m/.x.bw", "http://e.org/x.bw", "a b.bw",
     "x.bw\n", "x.bw\ntrack y", "m\\x.bw", "é.bw", ""],
)  # fmt: skip
def test_files_elsewhere_are_refused(file):
    rows = [row("m", "a", 0, file=file)]
    with pytest.raises(SeqcovError, match="is not the path of a file below the table's folder"):
        build_hub("g", rows, HubOptions(None, VIEW))
    with pytest.raises(SeqcovError, match="is not the path of a file below the table's folder"):
        build_igv_session("g.fa", rows, VIEW)
    with pytest.raises(SeqcovError, match="is not the path of a file below the table's folder"):
        build_jbrowse_config("g", "g.fa", rows, VIEW)


@pytest.mark.parametrize(
    ("minimum", "maximum", "expected"),
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
def test_limits_enclose_what_was_rounded(minimum, maximum, expected):
    rows = [row("m", "a", 0, minimum=minimum, maximum=maximum)]
    hub, _ = build("g", "hg38", rows)
    assert hub.bigwigs[0]["type"] == f"bigWig {expected}"


def test_an_own_genome():
    hub, _ = build("s.cerevisiae-R64", None, build_rows({"CAGE": 1}))
    assert hub.genome["genome"] == "s_cerevisiae_R64"
    assert hub.genome["twoBitPath"] == "genome.2bit"
    assert hub.genome["defaultPos"] == "chr1:1001-2000"


def test_igv_has_genes_of_its_own_for_a_known_assembly(tmp_path):
    (tmp_path / "g.fa").write_text(">chr1\nACGT\n")
    fasta = open_fasta(str(tmp_path / "g.fa"), tmp_path)
    rows = build_rows({"CAGE": 2})

    def genome_of(assembly, genes=None):
        genome = BrowserGenome(fasta, "g", assembly, VIEW, genes)
        write_igv_session(tmp_path / "s.xml", genome, rows, {"show": []}, {})
        return ET.parse(tmp_path / "s.xml").getroot().get("genome")

    assert genome_of("hg38") == "hg38"
    assert genome_of("hg38", tmp_path / "genes.bed") == genome_of("gorGor6") == "g.fa"


def test_jbrowse_has_every_track_and_heat_maps():
    rows = build_rows({"CAGE": 450, "DNASE": 3})
    features = {"genes": "genes.bb", "p peaks": "p/p.peaks.bb"}
    config = check_jbrowse(build_jbrowse_config("g", "g.fa.gz", rows, VIEW, features), rows)
    [view] = config["defaultSession"]["views"]
    assert view["init"]["loc"] == "chr1:1001..2000"
    assert len(view["init"]["tracks"]) == 8 + 2
    chosen = json.loads(build_jbrowse_config("g", "g.fa.gz", rows, VIEW, features, [".*"]))
    assert len(chosen["defaultSession"]["views"][0]["init"]["tracks"]) == 20 + 2
    maps = [track for track in config["tracks"] if track["type"] == "MultiQuantitativeTrack"]
    assert [len(track["adapter"]["subadapters"]) for track in maps] == [400, 50, 3]
    assert config["assemblies"][0]["sequence"]["adapter"]["type"] == "BgzipFastaAdapter"


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
browsers = {"show": [], "email": "a@b.org", "locus": "chr1:101-500"}
fasta = open_fasta("data/toy.fa", folder)
config = {"genome": genome, "browsers": browsers, "models": {"a": {"architecture": "borzoi"}}}
RunPlan(config, fasta, ("chr1", 100, 500), {}, {}).save(Paths(Path(folder)))
snakemake = Names(
    log=["log"],
    input=Names(tracks=f"{folder}/tracks.tsv", peaks=[], peak_tables=[], genes=[],
                plan=f"{folder}/plan.json"),
    output=Names(
        hub=f"{folder}/hub.txt",
        pages=f"{folder}/hub",
        peaks=[],
        igv=f"{folder}/igv_session.xml",
        jbrowse=f"{folder}/jbrowse_config.json",
        washu=f"{folder}/washu_hub.json" if assembly else [],
        two_bit=[] if assembly else f"{folder}/genome.2bit",
        aliases=[],
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

    def read(path):
        return (folder / path).read_text(encoding="utf-8")

    assert "twoBitPath" not in check_hub(run("toy1"), read).genome
    assert not (folder / "genome.2bit").exists()
    hub = check_hub(run(""), read)
    assert read_two_bit(folder / hub.genome["twoBitPath"]) == {"chr1": "ACGTacgtNN" * 100}
    assert hub.genome["defaultPos"] == "chr1:101-500"
    for track in hub.bigwigs:
        with pyBigWig.open(str(folder / track["bigDataUrl"])) as bigwig:
            low, high = limits(track)
            header = bigwig.header()
            assert low <= header["minVal"] <= header["maxVal"] <= high
    check_jbrowse(read("jbrowse_config.json"), table)
    text = (folder / "igv_session.xml").read_text(encoding="utf-8")
    root, tracks = check_igv(text, table)
    assert len(tracks) == len(rows)
    assert (folder / root.get("genome")).resolve() == tmp_path / "data" / "toy.fa"
    assert all((folder / track.get("id")).is_file() for track in tracks)
