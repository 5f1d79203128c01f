"""Predict coverage along genomes with Basenji2, Enformer, Borzoi and BPNet.

Names are imported on first use, so that planning a run does not pay for importing torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "BPNetConfig": "configs",
    "BPNetLiteConfig": "configs",
    "BasenjiBlockConfig": "configs",
    "BasenjiConfig": "configs",
    "BorzoiConfig": "configs",
    "EnformerConfig": "configs",
    "Geometry": "configs",
    "BPNetForProfilePrediction": "networks.bpnet",
    "BPNetForTokenPrediction": "networks.bpnet",
    "BPNetModel": "networks.bpnet",
    "BasenjiForTokenPrediction": "networks.basenji",
    "BasenjiModel": "networks.basenji",
    "BorzoiForTokenPrediction": "networks.borzoi",
    "BorzoiModel": "networks.borzoi",
    "EnformerForTokenPrediction": "networks.enformer",
    "EnformerModel": "networks.enformer",
    "SeqcovError": "errors",
    "Track": "tracks",
    "Ensemble": "ensemble",
    "RegionPrediction": "region",
    "load_ensemble": "ensemble",
    "load_model": "checkpoints.load",
    "predict_region": "region",
    "save_model": "checkpoints.load",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
