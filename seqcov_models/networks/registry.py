"""Every network that this package knows: one record per network, and no other list of them.

A new network is a drawer (`networks/<name>/config.py` and `network.py`) and one record here.
Importing this module does not import torch; `Network.load_class` does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.bpnet.config import BPNetConfig, BPNetLiteConfig
from seqcov_models.networks.cherimoya.config import CherimoyaConfig
from seqcov_models.networks.chrombpnet.config import ChromBPNetConfig
from seqcov_models.networks.enformer.config import EnformerConfig
from seqcov_models.networks.shared.config import BinnedConfig, Config

if TYPE_CHECKING:
    from seqcov_models.networks.shared.base import CoverageModel


@dataclass(frozen=True)
class Network:
    """One network, as the rest of the package uses it.

    Attributes:
        name: Its name in `config.yaml`, the same as `config_class.ARCHITECTURE`.
        config_class: The class of its config, whose defaults are the published sizes.
        module: The module of its torch class.
        class_name: The torch class in `module` that predicts coverage.
        output: "bins" (coverage in bins along the genome) or "profiles" (at peaks, per base).
        stranded: Whether its tracks come in pairs of strands. If so, a track table without the
            column `strand_pair` leaves the pairs unknown. Tracks of other networks are unstranded.
        transform: The transform from coverage to its training data; see `tracks.units.TRANSFORMS`.
        published_transform: The transform for heads of a published size, if it differs.
    """

    name: str
    config_class: type[Config]
    module: str
    class_name: str
    output: Literal["bins", "profiles"]
    stranded: bool = False
    transform: str = "scale"
    published_transform: str | None = None

    @property
    def published_heads(self) -> Mapping[str, int]:
        """Number of tracks of the published heads by species; empty if sizes vary by file."""
        return self.config_class.HEADS if issubclass(self.config_class, BinnedConfig) else {}

    def default_transform(self, head_tracks: int) -> str:
        """Return the transform in the training of a checkpoint with `head_tracks` tracks."""
        published = head_tracks in self.published_heads.values()
        return (published and self.published_transform) or self.transform

    def load_class(self) -> "Callable[[Config], CoverageModel]":
        """Import and return the torch class, which is built from its config alone."""
        network: Callable[[Config], CoverageModel]
        network = getattr(import_module(self.module), self.class_name)
        return network


NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        Network(
            "basenji2",
            BasenjiConfig,
            "seqcov_models.networks.basenji.network",
            "BasenjiForTokenPrediction",
            "bins",
        ),
        Network(
            "enformer",
            EnformerConfig,
            "seqcov_models.networks.enformer.network",
            "EnformerForTokenPrediction",
            "bins",
        ),
        Network(
            "borzoi",
            BorzoiConfig,
            "seqcov_models.networks.borzoi.network",
            "BorzoiForTokenPrediction",
            "bins",
            stranded=True,
            transform="new",
            published_transform="old",
        ),
        Network(
            "bpnet",
            BPNetConfig,
            "seqcov_models.networks.bpnet.network",
            "BPNetForProfilePrediction",
            "profiles",
        ),
        Network(
            "bpnetlite",
            BPNetLiteConfig,
            "seqcov_models.networks.bpnet.network",
            "BPNetForProfilePrediction",
            "profiles",
        ),
        Network(
            "chrombpnet",
            ChromBPNetConfig,
            "seqcov_models.networks.chrombpnet.network",
            "ChromBPNetForProfilePrediction",
            "profiles",
        ),
        Network(
            "cherimoya",
            CherimoyaConfig,
            "seqcov_models.networks.cherimoya.network",
            "CherimoyaForProfilePrediction",
            "profiles",
        ),
    )
}
"""The networks by their names in `config.yaml`."""
