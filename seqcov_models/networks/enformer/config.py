"""Enformer's sizes, without its weights."""

import dataclasses
import re
from dataclasses import dataclass, field
from typing import ClassVar, Self

from seqcov_models.networks.shared.config import AttentionConfig
from seqcov_models.networks.shared.fields import (
    MAX_TRACKS,
    Activation,
    Count,
    Flag,
    HeadSizes,
    NonNegativeInt,
    PositiveInt,
    Probability,
    SmallNumber,
    TargetLength,
    Widths,
)


@dataclass(frozen=True, kw_only=True)
class EnformerConfig(AttentionConfig):
    """Enformer (Avsec et al. 2021): 196,608 bp to 896 bins of 128 bp by default.

    Numbers: deepmind-research `enformer/enformer.py`.

    Raises:
        SeqcovError: No network can be built from the values; it is a ValueError, too.

    Example:
        >>> EnformerConfig().geometry.window
        196608
    """

    ARCHITECTURE = "enformer"

    HEADS: ClassVar = {"human": 5_313, "mouse": 1_643}

    sequence_length: PositiveInt = 196_608
    other_heads: HeadSizes = field(default_factory=dict)
    """Tracks of further species' heads on the same trunk, as {'mouse': 1643}."""
    stem_channels: PositiveInt = 768
    conv_tower_channels: Widths = (768, 896, 1024, 1152, 1280, 1536)
    num_hidden_layers: Count = 11
    num_rel_pos_features: PositiveInt = 192
    position_length: PositiveInt = 1_536
    """Rows of a stored gamma table: 2 · this − 1. The formulas take the window's own length."""
    use_precomputed_gamma_basis: Flag = False
    """Whether the gamma features of `position_length` are a table that comes with the weights."""
    target_length: TargetLength = 896
    head_hidden_size: NonNegativeInt = 3_072
    hidden_act: Activation = "quick_gelu"
    hidden_dropout: Probability = 0.4
    """In the transformer."""
    head_dropout: Probability = 0.05
    """Before the head; the card has an eighth of `hidden_dropout`, as the original does."""
    batch_norm_eps: SmallNumber = 1e-5
    layer_norm_eps: SmallNumber = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head_hidden_size == 0:
            raise self.field_error("head_hidden_size", "this network always has one")
        if self.num_rel_pos_features % 6:
            raise self.field_error(
                "num_rel_pos_features", f"{self.num_rel_pos_features} is not a multiple of 6"
            )
        if self.species in self.other_heads:
            raise self.field_error(
                "other_heads", f"{self.species!r} is the species already selected"
            )
        for name in self.other_heads and (self.species, *self.other_heads):
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):  # they become names of files
                raise self.field_error("other_heads", f"{name!r}: only letters, digits, - and _")
        if (total := sum((self.num_labels, *self.other_heads.values()))) > MAX_TRACKS:
            raise self.field_error(
                "other_heads", f"{total:,} tracks in all; at most {MAX_TRACKS:,}"
            )

    @property
    def heads(self) -> dict[str, int]:
        return {self.species: self.num_labels, **self.other_heads}

    def with_species(self, species: str) -> tuple[Self, dict[str, str]]:
        if species not in self.other_heads:
            return super().with_species(species)
        heads = self.heads
        count = heads.pop(species)
        config = dataclasses.replace(self, species=species, num_labels=count, other_heads=heads)
        return config, {"head": f"other_heads.{species}", f"other_heads.{self.species}": "head"}

    @property
    def crop_bins(self) -> int:
        """Bins cut off at each side."""
        return self._cropped()
