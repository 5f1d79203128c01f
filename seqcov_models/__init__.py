"""Predict coverage along genomes with Basenji2, Enformer, Borzoi and BPNet.

Names are imported on first use, so that planning a run does not pay for importing torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "BPNetConfig": "networks.bpnet.config",
    "BPNetLiteConfig": "networks.bpnet.config",
    "BasenjiBlockConfig": "networks.basenji.config",
    "BasenjiConfig": "networks.basenji.config",
    "BorzoiConfig": "networks.borzoi.config",
    "EnformerConfig": "networks.enformer.config",
    "Geometry": "tiling",
    "BPNetForProfilePrediction": "networks.bpnet.network",
    "BPNetForTokenPrediction": "networks.bpnet.network",
    "BPNetModel": "networks.bpnet.network",
    "BasenjiForTokenPrediction": "networks.basenji.network",
    "BasenjiModel": "networks.basenji.network",
    "BorzoiForTokenPrediction": "networks.borzoi.network",
    "BorzoiModel": "networks.borzoi.network",
    "EnformerForTokenPrediction": "networks.enformer.network",
    "EnformerModel": "networks.enformer.network",
    "SeqcovError": "errors",
    "Track": "tracks.table",
    "Ensemble": "prediction.ensemble",
    "RegionPrediction": "prediction.region",
    "load_ensemble": "prediction.load",
    "load_model": "prediction.load",
    "predict_region": "prediction.region",
    "save_model": "checkpoints.load",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
