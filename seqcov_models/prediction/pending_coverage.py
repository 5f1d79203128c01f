"""Copy coverage from a GPU to the host while the GPU computes the next batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


class PendingCoverage:
    """Coverage (batch, bins, columns) that is being copied from the device to the host.

    The device checks whether it is finite, transposes it so that the bins of a track lie together
    as in chunk files, and converts it to their number format. All three take the host much longer.
    """

    def __init__(self, coverage: Tensor, dtype: torch.dtype = torch.float32) -> None:
        finite = coverage.isfinite().all()
        if dtype == torch.float16:
            limit = torch.finfo(dtype).max
            coverage = coverage.clamp(-limit, limit)
        by_track = coverage.to(dtype).transpose(1, 2).contiguous()
        self._copied: torch.cuda.Event | None = None
        with _copy_stream(by_track.device) as stream:  # the next batch computes meanwhile
            # two copies: reading one of them on the device would wait for the next batch
            self._host, self._finite = (
                torch.empty(values.shape, dtype=values.dtype, pin_memory=values.is_cuda).copy_(
                    values, non_blocking=True
                )
                for values in (by_track, finite)
            )
            if stream:
                for values in (by_track, finite):
                    values.record_stream(stream)  # their memory is in use until the copy ends
                self._copied = stream.record_event()

    def wait(self) -> tuple[npt.NDArray[Any], bool]:
        """Wait for the copy; return (batch, bins, columns), and whether all of it is finite."""
        if self._copied:
            self._copied.synchronize()
        return self._host.numpy().transpose(0, 2, 1), bool(self._finite)


_COPY_STREAMS: dict[torch.device, torch.cuda.Stream] = {}


@contextmanager
def _copy_stream(device: torch.device) -> Iterator[torch.cuda.Stream | None]:
    """Let a GPU do what the block starts beside its later work, but after its earlier work."""
    if device.type != "cuda":
        yield None
        return
    if device not in _COPY_STREAMS:
        _COPY_STREAMS[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream = _COPY_STREAMS[device]
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield stream
