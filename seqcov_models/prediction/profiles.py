"""Predict base-resolution profiles at peaks: BPNet's windows in batches, stitched into bases.

A value is the profile's fraction at a base times the reads of its window, for each task and strand.
Strands of the sequence and folds are averaged before that product, each factor in the space in
which it was trained: fractions as probabilities, reads as log(1 + reads). An average is therefore
again a profile that sums to 1, and the total of its window is the number in the table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from seqcov_models.genome.fasta import Genome
from seqcov_models.networks.shared.profiles import reads_per_base
from seqcov_models.peaks.windows import PeakChunk, Windows
from seqcov_models.prediction.batches import read_batches
from seqcov_models.prediction.blending import PeakOverlap
from seqcov_models.prediction.devices import too_low_precision, use_precision
from seqcov_models.prediction.ensemble import ProfileEnsemble
from seqcov_models.prediction.timings import Seconds
from seqcov_models.sequence import UNKNOWN, Codes, Floats, Mask
from seqcov_models.tiling import BinIntervals, Geometry, is_inside

BLOCK = 1 << 18
"""Bases that one call reads from the FASTA at most, for all peaks that lie within them."""


@dataclass(frozen=True)
class ProfileBatch:
    """The values and statistics that one batch of windows adds to a chunk.

    Attributes:
        windows: Number of windows that were predicted.
        column: First column of the chunk's file to which `values` belong.
        values: Reads per base of the columns that are now complete, (bases, tracks) ``float32``.
        row: Row of the chunk's tables to which the first of `statistics` belongs.
        statistics: The columns of `statistic_names` for the chunk's windows in this batch,
            (windows, columns) ``float64``.
        profiles: Reads per base of each of these windows alone, (windows, length, tasks, strands).
    """

    windows: int
    column: int
    values: Floats
    row: int
    statistics: Floats
    profiles: Floats


def predict_profiles(
    ensemble: ProfileEnsemble,
    genome: Genome,
    windows: Windows,
    chunk: PeakChunk,
    selected: Mapping[str, BinIntervals],
    *,
    overlap: str = "nearest",
    expm1: bool = False,
    batch_size: int = 32,
    precision: str = "float32",
    min_acgt: float = 0.0,
    first: int = 0,
    seconds: Seconds | None = None,
) -> Iterator[ProfileBatch]:
    """Yield the values and statistics of a chunk's windows, batch by batch.

    A base other than A, C, G or T has no value: it is NaN. So is a base that is covered only by
    windows with less than the fraction `min_acgt` of A, C, G and T. For such a window, and for one
    without any A, C, G or T, the only statistic is the fraction of unknown bases.

    Args:
        ensemble: The network or networks.
        genome: The sequence.
        windows: All windows of the run, in order.
        chunk: The windows to predict, and the bases that get a value.
        selected: Intervals of bases to predict, by contig, 0-based half-open.
        overlap: Value of a base that several windows cover: ``nearest`` (of the window with the
            nearest summit; of two equally near, the left one), ``mean`` or ``max``.
        expm1: Whether reads are exp(log counts) − 1 instead of exp(log counts).
        batch_size: Windows per forward pass; values do not depend on it.
        precision: float32, tf32 or bfloat16.
        min_acgt: Least fraction of A, C, G and T in a window that counts, 0 … 1.
        first: Number of covering windows of the chunk that are left out because no value is missing
            that depends on them, a multiple of the batch size.
        seconds: Receives the time spent in each stage.

    Yields:
        The values and statistics that each batch adds; see `ProfileBatch`.

    Raises:
        SeqcovError: If the network's output is NaN or infinite, the sequence cannot be read, or
            `overlap` is unknown.

    Example:
        >>> windows = read_windows(Path("peaks.bed"), genome.contigs, by_strand=False)
        >>> (chunk,) = split_windows(windows, genome.contigs, ensemble.geometry, 1)
        >>> selected = select_bins(genome.contigs, 1, None, [])
        >>> for batch in predict_profiles(ensemble, genome, windows, chunk, selected):
        ...     print(batch.values.shape)
    """
    seconds = seconds or Seconds()
    geometry = ensemble.geometry
    remaining = chunk.covering_windows[first:]
    begin = chunk.columns_before(remaining.start)
    blend = PeakOverlap(overlap, ensemble.config.num_labels, begin)

    def read(batch: range) -> Codes:
        return _read_windows(genome, windows.select(batch), geometry)

    for batch, codes in read_batches(remaining, batch_size, read, seconds):
        batch_windows = windows.select(batch)
        known = codes != UNKNOWN
        unknown = 1 - known.mean(1)
        is_predicted = known.any(1) & (unknown <= 1 - min_acgt)
        core_known = known[:, geometry.context : geometry.context + geometry.core]
        with seconds.measure("model"):
            profiles, statistics = _predict_batch(
                ensemble, codes, batch_windows.minus, expm1, precision
            )
        _check_finite(profiles, batch_windows, list(genome.contigs), precision)
        with seconds.measure("stitching"):
            has_value = core_known & _is_selected(genome, batch_windows, geometry, selected)
            _stitch(blend, chunk, batch, profiles, has_value, is_predicted)
            column, values = blend.take(chunk.columns_before(batch.stop))
            maxima = _find_maxima(batch_windows, geometry, profiles, core_known)
            statistics = np.concatenate([unknown[:, None], statistics, maxima], 1)
            statistics[~is_predicted, 1:] = np.nan
        low = min(max(chunk.windows.start, batch.start), batch.stop)
        high = max(min(chunk.windows.stop, batch.stop), low)
        rows = slice(low - batch.start, high - batch.start)
        row = max(0, low - chunk.windows.start)
        yield ProfileBatch(len(batch), column, values, row, statistics[rows], profiles[rows])


def _read_windows(genome: Genome, windows: Windows, geometry: Geometry) -> Codes:
    """Read the codes of windows, (windows, window); of close windows with one call."""
    names = list(genome.contigs)
    contig, starts = windows.contig, windows.summit - geometry.window // 2
    codes = np.empty((len(windows), geometry.window), np.uint8)
    first = 0
    while first < len(windows):
        start = starts[first]
        near = (contig[first:] == contig[first]) & (starts[first:] < start + BLOCK)
        stop = first + int(np.argmin(near)) if not near.all() else len(windows)
        block = genome.fetch(
            names[contig[first]], int(start), int(starts[stop - 1]) + geometry.window
        )
        views = np.lib.stride_tricks.sliding_window_view(block, geometry.window)
        codes[first:stop] = views[starts[first:stop] - start]
        first = stop
    return codes


def _predict_batch(
    ensemble: ProfileEnsemble, codes: Codes, minus: Mask, expm1: bool, precision: str
) -> tuple[Floats, Floats]:
    """Return values (windows, length, tasks, strands), and statistics up to the entropy."""
    use_precision(precision, ensemble.device)

    def predict(rows: range) -> tuple[Floats, Floats]:
        span = slice(rows.start, rows.stop)
        profile, logs = ensemble.average(codes[span], minus[span], precision)
        values = reads_per_base(profile, logs, expm1, ensemble.config.added_reads)
        shape = profile / profile.sum(1, keepdim=True)  # per strand, also if strands are joint
        entropy = -torch.xlogy(shape, shape).sum(1) / np.log(2)
        statistics = [logs.flatten(1), values.sum(1).flatten(1), entropy.flatten(1)]
        return values.cpu().numpy(), torch.cat(statistics, 1).cpu().numpy()

    with torch.inference_mode():
        values, statistics = zip(*ensemble.compute_parts(len(codes), predict), strict=True)
    return np.concatenate(values), np.concatenate(statistics)


def _check_finite(profiles: Floats, windows: Windows, names: list[str], precision: str) -> None:
    """Raise SeqcovError for the first window whose profile is NaN or infinite."""
    finite = np.isfinite(profiles)
    if not finite.all():
        row = int(np.argmin(finite.all((1, 2, 3))))
        place = f"{names[windows.contig[row]]}, summit {windows.summit[row]:,}"
        raise too_low_precision(f"{place}: the profile", precision)


def _is_selected(
    genome: Genome, windows: Windows, geometry: Geometry, selected: Mapping[str, BinIntervals]
) -> Mask:
    """Return whether each base of the windows' cores is selected, (windows, length)."""
    names = list(genome.contigs)
    bases = windows.bases(geometry)
    mask = np.zeros(bases.shape, np.bool_)
    for contig in np.unique(windows.contig).tolist():
        rows = windows.contig == contig
        mask[rows] = is_inside(bases[rows], selected[names[contig]])
    return mask


def _stitch(
    blend: PeakOverlap,
    chunk: PeakChunk,
    batch: range,
    profiles: Floats,
    has_value: Mask,
    is_predicted: Mask,
) -> None:
    """Add the bases of a batch's windows that belong to the chunk to their columns."""
    covering = chunk.covering_windows
    rows = slice(batch.start - covering.start, batch.stop - covering.start)
    first, low, high, column = (
        array[rows] for array in (chunk.first, chunk.low, chunk.high, chunk.column)
    )
    blend.reserve(int((column + high - low).max()))
    tracks = profiles.reshape(*profiles.shape[:2], -1)
    distances = np.abs(np.arange(tracks.shape[1]) - tracks.shape[1] // 2)
    for row in np.flatnonzero(is_predicted & (low < high)).tolist():
        bases = slice(low[row] - first[row], high[row] - first[row])
        values = np.where(has_value[row, bases, None], tracks[row, bases], np.float32(np.nan))
        blend.add(int(column[row]), values, distances[bases])


def _find_maxima(windows: Windows, geometry: Geometry, profiles: Floats, known: Mask) -> Floats:
    """Return the known base of the contig at which each profile is highest, (windows, tracks).

    NaN for a window without a known base in its core.
    """
    tracks = profiles.reshape(*profiles.shape[:2], -1)
    offsets = np.where(known[..., None], tracks, -1).argmax(1)
    bases = offsets + windows.starts(geometry)[:, None]
    return np.where(known.any(1, keepdims=True), bases, np.nan)
