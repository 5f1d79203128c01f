"""The sizes of Enformer, without its weights."""

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

    Attributes:
        other_heads: Tracks of further species' heads on the same trunk, as {'mouse': 1643}.
        num_hidden_layers: Transformer blocks.
        num_rel_pos_features: Features of each distance between two positions; a multiple of 6.
        position_length: Positions of a stored gamma table, which has 2 · this − 1 rows. The
            formulas use the length of the window.
        use_precomputed_gamma_basis: Whether the gamma features of `position_length` are a table
            that the weights come with.
        target_length: Bins kept in the middle of `sequence_length`; −1 keeps all.
        hidden_dropout: Dropout in the transformer.
        head_dropout: Dropout before the head; the card has an eighth of `hidden_dropout`, as the
            original does.

    The other fields are those of `Config`, `BinnedConfig` and `AttentionConfig`.

    Raises:
        SeqcovError: If no network can be built from the values; it is a ValueError, too.

    Example:
        >>> EnformerConfig().geometry.window
        196608
    """

    ARCHITECTURE = "enformer"

    HEADS: ClassVar = {"human": 5_313, "mouse": 1_643}
    TOWER_CONV = "widen.conv"
    POINTWISE_LAYERS = 1.5  # that of the attention pooling reads half the length

    sequence_length: PositiveInt = 196_608
    other_heads: HeadSizes = field(default_factory=dict)
    stem_channels: PositiveInt = 768
    conv_tower_channels: Widths = (768, 896, 1024, 1152, 1280, 1536)
    num_hidden_layers: Count = 11
    num_rel_pos_features: PositiveInt = 192
    position_length: PositiveInt = 1_536
    use_precomputed_gamma_basis: Flag = False
    target_length: TargetLength = 896
    head_hidden_size: NonNegativeInt = 3_072
    hidden_act: Activation = "quick_gelu"
    hidden_dropout: Probability = 0.4
    head_dropout: Probability = 0.05
    batch_norm_eps: SmallNumber = 1e-5
    layer_norm_eps: SmallNumber = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head_hidden_size == 0:
            raise self.field_error(
                "head_hidden_size", "0 is not valid: Enformer always has this layer"
            )
        if self.num_rel_pos_features % 6:
            raise self.field_error(
                "num_rel_pos_features", f"{self.num_rel_pos_features} is not a multiple of 6"
            )
        if self.species in self.other_heads:
            raise self.field_error("other_heads", f"{self.species!r} is the selected species")
        for name in self.other_heads and (self.species, *self.other_heads):
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):  # they become names of files
                raise self.field_error(
                    "other_heads", f"{name!r}: use letters, digits, - and _ only"
                )
        if (total := sum((self.num_labels, *self.other_heads.values()))) > MAX_TRACKS:
            raise self.field_error(
                "other_heads", f"{total:,} tracks of all heads; at most {MAX_TRACKS:,}"
            )

    @property
    def heads(self) -> dict[str, int]:
        """Number of tracks of each head by species, the selected one first."""
        return {self.species: self.num_labels, **self.other_heads}

    def with_species(self, species: str) -> tuple[Self, dict[str, str]]:
        """Select the head of `species`; return the config, and which heads change their names."""
        if species not in self.other_heads:
            return super().with_species(species)
        heads = self.heads
        count = heads.pop(species)
        config = dataclasses.replace(self, species=species, num_labels=count, other_heads=heads)
        return config, {"head": f"other_heads.{species}", f"other_heads.{self.species}": "head"}

    @property
    def crop_bins(self) -> int:
        """Bins cropped at each side."""
        return self._count_cropped()
