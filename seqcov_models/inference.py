"""Windows of sequence to coverage: batches, precision, devices."""

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import torch

from .chunks import chunk_writer
from .configs import Geometry
from .errors import SeqcovError
from .genome import Genome
from .networks.base import TokenPredictionModel
from .progress import progress
from .sequence import UNKNOWN, Codes
from .windows import Bins, Segment

Coverage = npt.NDArray[np.float32]


@dataclass
class Seconds:
    """Where the time of a prediction went. `reading` is what the network had to wait for."""

    reading: float = 0.0
    model: float = 0.0
    writing: float = 0.0

    @contextmanager
    def spent_on(self, part: str) -> Iterator[None]:
        """Add the time of the block to `part`."""
        began = time.perf_counter()
        yield
        setattr(self, part, getattr(self, part) + time.perf_counter() - began)


def predict_chunk(
    model: TokenPredictionModel,
    genome: Genome,
    segments: Sequence[Segment],
    wanted: Mapping[str, Bins],
    path: Path,
    *,
    dtype: str = "float32",
    batch_size: int = 1,
    precision: str = "float32",
) -> Seconds:
    """Predict the windows of `segments` into the chunk file `path` (see `chunks`).

    wanted: bins to give a value, by contig; the others have none.
    Raises SeqcovError where the network's output is not finite.
    """
    seconds = Seconds()
    total = sum(segment.bins for segment in segments)
    windows = sum(segment.count for segment in segments)
    with (
        chunk_writer(path, len(model.tracks), total, dtype) as write,
        progress(windows, "windows") as done,
    ):
        offset = 0
        for segment in segments:
            keep = _mask(wanted[segment.contig], segment, model.geometry.bins)
            for first, values in predict_segment(
                model, genome.fetch, segment, batch_size, precision, seconds
            ):
                values[~keep[first : first + len(values)]] = np.nan
                with seconds.spent_on("writing"):
                    write(offset + first, values)
                done(-(-len(values) // model.geometry.bins))
            offset += segment.bins
    return seconds


def _mask(wanted: Bins, segment: Segment, core_bins: int) -> npt.NDArray[np.bool_]:
    """Which of a segment's bins are wanted, shape (bins,)."""
    mask = np.zeros(segment.bins, np.bool_)
    for start, end in (wanted - segment.first * core_bins).clip(0).tolist():
        mask[start:end] = True
    return mask


def predict_segment(
    model: TokenPredictionModel,
    fetch: Callable[[str, int, int], Codes],
    segment: Segment,
    batch_size: int = 1,
    precision: str = "float32",
    seconds: Seconds | None = None,
) -> Iterator[tuple[int, Coverage]]:
    """Coverage of a segment's bins, batch by batch, in order.

    fetch(contig, start, end) gives codes, unknown beyond the contig's ends. Yields (first bin,
    relative to the segment's; values (bins, tracks) ``float32``); a bin without any A, C, G or T
    is NaN: it has no value. Windows whose core holds no base are not predicted.
    Raises SeqcovError where the network's output is not finite.
    """
    seconds = seconds or Seconds()
    geometry = model.geometry
    numbers = range(segment.first, segment.first + segment.count)
    batches = [numbers[at : at + batch_size] for at in range(0, len(numbers), batch_size)]

    def read(batch: Sequence[int]) -> Codes:
        starts = [number * geometry.core - geometry.context for number in batch]
        return np.stack([fetch(segment.contig, s, s + geometry.window) for s in starts])

    done = 0
    with ThreadPoolExecutor(1) as reader:  # reads the next batch while this one is predicted
        coming = reader.submit(read, batches[0])
        for at, batch in enumerate(batches):
            with seconds.spent_on("reading"):
                codes = coming.result()
            if at + 1 < len(batches):
                coming = reader.submit(read, batches[at + 1])
            with seconds.spent_on("model"):
                values = _predict_cores(model, codes, geometry, precision)
            values = values.reshape(-1, values.shape[-1])[: segment.bins - done]
            if np.isinf(values).any():
                track = model.tracks[int(np.isinf(values).any(0).argmax())]
                start = (batch[0] * geometry.bins) * geometry.bin
                raise SeqcovError(
                    f"{segment.contig} from {start:,}: track {track.identifier} came out as NaN or"
                    f" infinite in {precision}; is the precision too low for these weights?"
                )
            yield done, values
            done += len(values)


def _predict_cores(
    model: TokenPredictionModel, codes: Codes, geometry: Geometry, precision: str
) -> Coverage:
    """(windows, window) codes → (windows, bins, tracks); gaps NaN, whatever is not finite inf."""
    inner = codes[:, geometry.context : geometry.context + geometry.core]
    known = (inner != UNKNOWN).reshape(len(codes), geometry.bins, geometry.bin).any(2)
    values = np.full((*known.shape, len(model.tracks)), np.nan, np.float32)
    if (live := known.any(1)).any():
        with torch.inference_mode(), _precision(precision, model.device):
            output = model(torch.from_numpy(codes[live]).to(model.device))
            predicted = model.postprocess(output)[0].float().cpu().numpy()
        predicted[~np.isfinite(predicted)] = np.inf
        values[live] = predicted
        values[~known] = np.nan
    return values


def _precision(name: str, device: torch.device) -> AbstractContextManager[object]:
    """What makes the arithmetic `name`: float32 (exact), tf32 (GPU only) or bfloat16."""
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    if name == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


class Device:
    """One device for this process: a GPU nobody else of ours holds, or the CPU.

    Snakemake counts GPUs but hands out none, so jobs that share a machine agree through a lock file
    a GPU, which the kernel frees when its holder ends, however it ends. Where a cluster's scheduler
    has already narrowed CUDA_VISIBLE_DEVICES to this job, the locks never meet.
    """

    def __init__(self, wanted: str = "auto", folder: Path | None = None) -> None:
        """wanted: auto, cpu or cuda. Waits until a GPU is free.

        Raises SeqcovError where cuda is asked for and there is none.
        """
        self.lock: IO[str] | None = None
        self.name = "cpu"
        if wanted == "cpu":
            return
        if not torch.cuda.is_available():
            if wanted == "cuda":
                raise SeqcovError("device cuda: torch sees no GPU here; ask for auto or cpu")
            return
        count = torch.cuda.device_count()
        names = [str(torch.cuda.get_device_properties(at).uuid) for at in range(count)]
        self.lock, number = lease(names, folder or Path(tempfile.gettempdir()))
        self.name = f"cuda:{number}"

    def close(self) -> None:
        """Give the device back."""
        if self.lock:
            self.lock.close()


def lease(names: Sequence[str], folder: Path, poll: float = 0.3) -> tuple[IO[str], int]:
    """Lock one of `names` for as long as the returned file is open; wait where all are taken."""
    folder = folder / f"seqcov-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    while True:
        for number, name in enumerate(names):
            handle = (folder / f"{name}.lock").open("w")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.close()
                continue
            return handle, number
        time.sleep(poll)
