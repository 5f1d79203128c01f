"""Enformer's sizes, without its weights."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from seqcov_models.networks.shared.config import (
    MOST_TRACKS,
    AttentionConfig,
)


@dataclass(frozen=True, kw_only=True)
class EnformerConfig(AttentionConfig):
    """Enformer (Avsec et al. 2021): 196,608 bp to 896 bins of 128 bp by default.

    Numbers: deepmind-research `enformer/enformer.py`.
    Raises SeqcovError (a ValueError) for values from which no network can be built.
    """

    ARCHITECTURE = "enformer"

    HEADS: ClassVar = {"human": 5_313, "mouse": 1_643}

    sequence_length: int = 196_608
    other_heads: Mapping[str, int] = field(default_factory=dict)
    """Tracks of further species' heads on the same trunk, as {'mouse': 1643}."""
    stem_channels: int = 768
    conv_tower_channels: tuple[int, ...] = (768, 896, 1024, 1152, 1280, 1536)
    num_hidden_layers: int = 11
    num_rel_pos_features: int = 192
    position_length: int = 1_536
    """Rows of a stored gamma table: 2 · this − 1. The formulas take the window's own length."""
    use_precomputed_gamma_basis: bool = False
    """Whether the gamma features of `position_length` are a table that comes with the weights."""
    target_length: int = 896
    head_hidden_size: int = 3_072
    hidden_act: str = "quick_gelu"
    hidden_dropout: float = 0.4
    """In the transformer."""
    head_dropout: float = 0.05
    """Before the head; the card has an eighth of `hidden_dropout`, as the original does."""
    batch_norm_eps: float = 1e-5
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head_hidden_size == 0:
            raise self.refusal("head_hidden_size", "this network always has one")
        if self.num_rel_pos_features % 6:
            raise self.refusal(
                "num_rel_pos_features", f"{self.num_rel_pos_features} is not a multiple of 6"
            )
        if self.species in self.other_heads:
            raise self.refusal("other_heads", f"{self.species!r} is the species already selected")
        for name in self.other_heads and (self.species, *self.other_heads):
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):  # they become names of files
                raise self.refusal("other_heads", f"{name!r}: only letters, digits, - and _")
        if (total := sum((self.num_labels, *self.other_heads.values()))) > MOST_TRACKS:
            raise self.refusal("other_heads", f"{total:,} tracks in all; at most {MOST_TRACKS:,}")

    def with_species(self, species: str) -> Self:
        """The same trunk with the head of another species selected."""
        heads = {self.species: self.num_labels, **self.other_heads}
        count = heads.pop(species)
        return dataclasses.replace(self, species=species, num_labels=count, other_heads=heads)

    @property
    def crop_bins(self) -> int:
        """Bins cut off at each side."""
        return self._cropped()
