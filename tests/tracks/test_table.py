"""Track tables, selection, file names: the four published tables and hostile ones."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcov_models.errors import SeqcovError
from seqcov_models.tracks.selection import select
from seqcov_models.tracks.table import (
    Track,
    assign_file_names,
    build_default_tracks,
    read_tracks,
    write_tracks,
)

TABLES = {
    # name: (rows, first index, last index, number of CAGE rows, first identifier)
    "enformer_basenji2_targets_human.txt": (5_313, 0, 5_312, 638, "ENCFF833POA"),
    "enformer_basenji2_targets_mouse.txt": (1_643, 5_313, 6_955, 357, "ENCFF866ZTV"),
    "borzoi_targets_human.txt": (7_611, 0, 7_610, 1_276, "CNhs10608+"),
    "borzoi_targets_mouse.txt": (2_608, 0, 2_607, 720, "CNhs10464+"),
}
tables = pytest.mark.parametrize("table", TABLES)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def read_table(tmp_path: Path, *rows: tuple[str, str]) -> list[Track]:
    lines = "".join(f"{index}\t{a}\t{b}\n" for index, (a, b) in enumerate(rows))
    return read_tracks(write(tmp_path / "t.txt", "index\tidentifier\tdescription\n" + lines))


def rows(tracks: list[Track]) -> list[int]:
    return [track.row for track in tracks]


# The published tables


@tables
def test_every_row_of_a_published_table_is_read(
    table: str, real_input: Callable[[str], Path]
) -> None:
    tracks = read_tracks(real_input(f"targets/{table}"))
    count, first, last, cage, identifier = TABLES[table]
    assert rows(tracks) == list(range(count))
    assert [track.index for track in tracks] == list(range(first, last + 1))
    assert sum(track.assay == "CAGE" for track in tracks) == cage
    assert tracks[0].identifier == identifier


@tables
def test_file_names_of_a_published_table_are_unique_and_safe(
    table: str, real_input: Callable[[str], Path]
) -> None:
    assert_unique_and_safe([t.file_name for t in read_tracks(real_input(f"targets/{table}"))])


@tables
def test_a_published_table_survives_writing(
    table: str, real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    tracks = read_tracks(real_input(f"targets/{table}"))
    write_tracks(tmp_path / "again.txt", tracks)
    assert read_tracks(tmp_path / "again.txt") == tracks


@pytest.mark.parametrize(
    ("species", "unstranded", "paired"), [("human", 5_159, 2_452), ("mouse", 1_564, 1_044)]
)
def test_published_strand_pairs_are_neighbours_of_one_description(
    species: str, unstranded: int, paired: int, real_input: Callable[[str], Path]
) -> None:
    tracks = read_tracks(real_input(f"targets/borzoi_targets_{species}.txt"))
    pairs = [(track, tracks[track.pair]) for track in tracks]
    assert sum(track is partner for track, partner in pairs) == unstranded
    assert sum(track is not partner for track, partner in pairs) == paired
    for track, partner in pairs:
        if track is not partner:
            assert tracks[partner.pair] is track
            assert {track.identifier[-1], partner.identifier[-1]} == {"+", "-"}
            assert (track.identifier[:-1], track.description) == (
                partner.identifier[:-1],
                partner.description,
            )
            assert abs(track.row - partner.row) == 1


def test_the_columns_of_a_published_row_are_kept(real_input: Callable[[str], Path]) -> None:
    track = read_tracks(real_input("targets/borzoi_targets_human.txt"))[7_610]
    expected = {"sum_stat": "sum_sqrt", "scale": "0.01", "strand_pair": "7610", "clip_soft": "384"}
    assert expected.items() <= track.columns.items()
    assert (track.assay, track.description) == ("RNA", "RNA:vagina")


def test_a_subset_table_selects_its_tracks_of_the_full_table(
    real_input: Callable[[str], Path],
) -> None:
    subset = read_tracks(real_input("targets/borzoi_targets_gtex.txt"))
    assert rows(subset) == list(range(89))
    assert [track.index for track in subset] == list(range(7_522, 7_611))
    table = read_tracks(real_input("targets/borzoi_targets_human.txt"))
    chosen = select(table, f"file:{real_input('targets/borzoi_targets_gtex.txt')}")
    assert rows(chosen) == list(range(7_522, 7_611))
    assert [t.identifier for t in chosen] == [t.identifier for t in subset]


def test_mouse_tracks_are_selected_by_the_published_index(
    real_input: Callable[[str], Path],
) -> None:
    mouse = read_tracks(real_input("targets/enformer_basenji2_targets_mouse.txt"))
    assert rows(select(mouse, [5_313, 6_955])) == [0, 1_642]
    with pytest.raises(SeqcovError, match="5313 to 6955"):
        select(mouse, [0])


@pytest.mark.parametrize(
    ("selector", "count"),
    [("all", 7_611), ("assay:CAGE", 1_276), ("RNA:", 1_543), ("assay:rna", 1_543), ("7610", 1)],
)
def test_counts_of_selections_in_the_human_table(
    selector: str, count: int, real_input: Callable[[str], Path]
) -> None:
    table = read_tracks(real_input("targets/borzoi_targets_human.txt"))
    assert len(select(table, selector)) == count


def test_the_message_names_both_strands_of_a_published_identifier(
    real_input: Callable[[str], Path],
) -> None:
    table = read_tracks(real_input("targets/borzoi_targets_human.txt"))
    with pytest.raises(SeqcovError, match=r"CNhs10608[+-].*CNhs10608[+-]"):
        select(table, "CNhs10608")


# Selection


@pytest.fixture
def few_tracks(tmp_path: Path) -> list[Track]:
    return read_table(
        tmp_path,
        ("CNhs1+", "CAGE:liver, adult"),
        ("CNhs1-", "CAGE:liver, adult"),
        ("ENC2", "DNASE:K562"),
        ("ENC3", "CHIP:CTCF:K562"),
        ("ENC4", "whole genome"),
        ("ENC5", "RNA:HL-1 (mouse)"),
    )


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ("all", [0, 1, 2, 3, 4, 5]),
        ([2], [2]),
        (["2"], [2]),
        ([5, "0", 5], [0, 5]),
        (["CNhs1-"], [1]),
        (["CNhs1+"], [0]),
        (["assay:CAGE"], [0, 1]),
        (["assay:cage"], [0, 1]),
        (["CAGE:"], [0, 1]),
        (["k562"], [2, 3]),
        (["CTCF:K562"], [3]),
        (["^CAGE:.*adult$"], [0, 1]),
        (["ctcf|hl-1"], [3, 5]),
        (["ENC4", "assay:DNASE", 0], [0, 2, 4]),
        ("ENC2", [2]),
    ],
    ids=repr,
)
def test_a_selector_names_its_tracks(
    selectors: str | list[str | int], expected: list[int], few_tracks: list[Track]
) -> None:
    assert rows(select(few_tracks, selectors)) == expected


@pytest.mark.parametrize(
    "content",
    [
        "0\n3\n",
        "3\t0\n0\tx\n",
        "\tidentifier\n3\tENC3\n0\tCNhs1+\n",
        "# mine\n0\n\n# and\n3\n",
        "index\r\n0\r\n3\r\n",
    ],
    ids=repr,
)
def test_a_file_of_indices_may_have_a_header_comments_and_more_columns(
    content: str, few_tracks: list[Track], tmp_path: Path
) -> None:
    assert rows(select(few_tracks, [f"file:{write(tmp_path / 'chosen', content)}"])) == [0, 3]


@pytest.mark.parametrize(
    ("selectors", "message"),
    [
        ([6], "0 to 5"),
        (["99"], "99"),
        ([-1], "-1"),
        ([""], "selector|empty"),
        ("", "selector|empty"),
        ([], "empty"),
        (["assay:CAEG"], "assay:CAGE"),
        (["CAEG:"], "assay:CAGE"),
        (["assay:"], "assay:CAGE"),
        (["ENC22"], "ENC2"),
        (["cnhs1"], r"CNhs1[+-]"),
        (["DNASE:K652"], "DNASE:K562"),
        (["(liver"], "regular expression"),
        (["all", "nothing like it"], "nothing like it"),
        (["file:/no/such/file"], "/no/such/file"),
        (["file:"], "file:"),
        (["9" * 30], "999"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_selector_without_a_match_is_refused_with_similar_names(
    selectors: str | list[str | int], message: str, few_tracks: list[Track]
) -> None:
    with pytest.raises(SeqcovError, match=message):
        select(few_tracks, selectors)


@pytest.mark.parametrize(
    ("content", "message"),
    [("0\n17\n", "17"), ("0\nENC3\n", "line 2"), ("", "empty"), ("\xff\xfe", "chosen")],
    ids=repr,
)
def test_a_bad_file_of_indices_is_refused(
    content: str, message: str, few_tracks: list[Track], tmp_path: Path
) -> None:
    (tmp_path / "chosen").write_bytes(content.encode("latin-1"))
    with pytest.raises(SeqcovError, match=message):
        select(few_tracks, [f"file:{tmp_path / 'chosen'}"])


# Reading


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_of_windows_are_read(end: str, tmp_path: Path) -> None:
    lines = ["index\tidentifier\tdescription", '7\tA"1\tx: "y"', "", "9\tB\t"]
    tracks = read_tracks(write(tmp_path / "t", end.join(lines) + end))
    assert [(t.row, t.index, t.identifier) for t in tracks] == [(0, 7, 'A"1'), (1, 9, "B")]
    assert [t.description for t in tracks] == ['x: "y"', ""]


def test_only_the_identifier_is_required(tmp_path: Path) -> None:
    tracks = read_tracks(write(tmp_path / "t", "identifier\na\nb\n"))
    assert [(t.row, t.index, t.identifier, t.assay) for t in tracks] == [
        (0, 0, "a", ""),
        (1, 1, "b", ""),
    ]


def test_a_byte_order_mark_does_not_hide_the_index(tmp_path: Path) -> None:
    tracks = read_tracks(write(tmp_path / "t", "\ufeffindex\tidentifier\n12\ta\n"))
    assert (tracks[0].index, tracks[0].columns) == (12, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("index\tname\n0\ta\n", "'identifier'"),
        ("index,identifier\n0,a\n", "tab"),
        ("index\tidentifier\n0\ta\textra\n", "line 2"),
        ("index\tidentifier\n0\ta\n1\n", "line 3"),
        ("index\tidentifier\nx\ta\n", "line 2"),
        ("index\tidentifier\n-1\ta\n", "line 2"),
        ("index\tidentifier\n1.0\ta\n", "line 2"),
        ("index\tidentifier\n0\t\n", "line 2"),
        ("index\tidentifier\n" + "9" * 5_000 + "\ta\n", "line 2"),
        ("index\tidentifier\n0\t" + "a" * 200_000 + "\n", "table"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_bad_table_is_refused_with_the_line(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SeqcovError, match=message):
        read_tracks(write(tmp_path / "t", content))


def test_a_binary_missing_or_foreign_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00identifier\n")
    for path in (tmp_path / "binary", tmp_path / "absent", tmp_path):
        with pytest.raises(SeqcovError, match=re.escape(str(path))):
            read_tracks(path)


cell = st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n\0"), max_size=12)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), cell.filter(bool), cell, cell),
        max_size=8,
        unique_by=lambda value: value[0],
    )
)
def test_any_table_survives_writing(values: list[tuple[int, str, str, str]]) -> None:
    names = assign_file_names((index, identifier) for index, identifier, _, _ in values)
    tracks = [
        Track(row, index, identifier, description, name, {"unit": unit}, pair=row)
        for row, ((index, identifier, description, unit), name) in enumerate(
            zip(values, names, strict=True)
        )
    ]
    with TemporaryDirectory() as folder:
        write_tracks(Path(folder, "t"), tracks)
        assert read_tracks(Path(folder, "t")) == tracks


def test_rows_of_a_selection_are_numbered_from_0_when_written(tmp_path: Path) -> None:
    tracks = read_table(tmp_path, ("a", "x"), ("b", "y"), ("c", "z"))
    write_tracks(tmp_path / "some", tracks[1:])
    read_back = read_tracks(tmp_path / "some")
    assert [(t.row, t.index, t.identifier) for t in read_back] == [(0, 1, "b"), (1, 2, "c")]


def test_a_head_without_a_table_has_numbered_tracks() -> None:
    tracks = build_default_tracks(3)
    assert [(t.row, t.index) for t in tracks] == [(0, 0), (1, 1), (2, 2)]
    assert len({t.identifier for t in tracks}) == 3
    assert_unique_and_safe([t.file_name for t in tracks])


# File names


def assert_unique_and_safe(names: list[str]) -> None:
    assert Counter(name.lower() for name in names).most_common(1)[0][1] == 1
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name), name
        # space for a model's name and an ending within the 255 bytes of a file system
        assert len(name) <= 180


HOSTILE = [
    *(
        "../x",
        "..",
        ".",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "~",
        "$HOME",
        "*",
        "{model}",
        "'; rm -rf",
        "-rf",
    ),
    *("a b", "a\tb", "a\0b", "é", "中文", "", "+", "-", "CON", "%2e%2e", "_", "._"),
    *("a+", "a-", "a.plus", "A", "a", "a.0", "A.1", "a_1", "a_2", "x" * 300, "x" * 300, "X" * 300),
]


def test_hostile_identifiers_get_unique_and_safe_names() -> None:
    assert_unique_and_safe(assign_file_names(enumerate(HOSTILE)))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9),
            st.sampled_from(HOSTILE) | st.text("aA.01_+-", max_size=5) | st.text(max_size=400),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_identifiers_get_unique_and_safe_names(tracks: list[tuple[int, str]]) -> None:
    names = assign_file_names(tracks)
    assert len(names) == len(tracks)
    assert_unique_and_safe(names)


def test_a_safe_identifier_is_the_file_name() -> None:
    assert assign_file_names([(0, "ENCFF833POA"), (1, "GTEX-132QS.1")]) == [
        "ENCFF833POA",
        "GTEX-132QS.1",
    ]


def test_names_of_a_pair_spell_out_the_strands() -> None:
    plus, minus = assign_file_names([(0, "CNhs1+"), (1, "CNhs1-")])
    assert "plus" in plus
    assert "minus" in minus
