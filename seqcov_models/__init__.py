"""Predict coverage along genomes with Basenji2, Enformer, Borzoi and BPNet.

Names are imported on first use, so that planning a run does not pay for importing torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "BorzoiConfig": "configs",
    "Geometry": "configs",
    "BorzoiForTokenPrediction": "networks.borzoi",
    "BorzoiModel": "networks.borzoi",
    "SeqcovError": "errors",
    "Track": "tracks",
    "load_model": "checkpoints.load",
    "save_model": "checkpoints.load",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
