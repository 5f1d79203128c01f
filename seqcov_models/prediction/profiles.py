"""Peaks to base-resolution profiles: BPNet's windows predicted, put together where they overlap.

A value is the profile's share of a base times the reads of its window, for each task and strand.
Strands of the sequence and folds are averaged before that product, each of its factors in the space
that it was trained in: shares as the probabilities that they are, reads as log(1 + reads). So an
average is again a profile that sums to 1, and its window's total is what the table says.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqcov_models.errors import SeqcovError
from seqcov_models.files import written_whole
from seqcov_models.genome.fasta import Genome
from seqcov_models.networks.bpnet.network import BPNetForProfilePrediction, reads, shares
from seqcov_models.peaks.read import Ints
from seqcov_models.peaks.windows import PeakChunk, Windows, statistics_of
from seqcov_models.prediction.devices import arithmetic
from seqcov_models.prediction.ensemble import mean_of
from seqcov_models.prediction.timings import Seconds
from seqcov_models.progress import progress
from seqcov_models.run.chunks import chunk_writer
from seqcov_models.sequence import UNKNOWN, Codes, Floats, Mask, reverse_complement
from seqcov_models.tiling import Bins, Geometry, contains

OVERLAPS = ("nearest", "mean", "max")
BLOCK = 1 << 18
"""Bases read from the FASTA at once, at most: one call for all peaks that lie within."""


class ProfileEnsemble:
    """One or more folds of a BPNet, asked on one or both strands."""

    def __init__(
        self, folds: Sequence[BPNetForProfilePrediction], both_strands: bool = False
    ) -> None:
        self.folds = [fold.eval() for fold in folds]
        self.both_strands = both_strands

    @property
    def geometry(self) -> Geometry:
        """Window and core in bp."""
        return self.folds[0].geometry

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.folds[0].device

    def to(self, device: str) -> "ProfileEnsemble":
        """Move the weights; in place, and returned."""
        for fold in self.folds:
            fold.to(device)
        return self

    def predict(self, codes: Codes, minus: Mask | None = None) -> tuple[Tensor, Tensor]:
        """(windows, window) codes → the mean over strands and folds, on the plus strand.

        minus: windows to be read on their other strand. Gives shares (windows, length, tasks,
        strands) and log(1 + reads) (windows, tasks, strands, or 1 where strands are joint).
        """
        other = np.zeros(len(codes), np.bool_) if minus is None else minus
        strands = (other, ~other) if self.both_strands else (other,)
        members = [self._one(fold, codes, strand) for fold in self.folds for strand in strands]
        profile, logs = zip(*members, strict=True)
        return mean_of(profile), mean_of(logs)

    def _one(
        self, fold: BPNetForProfilePrediction, codes: Codes, other: Mask
    ) -> tuple[Tensor, Tensor]:
        """Windows read on the strand that `other` says, given on the plus strand."""
        if other.any():
            codes = np.where(other[:, None], reverse_complement(codes), codes)
        output = fold(torch.from_numpy(codes).to(self.device))
        profile, logs = shares(output).float(), output.count_logits.float()
        if other.any():
            there = torch.from_numpy(other).to(self.device)
            profile = torch.where(there[:, None, None, None], profile.flip(1, 3), profile)
            logs = torch.where(there[:, None, None], logs.flip(2), logs)
        return profile, logs


def predict_peaks(
    ensemble: ProfileEnsemble,
    genome: Genome,
    windows: Windows,
    chunk: PeakChunk,
    wanted: Mapping[str, Bins],
    values: Path,
    table: Path,
    raw: Path | None = None,
    *,
    overlap: str = "nearest",
    expm1: bool = False,
    batch_size: int = 32,
    precision: str = "float32",
    min_acgt: float = 0.0,
) -> Seconds:
    """Predict the windows of a chunk into three files.

    values: what bigWigs are made of, rows a task and strand (see `chunks`); table: an .npy with a
    row a window and the columns of `statistics_of`; raw, where asked for: an .npy of all windows'
    own values, (windows, length, tasks, strands), whatever overlaps.
    wanted: bases to give a value, by contig. overlap: what a base gets that several windows cover:
    the one with the nearest summit (of two as near the left one), the mean, or the highest.
    A base that is none of A, C, G and T has no value, nor has one all of whose windows hold less
    than the share `min_acgt` of these; of a window without any, or with less, the table tells
    nothing but that.
    Raises SeqcovError where the network's output is not finite.
    """
    seconds = Seconds()
    config = ensemble.folds[0].config
    own, geometry = chunk.own, ensemble.geometry
    columns = len(statistics_of(config.tasks, config.num_strands, config.joint_strands))
    shape = (len(own), geometry.core, len(config.tasks), config.num_strands)
    keeps = _rows_writer(raw, shape, np.float32) if raw else nullcontext(None)
    with (
        chunk_writer(values, config.num_labels, chunk.bases) as write,
        _rows_writer(table, (len(own), columns), np.float64) as note,
        keeps as keep,
        progress(len(chunk.read), "peaks") as done,
    ):
        reducer = _Overlap(overlap, config.num_labels)
        for batch, codes in _read_ahead(genome, windows, chunk.read, geometry, batch_size, seconds):
            here = windows.part(batch)
            known = codes != UNKNOWN
            unknown = 1 - known.mean(1)
            live = known.any(1) & (unknown <= 1 - min_acgt)
            known = known[:, geometry.context : geometry.context + geometry.core]
            with seconds.spent_on("model"):
                found, statistics = _values(ensemble, codes, here.minus, expm1, precision)
            if not np.isfinite(found).all():
                at = int(np.argmin(np.isfinite(found).all((1, 2, 3))))
                contig = list(genome.contigs)[here.contig[at]]
                raise SeqcovError(
                    f"{contig}, summit {here.summit[at]:,}: the profile came out as NaN or"
                    f" infinite in {precision}; is the precision too low for its weights?"
                )
            with seconds.spent_on("writing"):
                has_value = known & _wanted(genome, here, geometry, wanted)
                _add(reducer, chunk, batch, found, has_value, live)
                write(*reducer.take(chunk.begin_of(batch.stop)))
                mine = range(max(batch.start, own.start), min(batch.stop, own.stop))
                if mine:
                    rows = slice(mine.start - batch.start, mine.stop - batch.start)
                    highest = _highest(here, geometry, found, known)
                    told = np.concatenate([unknown[:, None], statistics, highest], 1)
                    told[~live, 1:] = np.nan
                    note(mine.start - own.start, told[rows])
                    if keep:
                        keep(mine.start - own.start, found[rows])
            done(len(batch))
    return seconds


def _values(
    ensemble: ProfileEnsemble, codes: Codes, minus: Mask, expm1: bool, precision: str
) -> tuple[Floats, Floats]:
    """Values (windows, length, tasks, strands), and statistics up to the entropy."""
    with torch.inference_mode(), arithmetic(precision, ensemble.device):
        profile, logs = ensemble.predict(codes, minus)
        values = profile * reads(logs, expm1)[:, None]
        shape = profile / profile.sum(1, keepdim=True)  # joint strands: each by itself
        entropy = -torch.xlogy(shape, shape).sum(1) / np.log(2)
        parts = [logs.flatten(1), values.sum(1).flatten(1), entropy.flatten(1)]
        return values.cpu().numpy(), torch.cat(parts, 1).cpu().numpy()


def _highest(here: Windows, geometry: Geometry, values: Floats, known: Mask) -> Floats:
    """The known base on the contig where each profile is highest, (windows, tracks), or NaN."""
    flat = values.reshape(*values.shape[:2], -1)
    highest = np.where(known[..., None], flat, -1).argmax(1) + here.starts(geometry)[:, None]
    return np.where(known.any(1, keepdims=True), highest, np.nan)


def _wanted(genome: Genome, here: Windows, geometry: Geometry, wanted: Mapping[str, Bins]) -> Mask:
    """Which bases of the windows' cores are wanted, (windows, length)."""
    names = list(genome.contigs)
    bases = here.bases(geometry)
    mask = np.zeros(bases.shape, np.bool_)
    for contig in np.unique(here.contig).tolist():
        rows = here.contig == contig
        mask[rows] = contains(wanted[names[contig]], bases[rows])
    return mask


def _add(
    reducer: "_Overlap",
    chunk: PeakChunk,
    batch: range,
    found: Floats,
    has_value: Mask,
    live: Mask,
) -> None:
    """Put those bases of a batch's windows in that are the chunk's."""
    rows = slice(batch.start - chunk.read.start, batch.stop - chunk.read.start)
    first, low, high, column = (
        array[rows] for array in (chunk.first, chunk.low, chunk.high, chunk.column)
    )
    reducer.make_room(int((column + high - low).max()))
    flat = found.reshape(*found.shape[:2], -1)
    distances = np.abs(np.arange(flat.shape[1]) - flat.shape[1] // 2)
    for at in np.flatnonzero(live & (low < high)).tolist():
        part = slice(low[at] - first[at], high[at] - first[at])
        values = np.where(has_value[at, part, None], flat[at, part], np.float32(np.nan))
        reducer.add(int(column[at]), values, distances[part])


class _Overlap:
    """What covers each column, reduced to one value a track, while windows come in order."""

    def __init__(self, how: str, tracks: int) -> None:
        if how not in OVERLAPS:
            raise SeqcovError(f"overlap {how!r}: choose one of {', '.join(OVERLAPS)}")
        self.how, self.first = how, 0
        self.values = np.zeros((0, tracks), np.float32)
        self.weight = np.zeros(0, np.int32)
        """nearest: the distance of the summit, −1 without any; else how many windows there were."""

    def make_room(self, end: int) -> None:
        """Hold all columns before `end`."""
        if (more := end - self.first - len(self.weight)) > 0:
            self.values = np.pad(self.values, ((0, more), (0, 0)))
            self.weight = np.pad(self.weight, (0, more), constant_values=-(self.how == "nearest"))

    def add(self, column: int, values: Floats, distances: Ints) -> None:
        """Take in a window's values (bases, tracks) from `column` on."""
        part = slice(column - self.first, column - self.first + len(values))
        held, weight = self.values[part], self.weight[part]
        match self.how:
            case "nearest":
                nearer = (weight < 0) | (distances < weight)
                held[nearer], weight[nearer] = values[nearer], distances[nearer]
            case "mean":
                held += values
                weight += 1
            case "max":
                np.maximum(held, values, out=held)
                weight += 1

    def take(self, end: int) -> tuple[int, Floats]:
        """Give up the columns before `end`: the first one's number, values (columns, tracks)."""
        count = end - self.first
        self.make_room(end)
        values, weight = self.values[:count], self.weight[:count]
        self.values, self.weight = self.values[count:].copy(), self.weight[count:].copy()
        first, self.first = self.first, end
        if self.how == "mean":
            values /= np.maximum(weight, 1)[:, None]
        values[weight == -(self.how == "nearest")] = np.nan
        return first, values


def _read_ahead(
    genome: Genome,
    windows: Windows,
    numbers: range,
    geometry: Geometry,
    batch_size: int,
    seconds: Seconds,
) -> Iterator[tuple[range, Codes]]:
    """Codes (windows, window) of batch after batch; the next is read while one is worked on."""
    names = list(genome.contigs)
    batches = [numbers[at : at + batch_size] for at in range(0, len(numbers), batch_size)]

    def read(batch: range) -> Codes:
        here = windows.part(batch)
        contig, starts = here.contig, here.summit - geometry.window // 2
        codes = np.empty((len(batch), geometry.window), np.uint8)
        at = 0
        while at < len(batch):
            near = (contig[at:] == contig[at]) & (starts[at:] < starts[at] + BLOCK)
            stop = at + int(np.argmin(near)) if not near.all() else len(batch)
            block = genome.fetch(
                names[contig[at]], int(starts[at]), int(starts[stop - 1]) + geometry.window
            )
            views = np.lib.stride_tricks.sliding_window_view(block, geometry.window)
            codes[at:stop] = views[starts[at:stop] - starts[at]]
            at = stop
        return codes

    with ThreadPoolExecutor(1) as reader:
        coming = [reader.submit(read, batch) for batch in batches[:1]]
        for at, batch in enumerate(batches):
            with seconds.spent_on("reading"):
                codes = coming.pop().result()
            if at + 1 < len(batches):
                coming.append(reader.submit(read, batches[at + 1]))
            yield batch, codes


@contextmanager
def _rows_writer(
    path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike
) -> Iterator[Callable[[int, npt.NDArray[Any]], None]]:
    """Give a function write(first row, rows); the .npy `path` appears when the block has ended."""
    with written_whole(path) as part:
        np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape)

        def write(first: int, rows: npt.NDArray[Any]) -> None:
            np.lib.format.open_memmap(part, mode="r+")[first : first + len(rows)] = rows

        yield write
