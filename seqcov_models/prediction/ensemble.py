"""Average the predictions of strands, shifts and folds.

Strands and shifts are averaged on the network's own output. Then the output is transformed back to
coverage, if asked for. Then folds are averaged. This is the order of calico's own scripts
(baskerville `seqnn.py` `build_ensemble`; calico/borzoi `src/scripts`).
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqcov_models import sequence
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.shared.base import CoverageModel, encode_windows
from seqcov_models.networks.shared.compute import prepare_network
from seqcov_models.networks.shared.config import ProfileConfig
from seqcov_models.networks.shared.profiles import (
    PositionOutput,
    ProfileModel,
    profile_probabilities,
    reads_per_base,
)
from seqcov_models.prediction.batches import ContigWindows
from seqcov_models.prediction.contig_stem import ContigStem, copy_codes
from seqcov_models.prediction.devices import return_freed_memory
from seqcov_models.prediction.pending_coverage import PendingCoverage
from seqcov_models.sequence import UNKNOWN, Codes, Mask
from seqcov_models.tiling import Geometry
from seqcov_models.tracks.table import Track
from seqcov_models.tracks.units import Untransform

Model = TypeVar("Model", bound=CoverageModel)
Part = TypeVar("Part")


class FoldEnsemble(Generic[Model]):
    """The folds of one network, in evaluation mode and on one device.

    Attributes:
        folds: The networks.
        tracks: The tracks, in the order of the last axis of `predict`.
        reverse_complement: Whether the other strand of the sequence is predicted, too.
        max_count: Windows (or bases, along a contig) per forward pass at most; lowered once memory
            has run out.
    """

    def __init__(self, folds: Sequence[Model], reverse_complement: bool = False) -> None:
        self.folds = [fold.eval() for fold in folds]
        self.tracks = list(self.folds[0].tracks)
        self.reverse_complement = reverse_complement
        self.max_count = sys.maxsize
        self._prepared: dict[tuple[str, str], list[Model]] = {}

    @torch.inference_mode()
    def predict(self, sequences: str | Sequence[str] | Codes) -> npt.NDArray[np.float32]:
        """Predict the coverage of windows, averaged over all members.

        Args:
            sequences: One sequence or several: IUPAC nucleotide letters in either case, each
                exactly `geometry.window` long; or codes (batch, window) ``uint8``: A 0, C 1, G 2,
                T 3, unknown 4.

        Returns:
            Coverage (batch, bins, columns) ``float32``, on the strand that was given. Bin i of a
            window covers its bases from ``geometry.context + i * geometry.bin`` on, 0-based. An
            `Ensemble` with standard deviations gives all means, then all standard deviations (of
            the members as a population, on the scale of the means).

        Raises:
            SeqcovError: If there is no sequence, or one has another length or other letters.
            TypeError: If a sequence is neither text nor codes.
        """
        if isinstance(sequences, np.ndarray):
            codes: Codes = sequences
            if codes.dtype != np.uint8 or codes.ndim != 2:
                raise TypeError(
                    f"codes are {codes.dtype} of shape {codes.shape}; give uint8 (batch, window),"
                    " or text"
                )
        else:
            codes = encode_windows(sequences, self.geometry.window)
        return self.compute_coverage(codes).cpu().numpy()

    @property
    def columns(self) -> int:
        """Values per bin: one per track."""
        return len(self.tracks)

    def compute_coverage(
        self, windows: Codes | ContigWindows, precision: str = "float32"
    ) -> Tensor:
        """Average windows over all members: (batch, bins, columns), on the ensemble's device.

        Args:
            windows: Codes (batch, window) ``uint8``, or windows of one contig.
            precision: float32, tf32 or bfloat16, of the weights; see also `use_precision`.
        """
        raise NotImplementedError

    def stem_margin(self, step: int) -> int | None:
        """Return the bases around windows that sharing their stems needs; None if they cannot."""
        del step
        return None

    def start(
        self,
        windows: Codes | ContigWindows,
        precision: str = "float32",
        dtype: torch.dtype = torch.float32,
    ) -> list[PendingCoverage]:
        """Start to predict windows without waiting for the device; return pending coverage.

        If the device's memory does not suffice, this and all later batches are split into halves.

        Args:
            windows: As for `compute_coverage`.
            precision: float32, tf32 or bfloat16, of the weights; see also `use_precision`.
            dtype: Type of the result; float16 clips at 65,504.

        Returns:
            One or more parts of the batch, in order.

        Raises:
            SeqcovError: If the memory does not suffice for one window.
        """
        return self.compute_parts(
            len(windows),
            lambda part: PendingCoverage(
                self.compute_coverage(_select(windows, part), precision), dtype
            ),
        )

    def compute_parts(
        self, count: int, compute: Callable[[range], Part], smallest: int = 1
    ) -> list[Part]:
        """Compute windows, or bases along a contig, in as few parts as the device's memory allows.

        If it does not suffice, the parts of this and of all later calls have half the size.

        Args:
            count: Number of windows or bases.
            compute: Computes some of them.
            smallest: Size of a part that is not halved.

        Returns:
            What `compute` returned for each part, in order.

        Raises:
            SeqcovError: If the memory does not suffice for `smallest`.
        """
        numbers = range(count)
        while True:
            size = min(count, self.max_count)
            try:
                return [compute(numbers[start : start + size]) for start in numbers[::size]]
            except torch.OutOfMemoryError as error:
                if size <= smallest:
                    raise SeqcovError(
                        f"{self.device}: out of memory with a single window. Choose fewer tracks,"
                        " precision: bfloat16, or a device with more memory"
                    ) from error
                self.max_count = max(smallest, size // 2)
            torch.cuda.empty_cache()

    def prepare_networks(self, precision: str) -> list[Model]:
        """Prepare the folds for predictions in `precision`, once; see `prepare_network`."""
        key = (precision, str(self.device))
        if key not in self._prepared:
            self._prepared = {key: [prepare_network(fold, precision) for fold in self.folds]}
        return self._prepared[key]

    @property
    def geometry(self) -> Geometry:
        """Window, core and bin in bp, kept bins, and bins cropped at each side."""
        return self.folds[0].geometry

    @property
    def device(self) -> torch.device:
        """The device that holds the weights; `to` moves them."""
        return self.folds[0].device

    def to(self, device: str | torch.device) -> Self:
        """Move the weights to `device` in place; return the ensemble."""
        for fold in self.folds:
            fold.to(device)
        return self


class Ensemble(FoldEnsemble[CoverageModel]):
    """Folds of a coverage network, averaged over strands and shifts.

    Attributes:
        shifts: bp by which the sequence is moved to the right before it is read.
        untransform: The transform of the network's output back to coverage, if any.
        standard_deviation: Whether `predict` also gives the standard deviation over all members.

    Example:
        >>> folds = [load_model("borzoi", path) for path in ("fold0", "fold1")]
        >>> ensemble = Ensemble(folds, shifts=(-1, 0, 1))
        >>> predict_region(ensemble, "hg38.fa", "chr1:1,000,001-1,400,000").values.shape
        (12500, 7611)
    """

    def __init__(
        self,
        folds: Sequence[CoverageModel],
        tracks: Sequence[Track] | None = None,
        *,
        reverse_complement: bool = False,
        shifts: Sequence[int] = (0,),
        untransform: Untransform | None = None,
        standard_deviation: bool = False,
    ) -> None:
        """Combine networks that predict the same tracks.

        Args:
            folds: The networks; they are set to evaluation mode.
            tracks: Tracks to predict, in this order; by default all of the folds' heads.
            reverse_complement: Whether to predict the other strand, too. Its bins are flipped, and
                the tracks of a strand pair are exchanged.
            shifts: bp by which the sequence is moved to the right before it is read. Predictions
                are not moved back.
            untransform: Transforms the network's output back to coverage.
            standard_deviation: Whether to give the standard deviation over all members (every
                fold, strand and shift), too.

        Raises:
            SeqcovError: If the partner of a strand pair is not among the heads' tracks.
        """
        super().__init__(folds, reverse_complement)
        self.shifts, self.standard_deviation = tuple(shifts), standard_deviation
        self.untransform = untransform
        head = self.folds[0].tracks
        if tracks is not None:
            self.tracks = list(tracks)
        channel = {track.row: number for number, track in enumerate(head)}
        self._channels = torch.tensor([channel[track.row] for track in self.tracks])
        self._partner_channels = self._channels
        if reverse_complement:
            partners = [channel[find_partner(track, head)] for track in self.tracks]
            self._partner_channels = torch.tensor(partners)
        self._stems: dict[tuple[int, int, bool], ContigStem] = {}

    @property
    def columns(self) -> int:
        """Values per bin: one per track; two per track with standard deviations."""
        return len(self.tracks) * (2 if self.standard_deviation else 1)

    def to(self, device: str | torch.device) -> Self:
        """Move the weights to `device` in place; return the ensemble."""
        self._channels, self._partner_channels = (
            self._channels.to(device),
            self._partner_channels.to(device),
        )
        return super().to(device)

    def compute_coverage(
        self, windows: Codes | ContigWindows, precision: str = "float32"
    ) -> Tensor:
        """Average windows over all members; return coverage on the ensemble's device.

        Args:
            windows: Codes (batch, window) ``uint8``: A 0, C 1, G 2, T 3, unknown 4; or windows of
                one contig, whose stems are computed once if the windows overlap.
            precision: float32, tf32 or bfloat16, of the weights; see also `use_precision`.

        Returns:
            (batch, bins, columns) ``float32``, columns as in `predict`.
        """
        total: Tensor | None = None
        members: list[Tensor] = []
        for number, fold in enumerate(self.prepare_networks(precision)):
            values = list(self._predict_members(number, fold, windows))
            mean = self._inverse_transform(average_tensors(values))
            total = mean if total is None else total + mean
            if self.standard_deviation:
                members += [self._inverse_transform(value) for value in values]
        assert total is not None
        mean = total / len(self.folds) if len(self.folds) > 1 else total
        if self.standard_deviation:
            centre = average_tensors(members)
            variance = average_tensors([(member - centre) ** 2 for member in members])
            mean = torch.cat([mean, variance.sqrt()], -1)
        return mean

    def _predict_members(
        self, number: int, fold: CoverageModel, windows: Codes | ContigWindows
    ) -> Iterator[Tensor]:
        """Yield one fold's coverage for each shift and strand, (batch, bins, tracks)."""
        strands = (False, True) if self.reverse_complement else (False,)
        codes = windows.codes if isinstance(windows, ContigWindows) else windows
        for shift, reverse in product(self.shifts, strands):
            read = shift_codes(codes, shift)
            if reverse:
                read = sequence.reverse_complement(read)
            if isinstance(windows, ContigWindows):
                starts, fetch = windows.on_strand(shift, reverse)
                stem = self._contig_stem(number, fold, shift, reverse)
                features = stem.compute(read, starts, fetch, windows.sweep, abs(shift))
                coverage = fold.predict_from_stem(features).float()
            else:
                output = fold(copy_codes(read, self.device), output_contexts=False)
                coverage = fold.postprocess(output)[0].float()
            if reverse:
                yield coverage.flip(1)[..., self._partner_channels]
            elif len(self.tracks) < coverage.shape[-1]:
                yield coverage[..., self._channels]
            else:
                yield coverage

    def stem_margin(self, step: int) -> int | None:
        """Return how much sequence around windows `average` needs to share their stems, in bp.

        None if stems cannot be shared: windows that begin `step` bp apart do not lie on one grid of
        the stem's pooling.
        """
        fold = self.folds[0]
        if fold.shared_stem is None or step % fold.shared_stem.pool_factor:
            return None
        return ContigStem(fold).margin + max(map(abs, self.shifts))

    def _contig_stem(
        self, number: int, fold: CoverageModel, shift: int, reverse: bool
    ) -> ContigStem:
        """Return the stem of a fold for one shift and strand, made at its first use."""
        key = (number, shift, reverse)
        if key not in self._stems or self._stems[key].network is not fold:
            self._stems[key] = ContigStem(fold)
        return self._stems[key]

    def _inverse_transform(self, values: Tensor) -> Tensor:
        """Transform the network's output back to coverage, if asked for."""
        return self.untransform(values) if self.untransform else values


class ProfileEnsemble(FoldEnsemble[ProfileModel]):
    """Folds of a profile network, averaged over strands.

    Fractions and log(1 + reads) are averaged, each in the space in which it was trained. Then reads
    are distributed over bases.

    Attributes:
        expm1: Whether reads are exp(log counts) − 1 instead of exp(log counts).
    """

    def __init__(
        self,
        folds: Sequence[ProfileModel],
        reverse_complement: bool = False,
        expm1: bool = False,
    ) -> None:
        super().__init__(folds, reverse_complement)
        self.expm1 = expm1
        self._length = 0  # of the last sequence whose positions were predicted

    def compute_coverage(
        self, windows: Codes | ContigWindows, precision: str = "float32"
    ) -> Tensor:
        """Average windows over all members: reads per base (batch, core, tracks)."""
        codes = windows.codes if isinstance(windows, ContigWindows) else windows
        fractions, logs = self.average(codes, precision=precision)
        reads = reads_per_base(fractions, logs, self.expm1, self.config.added_reads)
        return self.folds[0].select_channels(reads)

    def predict_positions(self, codes: Codes, precision: str = "float32") -> list[PositionOutput]:
        """Predict all bases of a sequence with each member, for windows that begin anywhere.

        Args:
            codes: (length,) ``uint8``: A 0, C 1, G 2, T 3, unknown 4.
            precision: float32, tf32 or bfloat16, of the weights; see also `use_precision`.

        Returns:
            The prediction of each fold and strand, given on the plus strand, of the sequence
            without the context of a window at each end; see `PositionOutput`. Terms of the counts
            have as many positions as logits.

        Raises:
            SeqcovError: If the memory does not suffice for one window.
        """
        context, members = 2 * self.geometry.context, []
        if len(codes) != self._length:
            return_freed_memory()  # its holes have the sizes of the last sequence
        self._length = len(codes)
        for fold in self.prepare_networks(precision):
            for reverse in (False, True) if self.reverse_complement else (False,):
                strand = sequence.reverse_complement(codes[None]) if reverse else codes[None]

                def predict(
                    part: range, fold: ProfileModel = fold, strand: Codes = strand
                ) -> PositionOutput:
                    span = copy_codes(strand[:, part.start : part.stop + context], self.device)
                    return fold.predict_positions(span).trim_terms()

                parts = self.compute_parts(len(codes) - context, predict, self.geometry.core)
                output = PositionOutput.join(parts)
                members.append(output.flip() if reverse else output)
        return members

    @property
    def config(self) -> ProfileConfig:
        """The folds' config."""
        return self.folds[0].config

    def average(
        self, codes: Codes, minus: Mask | None = None, precision: str = "float32"
    ) -> tuple[Tensor, Tensor]:
        """Predict windows of codes, averaged over all members and given on the plus strand.

        Args:
            codes: (batch, window) ``uint8``: A 0, C 1, G 2, T 3, unknown 4.
            minus: Whether each window is read on the minus strand, (batch,); by default none is.
                With `reverse_complement` both strands of every window are read.
            precision: float32, tf32 or bfloat16, of the weights; see also `use_precision`.

        Returns:
            On the ensemble's device, fractions of reads (batch, length, tasks, strands), and
            log(1 + reads) (batch, tasks, strands), or (batch, tasks, 1) if strands are joint.
        """
        other = np.zeros(len(codes), np.bool_) if minus is None else minus
        strands = (other, ~other) if self.reverse_complement else (other,)
        folds = self.prepare_networks(precision)
        members = [
            self._predict_member(fold, codes, strand) for fold in folds for strand in strands
        ]
        profile, logs = zip(*members, strict=True)
        return average_tensors(profile), average_tensors(logs)

    def _predict_member(
        self, fold: ProfileModel, codes: Codes, minus: Mask
    ) -> tuple[Tensor, Tensor]:
        """Read the windows `minus` on the minus strand; return them on the plus strand."""
        if minus.any():
            codes = np.where(minus[:, None], sequence.reverse_complement(codes), codes)
        output = fold(torch.from_numpy(codes).to(self.device))
        profile, logs = profile_probabilities(output).float(), output.count_logits.float()
        if minus.any():
            flipped = torch.from_numpy(minus).to(self.device)
            profile = torch.where(flipped[:, None, None, None], profile.flip(1, 3), profile)
            logs = torch.where(flipped[:, None, None], logs.flip(2), logs)
        return profile, logs


def average_tensors(values: Sequence[Tensor]) -> Tensor:
    """Return the mean of tensors of one shape; of a single one, that tensor itself."""
    return sum(values[1:], values[0]) / len(values) if len(values) > 1 else values[0]


def find_partner(track: Track, head: Sequence[Track]) -> int:
    """Return the row of a track's strand partner. Raises SeqcovError if the head lacks it."""
    if all(candidate.row != track.pair for candidate in head):
        raise SeqcovError(
            f"track {track.identifier}: its other strand (row {track.pair}) is not among the"
            " tracks of this model, which averaging both strands needs"
        )
    return track.pair


def _select(windows: Codes | ContigWindows, numbers: range) -> Codes | ContigWindows:
    """Return some of the windows of a batch."""
    if isinstance(windows, ContigWindows):
        return windows.select(numbers)
    return windows[list(numbers)]


def shift_codes(codes: Codes, shift: int) -> Codes:
    """Move codes (batch, window) to the right by `shift` bp; unknown enters at the other end."""
    if shift == 0:
        return codes
    moved = np.full_like(codes, UNKNOWN)
    if shift > 0:
        moved[:, shift:] = codes[:, :-shift]
    else:
        moved[:, :shift] = codes[:, -shift:]
    return moved
