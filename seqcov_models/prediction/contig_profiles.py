"""Predict profiles along contigs: the network once per base, then the mean of windows per base.

A network whose logits do not depend on the window is computed along the contig in pieces, not
window by window. What a window adds is one number per task and strand: its reads over the sum of
exp(logits) in its core. A value is exp(logit) times the mean of these numbers over the windows that
cover the base, which is the mean of fraction × reads over these windows. All sums are of logarithms
in float64.

Pieces lie on a grid of the contig, and a window's number depends on its own positions only. So
values do not depend on chunks.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqcov_models.genome.fasta import Genome
from seqcov_models.networks.shared.compute import route
from seqcov_models.networks.shared.profiles import read_counts
from seqcov_models.prediction.batches import start_ahead
from seqcov_models.prediction.devices import too_low_precision, use_precision
from seqcov_models.prediction.ensemble import ProfileEnsemble, average_tensors
from seqcov_models.prediction.pending_coverage import PendingCoverage
from seqcov_models.prediction.timings import Seconds
from seqcov_models.sequence import UNKNOWN, Codes, Coverage, Floats, Mask
from seqcov_models.tiling import Segment, Tiling

PIECE = 1 << 17
"""Bases that a GPU computes at once. 512 channels of them are 0.27 GB in float32."""

UNIT = 512
"""Pieces at the ends of a run are multiples of about this many bases; see `_round_up`."""

Reduce = Callable[[Tensor, int], Tensor]
"""`torch.sum` or `torch.logsumexp`."""


class Positions(NamedTuple):
    """What one member of an ensemble predicts for consecutive bases, in float64.

    Attributes:
        logits: (bases, tasks, strands).
        count_terms: (bases, tasks, strands or 1) each; see `PositionOutput`.
        count_reach: Positions beyond a core at each side over which a term is averaged.
    """

    logits: Tensor
    count_terms: tuple[Tensor, ...]
    count_reach: tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """Windows whose steps are predicted at once, and what is known about their sequence.

    Attributes:
        windows: Numbers of the windows. The block's bases are those from the start of the first
            window's core to the start of the core of the window after the last one.
        covering: Number of the first window that covers one of these bases.
        is_counted: Whether each window from `covering` on counts, (windows,).
        counted: Number of windows that count and cover a base, (bases,).
        unknown: Mean fraction of unknown bases in the windows that cover a base, (bases,).
        has_base: Whether each base is an A, C, G or T, (bases,).
    """

    windows: range
    covering: int
    is_counted: Mask
    counted: npt.NDArray[np.float64]
    unknown: Floats
    has_base: Mask


def is_window_independent(ensemble: object) -> TypeGuard[ProfileEnsemble]:
    """Return whether `predict_segment_profiles` can predict with an ensemble.

    Args:
        ensemble: An ensemble of any kind.
    """
    return isinstance(ensemble, ProfileEnsemble) and ensemble.config.is_window_independent


def predict_segment_profiles(
    ensemble: ProfileEnsemble,
    tiling: Tiling,
    genome: Genome,
    segment: Segment,
    run: Segment | None = None,
    precision: str = "float32",
    min_acgt: float = 0.0,
    seconds: Seconds | None = None,
    dtype: str = "float32",
) -> Iterator[tuple[int, Coverage, Coverage]]:
    """Yield the reads per base along a segment: the mean of the windows that cover a base.

    The values are those of `predict_segment` with the same tiling, whose windows are predicted one
    by one: a window that reaches beyond the contig reads N there, and its core is not shortened. A
    base other than A, C, G or T has no value: it is NaN. So is a base that is covered only by
    windows with less than the fraction `min_acgt` of A, C, G and T. The network is computed once
    per base, whatever the step. Memory does not depend on the length of the contig.

    Args:
        ensemble: The networks, whose config says `is_window_independent`.
        tiling: How windows lie; cores that overlap are blended by "mean".
        genome: The sequence.
        segment: Neighbouring windows of one contig.
        run: The windows that `tile` returned and of which the segment is a part, if the segment
            does not have all of them. Each rounding is then the same for all parts.
        precision: float32, tf32 or bfloat16.
        min_acgt: Least fraction of A, C, G and T in a window that counts, 0 … 1.
        seconds: Receives the time spent in each stage.
        dtype: "float16" if the values will be stored so; they are then clipped at 65,504.

    Yields:
        The first base, counted from the segment's first base; reads (bases, tracks) ``float32``;
        the fraction of each base's windows that is N or beyond the contig, (bases,) ``float32``.

    Raises:
        SeqcovError: If the network's output is NaN or infinite, or the sequence cannot be read.

    Example:
        >>> tiling = Tiling(ensemble.geometry, step=250, blend="mean")
        >>> bases = select_bins(genome.contigs, 1, None, [])
        >>> for segment in tile(genome.contigs, tiling, bases):
        ...     for first, reads, unknown in predict_segment_profiles(
        ...         ensemble, tiling, genome, segment
        ...     ):
        ...         print(segment.contig, first, reads.shape)
    """
    seconds = seconds or Seconds()
    step = tiling.step
    fetch = partial(genome.fetch, segment.contig)
    contig = _Contig(ensemble, tiling, fetch, segment, run or segment, precision)

    def start() -> Iterator[tuple[Block, PendingCoverage | None]]:
        for windows in contig.split_windows():
            with seconds.measure("reading"):
                block = contig.read_block(windows, min_acgt)
            with seconds.measure("model"):
                values = contig.predict_block(block) if block.counted.any() else None
                pending = None if values is None else PendingCoverage(values, getattr(torch, dtype))
            yield block, pending

    for block, pending in start_ahead(start(), 1 if route(ensemble.device).asynchronous else 0):
        first = (block.windows.start - segment.first_window) * step
        count = min(len(block.windows) * step, segment.bins - first)
        if pending is None:
            values = np.full((count, len(ensemble.tracks)), np.nan, np.float32)
            yield first, values, block.unknown[:count]
            continue
        with seconds.measure("model"):
            (values,), is_finite = pending.wait()
        if not is_finite:
            place = f"{segment.contig} from {block.windows.start * step:,}"
            raise too_low_precision(f"{place}: the profile", precision)
        with seconds.measure("stitching"):
            values = values[:count]
            values[~(block.has_base & (block.counted > 0))[:count]] = np.nan
        yield first, values, block.unknown[:count]


class _Contig:
    """The members of an ensemble along a segment; holds the pieces of the last block."""

    def __init__(
        self,
        ensemble: ProfileEnsemble,
        tiling: Tiling,
        fetch: Callable[[int, int], Codes],
        segment: Segment,
        run: Segment,
        precision: str,
    ) -> None:
        self.ensemble, self.tiling, self.fetch, self.precision = ensemble, tiling, fetch, precision
        geometry, step = tiling.geometry, tiling.step
        self.segment = range(segment.first_window, segment.first_window + segment.windows)
        bases = min(route(ensemble.device).piece, PIECE) - 2 * geometry.context
        self.unit = -(-UNIT // step) * step
        self.piece = max(1, bases // self.unit) * self.unit
        first = max(0, run.first_window - tiling.preceding_windows) * step - geometry.context
        last = (run.first_window + run.windows - 1) * step + geometry.core + geometry.context
        # A piece ends where the run ends, and not where a job does: another length may be rounded
        # in another way.
        after_first, before_last = first // self.piece + 1, (last - 1) // self.piece
        self.first = after_first * self.piece - self._round_up(after_first * self.piece - first)
        self.last = before_last * self.piece + self._round_up(last - before_last * self.piece)
        self._pieces: dict[int, list[Positions]] = {}
        self._unknown: dict[int, list[Positions]] = {}

    def _round_up(self, bases: int) -> int:
        """Return the length of a piece at the end of a run, of which `bases` are needed.

        It is 1, 2, 3, 4, 6, 8, 12, … units. There are few lengths, because oneDNN compiles its
        kernels again for each of them and keeps these: 2 to 3 MB at 512 channels.
        """
        units = -(-bases // self.unit)
        power = 1 << (units - 1).bit_length()
        units = power * 3 // 4 if units <= power * 3 // 4 else power
        return min(units * self.unit, self.piece)

    def split_windows(self) -> Iterator[range]:
        """Yield the windows of the segment in blocks that begin with the pieces."""
        windows, count = self.segment, self.piece // self.tiling.step
        for first in range(windows.start // count * count, windows.stop, count):
            yield range(max(first, windows.start), min(first + count, windows.stop))

    def read_block(self, windows: range, min_acgt: float) -> Block:
        """Read the sequence of a block; find out which of its windows count."""
        geometry, step = self.tiling.geometry, self.tiling.step
        covering = max(0, windows.start - self.tiling.preceding_windows)
        starts = np.arange(windows.stop - covering) * step
        begin = covering * step - geometry.context
        codes = self.fetch(begin, begin + int(starts[-1]) + geometry.window)
        known = np.concatenate([[0], np.cumsum(codes != UNKNOWN)])
        core = starts + geometry.context
        unknown = 1 - (known[starts + geometry.window] - known[starts]) / geometry.window
        is_counted = (known[core + geometry.core] > known[core]) & (unknown <= 1 - min_acgt)
        every = np.ones(len(starts))
        counted, fractions, windows_per_base = (
            self._reduce_covering(torch.from_numpy(array * 1.0), windows, torch.sum).flatten()
            for array in (is_counted, unknown, every)
        )
        first = windows.start * step - begin
        return Block(
            windows,
            covering,
            is_counted,
            counted.numpy(),
            (fractions / windows_per_base).float().numpy(),
            codes[first : first + len(windows) * step] != UNKNOWN,
        )

    def predict_block(self, block: Block) -> Tensor:
        """Predict the bases of a block: reads (1, bases, tracks), 0 if no window counts."""
        geometry, step, device = self.tiling.geometry, self.tiling.step, self.ensemble.device
        use_precision(self.precision, device)
        first = block.covering * step
        last = (block.windows.stop - 1) * step + geometry.core
        with torch.inference_mode():
            margin = geometry.context
            members = self._find_positions(first - margin, last + margin)
            logs = average_tensors([self._average_counts(member) for member in members])
            reads, added = logs, self.ensemble.config.added_reads
            if self.ensemble.expm1 or added:
                reads = read_counts(logs, self.ensemble.expm1, added).log()
            is_counted = torch.from_numpy(block.is_counted).to(device)[:, None, None]
            counted = torch.from_numpy(block.counted).to(device).clamp(min=1)
            total = torch.zeros((), dtype=torch.float64, device=device)
            for member in members:
                scores = reads - self._add_odds(member)
                scores = scores.masked_fill(~is_counted, -math.inf)
                scores = self._reduce_covering(scores, block.windows, torch.logsumexp)
                start = margin + (block.windows.start - block.covering) * step
                logits = member.logits[start : start + len(block.windows) * step]
                total = total + (logits.reshape(-1, step, *logits.shape[1:]) + scores).exp()
            values = total.flatten(0, 1) / (counted[:, None, None] * len(members))
            return self.ensemble.folds[0].select_channels(values.float()[None])

    def _average_counts(self, member: Positions) -> Tensor:
        """Return log(1 + reads) of windows, (windows, tasks, strands or 1)."""
        geometry, step = self.tiling.geometry, self.tiling.step
        logs = []
        for term, reach in zip(member.count_terms, member.count_reach, strict=True):
            margin, length = geometry.context - reach, geometry.core + 2 * reach
            logs.append(_slide(term[margin : len(term) - margin], length, step, torch.sum) / length)
        return torch.stack(logs).logsumexp(0)

    def _add_odds(self, member: Positions) -> Tensor:
        """Return the logsumexp of the logits in the cores of windows, as `_average_counts`."""
        geometry = self.tiling.geometry
        logits = member.logits[geometry.context : len(member.logits) - geometry.context]
        if self.ensemble.config.joint_strands:
            logits = logits.logsumexp(-1, keepdim=True)
        return _slide(logits, geometry.core, self.tiling.step, torch.logsumexp)

    def _reduce_covering(self, windows: Tensor, block: range, reduce: Reduce) -> Tensor:
        """Reduce the values of windows over those that cover a base: (…) → (block, step, …).

        The values are of the windows from the first one that covers a base of the block on.
        """
        tiling, before = self.tiling, self.tiling.preceding_windows
        empty = -math.inf if reduce is torch.logsumexp else 0
        missing = len(block) + before - len(windows)  # they would begin before the contig
        windows = torch.cat([windows.new_full((missing, *windows.shape[1:]), empty), windows])
        # The first window that overlaps a step covers only the `rest` of it.
        rest = tiling.geometry.core - before * tiling.step
        covering = _slide(windows, before + 1, 1, reduce)[:, None]
        if rest == tiling.step:
            return covering.expand(-1, tiling.step, *covering.shape[2:])
        fewer = _slide(windows[1:], before, 1, reduce)[:, None]
        sizes = [-1, rest], [-1, tiling.step - rest]
        parts = (covering.expand(*sizes[0], *covering.shape[2:]),
                 fewer.expand(*sizes[1], *fewer.shape[2:]))  # fmt: skip
        return torch.cat(parts, 1)

    def _find_positions(self, first: int, last: int) -> list[Positions]:
        """Return the predictions of each member for bases [first, last), from pieces."""
        old, self._pieces = self._pieces, {}
        for begin in range(first // self.piece * self.piece, last, self.piece):
            self._pieces[begin] = old.get(begin) or self._compute(begin)
        begins = [max(begin, self.first) for begin in self._pieces]
        return [
            Positions(
                _join([member.logits for member in pieces], begins[0], first, last),
                tuple(
                    _join(list(terms), begins[0], first, last)
                    for terms in zip(*(member.count_terms for member in pieces), strict=True)
                ),
                pieces[0].count_reach,
            )
            for pieces in zip(*self._pieces.values(), strict=True)
        ]

    def _compute(self, begin: int) -> list[Positions]:
        """Compute what the run needs of the piece from `begin` on, of unknown bases once."""
        context = self.tiling.geometry.context
        start, end = max(begin, self.first), min(begin + self.piece, self.last)
        codes = self.fetch(start - context, end + context)
        is_unknown = codes.min() == UNKNOWN
        if is_unknown and len(codes) in self._unknown:
            return self._unknown[len(codes)]
        members = []
        for output in self.ensemble.predict_positions(codes, self.precision):
            terms = [term[0].double() for term in output.count_terms]
            logits = output.profile_logits[0].double()
            members.append(Positions(logits, tuple(terms), output.count_reach))
        if is_unknown:
            self._unknown[len(codes)] = members
        return members


def _join(pieces: list[Tensor], begin: int, first: int, last: int) -> Tensor:
    """Return positions [first, last) of neighbouring pieces, of which the first has `begin`."""
    return torch.cat(pieces)[first - begin : last - begin]


def _slide(x: Tensor, length: int, step: int, reduce: Reduce) -> Tensor:
    """Reduce `length` positions, from every `step`-th on: (positions, …) → (windows, …).

    Blocks of 1, 2, 4, … positions are reduced in turn. A window consists of one block for each
    binary digit 1 of its length.
    """
    block = math.gcd(length, step)
    if block > 1:
        x = reduce(x[: len(x) // block * block].reshape(-1, block, *x.shape[1:]), 1)
    length, step = length // block, step // block
    count = (len(x) - length) // step + 1
    parts, offset, width = [], 0, 1
    while length:
        if length & 1:
            parts.append(x[offset : offset + (count - 1) * step + 1 : step])
            offset += width
        length >>= 1
        if length:
            x = reduce(torch.stack([x[:-width], x[width:]]), 0)
            width *= 2
    return reduce(torch.stack(parts), 0)
