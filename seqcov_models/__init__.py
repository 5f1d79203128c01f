"""Predict coverage along genomes with Basenji2, Enformer, Borzoi, BPNet and ChromBPNet.

Names are imported on first use, so that planning a run does not import torch.

Example:
    >>> from seqcov_models import load_model, predict_region
    >>> model = load_model("borzoi", "demo/borzoi", tracks=["assay:DNASE"])
    >>> predict_region(model, "demo/genome.fa", "chrA:100,001-120,000").values.shape
    (625, 2)
"""

import os
from importlib import import_module
from typing import Any

# Read when torch is imported. Threads that spin while they wait take the cores from other work on
# the same machine (benchmarks/README.md).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"

_MODULES = {
    "BPNetConfig": "networks.bpnet.config",
    "BPNetLiteConfig": "networks.bpnet.config",
    "BasenjiBlockConfig": "networks.basenji.config",
    "BasenjiConfig": "networks.basenji.config",
    "BorzoiConfig": "networks.borzoi.config",
    "CherimoyaConfig": "networks.cherimoya.config",
    "ChromBPNetConfig": "networks.chrombpnet.config",
    "EnformerConfig": "networks.enformer.config",
    "Geometry": "tiling",
    "BPNetForProfilePrediction": "networks.bpnet.network",
    "BPNetForTokenPrediction": "networks.bpnet.network",
    "BPNetModel": "networks.bpnet.network",
    "BasenjiForTokenPrediction": "networks.basenji.network",
    "BasenjiModel": "networks.basenji.network",
    "BorzoiForTokenPrediction": "networks.borzoi.network",
    "BorzoiModel": "networks.borzoi.network",
    "CherimoyaForProfilePrediction": "networks.cherimoya.network",
    "ChromBPNetForProfilePrediction": "networks.chrombpnet.network",
    "EnformerForTokenPrediction": "networks.enformer.network",
    "EnformerModel": "networks.enformer.network",
    "SeqcovError": "errors",
    "Track": "tracks.table",
    "Ensemble": "prediction.ensemble",
    "ProfileEnsemble": "prediction.ensemble",
    "RegionPrediction": "prediction.region",
    "load_model": "prediction.load",
    "predict_region": "prediction.region",
    "save_model": "checkpoints.load",
    "write_bigwigs": "prediction.region",
}
__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
