"""Windows of sequence to coverage: batches, precision, devices."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Genome
from seqcov_models.prediction.devices import arithmetic
from seqcov_models.prediction.ensemble import Ensemble
from seqcov_models.prediction.timings import Seconds
from seqcov_models.progress import progress
from seqcov_models.run.chunks import chunk_writer
from seqcov_models.sequence import UNKNOWN, Codes, Coverage
from seqcov_models.tiling import Bins, Segment, Tiling


def predict_chunk(
    ensemble: Ensemble,
    tiling: Tiling,
    genome: Genome,
    segments: Sequence[Segment],
    wanted: Mapping[str, Bins],
    path: Path,
    *,
    dtype: str = "float32",
    batch_size: int = 1,
    precision: str = "float32",
    min_acgt: float = 0.0,
) -> Seconds:
    """Predict the windows of `segments` into the chunk file `path` (see `chunks`).

    Its rows are the ensemble's tracks, their standard deviations where it gives them, and last the
    share of unknown bases. wanted: bins to give a value, by contig; the others have none.
    Raises SeqcovError where the network's output is not finite.
    """
    seconds = Seconds()
    total = sum(segment.bins for segment in segments)
    windows = sum(segment.count for segment in segments)
    rows = len(ensemble.tracks) * (2 if ensemble.spread else 1) + 1
    with (
        chunk_writer(path, rows, total, dtype) as write,
        progress(windows, "windows") as done,
    ):
        offset = 0
        for segment in segments:
            keep = _mask(wanted[segment.contig], segment, tiling.step)
            for first, values, unknown in predict_segment(
                ensemble, tiling, genome, segment, batch_size, precision, min_acgt, seconds
            ):
                dropped = ~keep[first : first + len(values)]
                values[dropped] = np.nan
                unknown[dropped] = np.nan
                with seconds.spent_on("writing"):
                    write(offset + first, values, unknown[:, None])
                done(1)
            offset += segment.bins
    return seconds


def _mask(wanted: Bins, segment: Segment, step: int) -> npt.NDArray[np.bool_]:
    """Which of a segment's bins are wanted, shape (bins,)."""
    mask = np.zeros(segment.bins, np.bool_)
    for start, end in (wanted - segment.first * step).clip(0).tolist():
        mask[start:end] = True
    return mask


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
    """Coverage of a segment's bins, window by window, in order.

    Yields (first bin, relative to the segment's; values (bins, tracks) ``float32``; share of the
    bin's windows that is N or beyond the contig, (bins,)). A bin without any A, C, G or T is NaN,
    and so is one none of whose windows holds at least the share `min_acgt` of them: it has no
    value. Windows that would give none are not predicted.
    Raises SeqcovError where the network's output is not finite.
    """
    seconds = seconds or Seconds()
    geometry, step, size = tiling.geometry, tiling.step, tiling.geometry.bin
    windows = tiling.windows(genome.contigs[segment.contig])
    numbers = range(max(0, segment.first - tiling.reach), segment.first + segment.count)
    blend = _Blend(tiling, windows) if tiling.reach else None
    for batch, codes in _read_ahead(genome, tiling, segment.contig, numbers, batch_size, seconds):
        known = codes != UNKNOWN
        unknown = 1 - known.mean(1)
        cores = known[:, geometry.context : geometry.context + geometry.core]
        bins_known = cores.reshape(len(codes), geometry.bins, size).any(2)
        live = bins_known.any(1) & (unknown <= 1 - min_acgt)
        with seconds.spent_on("model"):
            predicted = _predict(ensemble, codes[live], precision)
        columns = len(ensemble.tracks) * (2 if ensemble.spread else 1)
        if not np.isfinite(predicted).all():
            at = int(np.argmin(np.isfinite(predicted).all((0, 1))))
            track = ensemble.tracks[at % len(ensemble.tracks)]
            raise SeqcovError(
                f"{segment.contig} from {batch[0] * step * size:,}: track {track.identifier} came"
                f" out as NaN or infinite in {precision}; is the precision too low for its weights?"
            )
        left = iter(predicted)
        for number, is_live, has_base, share in zip(batch, live, bins_known, unknown, strict=True):
            values = next(left) if is_live else None
            if blend:
                values, shares = blend.add(number, values, share, columns)
            else:
                shares = np.full(geometry.bins, share, np.float32)
                if values is None:
                    values = np.full((geometry.bins, columns), np.nan, np.float32)
            first = (number - segment.first) * step
            if first < 0:
                continue
            kept = min(step, segment.bins - first)
            values, shares = values[:kept], shares[:kept]
            values[~has_base[:kept]] = np.nan
            yield first, values, shares


def _read_ahead(
    genome: Genome,
    tiling: Tiling,
    contig: str,
    numbers: range,
    batch_size: int,
    seconds: Seconds,
) -> Iterator[tuple[range, Codes]]:
    """Codes (windows, window) of batch after batch; the next is read while one is worked on."""
    geometry = tiling.geometry
    batches = [numbers[at : at + batch_size] for at in range(0, len(numbers), batch_size)]

    def read(batch: range) -> Codes:
        starts = [number * tiling.step * geometry.bin - geometry.context for number in batch]
        return np.stack([genome.fetch(contig, at, at + geometry.window) for at in starts])

    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read, batches[0])
        for at, batch in enumerate(batches):
            with seconds.spent_on("reading"):
                codes = coming.result()
            if at + 1 < len(batches):
                coming = reader.submit(read, batches[at + 1])
            yield batch, codes


class _Blend:
    """Windows in order, their cores overlapping, to the weighted mean of what covers each bin."""

    def __init__(self, tiling: Tiling, windows: int) -> None:
        self.tiling, self.windows = tiling, windows
        self.sums: Coverage | None = None
        bins = tiling.geometry.bins
        self.weights = np.zeros(bins, np.float32)  # of windows with a value
        self.shares = np.zeros(bins, np.float32)
        self.all_weights = np.zeros(bins, np.float32)

    def add(
        self, number: int, values: Coverage | None, share: float, columns: int
    ) -> tuple[Coverage, Coverage]:
        """Take a window's core in, (bins, columns) or nothing; give the bins of its step."""
        step, bins = self.tiling.step, self.tiling.geometry.bins
        weights = self.tiling.weights(number, self.windows)
        if self.sums is None:
            self.sums = np.zeros((bins, columns), np.float32)
        if values is not None:
            self.sums += weights[:, None] * values
            self.weights += weights
        self.shares += weights * np.float32(share)
        self.all_weights += weights
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: no window, no value
            blended = self.sums[:step] / self.weights[:step, None]
            shares = self.shares[:step] / self.all_weights[:step]
        for array in (self.sums, self.weights, self.shares, self.all_weights):
            array[: bins - step] = array[step:].copy()
            array[bins - step :] = 0
        return blended, shares


def _predict(ensemble: Ensemble, codes: Codes, precision: str) -> Coverage:
    """(windows, window) codes → (windows, bins, columns)."""
    if not len(codes):
        return np.empty((0, 0, 1), np.float32)
    with torch.inference_mode(), arithmetic(precision, ensemble.device):
        return ensemble.predict(codes)
