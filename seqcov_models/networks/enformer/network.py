"""Enformer: convolutions with attention pooling, a transformer, one head per species.

Avsec, Agarwal, Visentin et al., Nature Methods 2021. Layers after deepmind-research
`enformer/enformer.py`.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.enformer.config import EnformerConfig
from seqcov_models.networks.shared.attention import (
    ALL_POSITIONS,
    RelativeAttention,
    TransformerBlock,
    cached_features,
    enformer_features,
    replace_gammas,
)
from seqcov_models.networks.shared.base import HeadlessModel, TokenPredictionModel
from seqcov_models.networks.shared.layers import (
    ConvBlock,
    Stem,
    activate,
    append_hidden,
    apply_pointwise,
    convolve,
    same_padding_conv,
)
from seqcov_models.tracks.table import Track, build_default_tracks


class AttentionPool(nn.Module):
    """Each pair of neighbours becomes its mean, weighted channel by channel by a softmax.

    The logits are a linear function of each neighbour, without bias. A softmax over two values
    depends on their difference only, so only the logit of the difference is computed.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_logits = nn.Linear(width, width, bias=False)
        with torch.no_grad():
            self.to_logits.weight.zero_().fill_diagonal_(2)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the pooling: (batch, width, length) → (batch, width, length / 2)."""
        left, right = x.view(*x.shape[:-1], -1, 2).unbind(-1)
        weight = torch.sigmoid(apply_pointwise(right - left, self.to_logits))
        return torch.lerp(left, right, weight)


class EnformerStage(nn.Module):
    """One stage of the tower: a convolution, a pointwise one on top of it, a pooling."""

    def __init__(self, config: EnformerConfig, width: int, width_out: int) -> None:
        super().__init__()
        self.widen = _block(config, width, width_out, config.conv_tower_kernel_size)
        self.pointwise = _block(config, width_out, width_out, 1)
        self.pool = AttentionPool(width_out)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the stage: (batch, width, length) → (batch, width_out, length / 2)."""
        x = self.widen(x)
        return self.pool(self.pointwise(x).add_(x))  # type: ignore[no-any-return]


def _block(config: EnformerConfig, width: int, width_out: int, kernel_size: int) -> ConvBlock:
    """Build a block of batch norm, activation and convolution."""
    c = config
    return ConvBlock(
        width, width_out, kernel_size, c.hidden_act, c.batch_norm_eps, c.batch_norm_momentum
    )


class EnformerStem(Stem):
    """The stem and the tower: convolutions and poolings."""

    def __init__(self, config: EnformerConfig) -> None:
        super().__init__()
        c = config
        self.conv = same_padding_conv(c.vocab_size, c.stem_channels, c.stem_kernel_size)
        self.pointwise = _block(c, c.stem_channels, c.stem_channels, 1)
        self.pool = AttentionPool(c.stem_channels)
        self.tower = nn.ModuleList(
            EnformerStage(c, width, width_out)
            for width, width_out in pairwise((c.stem_channels, *c.conv_tower_channels))
        )
        self.factors = (c.pool_factor,)
        self.reach = c.tower_reach

    def compute(self, x: Tensor) -> tuple[Tensor, ...]:
        """Apply the stem: one-hot (batch, letters, length) → (batch, hidden, bins) in a tuple."""
        x = convolve(x, self.conv)
        x = self.pool(self.pointwise(x).add_(x))
        for stage in self.tower:
            x = stage(x)
        return (x,)


class EnformerTrunk(nn.Module):
    """The part that sees the entire window: from the stem's output to the head's input."""

    gamma_basis: Tensor

    def __init__(self, config: EnformerConfig) -> None:
        super().__init__()
        c = self.config = config
        self.blocks = nn.ModuleList(
            TransformerBlock(
                RelativeAttention(
                    c.hidden_size, c.num_attention_heads, c.attention_head_size,
                    c.attention_value_size, c.num_rel_pos_features,
                    c.attention_dropout, c.position_dropout,
                ),
                c.hidden_size, c.intermediate_size, c.layer_norm_eps, c.hidden_dropout,
            )
            for _ in range(c.num_hidden_layers)
        )  # fmt: skip
        self.final = _block(c, c.hidden_size, c.head_hidden_size, 1)
        if c.use_precomputed_gamma_basis:
            rows, columns = 2 * c.position_length - 1, c.num_rel_pos_features // 6
            self.register_buffer("gamma_basis", torch.zeros(rows, columns))

    def forward(self, features: tuple[Tensor, ...], contexts: list[Tensor] | None = None) -> Tensor:
        """Apply the trunk to the stem's output: (batch, head_hidden_size, bins), activated."""
        c = self.config
        x = features[0].transpose(1, 2)  # (batch, positions, width) from here on
        core = slice(c.crop_bins, x.shape[1] - c.crop_bins)
        positions = self.encode_positions(x)
        append_hidden(contexts, x)
        for number, block in enumerate(self.blocks, 1):
            is_last = number == len(self.blocks) and contexts is None
            x = block(x, positions, core if is_last else ALL_POSITIONS)
            append_hidden(contexts, x)
        if contexts is not None or not self.blocks:
            x = x[:, core]
        hidden = F.dropout(self.final(x.transpose(1, 2)), c.head_dropout, self.training)
        return activate(hidden, c.hidden_act)

    def encode_positions(self, x: Tensor) -> Tensor:
        """Compute the position features of `x` (batch, length, width): (2·length − 1, features).

        They depend on the window's length, as in the original. The gammas are those of the stored
        table if there is one for this length.
        """
        c = self.config
        sizes = x.shape[1], c.num_rel_pos_features
        features = cached_features(x.device, x.dtype, enformer_features, *sizes)
        if c.use_precomputed_gamma_basis and x.shape[1] == c.position_length:
            features = replace_gammas(features, self.gamma_basis.to(x))
        return features


class EnformerModel(HeadlessModel):
    """Enformer without a head: windows to hidden states.

    Attributes:
        config: The sizes of the network.
        stem: The convolutions and attention poolings; bases to bins.
        trunk: The transformer and the final pointwise block.

    Example:
        >>> EnformerModel(EnformerConfig())(codes).last_hidden_state.shape  # codes (1, 196608)
        torch.Size([1, 896, 3072])
    """

    def __init__(self, config: EnformerConfig) -> None:
        super().__init__(config)
        self.stem = EnformerStem(config)
        self.trunk = EnformerTrunk(config)


class EnformerForTokenPrediction(TokenPredictionModel):
    """Enformer with the head of the selected species, and those of others for `select_species`.

    Attributes:
        config: The sizes of the network.
        tracks: The tracks, in the order of the last axis of the coverage.
        model: The same network without its head.
        head: Linear from hidden states to the tracks of `config.species`.
        other_heads: One Linear per species that is not selected.
        other_tracks: Tracks of `other_heads`, by species.

    Example:
        >>> model = load_model("enformer", "weights/")
        >>> model.predict(["ACGT" * 49_152]).shape  # (batch, bins, tracks)
        (1, 896, 5313)
    """

    config: EnformerConfig

    def __init__(self, config: EnformerConfig) -> None:
        super().__init__(config, config.last_hidden_size, config.num_labels)
        self.model = EnformerModel(config)
        for name in config.other_heads and (config.species, *config.other_heads):
            if hasattr(nn.ModuleDict(), name):
                raise config.field_error(
                    "other_heads", f"{name!r} is a name that torch uses itself"
                )
        self.other_heads = nn.ModuleDict(
            {
                species: nn.Linear(config.last_hidden_size, count)
                for species, count in config.other_heads.items()
            }
        )
        self.other_tracks: dict[str, list[Track]] = {
            species: build_default_tracks(count) for species, count in config.other_heads.items()
        }

    def assign_tracks(
        self, tracks: Sequence[Track], other_tracks: Mapping[str, list[Track]] | None = None
    ) -> None:
        """Set what the outputs of the selected head and of `other_heads` are."""
        super().assign_tracks(tracks)
        self.other_tracks |= other_tracks or {}

    def track_tables(self) -> dict[str, list[Track]]:
        """Return the track tables of all heads: `targets`, and `targets_<species>` for others."""
        other_tables = {f"targets_{name}": tracks for name, tracks in self.other_tracks.items()}
        return super().track_tables() | other_tables

    def select_species(self, species: str) -> "EnformerForTokenPrediction":
        """Select the head of another species, in place; the current head remains available.

        Args:
            species: One of `config.heads`.

        Returns:
            The model itself, which now predicts the tracks of `species`.

        Raises:
            SeqcovError: If the network has no head for `species`.

        Example:
            >>> mouse = model.select_species("mouse").predict(["ACGT" * 49_152])
        """
        config = self.config
        if species == config.species:
            return self
        if species not in self.other_heads:
            heads = ", ".join((config.species, *self.other_heads))
            raise SeqcovError(f"species {species!r}: this model has heads for {heads}")
        head = self.other_heads.pop(species)
        assert isinstance(head, nn.Linear)
        self.other_heads[config.species], self.head = self.head, head
        self.other_tracks[config.species] = self.tracks
        self.tracks = self.other_tracks.pop(species)
        self.config, _ = config.with_species(species)
        return self
