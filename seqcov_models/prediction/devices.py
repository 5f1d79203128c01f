"""Choose the device and the precision of a prediction."""

import fcntl
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO

import torch

from seqcov_models.errors import SeqcovError


def arithmetic(name: str, device: torch.device) -> AbstractContextManager[object]:
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
