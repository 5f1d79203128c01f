"""What a model says about a window when it is asked more than once: strands, shifts, folds.

Strands and shifts are averaged on the network's own output, then the output is taken back to
coverage where that is asked for, then folds are averaged: the order of calico's own scripts
(baskerville `seqnn.py` `build_ensemble`; calico/borzoi `src/scripts`).
"""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqcov_models.checkpoints.load import load_checkpoint
from seqcov_models.checkpoints.recognise import Checkpoint
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.sequence import UNKNOWN, Codes, reverse_complement
from seqcov_models.tiling import Geometry
from seqcov_models.tracks.table import Track
from seqcov_models.tracks.units import Untransform


class Ensemble:
    """One or more folds of a model, asked on one or both strands and at one or more shifts."""

    def __init__(
        self,
        folds: Sequence[CoverageModel],
        tracks: Sequence[Track] | None = None,
        *,
        both_strands: bool = False,
        shifts: Sequence[int] = (0,),
        untransform: Untransform | None = None,
        spread: bool = False,
    ) -> None:
        """tracks: those to give, of the folds' heads (all by default); spread: also the standard
        deviation over all members.

        shifts: bp that the sequence is moved to the right by before it is read; predictions are not
        moved back. Raises SeqcovError where a strand's partner is not among the heads' tracks.
        """
        self.folds = [fold.eval() for fold in folds]
        self.shifts, self.spread = tuple(shifts), spread
        self.both_strands, self.untransform = both_strands, untransform
        head = self.folds[0].tracks
        self.tracks = list(head if tracks is None else tracks)
        place = {track.row: at for at, track in enumerate(head)}
        self._chosen = torch.tensor([place[track.row] for track in self.tracks])
        self._partners = self._chosen
        if both_strands:
            self._partners = torch.tensor([place[_partner(track, head)] for track in self.tracks])

    @property
    def geometry(self) -> Geometry:
        """Window, core and bins in bp."""
        return self.folds[0].geometry

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.folds[0].device

    def to(self, device: str) -> "Ensemble":
        """Move the weights; in place, and returned."""
        for fold in self.folds:
            fold.to(device)
        self._chosen, self._partners = self._chosen.to(device), self._partners.to(device)
        return self

    def predict(self, codes: Codes) -> npt.NDArray[np.float32]:
        """(windows, window) codes → (windows, bins, tracks) ``float32``.

        With `spread`, twice as many on the last axis: means, then standard deviations (over all
        members as a population, on the scale of the means).
        """
        total: Tensor | None = None
        members: list[Tensor] = []
        for fold in self.folds:
            values = list(self._strands_and_shifts(fold, codes))
            mean = mean_of(values)
            mean = self._taken_back(mean)
            total = mean if total is None else total + mean
            if self.spread:
                members += [self._taken_back(value) for value in values]
        assert total is not None
        mean = total / len(self.folds) if len(self.folds) > 1 else total
        if self.spread:
            centre = mean_of(members)
            mean = torch.cat([mean, mean_of([(m - centre) ** 2 for m in members]).sqrt()], -1)
        return mean.cpu().numpy()

    def _strands_and_shifts(self, fold: CoverageModel, codes: Codes) -> Iterator[Tensor]:
        strands = (False, True) if self.both_strands else (False,)
        for shift, reverse in product(self.shifts, strands):
            seen = shifted(codes, shift)
            if reverse:
                seen = reverse_complement(seen)
            inputs = torch.from_numpy(np.ascontiguousarray(seen)).to(self.device)
            coverage = fold.postprocess(fold(inputs, output_contexts=False))[0].float()
            if reverse:
                yield coverage.flip(1)[..., self._partners]
            elif len(self.tracks) < coverage.shape[-1]:
                yield coverage[..., self._chosen]
            else:
                yield coverage

    def _taken_back(self, values: Tensor) -> Tensor:
        return self.untransform(values) if self.untransform else values


def load_ensemble(
    folds: Sequence[Checkpoint],
    tracks: Sequence[Track],
    *,
    both_strands: bool = False,
    shifts: Sequence[int] = (0,),
    untransform: Untransform | None = None,
    spread: bool = False,
) -> Ensemble:
    """The ensemble of checkpoints that gives `tracks`; arguments as for `Ensemble`.

    The heads keep the other strands of `tracks` too where both strands are asked.
    """
    rows = {track.row for track in tracks}
    if both_strands:
        rows |= {track.pair for track in tracks}
    head = [track for track in folds[0].tracks if track.row in rows]
    return Ensemble(
        [load_checkpoint(fold, head) for fold in folds],
        tracks,
        both_strands=both_strands,
        shifts=shifts,
        untransform=untransform,
        spread=spread,
    )


def mean_of(values: Sequence[Tensor]) -> Tensor:
    """Their mean; of one, that one itself."""
    return sum(values[1:], values[0]) / len(values) if len(values) > 1 else values[0]


def _partner(track: Track, head: Sequence[Track]) -> int:
    """The row of a track's other strand. Raises SeqcovError where the head lacks it."""
    if all(candidate.row != track.pair for candidate in head):
        raise SeqcovError(
            f"track {track.identifier}: its other strand (row {track.pair}) is not among the"
            " tracks of this model, which averaging both strands needs"
        )
    return track.pair


def shifted(codes: Codes, shift: int) -> Codes:
    """Codes (windows, window) moved to the right by `shift` bp, unknown where nothing came in."""
    if shift == 0:
        return codes
    moved = np.full_like(codes, UNKNOWN)
    if shift > 0:
        moved[:, shift:] = codes[:, :-shift]
    else:
        moved[:, :shift] = codes[:, -shift:]
    return moved
