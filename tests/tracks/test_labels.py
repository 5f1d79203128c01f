"""Names of tracks: assay, target, biosample, strand and labels, from published tables."""

import pytest

from seqcov_models.tracks.labels import label_tracks, name_track
from seqcov_models.tracks.table import Track, build_strand_tracks, read_tracks
from support.data import DATA, REPOSITORY

NAMES = {
    "DNASE:HepG2": ("DNASE", "", "HepG2"),
    "CHIP:H3K27ac:HepG2": ("CHIP", "H3K27ac", "HepG2"),
    "CHIP:CTCF:C57BL/6 lung male adult (8 weeks)": (
        "CHIP", "CTCF", "C57BL/6 lung male adult (8 weeks)"
    ),
    "CAGE:hepatoblastoma cell line:HepG2 ENCODE, biol_": ("CAGE", "", "HepG2 ENCODE"),
    "CAGE:CD8+ T Cells (pluriselect), , donation1": (
        "CAGE", "", "CD8+ T Cells (pluriselect), donation1"
    ),
    "RNA:adipose tissue tissue male adult (34 years)": (
        "RNA", "", "adipose tissue male adult (34 years)"
    ),
    "RNA3:Lymph_Node, memory b cell": ("RNA3", "", "Lymph_Node, memory b cell"),
    "CHIP:.:batch1_chrom1_LoVo_E2F4_Mouse_PassedQC / LoVo / colon adenocarcinoma": (
        "CHIP", "E2F4", "LoVo"
    ),
    "CHIP:GR:ChIP-seq, Liver_GR_WT_pred_6am / Liver tissue / .": ("CHIP", "GR", "Liver tissue"),
    "CHIP:eGFP-CREB3:K562 genetically modified using stable transfection": (
        "CHIP", "eGFP-CREB3", "K562"
    ),
    "liver, adult": ("", "", "liver, adult"),
    "": ("", "", ""),
}  # fmt: skip


@pytest.mark.parametrize(("description", "name"), NAMES.items())
def test_a_description_says_assay_target_and_biosample(description, name):
    assert name_track(Track(0, 0, "id", description, pair=0), "m") == (*name, ".")


def test_a_sign_is_a_strand_unless_the_table_says_otherwise():
    strands = [
        name_track(Track(3, 3, identifier, "CAGE:x", pair=pair), "m").strand
        for identifier, pair in [("a+", 4), ("a-", 2), ("a-", -1), ("CD34-", 3), ("a", 3)]
    ]
    assert strands == ["+", "-", "-", ".", "."]


def label(tracks, model="m", group="", **columns):
    """Return rows of a run's table with names, and without labels."""
    return [
        {"model": model, "identifier": track.identifier, "description": track.description}
        | name_track(track, model, group)._asdict()
        | columns
        for track in tracks
    ]


def test_labels_begin_with_what_matters():
    tracks = read_tracks(REPOSITORY / "demo" / "borzoi" / "targets.txt")
    assert label_tracks(label(tracks)) == [
        "GATA cells DNASE DEMO0001",
        "AP-1 cells DNASE DEMO0002",
        "GATA cells CTCF DEMO0003",
        "GATA cells H3K4me3 DEMO0004",
        "GATA cells CAGE + DEMO0005",
        "GATA cells CAGE - DEMO0005",
        "GATA cells RNA + DEMO0006",
        "GATA cells RNA - DEMO0006",
    ]
    deviation = Track(0, 0, "E1", "DNASE:K562 (standard deviation)", pair=0)
    assert label_tracks(label([deviation])) == ["K562 DNASE SD E1"]
    unknown = Track(-1, -1, "unknown", "Fraction of the input window that is N")
    assert label_tracks(label([unknown], group="mask")) == ["N or contig end"]


def test_labels_of_bpnets_say_the_task_or_else_the_model():
    def describe(tasks, model, strands=1):
        return label_tracks(label(build_strand_tracks(tasks, strands), model))

    assert describe(["Oct4"], "oskn", 2) == ["Oct4 profile +", "Oct4 profile -"]
    assert describe(["signal"], "k562") == ["k562 profile"]
    assert describe(["signal"], "k562_procap") == ["k562_procap PROCAP"]
    assert describe(["chrombpnet_nobias"], "atac") == ["atac ATAC without bias"]
    assert describe(["bias"], "liver") == ["liver profile bias"]
    [task] = build_strand_tracks(["chrombpnet_nobias"], 1)
    assert name_track(task, "atac", biosample="K562") == ("ATAC", "without bias", "K562", ".")
    at_peaks = [
        Track(-1, -1, "CTCF+", "CTCF profile, plus strand"),
        Track(-1, -1, "CTCF", "CTCF profile"),
    ]
    assert label_tracks(label(at_peaks, group="profiles")) == ["CTCF profile +", "CTCF profile"]


def test_equal_labels_get_the_model_and_then_a_number():
    tracks = build_strand_tracks(["CTCF"], 1)
    rows = [*label(tracks, "a"), *label(tracks, "b"), *label(tracks, "b")]
    assert label_tracks(rows) == ["CTCF profile a", "CTCF profile b", "CTCF profile b 2"]


@pytest.mark.parametrize("name", ["borzoi_targets_human", "borzoi_targets_mouse",
                                  "enformer_basenji2_targets_human"])  # fmt: skip
def test_labels_of_published_tables_are_unique_and_complete(name):
    if not (path := DATA / "targets" / f"{name}.txt").is_file():
        pytest.skip("needs the published tables")
    rows = label(read_tracks(path))
    labels = label_tracks(rows)
    assert len({text.lower() for text in labels}) == len(rows)
    assert all(row["assay"] and row["biosample"] for row in rows)
    unnamed = [row for row in rows if row["assay"] == "CHIP" and not row["target"]]
    assert len(unnamed) < len(rows) / 100
    assert sum(len(text) <= 60 for text in labels) > 0.7 * len(rows)
    assert {row["strand"] for row in rows if row["identifier"].endswith("-")} <= {"-"}
