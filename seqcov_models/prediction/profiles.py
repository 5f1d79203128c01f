"""Predict base-resolution profiles at peaks: BPNet's windows in batches, stitched into bases.

A value is the profile's fraction at a base times the reads of its window, for each task and strand.
Strands of the sequence and folds are averaged before that product, each factor in the space in
which it was trained: fractions as probabilities, reads as log(1 + reads). So an average is again a
profile that sums to 1, and the total of its window is the number in the table.
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
"""Bases read from the FASTA at once, at most: one call for all peaks that lie within."""


@dataclass(frozen=True)
class ProfileBatch:
    """What one batch of windows adds to a chunk.

    windows: how many windows were predicted. column, values: the first column of the chunk that is
    now complete, and from there on (bases, tracks) ``float32``. row, statistics, profiles: the
    chunk's first own window in this batch, and of each of them the columns of `statistic_names`,
    (windows, columns) ``float64``, and its values alone, (windows, length, tasks, strands).
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
    wanted: Mapping[str, BinIntervals],
    *,
    overlap: str = "nearest",
    expm1: bool = False,
    batch_size: int = 32,
    precision: str = "float32",
    min_acgt: float = 0.0,
    seconds: Seconds | None = None,
) -> Iterator[ProfileBatch]:
    """Yield the values and statistics of a chunk's windows, batch by batch.

    A base that is not A, C, G or T has no value (NaN). Neither has a base that only windows with
    less than the fraction `min_acgt` of A, C, G and T cover; of such a window, and of one without
    any A, C, G or T, only the fraction of unknown bases is given.

    Args:
        ensemble: the network or networks.
        genome: the sequence.
        windows: all windows of the run, in order.
        chunk: which of them to predict, and the bases to give.
        wanted: bases to give a value, by contig, 0-based half-open.
        overlap: the value of a base that several windows cover: of the window with the nearest
            summit (``nearest``; of two as near, the left one), the ``mean``, or the highest
            (``max``).
        expm1: whether reads are exp(log counts) − 1 instead of exp(log counts).
        batch_size: windows per forward pass.
        precision: float32, tf32 or bfloat16.
        min_acgt: 0 … 1.
        seconds: gets the time spent in each stage.

    Raises:
        SeqcovError: the network's output is NaN or infinite, the sequence cannot be read, or
            `overlap` is unknown.
    """
    seconds = seconds or Seconds()
    geometry = ensemble.geometry
    blend = PeakOverlap(overlap, ensemble.config.num_labels)

    def read(batch: range) -> Codes:
        return _read_windows(genome, windows.select(batch), geometry)

    for batch, codes in read_batches(chunk.predicted, batch_size, read, seconds):
        selected = windows.select(batch)
        known = codes != UNKNOWN
        unknown = 1 - known.mean(1)
        live = known.any(1) & (unknown <= 1 - min_acgt)
        core_known = known[:, geometry.context : geometry.context + geometry.core]
        with seconds.measure("model"):
            profiles, statistics = _predict_batch(ensemble, codes, selected.minus, expm1, precision)
        _check_finite(profiles, selected, list(genome.contigs), precision)
        with seconds.measure("stitching"):
            has_value = core_known & _wanted_bases(genome, selected, geometry, wanted)
            _stitch(blend, chunk, batch, profiles, has_value, live)
            column, values = blend.take(chunk.columns_before(batch.stop))
            maxima = _maxima(selected, geometry, profiles, core_known)
            statistics = np.concatenate([unknown[:, None], statistics, maxima], 1)
            statistics[~live, 1:] = np.nan
        low = min(max(chunk.reported.start, batch.start), batch.stop)
        high = max(min(chunk.reported.stop, batch.stop), low)
        rows = slice(low - batch.start, high - batch.start)
        row = max(0, low - chunk.reported.start)
        yield ProfileBatch(len(batch), column, values, row, statistics[rows], profiles[rows])


def _read_windows(genome: Genome, windows: Windows, geometry: Geometry) -> Codes:
    """Read the codes of windows, (windows, window); near ones with one call."""
    names = list(genome.contigs)
    contig, starts = windows.contig, windows.summit - geometry.window // 2
    codes = np.empty((len(windows), geometry.window), np.uint8)
    at = 0
    while at < len(windows):
        near = (contig[at:] == contig[at]) & (starts[at:] < starts[at] + BLOCK)
        stop = at + int(np.argmin(near)) if not near.all() else len(windows)
        block = genome.fetch(
            names[contig[at]], int(starts[at]), int(starts[stop - 1]) + geometry.window
        )
        views = np.lib.stride_tricks.sliding_window_view(block, geometry.window)
        codes[at:stop] = views[starts[at:stop] - starts[at]]
        at = stop
    return codes


def _predict_batch(
    ensemble: ProfileEnsemble, codes: Codes, minus: Mask, expm1: bool, precision: str
) -> tuple[Floats, Floats]:
    """Return values (windows, length, tasks, strands), and statistics up to the entropy."""
    use_precision(precision)
    with torch.inference_mode():
        profile, logs = ensemble.average(codes, minus, precision)
        values = reads_per_base(profile, logs, expm1)
        shape = profile / profile.sum(1, keepdim=True)  # joint strands: each by itself
        entropy = -torch.xlogy(shape, shape).sum(1) / np.log(2)
        parts = [logs.flatten(1), values.sum(1).flatten(1), entropy.flatten(1)]
        return values.cpu().numpy(), torch.cat(parts, 1).cpu().numpy()


def _check_finite(profiles: Floats, windows: Windows, names: list[str], precision: str) -> None:
    """Raise SeqcovError for the first window whose profile is NaN or infinite."""
    finite = np.isfinite(profiles)
    if not finite.all():
        at = int(np.argmin(finite.all((1, 2, 3))))
        place = f"{names[windows.contig[at]]}, summit {windows.summit[at]:,}"
        raise too_low_precision(f"{place}: the profile", precision)


def _wanted_bases(
    genome: Genome, windows: Windows, geometry: Geometry, wanted: Mapping[str, BinIntervals]
) -> Mask:
    """Return which bases of the windows' cores are wanted, (windows, length)."""
    names = list(genome.contigs)
    bases = windows.bases(geometry)
    mask = np.zeros(bases.shape, np.bool_)
    for contig in np.unique(windows.contig).tolist():
        rows = windows.contig == contig
        mask[rows] = is_inside(bases[rows], wanted[names[contig]])
    return mask


def _stitch(
    blend: PeakOverlap,
    chunk: PeakChunk,
    batch: range,
    profiles: Floats,
    has_value: Mask,
    live: Mask,
) -> None:
    """Put the bases of a batch's windows that are the chunk's into their columns."""
    rows = slice(batch.start - chunk.predicted.start, batch.stop - chunk.predicted.start)
    first, low, high, column = (
        array[rows] for array in (chunk.first, chunk.low, chunk.high, chunk.column)
    )
    blend.reserve(int((column + high - low).max()))
    tracks = profiles.reshape(*profiles.shape[:2], -1)
    distances = np.abs(np.arange(tracks.shape[1]) - tracks.shape[1] // 2)
    for at in np.flatnonzero(live & (low < high)).tolist():
        bases = slice(low[at] - first[at], high[at] - first[at])
        values = np.where(has_value[at, bases, None], tracks[at, bases], np.float32(np.nan))
        blend.add(int(column[at]), values, distances[bases])


def _maxima(windows: Windows, geometry: Geometry, profiles: Floats, known: Mask) -> Floats:
    """Return the known base of the contig where each profile is highest, (windows, tracks).

    NaN for a window without a known base in its core.
    """
    tracks = profiles.reshape(*profiles.shape[:2], -1)
    offsets = np.where(known[..., None], tracks, -1).argmax(1)
    bases = offsets + windows.starts(geometry)[:, None]
    return np.where(known.any(1, keepdims=True), bases, np.nan)
