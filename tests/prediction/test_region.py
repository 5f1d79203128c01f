"""`load_model` and `predict_region` as users call them: regions, lists, BED files, bigWigs."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from seqcov_models import (
    Ensemble,
    ProfileEnsemble,
    SeqcovError,
    load_model,
    predict_region,
    write_bigwigs,
)
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.prediction.load import load_ensemble, load_profile_ensemble
from seqcov_models.tracks.units import Untransform
from support.calico import write_stranded_fold
from support.data import REPOSITORY
from support.fasta import build_fasta, write_fasta, write_gzip

SIZES = {"a": 3_000, "b": 901}
ROUNDING = 24 * 2**-24  # a mean of n float32 numbers errs by at most n roundings


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("weights")
    return [write_stranded_fold(folder / f"fold{number}", number + 1) for number in range(2)]


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a genome whose contig a has unknown bases in the middle."""
    rng = np.random.default_rng(8)
    contigs = {name: "".join(rng.choice(list("ACGT"), size)) for name, size in SIZES.items()}
    contigs["a"] = contigs["a"][:1_200] + "N" * 200 + contigs["a"][1_400:]
    return write_fasta(tmp_path_factory.mktemp("genome") / "genome.fa", contigs)


def draw(length: int) -> str:
    return "".join(np.random.default_rng(1).choice(list("ACGT"), length))


@pytest.mark.parametrize(("overlap", "blend"), [(0.0, "crop"), (0.5, "mean")])
def test_regions_equal_the_same_bins_of_their_contig(
    folders: list[Path], fasta: Path, tmp_path: Path, overlap: float, blend: str
) -> None:
    model = load_model(
        "borzoi", folders[0], tracks=["id0+", "id1-", "id2"], reverse_complement=True,
        standard_deviation=True,
    )  # fmt: skip
    contigs = {
        name: predict_region(model, fasta, name, overlap=overlap, blend=blend) for name in SIZES
    }
    (tmp_path / "loci.bed").write_text("a\t1000\t1300\nb\t0\t901\na\t0\t1\n")
    entries = ["a:1,001-1,300", "b", "a:1-1", "a:2,999-3,000", str(tmp_path / "loci.bed")]
    intervals = [("a", 1_000, 1_300), ("b", 0, 901), ("a", 0, 1), ("a", 2_998, 3_000)]
    predictions = predict_region(model, fasta, entries, overlap=overlap, blend=blend)
    assert len(predictions) == len(intervals) + 3
    for (contig, start, end), prediction in zip(
        intervals + intervals[:3], predictions, strict=True
    ):
        size = prediction.bin
        first, last = start // size, -(-end // size)
        assert (prediction.contig, prediction.start) == (contig, first * size)
        assert prediction.end == min(last * size, SIZES[contig])
        np.testing.assert_allclose(prediction.values, contigs[contig].values[first:last], rtol=1e-6)
        frame = prediction.to_dataframe()
        names = ["id0+", "id1-", "id2", "id0+.sd", "id1-.sd", "id2.sd"]
        assert list(frame.columns) == ["contig", "start", "end", *names]
        assert frame["end"].iloc[-1] == prediction.end
        assert len(frame) == last - first
    single = predict_region(model, fasta, entries[0], overlap=overlap, blend=blend)
    np.testing.assert_array_equal(single.values, predictions[0].values)
    bed = predict_region(model, fasta, tmp_path / "loci.bed", overlap=overlap, blend=blend)
    assert [item.contig for item in bed] == ["a", "b", "a"]


def test_windows_of_several_regions_are_predicted_once(
    folders: list[Path], fasta: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model("borzoi", folders[0], shifts=[0, 0])
    windows: list[int] = []
    compute = Ensemble.compute_coverage

    def count(self: Ensemble, batch: object, precision: str = "float32") -> object:
        windows.append(len(batch))  # type: ignore[arg-type]
        return compute(self, batch, precision)  # type: ignore[arg-type]

    monkeypatch.setattr(Ensemble, "compute_coverage", count)
    assert isinstance(model, Ensemble)
    predict_region(model, fasta, ["b:1-10", "b:5-20", "b:2-3"])
    assert sum(windows) == 1


def test_bigwigs_of_regions_have_their_values(
    folders: list[Path], fasta: Path, tmp_path: Path
) -> None:
    model = load_model("borzoi", folders[0], tracks=["id0+", "id2"])
    predictions = predict_region(model, fasta, ["b:300-700", "a:1,000-1,600", "a:900-1,100", "b"])
    files = write_bigwigs(predictions, tmp_path / "deeper/out")
    assert [file.name for file in files] == ["id0.plus.bw", "id2.bw"]
    for column, file in enumerate(files):
        expected = {name: np.full(size, np.nan, np.float32) for name, size in SIZES.items()}
        for item in predictions:
            bases = np.repeat(item.values[:, column], item.bin)[: item.end - item.start]
            expected[item.contig][item.start : item.end] = bases
        with pyBigWig.open(str(file)) as bigwig:
            assert bigwig.chroms() == SIZES
            for name, values in expected.items():
                written = bigwig.values(name, 0, SIZES[name], numpy=True)
                np.testing.assert_array_equal(written, values)
        assert np.isnan(expected["a"][1_216:1_376]).all(), "unknown bases have no value"
    assert predictions[0].to_bigwig(tmp_path / "one")[1].is_file()
    with pytest.raises(SeqcovError, match="the list of regions is empty"):
        write_bigwigs([], tmp_path)


def test_load_model_combines_folds_as_the_config_does(folders: list[Path], fasta: Path) -> None:
    folds = [recognise("borzoi", folder) for folder in folders]
    tracks = [folds[0].tracks[3], folds[0].tracks[5]]
    expected = load_ensemble(
        folds, tracks, reverse_complement=True, shifts=[-1, 0, 1],
        untransform=Untransform(tracks, "new"), standard_deviation=True,
    )  # fmt: skip
    for weights in (folders, str(folders[0].parent / "fold*")):
        model = load_model(
            "borzoi", weights, tracks=["id3+", "id5"], reverse_complement=True,
            shifts=[-1, 0, 1], scale="raw", standard_deviation=True,
        )  # fmt: skip
        np.testing.assert_array_equal(
            predict_region(model, fasta, "b").values, predict_region(expected, fasta, "b").values
        )
    old = load_model("borzoi", folders[0], tracks=["id5"], scale="raw", transform="old")
    raw = load_model("borzoi", folders[0], tracks=["id5"]).predict(draw(512))[..., 0]
    scaled = np.minimum(raw / 0.5, 2) + np.maximum(raw / 0.5 - 2, 0) ** 2
    expected_raw = scaled ** (4 / 3)
    np.testing.assert_allclose(old.predict(draw(512))[..., 0], expected_raw, rtol=8 * ROUNDING)


def test_load_model_combines_profiles(goldens: object) -> None:
    folder = goldens("bpnet_lite")  # type: ignore[operator]
    fold = recognise("bpnetlite", folder)
    model = load_model("bpnetlite", folder, reverse_complement=True, counts="expm1")
    assert isinstance(model, ProfileEnsemble)
    expected = load_profile_ensemble([fold], fold.tracks, reverse_complement=True, expm1=True)
    window = draw(model.geometry.window)
    np.testing.assert_array_equal(model.predict(window), expected.predict([window]))
    for name, value in {"shifts": [1], "scale": "raw", "standard_deviation": True}.items():
        with pytest.raises(SeqcovError, match=f"{name}: bpnetlite predicts profiles; leave it out"):
            load_model("bpnetlite", folder, **{name: value})  # type: ignore[call-overload]


def test_mistakes_in_python_are_named(folders: list[Path], fasta: Path, tmp_path: Path) -> None:
    model = load_model("borzoi", folders[0], tracks=["id2"])
    window = draw(model.geometry.window)
    np.testing.assert_array_equal(model.predict(window), model.predict([window]))
    for value in ([12], [None], [window.encode()]):
        with pytest.raises(TypeError, match=r"sequence 0 is of type \w+; give text of the letters"):
            model.predict(value)  # type: ignore[arg-type]
    ensemble = Ensemble([model])
    with pytest.raises(TypeError, match=r"codes are int64 of shape \(3,\); give uint8"):
        ensemble.predict(np.arange(3))  # type: ignore[arg-type]
    (tmp_path / "two.bed").write_text("a\t0\t10\nb\t0\t10\n")
    with pytest.raises(SeqcovError, match="is a file of 2 intervals; give it as a list"):
        predict_region(model, fasta, str(tmp_path / "two.bed"))
    with pytest.raises(TypeError, match=r"region \[\('a', 0, 10\)\]: give text as chr1:1-1,000"):
        predict_region(model, fasta, [("a", 0, 10)])  # type: ignore[list-item]
    for name, value in {"scale": "sqrt", "counts": "log"}.items():
        with pytest.raises(SeqcovError, match=f"{name}[ :]"):
            load_model("borzoi", folders[0], **{name: value})  # type: ignore[call-overload]
    with pytest.raises(SeqcovError, match=r"this is the fold .* again"):
        load_model("borzoi", [folders[0], folders[0]])
    with pytest.raises(SeqcovError, match="standard_deviation: it needs more than one prediction"):
        load_model("borzoi", folders[0], standard_deviation=True)


def test_importing_the_package_makes_waiting_threads_sleep() -> None:
    """Spinning threads made one region beside other work 14 times slower."""
    code = "import seqcov_models, os; print(os.environ['OMP_WAIT_POLICY'])"
    for given, expected in ((None, "passive"), ("active", "active")):
        environment = {} if given is None else {"OMP_WAIT_POLICY": given}
        process = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, env=environment, text=True,
            capture_output=True, check=True,
        )  # fmt: skip
        assert process.stdout.strip() == expected


def test_a_planted_copy_of_a_genome_is_not_used(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can write a folder `seqcov` with an unpacked genome into a shared temporary one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    path = write_gzip(tmp_path, build_fasta({"a": "ACGT" * 75}))
    planted = write_fasta(tmp_path / "tmp/seqcov/genome.fa.unpacked.fa", {"b": "TGCA" * 75})
    source = f"{path.resolve()}\t{path.stat().st_size}\t{path.stat().st_mtime_ns}\n"
    planted.with_name(f"{planted.name}.source").write_text(source)
    model = load_model("borzoi", folders[0])
    assert predict_region(model, path, "a").contig == "a"
    assert (tmp_path / "cache/seqcov/genomes/genome.fa.unpacked.fa").is_file()
