"""Remember how fast networks are on the user's devices, to say what later runs cost.

A prediction job notes its speed at its end, in a small file of the user's cache folder. The name of
the file contains the network, precision and device. If there is no such file, a speed is assumed.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from seqcov_models.errors import SeqcovError
from seqcov_models.files import make_cache_folder, write_text
from seqcov_models.networks.shared.config import BinnedConfig, Config
from seqcov_models.run.chunk_size import OPERATIONS_PER_SECOND
from seqcov_models.run.digests import digest

CPU_OPERATIONS_PER_SECOND = {"float32": 100e9, "bfloat16": 200e9}
"""Per thread, by precision: half of what a recent server's core does."""
SHORTEST = 2.0
"""Seconds of prediction that are measured: less says more about the start of a job."""


@dataclass(frozen=True)
class Speed:
    """How fast a device computes a network.

    Attributes:
        device: Name of the device.
        threads: CPU threads that were measured; 0 for a GPU.
        operations_per_second: Multiplications and additions, on a CPU per thread.
        is_measured: Whether it was measured, or is assumed.
    """

    device: str
    threads: int
    operations_per_second: float
    is_measured: bool = True

    @property
    def is_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.threads == 0


def record_speed(
    network: Config, precision: str, device: str, threads: int, operations: float, seconds: float
) -> None:
    """Remember a speed; do nothing if it cannot be written or if it took too short a time.

    Args:
        network: The network's config. The number of its tracks does not matter.
        precision: "float32", "tf32" or "bfloat16".
        device: Name of the device.
        threads: CPU threads; 0 for a GPU.
        operations: Multiplications and additions that it computed.
        seconds: How long it took.
    """
    if seconds < SHORTEST or not operations:
        return
    speed = Speed(device, threads, operations / seconds / max(1, threads))
    with suppress(OSError, SeqcovError):
        folder = make_cache_folder() / "speeds"
        folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{_identify(network, precision)}.{digest(device, threads)}.json"
        write_text(folder / name, json.dumps(asdict(speed)) + "\n")


def find_speed(network: Config, precision: str, device: str, threads: int) -> Speed:
    """Return the speed that was measured last, or else an assumed one.

    Args:
        network: The network's config. The number of its tracks does not matter.
        precision: "float32", "tf32" or "bfloat16".
        device: "auto", "cpu" or "cuda". auto is a GPU if this machine has one; else what was
            measured last, since the jobs may run on another machine.
        threads: CPU threads of a job. A speed with as many threads is preferred.
    """
    on_gpu = device == "cuda" or (device == "auto" and has_gpu())
    measured = [
        speed
        for speed in _read_speeds(network, precision)
        if speed.is_gpu == on_gpu or (device == "auto" and not on_gpu)
    ]
    if measured:
        newest = measured[0]
        of_threads = (speed for speed in measured if not newest.is_gpu and speed.threads == threads)
        return next(of_threads, newest)
    if on_gpu:
        return assumed_gpu(precision)
    rate = CPU_OPERATIONS_PER_SECOND.get(precision, CPU_OPERATIONS_PER_SECOND["float32"])
    return Speed("a CPU", threads, rate, is_measured=False)


def assumed_gpu(precision: str) -> Speed:
    """Return the speed that is assumed of a GPU."""
    return Speed("an NVIDIA H100", 0, OPERATIONS_PER_SECOND[precision], is_measured=False)


def has_gpu() -> bool:
    """Return whether this machine seems to have a GPU: the device files of NVIDIA or AMD."""
    devices = Path("/dev")
    return any(devices.glob("nvidia[0-9]*")) or (devices / "kfd").exists()


def processor_name() -> str:
    """Return the name of this machine's processor."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "CPU"


def _identify(network: Config, precision: str) -> str:
    """Return a text that differs between networks of other sizes, and between precisions."""
    config = network.with_tracks(1) if isinstance(network, BinnedConfig) else network
    return digest(config, precision)


def _read_speeds(network: Config, precision: str) -> list[Speed]:
    """Return all measured speeds of a network, the newest first; a damaged file is left out."""
    speeds = []
    with suppress(OSError, SeqcovError):
        files = (make_cache_folder() / "speeds").glob(f"{_identify(network, precision)}.*.json")
        for file in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True):
            with suppress(ValueError, TypeError):
                speed = Speed(**json.loads(file.read_text("utf-8")))
                if speed.operations_per_second > 0:
                    speeds.append(speed)
    return speeds
