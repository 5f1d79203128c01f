"""Predict coverage along contigs: windows in batches, stitched into the bins of a segment."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Genome
from seqcov_models.prediction.batches import read_batches
from seqcov_models.prediction.blending import WeightedMean
from seqcov_models.prediction.devices import use_precision
from seqcov_models.prediction.ensemble import Ensemble
from seqcov_models.prediction.timings import Seconds
from seqcov_models.sequence import UNKNOWN, Codes, Coverage, Mask
from seqcov_models.tiling import Geometry, Segment, Tiling

Core = tuple[int, Coverage | None, Mask, np.float64]
"""A window's number, its core's values (bins, columns) if it was predicted, which bins of the core
hold an A, C, G or T (bins,), and the fraction of the window that is unknown."""


def predict_segment(
    ensemble: Ensemble,
    tiling: Tiling,
    genome: Genome,
    segment: Segment,
    batch_size: int = 1,
    precision: str = "float32",
    min_acgt: float = 0.0,
    seconds: Seconds | None = None,
) -> Iterator[tuple[int, Coverage, Coverage]]:
    """Yield the coverage of a segment's bins, window by window, in order.

    A bin without any A, C, G or T is NaN: it has no value. So is a bin that only windows with less
    than the fraction `min_acgt` of A, C, G and T cover. Windows that would give no value are not
    predicted. Values do not depend on the batch size.

    Args:
        ensemble: the network or networks; `columns` below are its tracks, then their standard
            deviations if it gives them.
        tiling: where the windows lie and how overlapping cores are blended.
        genome: the sequence.
        segment: neighbouring windows of one contig.
        batch_size: windows per forward pass.
        precision: float32, tf32 or bfloat16.
        min_acgt: 0 … 1.
        seconds: gets the time spent in each stage.

    Yields:
        The first bin, counted from the segment's first; values (bins, columns) ``float32``; the
        fraction of each bin's windows that is N or beyond the contig, (bins,) ``float32``.

    Raises:
        SeqcovError: the network's output is NaN or infinite, or the sequence cannot be read.
    """
    seconds = seconds or Seconds()
    cores = _predict_cores(
        ensemble, tiling, genome, segment, batch_size, precision, min_acgt, seconds
    )
    windows = tiling.count_windows(genome.contigs[segment.contig])
    yield from _stitch(cores, tiling, segment, windows, ensemble.columns, seconds)


def _predict_cores(
    ensemble: Ensemble,
    tiling: Tiling,
    genome: Genome,
    segment: Segment,
    batch_size: int,
    precision: str,
    min_acgt: float,
    seconds: Seconds,
) -> Iterator[Core]:
    """Predict every window that covers a bin of the segment, in order."""
    geometry = tiling.geometry
    step = tiling.step * geometry.bin
    numbers = range(
        max(0, segment.first_window - tiling.preceding_windows),
        segment.first_window + segment.windows,
    )

    def read(batch: range) -> Codes:
        starts = [number * step - geometry.context for number in batch]
        return np.stack(
            [genome.fetch(segment.contig, start, start + geometry.window) for start in starts]
        )

    for batch, codes in read_batches(numbers, batch_size, read, seconds):
        unknown, has_base = _known_bases(codes, geometry)
        live = has_base.any(1) & (unknown <= 1 - min_acgt)
        with seconds.measure("model"):
            predicted = _predict_batch(
                ensemble, codes[live], precision, f"{segment.contig} from {batch[0] * step:,}"
            )
        values = iter(predicted)
        for at, number in enumerate(batch):
            yield number, next(values) if live[at] else None, has_base[at], unknown[at]


def _known_bases(codes: Codes, geometry: Geometry) -> tuple[npt.NDArray[np.float64], Mask]:
    """Return each window's fraction of unknown bases, and which bins hold a base, (…, bins)."""
    known = codes != UNKNOWN
    core = known[:, geometry.context : geometry.context + geometry.core]
    return 1 - known.mean(1), core.reshape(len(codes), geometry.bins, geometry.bin).any(2)


def _predict_batch(ensemble: Ensemble, codes: Codes, precision: str, place: str) -> Coverage:
    """Predict codes (windows, window); return (windows, bins, columns) in the host's memory.

    place: where the batch begins, for the message. Raises SeqcovError for NaN or infinity.
    """
    if not len(codes):
        return np.empty((0, 0, ensemble.columns), np.float32)
    with torch.inference_mode(), use_precision(precision, ensemble.device):
        predicted = ensemble.average(codes).cpu().numpy()
    if not np.isfinite(predicted).all():
        column = int(np.argmin(np.isfinite(predicted).all((0, 1))))
        track = ensemble.tracks[column % len(ensemble.tracks)]
        raise SeqcovError(
            f"{place}: track {track.identifier} is NaN or infinite in {precision}; is the"
            " precision too low for these weights? Try precision: float32"
        )
    return predicted


def _stitch(
    cores: Iterator[Core],
    tiling: Tiling,
    segment: Segment,
    windows: int,
    columns: int,
    seconds: Seconds,
) -> Iterator[tuple[int, Coverage, Coverage]]:
    """Stitch the cores of neighbouring windows, blending them if they overlap.

    Yields what `predict_segment` does: for each window the bins from its core's start to the start
    of the next one. windows: of the whole contig.
    """
    bins, step = tiling.geometry.bins, tiling.step
    first_bin = max(0, segment.first_window - tiling.preceding_windows) * step
    means, unknown_means = WeightedMean(first_bin, columns), WeightedMean(first_bin, 1)
    for number, values, has_base, unknown in cores:
        with seconds.measure("stitching"):
            fractions = np.full(bins, unknown, np.float32)
            if tiling.preceding_windows:
                weights = tiling.blend_weights(number, windows)
                unknown_means.add(number * step, fractions[:, None], weights)
                fractions = unknown_means.take((number + 1) * step)[1][:, 0]
                if values is not None:
                    means.add(number * step, values, weights)
                values = means.take((number + 1) * step)[1]
            elif values is None:
                values = np.full((bins, columns), np.nan, np.float32)
            first = (number - segment.first_window) * step
            count = min(step, segment.bins - first)
            values, fractions = values[:count], fractions[:count]
            values[~has_base[:count]] = np.nan
        if first >= 0:
            yield first, values, fractions
