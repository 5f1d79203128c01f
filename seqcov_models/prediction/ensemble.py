"""Average the predictions of strands, shifts and folds.

Strands and shifts are averaged on the network's own output. Then the output is transformed back to
coverage, if asked for. Then folds are averaged. This is the order of calico's own scripts
(baskerville `seqnn.py` `build_ensemble`; calico/borzoi `src/scripts`).
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqcov_models import sequence
from seqcov_models.checkpoints.load import load_checkpoint
from seqcov_models.checkpoints.recognise import Checkpoint
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.bpnet.config import BPNetConfig
from seqcov_models.networks.bpnet.network import BPNetForProfilePrediction, profile_probabilities
from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.compute import prepare_network
from seqcov_models.sequence import UNKNOWN, Codes, Mask
from seqcov_models.tiling import Geometry
from seqcov_models.tracks.table import Track
from seqcov_models.tracks.units import Untransform

Model = TypeVar("Model", bound=CoverageModel)


class FoldEnsemble(Generic[Model]):
    """The folds of one network, in evaluation mode and on one device.

    Attributes: `folds`; `reverse_complement`, whether the other strand is predicted, too.
    """

    def __init__(self, folds: Sequence[Model], reverse_complement: bool = False) -> None:
        self.folds = [fold.eval() for fold in folds]
        self.reverse_complement = reverse_complement
        self._prepared: dict[tuple[str, str], list[Model]] = {}

    def networks(self, precision: str) -> list[Model]:
        """Return the folds as predictions in `precision` use them, see `prepare_network`."""
        key = (precision, str(self.device))
        if key not in self._prepared:
            self._prepared = {key: [prepare_network(fold, precision) for fold in self.folds]}
        return self._prepared[key]

    @property
    def geometry(self) -> Geometry:
        """Window, core and bin in bp."""
        return self.folds[0].geometry

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.folds[0].device

    def to(self, device: str) -> Self:
        """Move the weights to `device` in place; return the ensemble."""
        for fold in self.folds:
            fold.to(device)
        return self


class PendingCoverage:
    """Coverage (batch, bins, columns) that is being copied from the device to the host.

    The device checks whether it is finite, and transposes it so that the bins of a track lie
    together as in chunk files. Both take the host much longer.
    """

    def __init__(self, coverage: Tensor) -> None:
        by_track = coverage.transpose(1, 2).contiguous()
        self._finite = by_track.isfinite().all()
        self._host = torch.empty(by_track.shape, dtype=by_track.dtype, pin_memory=by_track.is_cuda)
        self._host.copy_(by_track, non_blocking=True)
        self._copied: torch.cuda.Event | None = None
        if by_track.is_cuda:
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()

    def wait(self) -> tuple[npt.NDArray[np.float32], bool]:
        """Wait; return (batch, bins, columns) ``float32``, and whether all of it is finite."""
        if self._copied:
            self._copied.synchronize()
        return self._host.numpy().transpose(0, 2, 1), bool(self._finite)


class Ensemble(FoldEnsemble[CoverageModel]):
    """Folds of a coverage network, averaged over strands and shifts.

    Attributes: `tracks`, in the order of the last axis; `columns`, the length of that axis: the
    tracks, and once more as many if `standard_deviation`; `max_windows` per forward pass, known
    once memory has run out.

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
            folds: the networks; they are set to evaluation mode.
            tracks: tracks to give, in this order; by default all of the folds' heads.
            reverse_complement: also predict the other strand; its bins are flipped, and the tracks
                of a strand pair exchanged.
            shifts: bp by which the sequence is moved to the right before it is read. Predictions
                are not moved back.
            untransform: transforms the network's output back to coverage.
            standard_deviation: also give the standard deviation over all members (every fold,
                strand and shift).

        Raises:
            SeqcovError: the partner of a strand pair is not among the heads' tracks.
        """
        super().__init__(folds, reverse_complement)
        self.shifts, self.standard_deviation = tuple(shifts), standard_deviation
        self.untransform = untransform
        self.max_windows = sys.maxsize
        head = self.folds[0].tracks
        self.tracks = list(head if tracks is None else tracks)
        place = {track.row: at for at, track in enumerate(head)}
        self._chosen = torch.tensor([place[track.row] for track in self.tracks])
        self._partners = self._chosen
        if reverse_complement:
            partners = [place[_partner_row(track, head)] for track in self.tracks]
            self._partners = torch.tensor(partners)

    @property
    def columns(self) -> int:
        """Values per bin: one per track, two with standard deviations."""
        return len(self.tracks) * (2 if self.standard_deviation else 1)

    def to(self, device: str) -> Self:
        self._chosen, self._partners = self._chosen.to(device), self._partners.to(device)
        return super().to(device)

    @torch.inference_mode()
    def predict(self, codes: Codes) -> npt.NDArray[np.float32]:
        """Predict windows of codes, averaged over all members.

        Args:
            codes: (batch, window) ``uint8``, A 0, C 1, G 2, T 3, unknown 4.

        Returns:
            (batch, bins, columns) ``float32``: the means, then the standard deviations (of the
            members as a population, on the scale of the means) if the ensemble gives them.
        """
        return self.average(codes).cpu().numpy()

    def start(self, codes: Codes, precision: str = "float32") -> list["PendingCoverage"]:
        """Start to predict windows of codes, (batch, window), without waiting for the device.

        If the device's memory does not suffice, this and all later batches are split into halves.

        Returns:
            One or more parts of the batch, in order.

        Raises:
            SeqcovError: the memory does not suffice for one window.
        """
        while True:
            try:
                return [
                    PendingCoverage(self.average(codes[at : at + self.max_windows], precision))
                    for at in range(0, len(codes), self.max_windows)
                ]
            except torch.OutOfMemoryError as error:
                windows = min(len(codes), self.max_windows)
                if windows == 1:
                    raise SeqcovError(
                        f"{self.device}: out of memory with a single window. Choose fewer tracks,"
                        " precision: bfloat16, or a device with more memory"
                    ) from error
                self.max_windows = windows // 2
            torch.cuda.empty_cache()

    def average(self, codes: Codes, precision: str = "float32") -> Tensor:
        """Return what `predict` does as a tensor on the ensemble's device.

        precision: float32, tf32 or bfloat16, of the weights; see also `use_precision`.
        """
        total: Tensor | None = None
        members: list[Tensor] = []
        for fold in self.networks(precision):
            values = list(self._members_of(fold, codes))
            mean = self._inverse_transform(mean_of(values))
            total = mean if total is None else total + mean
            if self.standard_deviation:
                members += [self._inverse_transform(value) for value in values]
        assert total is not None
        mean = total / len(self.folds) if len(self.folds) > 1 else total
        if self.standard_deviation:
            centre = mean_of(members)
            variance = mean_of([(member - centre) ** 2 for member in members])
            mean = torch.cat([mean, variance.sqrt()], -1)
        return mean

    def _members_of(self, fold: CoverageModel, codes: Codes) -> Iterator[Tensor]:
        """Yield one fold's coverage for each shift and strand, (batch, bins, tracks)."""
        strands = (False, True) if self.reverse_complement else (False,)
        for shift, reverse in product(self.shifts, strands):
            moved = shifted(codes, shift)
            if reverse:
                moved = sequence.reverse_complement(moved)
            inputs = torch.from_numpy(np.ascontiguousarray(moved))
            if self.device.type == "cuda":  # from pinned memory a copy does not wait
                inputs = inputs.pin_memory()
            inputs = inputs.to(self.device, non_blocking=True)
            coverage = fold.postprocess(fold(inputs, output_contexts=False))[0].float()
            if reverse:
                yield coverage.flip(1)[..., self._partners]
            elif len(self.tracks) < coverage.shape[-1]:
                yield coverage[..., self._chosen]
            else:
                yield coverage

    def _inverse_transform(self, values: Tensor) -> Tensor:
        return self.untransform(values) if self.untransform else values


class ProfileEnsemble(FoldEnsemble[BPNetForProfilePrediction]):
    """Folds of a BPNet, averaged over strands."""

    @property
    def config(self) -> BPNetConfig:
        """The folds' config."""
        return self.folds[0].config

    def average(
        self, codes: Codes, minus: Mask | None = None, precision: str = "float32"
    ) -> tuple[Tensor, Tensor]:
        """Predict windows of codes, averaged over all members and given on the plus strand.

        Args:
            codes: (batch, window) ``uint8``.
            minus: which windows to read on the minus strand, (batch,); by default none. With
                `reverse_complement` both strands of every window are read.
            precision: float32, tf32 or bfloat16, of the weights; see also `use_precision`.

        Returns:
            On the ensemble's device, fractions of reads (batch, length, tasks, strands), and
            log(1 + reads) (batch, tasks, strands), or (batch, tasks, 1) if strands are joint.
        """
        other = np.zeros(len(codes), np.bool_) if minus is None else minus
        strands = (other, ~other) if self.reverse_complement else (other,)
        folds = self.networks(precision)
        members = [self._member(fold, codes, strand) for fold in folds for strand in strands]
        profile, logs = zip(*members, strict=True)
        return mean_of(profile), mean_of(logs)

    def _member(
        self, fold: BPNetForProfilePrediction, codes: Codes, minus: Mask
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


def load_ensemble(
    folds: Sequence[Checkpoint],
    tracks: Sequence[Track],
    *,
    reverse_complement: bool = False,
    shifts: Sequence[int] = (0,),
    untransform: Untransform | None = None,
    standard_deviation: bool = False,
) -> Ensemble:
    """Load checkpoints as an ensemble that predicts `tracks`.

    Only the rows of the heads that are needed are loaded: those of `tracks`, and of their strand
    partners with `reverse_complement`.

    Args:
        folds: checkpoints with the same tracks, as `recognise` returns them.
        tracks: tracks to give, in this order.
        reverse_complement: see `Ensemble`, also for the other arguments.
        shifts: bp.
        untransform: transforms the network's output back to coverage.
        standard_deviation: also give standard deviations.

    Returns:
        The ensemble, on the CPU.

    Raises:
        SeqcovError: a checkpoint cannot be read or does not fit, or a track has no strand partner.

    Example:
        >>> fold = recognise("borzoi", "weights/borzoi_fold0")
        >>> ensemble = load_ensemble([fold], fold.tracks[:3], reverse_complement=True)
        >>> ensemble.predict(codes).shape  # codes (1, 524288)
        (1, 6144, 3)
    """
    rows = {track.row for track in tracks}
    if reverse_complement:
        rows |= {track.pair for track in tracks}
    head = [track for track in folds[0].tracks if track.row in rows]
    return Ensemble(
        [load_checkpoint(fold, head) for fold in folds],
        tracks,
        reverse_complement=reverse_complement,
        shifts=shifts,
        untransform=untransform,
        standard_deviation=standard_deviation,
    )


def mean_of(values: Sequence[Tensor]) -> Tensor:
    """Return the mean of tensors of one shape; of a single one, that tensor itself."""
    return sum(values[1:], values[0]) / len(values) if len(values) > 1 else values[0]


def _partner_row(track: Track, head: Sequence[Track]) -> int:
    """Return the row of a track's strand partner. Raises SeqcovError if the head lacks it."""
    if all(candidate.row != track.pair for candidate in head):
        raise SeqcovError(
            f"track {track.identifier}: its other strand (row {track.pair}) is not among the"
            " tracks of this model, which averaging both strands needs"
        )
    return track.pair


def shifted(codes: Codes, shift: int) -> Codes:
    """Move codes (batch, window) to the right by `shift` bp; unknown enters at the other end."""
    if shift == 0:
        return codes
    moved = np.full_like(codes, UNKNOWN)
    if shift > 0:
        moved[:, shift:] = codes[:, :-shift]
    else:
        moved[:, :shift] = codes[:, -shift:]
    return moved
