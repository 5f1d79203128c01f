"""Choose the device and the precision of a prediction."""

import ctypes
import fcntl
import logging
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import torch

from seqcov_models.errors import SeqcovError
from seqcov_models.files import make_runtime_folder
from seqcov_models.locks import check_run, open_lock

log = logging.getLogger("seqcov")


def use_precision(precision: str, device: torch.device) -> None:
    """Choose how products of float32 numbers are computed: exactly, or in tf32 (GPU only).

    With bfloat16 they are computed in tf32, too. Then only the heads are float32: `prepare_network`
    converts all other weights.

    Args:
        precision: float32, tf32 or bfloat16.
        device: The device that computes.

    Raises:
        SeqcovError: If the precision is tf32 and the device is a CPU, which would ignore it.
    """
    if precision == "tf32" and device.type == "cpu":
        raise SeqcovError("precision tf32 needs a GPU, but the CPU computes; use float32 (exact)")
    torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
    torch.backends.cudnn.allow_tf32 = precision != "float32"


def keep_freed_memory() -> None:
    """Let this process keep memory that it frees, to use it again (glibc only).

    glibc returns each block above 32 MiB to the kernel, which clears it page by page when the next
    layer asks for as much: a tenth of the time of a prediction on a CPU. Only for processes that do
    nothing but predict. Call it once the weights are loaded.
    """
    mmap_max, trim_threshold = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of <malloc.h>
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


def return_freed_memory() -> None:
    """Return memory that `keep_freed_memory` has kept to the kernel (glibc only).

    It has holes between what is still in use, of the sizes that were needed so far. Before work
    with tensors of other sizes this saves as much memory as would not fit into these holes.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def too_low_precision(output: str, precision: str) -> SeqcovError:
    """Return the error for a NaN or infinite output; `output` says which one and its place."""
    return SeqcovError(
        f"{output} is NaN or infinite in {precision}; is the precision too low for these weights?"
        " Try precision: float32"
    )


class Device:
    """One device for this process: a GPU that no other process of this user holds, or the CPU.

    Snakemake counts GPUs but does not assign them. Jobs on one machine therefore agree through one
    lock file per GPU, which the kernel frees when its holder ends for any reason. If a cluster's
    scheduler has already narrowed CUDA_VISIBLE_DEVICES to this job, the lock is always free.

    Attributes:
        name: torch's name of the device: "cpu", "cuda:0", …
        lock: The open lock file; None for the CPU.

    Example:
        >>> device = Device("auto")
        >>> model = load_model("borzoi", "weights/", device=device.name)
        >>> device.close()
    """

    def __init__(self, kind: str = "auto", folder: Path | None = None) -> None:
        """Lock a device; wait until a GPU is free.

        Args:
            kind: cpu, cuda, or auto (a GPU if there is one).
            folder: The folder of the lock files; by default one of this user.

        Raises:
            SeqcovError: If `kind` is cuda, but torch sees no GPU, if the GPU cannot be used, or if
                no lock can be opened.
        """
        self.lock: IO[str] | None = None
        self.name = "cpu"
        if kind == "cpu":
            return
        if not torch.cuda.is_available():
            reason = explain_missing_gpu()
            if kind == "cuda":
                raise SeqcovError(f"device cuda: {reason}; use auto or cpu")
            if visible_gpus():  # a scheduler or the user expects that a GPU computes
                log.warning("device auto: %s; the CPU computes", reason)
            return
        names = name_gpus()
        self.lock, number = lease(names, folder or make_runtime_folder() / "devices")
        self.name = f"cuda:{number}"
        try:
            free, total = torch.cuda.mem_get_info(number)
            free += torch.cuda.memory_reserved(number)  # by an earlier model of this job
        except RuntimeError as error:
            self.close()
            reason = str(error).partition("\n")[0]
            raise SeqcovError(
                f"GPU {number} ({names[number]}) cannot be used: {reason}. If another program holds"
                " it, wait for that, or choose other GPUs with CUDA_VISIBLE_DEVICES"
            ) from None
        if total - free > max(0.1 * total, 2e9):  # more than CUDA itself takes
            log.warning(
                "GPU %d (%s): other programs use %.1f of its %.1f GB; batches become smaller",
                number, names[number], (total - free) / 1e9, total / 1e9,
            )  # fmt: skip

    def close(self) -> None:
        """Release the device for other processes."""
        if self.lock:
            self.lock.close()


def visible_gpus() -> str | None:
    """Return the setting that chooses this process's GPUs, if there is one."""
    names = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
    return next((os.environ[name] for name in names if name in os.environ), None)


def explain_missing_gpu() -> str:
    """Return why torch sees no GPU."""
    if torch.version.cuda is None and torch.version.hip is None:
        if torch.backends.mps.is_available():
            return "Apple's GPUs (mps) are not supported"
        return "this torch is built without GPUs; install torch with CUDA or ROCm"
    if visible := visible_gpus():
        return f"torch sees no GPU on this machine, although {visible!r} should be visible"
    if visible is not None:
        return "torch sees no GPU, because CUDA_VISIBLE_DEVICES is empty"
    return "torch sees no GPU on this machine"


def name_gpus() -> list[str]:
    """Return a name per GPU that torch sees, the same in all processes.

    It is the GPU's UUID. A part of a GPU (MIG) is named by CUDA_VISIBLE_DEVICES: a process sees one
    of them at most. If torch knows no UUIDs (some builds for AMD), numbers are the names.
    """
    numbers = range(torch.cuda.device_count())
    names = (visible_gpus() or "").replace("/", "-").split(",")
    if names[0].startswith("MIG-"):
        return names[:1]
    if len(names) < len(numbers) or names == [""]:
        names = [str(number) for number in numbers]
    properties = [torch.cuda.get_device_properties(number) for number in numbers]
    return [str(getattr(properties[gpu], "uuid", f"gpu-{names[gpu]}")) for gpu in numbers]


def used_memory(names: Sequence[str]) -> list[int]:
    """Return the memory of each GPU that any program uses, in MB; 0 if it is not known.

    Asked of nvidia-smi, because torch would take memory on every GPU to find out.
    """
    query = ["nvidia-smi", "--query-gpu=uuid,memory.used", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(
            query, capture_output=True, text=True, check=True, timeout=30
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return [0] * len(names)
    used = dict(line.split(", ", 1) for line in lines if ", " in line)
    numbers = [used.get(f"GPU-{name}", "0") for name in names]
    return [int(number) if number.isdigit() else 0 for number in numbers]


def lease(names: Sequence[str], folder: Path, poll: float = 0.3) -> tuple[IO[str], int]:
    """Lock one of several devices, the one with least used memory; wait until one is free.

    Args:
        names: Names of the devices, the same in all processes.
        folder: The folder of the lock files, which only this user can write.
        poll: Seconds between two attempts.

    Returns:
        The open lock file, which holds the lock until it is closed, and the device's index.

    Raises:
        SeqcovError: If a lock file cannot be opened, or is a symbolic link, or if the run that
            started this job ends meanwhile.
    """
    used = used_memory(names) if len(names) > 1 else [0]
    order = sorted(range(len(names)), key=used.__getitem__)
    while True:
        for number in order:
            name = names[number]
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
                handle = open_lock(folder / f"{name}.lock")
            except OSError as error:
                reason = error.strerror if error.filename is None else error
                raise SeqcovError(f"no lock for GPU {name}: {reason}") from None
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.close()
                continue
            except OSError as error:
                raise SeqcovError(
                    f"no lock for GPU {name}: {folder}: {error.strerror}; set XDG_CACHE_HOME to a"
                    " folder of a local disk"
                ) from None
            return handle, number
        check_run(pause=2)
        time.sleep(poll)
