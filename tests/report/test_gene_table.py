"""The table of genes, against the same sums computed base by base from the bigWigs."""

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyBigWig
import pytest

from seqcov_models.bigwig.writer import write_bigwig
from seqcov_models.errors import SeqcovError
from seqcov_models.genome.annotation import Gene
from seqcov_models.report import gene_table
from seqcov_models.report.gene_table import write_gene_table
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.planner import plan_run
from seqcov_models.tracks.labels import label_tracks, name_track
from support.plans import complete, write_genome, write_weights

GENOME = {"chr1": 9_000, "chr2": 4_003, "bare": 900}
BIN = 4
"""Bases per bin of `plans.TINY`."""
TABLE = [
    ("rna+", 8, 4, 0.5, "sum_sqrt", 1, "RNA:liver"),
    ("rna-", 8, 4, 0.5, "sum_sqrt", 0, "RNA:liver"),
    ("dnase", 32, 16, 2.0, "mean", 2, "DNASE:liver"),
    ("cage+", 64, 32, 1.0, "sum", 4, "CAGE:K562"),
    ("cage-", 64, 32, 1.0, "sum", 3, "CAGE:K562"),
    ("chip", 32, 16, 0.1, "sum_exp75", 5, "CHIP:CTCF:K562"),
    ("atac", 32, 16, 1.0, "sum", 6, "ATAC:HepG2"),
]
"""identifier, clip, clip_soft, scale, sum_stat, strand_pair, description."""
COLUMNS = ["identifier", "clip", "clip_soft", "scale", "sum_stat", "strand_pair", "description"]
GENES = [
    Gene("g1", "a", "chr1", 10, 2_000, "+", ((10, 11), (13, 59), (400, 1_203), (1_999, 2_000))),
    Gene("g2", "b", "chr1", 41, 8_999, "-", ((41, 42), (1_000, 1_100), (8_000, 8_999))),
    Gene("g3", "c", "chr1", 402, 404, ".", ((402, 404),)),
    Gene("g4", "d", "chr2", 3_900, 4_003, "+", ((3_900, 4_003),)),
    Gene("g5", "e", "bare", 5, 800, "-", ((5, 300), (400, 800))),
    Gene("g6", "f", "chr1", 1_100, 1_400, ".", ((1_100, 1_400),)),
]
Bases = dict[str, npt.NDArray[np.float64]]


def plan(folder: Path, scale: str, transform: str | None) -> RunPlan:
    """Plan a run of a Borzoi with this scale and transform, and write made bigWigs for it."""
    weights = write_weights(folder / "weights")
    rows = [f"{row}\t" + "\t".join(map(str, cells)) + "\n" for row, cells in enumerate(TABLE)]
    (weights / "targets.txt").write_text("\t".join(["", *COLUMNS]) + "\n" + "".join(rows))
    config = complete(
        {
            "output": str(folder / "results"),
            "genome": {"name": "tiny", "fasta": str(write_genome(folder / "genome.fa", GENOME))},
            "models": {
                "borzoi": {
                    "architecture": "borzoi",
                    "weights": str(weights),
                    "scale": scale,
                    "tracks": [row[0] for row in TABLE if row[0] != "cage-"],
                }
                | ({"transform": transform} if transform else {})
            },
            "prediction": {"device": "cpu"},
        }
    )
    run = plan_run(config)
    draw = np.random.default_rng(5)
    for bigwig in run.models["borzoi"].bigwigs:
        if bigwig.track.row < 0:
            continue
        path = run.paths.bigwig("borzoi", bigwig.group, bigwig.track.file_name)
        path.parent.mkdir(parents=True, exist_ok=True)
        runs = []
        for name in ("chr1", "chr2"):
            values = draw.gamma(0.5, 12, -(-GENOME[name] // BIN)).astype(np.float32)
            runs += [(name, 0, values[:100]), (name, 106, values[106:])]  # a gap from base 400 on
        write_bigwig(path, GENOME, BIN, runs)
    return run


def table_of_tracks(run: RunPlan) -> list[dict[str, str]]:
    """Return the columns of the run's table of tracks that matter here."""
    rows = []
    for bigwig in run.models["borzoi"].bigwigs:
        path = run.paths.bigwig("borzoi", bigwig.group, bigwig.track.file_name)
        rows.append(
            {"model": "borzoi", "group": bigwig.group, "index": str(bigwig.track.index),
             "identifier": bigwig.track.identifier, "description": bigwig.track.description,
             "file": path.relative_to(run.paths.folder).as_posix(), "bin": str(BIN)}
            | name_track(bigwig.track, "borzoi", bigwig.group)._asdict()
        )  # fmt: skip
    return [row | {"label": text} for row, text in zip(rows, label_tracks(rows), strict=True)]


def untransform(value: float, row: int, transform: str) -> float:
    """Undo the transform of a track, as calico's papers and code describe it."""
    _, _, clip, scale, statistic, _, _ = TABLE[row]
    if transform == "scale":
        return value / scale
    if transform == "old":
        value /= scale
        if value > clip:
            value = clip + (value - clip) ** 2
        return value ** (4 / 3) if statistic.endswith("_sqrt") else value
    if value > clip:
        value = (value - clip + 1) ** 2 + clip - 1
    if statistic.endswith("_sqrt"):
        value = (value + 1) ** 2 - 1
    if statistic.endswith("_exp75"):
        value = (value + 1) ** (4 / 3) - 1
    return value / scale


def expect(
    run: RunPlan, genes: list[Gene], transform: str | None, statistic: str
) -> list[list[float]]:
    """Compute the table base by base; columns are strand pairs, in the order of the tracks."""
    tracks: dict[int, Bases] = {}
    for bigwig in run.models["borzoi"].bigwigs:
        row = bigwig.track.row
        if row < 0:
            continue
        path = run.paths.bigwig("borzoi", bigwig.group, bigwig.track.file_name)
        with pyBigWig.open(str(path)) as file:
            bases = {name: file.values(name, 0, size) for name, size in GENOME.items()}
        per_base = 1 / BIN if TABLE[row][4].startswith("sum") else 1
        tracks[row] = {
            name: np.array(
                [(untransform(v, row, transform) if transform else v) * per_base for v in values]
            )
            for name, values in bases.items()
        }
    table = []
    for gene in genes:

        def total(row: int, gene: Gene = gene) -> float:
            values = np.concatenate([tracks[row][gene.contig][a:b] for a, b in gene.exons])
            values = values[~np.isnan(values)]
            if not len(values):
                return np.nan
            return float(values.sum() if statistic == "sum" else values.mean())

        def pair(plus: int, minus: int | None, gene: Gene = gene) -> float:
            values = {"+": total(plus), "-": np.nan if minus is None else total(minus)}
            return values.get(gene.strand, values["+"] + values["-"])

        table.append([pair(0, 1), total(2), pair(3, None), total(5), total(6)])
    return table


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table."""
    with gzip.open(path, "rt") as file:
        header, *rows = [line.rstrip("\n").split("\t") for line in file]
    return header, rows


@pytest.mark.parametrize(
    ("scale", "transform", "statistic"),
    [("model", "old", "sum"), ("model", "new", "mean"), ("model", "scale", "sum"),
     ("raw", "old", "sum"), ("model", None, "mean")],
)  # fmt: skip
def test_values_are_raw_sums_or_means_over_the_bases_of_exons(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scale: str,
    transform: str | None,
    statistic: str,
) -> None:
    """Also in pieces of a few bins, and for a strand that was not predicted."""
    run = plan(tmp_path, scale, transform)
    undone = (transform or "new") if scale == "model" else None
    expected = expect(run, GENES, undone, statistic)
    assert np.isnan(expected[4]).all()
    assert np.nanmax(expected) > 5 * np.nanmedian(expected)
    for number, (piece, cells) in enumerate([(1 << 20, 1 << 20), (7, 11)]):
        monkeypatch.setattr(gene_table, "PIECE", piece)
        monkeypatch.setattr(gene_table, "CELLS", cells)
        path = tmp_path / f"{number}.tsv.gz"
        write_gene_table(path, run, table_of_tracks(run), GENES, statistic, threads=2)
        header, rows = read(path)
        assert len(header) == 7 + 5, "a strand pair is one column"
        values = np.array([[float(cell or "nan") for cell in row[7:]] for row in rows])
        np.testing.assert_allclose(values, expected, rtol=1e-6)
        assert [row[:7] for row in rows] == [
            [gene.identifier, gene.name, gene.contig, str(gene.start), str(gene.end), gene.strand,
             str(sum(end - start for start, end in gene.exons))]
            for gene in GENES
        ]  # fmt: skip


def test_a_damaged_bigwig_is_named(tmp_path: Path) -> None:
    run = plan(tmp_path, "model", "old")
    (path,) = run.paths.folder.rglob("*dnase.bw")
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(SeqcovError, match=r"dnase\.bw: damaged bigWig"):
        write_gene_table(tmp_path / "t", run, table_of_tracks(run), GENES, "sum")
    assert not (tmp_path / "t").exists()
