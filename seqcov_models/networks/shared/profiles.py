"""What networks that predict profiles at peaks share: the product of fractions and reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqcov_models.networks.shared.base import CoverageModel, ModelOutput
from seqcov_models.networks.shared.config import ProfileConfig
from seqcov_models.tracks.table import Track


@dataclass
class ProfileOutput(ModelOutput):
    """What `forward` of a profile network returns.

    Attributes:
        profile_logits: Profiles before the softmax over positions: (batch, length, tasks, strands).
        count_logits: log(1 + reads): (batch, tasks, strands), or (batch, tasks, 1) for joint
            strands.
    """

    profile_logits: Tensor
    count_logits: Tensor


@dataclass
class PositionOutput:
    """What a network predicts along a sequence, whichever windows are laid over it.

    The profile of a window is the softmax of the logits of its core. Its log(1 + reads) are the
    logsumexp over terms of each term's mean over the core and `count_reach` positions beyond it at
    each side.

    Attributes:
        profile_logits: (batch, bases, tasks, strands), of the sequence without the context of a
            window at each end.
        count_terms: Addends of the reads, each (batch, positions, tasks, strands), or
            (batch, positions, tasks, 1) for joint strands. A network has one per trunk. There are
            `count_reach` more positions at each end than bases in `profile_logits`.
        count_reach: Positions beyond a core at each side, for each term.
    """

    profile_logits: Tensor
    count_terms: tuple[Tensor, ...]
    count_reach: tuple[int, ...]

    def flip(self) -> "PositionOutput":
        """Return this prediction on the other strand: positions and strands are reversed."""
        terms = tuple(term.flip(1, 3) for term in self.count_terms)
        return PositionOutput(self.profile_logits.flip(1, 3), terms, self.count_reach)

    def trim_terms(self) -> "PositionOutput":
        """Return this prediction without the positions of the terms that have no logits."""
        terms = (
            term[:, reach : term.shape[1] - reach]
            for term, reach in zip(self.count_terms, self.count_reach, strict=True)
        )
        return PositionOutput(self.profile_logits, tuple(terms), self.count_reach)

    @classmethod
    def join(cls, parts: Sequence["PositionOutput"]) -> "PositionOutput":
        """Join the trimmed predictions of neighbouring sequences, whose contexts overlap."""
        if len(parts) == 1:
            return parts[0]
        terms = zip(*(part.count_terms for part in parts), strict=True)
        return cls(
            torch.cat([part.profile_logits for part in parts], 1),
            tuple(torch.cat(term, 1) for term in terms),
            parts[0].count_reach,
        )


class ProfileModel(CoverageModel):
    """A network that predicts a profile and a read count per task and strand.

    Attributes:
        config: The sizes of the network.
        tracks: The tracks, in the order of the last axis of the coverage.
        model: The same network without its head.
        track_channels: Place of each of `tracks` among all strands of the computed tasks.
    """

    config: ProfileConfig
    track_channels: list[int]

    def postprocess(self, output: ProfileOutput, expm1: bool = False) -> tuple[Tensor, list[str]]:
        """Combine profiles and counts into reads per base.

        Args:
            output: What `forward` returned.
            expm1: Whether read counts are exp(logits) − 1 instead of exp(logits).

        Returns:
            Reads per base (batch, core, tracks), non-negative; and the identifier of each track.

        Example:
            >>> coverage, names = model.postprocess(model(codes))
        """
        coverage = reads_per_base(
            profile_probabilities(output), output.count_logits, expm1, self.config.added_reads
        )
        return self.select_channels(coverage), [track.identifier for track in self.tracks]

    def predict_positions(self, codes: Tensor) -> PositionOutput:
        """Predict all bases of sequences, for windows that begin anywhere.

        Only for networks whose config says `is_window_independent`.

        Args:
            codes: Codes 0 … 4 for A, C, G, T, N: (batch, length), longer than the context of a
                window at both ends.

        Returns:
            Logits and terms of the counts, without the context at each end.

        Example:
            >>> model.predict_positions(codes).profile_logits.shape  # codes (1, 20000)
            torch.Size([1, 18886, 1, 2])
        """
        raise NotImplementedError

    def select_channels(self, coverage: Tensor) -> Tensor:
        """Select the values of `tracks`: (batch, core, tasks, strands) → (batch, core, tracks)."""
        channels = coverage.flatten(2)
        if len(self.track_channels) < channels.shape[-1]:
            return channels[..., self.track_channels]
        return channels

    def track_tables(self) -> dict[str, list[Track]]:
        """Return the table of all strands of each task, which stay in the heads together."""
        return {"targets": self.config.default_tracks()}


def profile_probabilities(output: ProfileOutput) -> Tensor:
    """Compute the fraction of reads at each position: (batch, length, tasks, strands).

    Fractions sum to 1 per task and strand, or per task over both strands if these are joint.
    """
    logits = output.profile_logits
    if output.count_logits.shape[-1] == logits.shape[-1]:
        return logits.softmax(1)
    joint = logits.movedim(1, 2).flatten(2).softmax(-1)
    return joint.view(*joint.shape[:2], *logits.shape[1:4:2]).movedim(1, 2)


def read_counts(count_logits: Tensor, expm1: bool = False, added_reads: int = 0) -> Tensor:
    """Compute the number of reads per window; same shape as `count_logits`.

    Networks are trained on log(1 + reads), so the exponential is too large by 1. The original uses
    it nevertheless; `expm1` subtracts the 1 and clips at 0. `added_reads` of a network that was
    trained with more than 1 are always subtracted.
    """
    if added_reads:
        return (count_logits.exp() - added_reads).clamp(min=0)
    return count_logits.expm1().clamp(min=0) if expm1 else count_logits.exp()


def reads_per_base(
    fractions: Tensor, count_logits: Tensor, expm1: bool = False, added_reads: int = 0
) -> Tensor:
    """Distribute the reads of a window over its bases: (batch, length, tasks, strands).

    `fractions` are those of `profile_probabilities`, `count_logits` as in `ProfileOutput`,
    `added_reads` as in `ProfileConfig`.
    """
    return fractions * read_counts(count_logits, expm1, added_reads)[:, None]
