"""Choose the device and the precision of a prediction."""

import fcntl
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import torch

from seqcov_models.errors import SeqcovError


def use_precision(precision: str) -> None:
    """Choose how products of float32 numbers are computed: exactly, or in tf32 (GPU only).

    In bfloat16, too, they are computed in tf32: only the heads are left in float32, all other
    weights are lowered by `prepare_network`.
    """
    torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
    torch.backends.cudnn.allow_tf32 = precision != "float32"


def too_low_precision(output: str, precision: str) -> SeqcovError:
    """Return the error for an output that is NaN or infinite; `output` says which and where."""
    return SeqcovError(
        f"{output} is NaN or infinite in {precision}; is the precision too low for these weights?"
        " Try precision: float32"
    )


class Device:
    """One device for this process: a GPU that no other process of this user holds, or the CPU.

    Snakemake counts GPUs but does not assign them. So jobs on one machine agree through one lock
    file per GPU, which the kernel frees when its holder ends for any reason. If a cluster's
    scheduler has already narrowed CUDA_VISIBLE_DEVICES to this job, the locks never meet.

    Attributes: `name`, for torch: "cpu" or "cuda:0" and so on; `lock`, the open file, None for the
    CPU.
    """

    def __init__(self, wanted: str = "auto", folder: Path | None = None) -> None:
        """Lock a device; wait until a GPU is free.

        Args:
            wanted: cpu, cuda, or auto (a GPU if there is one).
            folder: where the lock files lie; by default the system's temporary folder.

        Raises:
            SeqcovError: cuda is asked for, but torch sees no GPU.
        """
        self.lock: IO[str] | None = None
        self.name = "cpu"
        if wanted == "cpu":
            return
        if not torch.cuda.is_available():
            if wanted == "cuda":
                raise SeqcovError("device cuda: torch sees no GPU on this machine; use auto or cpu")
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
    """Lock one of `names`; return the lock, held while that file is open, and its number.

    If all are taken, look again every `poll` seconds.
    """
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
