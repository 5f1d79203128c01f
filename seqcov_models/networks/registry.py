"""Every network, by the name that `config.yaml` uses."""

from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.bpnet.config import BPNetConfig, BPNetLiteConfig
from seqcov_models.networks.enformer.config import EnformerConfig
from seqcov_models.networks.shared.config import Config

CONFIGS: dict[str, type[Config]] = {
    "basenji2": BasenjiConfig,
    "enformer": EnformerConfig,
    "borzoi": BorzoiConfig,
    "bpnet": BPNetConfig,
    "bpnetlite": BPNetLiteConfig,
}
"""The config class of each architecture, by the name that `config.yaml` uses."""
