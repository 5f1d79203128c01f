"""Choose how many windows one forward pass has on a GPU."""

from typing import Any

import numpy as np
import torch

from seqcov_models.networks.shared.compute import route
from seqcov_models.prediction.ensemble import FoldEnsemble
from seqcov_models.sequence import UNKNOWN

BASES_PER_PASS = 1 << 21
"""Bases of sequence that occupy any current GPU; more at once cost memory and save nothing."""

MEMORY_SHARE = 0.7
"""Share of the free memory that a pass may take: two results wait to be copied meanwhile, and the
stems that neighbouring windows share are kept."""


def choose_batch_size(ensemble: FoldEnsemble[Any], precision: str) -> int:
    """Return how many windows per forward pass a GPU's free memory allows; 1 on a CPU.

    The last bits of a value depend on the number of windows that oneDNN computes together. A job
    that continues a killed one, or copies windows, has other batches: only single windows give the
    same bytes. On a GPU one window is predicted, and its peak of memory measured. If other
    processes take memory later, `FoldEnsemble.start` halves its batches.

    Args:
        ensemble: The model, on its device.
        precision: float32, tf32 or bfloat16.

    Raises:
        SeqcovError: If the memory does not suffice for one window.
    """
    device, window = ensemble.device, ensemble.geometry.window
    if not route(device).asynchronous:
        return 1
    ensemble.prepare_networks(precision)
    torch.cuda.reset_peak_memory_stats(device)
    held = torch.cuda.memory_allocated(device)
    with torch.inference_mode():
        for part in ensemble.start(np.full((1, window), UNKNOWN, np.uint8), precision):
            part.wait()
    needed = torch.cuda.max_memory_allocated(device) - held
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = torch.cuda.mem_get_info(device)[0] + unused
    return max(1, min(BASES_PER_PASS // window, int(MEMORY_SHARE * free / needed)))
