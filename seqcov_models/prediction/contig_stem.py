"""Compute the stem of a network once along a contig, for all windows that overlap there.

A position of a stem sees a few hundred bases, but windows share up to two thirds of theirs with the
next. So the stem is computed in pieces on a grid of the contig, and neighbouring windows are put
together from the same pieces. Only the ends of a window are computed for that window alone, because
they see where it ends: networks pad with zeros there. A piece depends on its place only, so values
do not depend on chunks, batches or the order of windows.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.compute import route
from seqcov_models.sequence import UNKNOWN, Codes

Features = tuple[Tensor, ...]
"""Output of a stem: (positions, channels) per element of `Stem.factors`."""


class ContigStem:
    """The stem of one network along one strand of a contig, read with one shift.

    Holds the pieces that the last window was made from, and the output for unknown sequence.

    Attributes:
        network: The network, as `prepare_network` returns it; it has a `shared_stem`.
        piece: Bases per piece, a multiple of the stem's pooling.
    """

    def __init__(self, network: CoverageModel) -> None:
        assert network.shared_stem is not None
        self.network, self.stem = network, network.shared_stem
        factor = self.stem.pool_factor
        bases = min(route(network.device).piece, network.geometry.window // 4)
        self.piece = max(1, bases // factor) * factor
        self._grid: tuple[object, int] = (None, 0)
        self._pieces: dict[int, Features] = {}
        self._unknown: dict[tuple[int, int, int], Features] = {}

    @property
    def margin(self) -> int:
        """Bases beyond a window that `compute` may ask for."""
        return self.piece + self.stem.halo

    def compute(
        self,
        windows: Codes,
        starts: Sequence[int],
        fetch: Callable[[int, int], Codes],
        sweep: object,
        shift: int = 0,
    ) -> Features:
        """Compute the stem of windows of one contig.

        Coordinates are 0-based on the strand that is read, and may be negative.

        Args:
            windows: Codes (batch, window) as the network reads them.
            starts: Start of each window, in ascending or descending order.
            fetch: Returns the codes of [start, end), unknown beyond the contig's ends.
            sweep: The same object for all windows of one contig; see `ContigWindows`.
            shift: How many bases at one end of each window are unknown, whatever the contig holds.

        Returns:
            What `Stem.forward` returns for `windows`, to rounding: (batch, channels, positions).
        """
        parts: list[Features] = []
        factor, halo, length = self.stem.pool_factor, self.stem.halo, windows.shape[1]
        edge = -(-(self.stem.reach + abs(shift)) // factor) * factor
        if length < 2 * (edge + halo):
            return self.stem(self._encode(windows))  # type: ignore[no-any-return]
        for codes, start in zip(windows, starts, strict=True):
            first, last = start + edge, start + length - edge
            parts.append(self._compute(codes[: edge + halo], 0, edge))
            pieces = self._cover(first, last, fetch, sweep)
            parts += [self._cut(piece, first - begin, last - begin) for begin, piece in pieces]
            parts.append(self._compute(codes[-edge - halo :], halo, halo + edge))
        return tuple(
            torch.cat(tensors).view(len(windows), -1, tensors[0].shape[-1]).transpose(1, 2)
            for tensors in zip(*parts, strict=True)
        )

    def _cover(
        self, first: int, last: int, fetch: Callable[[int, int], Codes], sweep: object
    ) -> list[tuple[int, Features]]:
        """Return the starts and features of the pieces that cover [first, last), in order."""
        offset, halo = first % self.stem.pool_factor, self.stem.halo
        old = self._pieces if self._grid == (sweep, offset) else {}
        self._grid, self._pieces = (sweep, offset), {}
        for begin in range((first - offset) // self.piece * self.piece + offset, last, self.piece):
            self._pieces[begin] = old.get(begin) or self._compute(
                fetch(begin - halo, begin + self.piece + halo), halo, halo + self.piece
            )
        return list(self._pieces.items())

    def _compute(self, codes: Codes, first: int, last: int) -> Features:
        """Compute the stem of [first, last) of `codes`; of unknown sequence only once."""
        key = (len(codes), first, last)
        unknown = codes.min() == UNKNOWN
        if unknown and key in self._unknown:
            return self._unknown[key]
        outputs = self.stem.compute_within(self._encode(codes[None]), first, last)
        features = tuple(output[0] for output in outputs)
        if unknown:
            self._unknown[key] = features
        return features

    def _cut(self, features: Features, first: int, last: int) -> Features:
        """Return the features of bases [first, last), if `features` begin at base 0."""
        return tuple(
            tensor[max(0, first // factor) : last // factor]
            for tensor, factor in zip(features, self.stem.factors, strict=True)
        )

    def _encode(self, codes: Codes) -> Tensor:
        """Copy codes (batch, length) to the device as one-hot (batch, letters, length)."""
        return self.network.encode(copy_codes(codes, self.network.device)).transpose(1, 2)


def copy_codes(codes: Codes, device: torch.device) -> Tensor:
    """Copy codes to `device`. From pinned memory the host does not wait for the copy."""
    tensor = torch.from_numpy(np.ascontiguousarray(codes))
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
