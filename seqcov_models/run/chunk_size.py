"""Choose how many windows a prediction job predicts, from the work per window.

A job starts for seconds (Python, the GPU, the checksums and the weights) before its first window.
Chunks are so large that this does not count on a fast GPU. Large chunks cost little elsewhere:
a killed job continues inside its chunk. The choice depends on the config and the genome alone, not
on the machine, because other chunks would have other digests.
"""

from math import ceil

from seqcov_models.networks.shared.config import BinnedConfig, Config, ProfileConfig
from seqcov_models.tiling import Tiling

OPERATIONS_PER_SECOND = {"float32": 25e12, "tf32": 200e12, "bfloat16": 350e12}
"""Half of the rate of matrix products on an NVIDIA H100, by precision."""
BYTES_PER_SECOND = 1e9
"""Predicted values that a job writes per second."""
START_SECONDS = 4.0
"""Start of a job."""
START_SHARE = 0.05
"""Largest share of the start in the time of a chunk."""
MAX_BYTES = 50e9
"""Largest chunk: a few per cent of what it belongs to, on the disk besides the results."""
MIN_CHUNKS = 8
"""Chunks of a small genome, so that several devices can work at once: the GPUs of one machine."""


def operations_per_window(config: Config, tiling: Tiling) -> float:
    """Return the multiplications and additions per window along a contig, for one member.

    Args:
        config: The network with the selected tracks.
        tiling: How windows lie. Neighbours share the stem of the bases that they share, or all
            layers if the network is computed once per base.
    """
    share = min(1.0, tiling.step * tiling.geometry.bin / tiling.geometry.window)
    if isinstance(config, ProfileConfig):
        return config.operations * (share if config.is_window_independent else 1.0)
    assert isinstance(config, BinnedConfig)
    return share * config.stem_operations + config.trunk_operations


def seconds_per_window(
    config: Config, tiling: Tiling, members: int, precision: str, value_bytes: float
) -> float:
    """Return how long one window takes on an H100.

    Args:
        config: The network with the selected tracks.
        tiling: How windows lie: neighbours share the stem of the bases that they share.
        members: Predictions per window: folds × shifts × strands.
        precision: "float32", "tf32" or "bfloat16".
        value_bytes: Bytes per window in the chunk file.
    """
    operations = members * operations_per_window(config, tiling)
    return max(operations / OPERATIONS_PER_SECOND[precision], value_bytes / BYTES_PER_SECOND)


def choose_windows_per_chunk(windows: int, seconds: float, value_bytes: float) -> int:
    """Return the number of windows per chunk.

    A chunk takes 20 times as long as its start. A run that is too small for 8 such chunks has 8,
    unless they took less than one start. No chunk has more than 50 GB.

    Args:
        windows: Windows of the genome.
        seconds: Time per window; see `seconds_per_window`.
        value_bytes: Bytes per window in the chunk file.

    Example:
        >>> choose_windows_per_chunk(15_700, seconds=0.15, value_bytes=2.5e6)
        534
    """
    best, least = START_SECONDS / START_SHARE / seconds, START_SECONDS / seconds
    chosen = min(best, max(windows / MIN_CHUNKS, least), MAX_BYTES / value_bytes)
    return max(1, min(windows, ceil(chosen)))
