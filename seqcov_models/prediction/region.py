"""Predict regions in memory, with the values that the workflow would write."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from seqcov_models.bigwig.writer import write_bigwig
from seqcov_models.errors import SeqcovError
from seqcov_models.files import make_cache_folder, write_atomically
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.genome.regions import Interval, parse_regions
from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.profiles import ProfileModel
from seqcov_models.prediction.contig_profiles import (
    is_window_independent,
    predict_segment_profiles,
)
from seqcov_models.prediction.coverage import predict_segment
from seqcov_models.prediction.ensemble import Ensemble, ProfileEnsemble
from seqcov_models.sequence import Coverage, Floats
from seqcov_models.tiling import Tiling, count_bins, select_bins, tile
from seqcov_models.tracks.table import Track, assign_file_names

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class RegionPrediction:
    """Coverage of neighbouring bins of one contig.

    Attributes:
        contig: Name in the FASTA.
        start: Start of the first bin in bp, 0-based.
        end: End of the last bin in bp, exclusive; the contig's last bin may be shorter.
        bin: bp per bin.
        values: (bins, tracks) ``float32`` in the units of the tracks; NaN for a bin without a
            value.
        tracks: The columns of `values`. An ensemble with standard deviations lists the tracks
            twice: first for the means, then for the standard deviations.
        contigs: Lengths in bp of all contigs of the genome, by name.

    Example:
        >>> coverage = predict_region(model, "hg38.fa", "chr1:1,000,001-1,400,000")
        >>> coverage.values.max(0)  # the highest value of each track
    """

    contig: str
    start: int
    end: int
    bin: int
    values: Coverage
    tracks: Sequence[Track]
    contigs: Mapping[str, int]

    @property
    def names(self) -> list[str]:
        """The name of each column of `values`: the track's identifier; .sd: its deviation."""
        names = [track.identifier for track in self.tracks]
        rows = [track.row for track in self.tracks]
        means = rows.index(rows[0], 1) if rows[0] in rows[1:] else len(rows)
        return names[:means] + [f"{name}.sd" for name in names[means:]]

    def to_dataframe(self) -> "DataFrame":
        """Return the prediction as a table with one row per bin.

        Returns:
            The columns `contig`, `start` and `end` (bp, 0-based half-open, as in BED), then one
            column per track, named by its identifier (`.sd` after it: the standard deviation).

        Example:
            >>> predict_region(model, "hg38.fa", "chr1:1,000,001-1,400,000").to_dataframe()
        """
        from pandas import DataFrame

        starts = np.arange(self.start, self.end, self.bin)
        ends = np.minimum(starts + self.bin, self.end)
        frame = DataFrame(self.values, columns=self.names)
        frame.insert(0, "contig", self.contig)
        frame.insert(1, "start", starts)
        frame.insert(2, "end", ends)
        return frame

    def to_bigwig(self, folder: str | Path) -> list[Path]:
        """Write one bigWig per track; see `write_bigwigs`, which writes several regions.

        Args:
            folder: The folder to write to, which is created.

        Returns:
            The files, in the order of `tracks`.

        Raises:
            SeqcovError: If a file cannot be written.

        Example:
            >>> predict_region(model, "hg38.fa", "chr1:1,000,001-1,400,000").to_bigwig("out")
        """
        return write_bigwigs([self], folder)


def write_bigwigs(predictions: Sequence[RegionPrediction], folder: str | Path) -> list[Path]:
    """Write predicted regions as one bigWig per track.

    Args:
        predictions: Regions of one genome, predicted by one model, in any order. They may overlap.
        folder: The folder to write to, which is created.

    Returns:
        The files, named by the tracks' identifiers, in the order of the tracks.

    Raises:
        SeqcovError: If there is no region, or a file cannot be written.

    Example:
        >>> write_bigwigs(predict_region(model, "hg38.fa", ["loci.bed"]), "out")
    """
    if not predictions:
        raise SeqcovError("the list of regions is empty; give at least one")
    first = predictions[0]
    numbers = {contig: number for number, contig in enumerate(first.contigs)}
    ordered = sorted(predictions, key=lambda p: (numbers[p.contig], p.start, -p.end))
    names = assign_file_names(enumerate(first.names))
    Path(folder).mkdir(parents=True, exist_ok=True)
    files = [Path(folder) / f"{name}.bw" for name in names]
    for column, file in enumerate(files):
        write_bigwig(file, first.contigs, first.bin, _runs(ordered, column))
    return files


def save_regions(predictions: Sequence[RegionPrediction], path: Path) -> None:
    """Write predicted regions as a file of numpy arrays.

    The arrays are `contigs`, `starts`, `ends` (regions,), `bin`, `tracks` (tracks,), and
    `values_0`, `values_1` and so on, (bins, tracks) of each region.

    Args:
        predictions: Regions of one genome, predicted by one model.
        path: The file .npz to write, whose folder is created.

    Raises:
        SeqcovError: If the file cannot be written.

    Example:
        >>> np.load("loci.npz")["values_0"].shape
        (625, 8)
    """
    arrays = {
        "contigs": np.array([item.contig for item in predictions]),
        "starts": np.array([item.start for item in predictions]),
        "ends": np.array([item.end for item in predictions]),
        "bin": np.array(predictions[0].bin),
        "tracks": np.array(predictions[0].names),
        **{f"values_{number}": item.values for number, item in enumerate(predictions)},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as part, part.open("wb") as handle:
        np.savez(handle, allow_pickle=False, **arrays)


def _runs(
    predictions: Sequence[RegionPrediction], column: int
) -> Iterator[tuple[str, int, Floats]]:
    """Yield the values of one column without gaps: contig, first bin, values.

    Bins that an earlier region has are left out: their values are the same.
    """
    contig, end = "", 0
    for prediction in predictions:
        if prediction.contig != contig:
            contig, end = prediction.contig, 0
        first = prediction.start // prediction.bin
        values = prediction.values[max(end - first, 0) :, column]
        first = max(first, end)
        edges = np.flatnonzero(np.diff(np.isfinite(values), prepend=False, append=False))
        for begin, stop in edges.reshape(-1, 2).tolist():
            yield contig, first + begin, np.ascontiguousarray(values[begin:stop])
        end = max(end, first + len(values))


@overload
def predict_region(  # type: ignore[overload-overlap]  # text is also a sequence of texts
    model: CoverageModel | Ensemble | ProfileEnsemble,
    fasta: str | Path,
    region: str,
    *,
    overlap: float = ...,
    blend: str = ...,
    stride: int | None = ...,
    min_acgt: float = ...,
    batch_size: int = ...,
    precision: str = ...,
) -> RegionPrediction: ...
@overload
def predict_region(
    model: CoverageModel | Ensemble | ProfileEnsemble,
    fasta: str | Path,
    region: Path | Sequence[str | Path],
    *,
    overlap: float = ...,
    blend: str = ...,
    stride: int | None = ...,
    min_acgt: float = ...,
    batch_size: int = ...,
    precision: str = ...,
) -> list[RegionPrediction]: ...
def predict_region(
    model: CoverageModel | Ensemble | ProfileEnsemble,
    fasta: str | Path,
    region: str | Path | Sequence[str | Path],
    *,
    overlap: float = 0.0,
    blend: str = "crop",
    stride: int | None = None,
    min_acgt: float = 0.0,
    batch_size: int = 1,
    precision: str = "float32",
) -> RegionPrediction | list[RegionPrediction]:
    """Predict the bins that a region, or each of several, touches.

    The windows are those of the whole contig, so the values are those that the workflow writes with
    the same settings. `overlap`, `blend`, `min_acgt` and `precision` are those of the config's
    `prediction`. A window that reaches beyond a contig's end reads N there.

    Args:
        model: A network with its tracks, or an ensemble, as `load_model` returns them.
        fasta: The genome. A missing index is written beside it, or into ~/.cache/seqcov if the
            genome's folder is read-only. Plain gzip is unpacked there once.
        region: A contig, or ``contig:start-end`` as browsers write it: counted from 1, end
            included, commas allowed. Several as a list, or a BED file as a path or in a list.
        overlap: Fraction of a core that neighbouring cores share, 0 … 0.9.
        blend: Value of a bin that several cores cover: ``crop``, ``mean`` or ``taper``.
        stride: Of a network of profiles, instead of both: windows begin every so many bp, and a
            base has the mean of the windows that cover it. By default a quarter of a profile.
        min_acgt: Least fraction of A, C, G and T in a window that counts, 0 … 1.
        batch_size: Windows per forward pass; values do not depend on it.
        precision: ``float32`` (exact), ``tf32`` (GPU only) or ``bfloat16``.

    Returns:
        The prediction, with values of shape (bins, tracks); for a list or a BED file one per
        interval, in their order. A window that several intervals need is predicted once.

    Raises:
        SeqcovError: If the FASTA cannot be read, the region is not on it, overlap and blend
            contradict, the stride is longer than a profile, or the network's output is NaN or
            infinite.
        TypeError: If the region is not text, a path or a list of these.

    Example:
        >>> model = load_model("borzoi", "demo/borzoi")
        >>> coverage = predict_region(model, "demo/genome.fa", "chrA:100,001-120,000")
        >>> coverage.start, coverage.end, coverage.bin, coverage.values.shape
        (100000, 120000, 32, (625, 8))
    """
    if isinstance(model, ProfileModel):
        model = ProfileEnsemble([model])
    ensemble = Ensemble([model]) if isinstance(model, CoverageModel) else model
    if isinstance(ensemble, ProfileEnsemble):
        tiling = Tiling.from_stride(ensemble.geometry, stride)
    elif stride is not None:
        raise SeqcovError(f"stride: only networks of profiles have it; set overlap, not {stride}")
    else:
        tiling = Tiling.from_overlap(ensemble.geometry, overlap, blend)
    entries = [region] if isinstance(region, str | Path) else region
    if not all(isinstance(entry, str | Path) for entry in entries):
        raise TypeError(f"region {region!r}: give text as chr1:1-1,000, a path or a list of these")
    genome = Genome(open_fasta(fasta, make_cache_folder() / "genomes"))
    try:
        intervals = parse_regions([str(entry) for entry in entries], genome.contigs)
        if isinstance(region, str) and len(intervals) != 1:
            raise SeqcovError(
                f"region {region!r} is a file of {len(intervals):,} intervals; give it as a list,"
                f" [{region!r}], which returns a list"
            )
        predictions = _predict_intervals(
            ensemble, tiling, genome, intervals, batch_size, precision, min_acgt
        )
    finally:
        genome.close()
    return predictions[0] if isinstance(region, str) else predictions


def _predict_intervals(
    ensemble: Ensemble | ProfileEnsemble,
    tiling: Tiling,
    genome: Genome,
    intervals: Sequence[Interval],
    batch_size: int,
    precision: str,
    min_acgt: float,
) -> list[RegionPrediction]:
    """Predict the bins that each interval touches, in the order of the intervals."""
    size, lengths = tiling.geometry.bin, genome.contigs
    selected = select_bins(lengths, size, intervals, [])
    tracks = ensemble.tracks * (ensemble.columns // len(ensemble.tracks))
    predictions: dict[int, RegionPrediction] = {}
    for segment in tile(lengths, tiling, selected):
        pieces = (
            predict_segment_profiles(
                ensemble, tiling, genome, segment, precision=precision, min_acgt=min_acgt
            )
            if is_window_independent(ensemble)
            else predict_segment(ensemble, tiling, genome, segment, batch_size, precision, min_acgt)
        )
        values = np.concatenate([piece for _, piece, _ in pieces])
        offset = segment.first_window * tiling.step
        for number, (contig, start, end) in enumerate(intervals):
            first, last = start // size, count_bins(end, size)
            if contig == segment.contig and offset <= first < offset + segment.bins:
                predictions[number] = RegionPrediction(
                    contig,
                    first * size,
                    min(last * size, lengths[contig]),
                    size,
                    values[first - offset : last - offset].copy(),
                    tracks,
                    lengths,
                )
    return [predictions[number] for number in range(len(intervals))]
