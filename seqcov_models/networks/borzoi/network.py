"""Borzoi: convolutions, a transformer, two U-net steps back up to 32 bp.

Linder, Srivastava, Yuan, Agarwal, Kelley, Nature Genetics 2025. Layers after calico/baskerville
`blocks.py` (conv_dna, res_tower, transformer_tower, unet_conv, conv_nac).
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.shared.attention import (
    ALL_POSITIONS,
    RelativeAttention,
    RotaryAttention,
    TransformerBlock,
    cached_features,
    central_mask_features,
    rotary_angles,
)
from seqcov_models.networks.shared.base import HeadlessModel, TokenPredictionModel
from seqcov_models.networks.shared.layers import (
    ConvBlock,
    SeparableConv,
    Stem,
    activate,
    append_hidden,
    apply_pointwise,
    convolve,
    max_pool,
    normalise,
    same_padding_conv,
)
from seqcov_models.networks.shared.losses import poisson_multinomial


class BorzoiStem(Stem):
    """Convolutions and poolings. Outputs: the deepest, then the skips, deepest first.

    A skip is a tower stage's output before its pooling: (batch, channels, twice the length).
    """

    def __init__(self, config: BorzoiConfig) -> None:
        super().__init__()
        c = config
        self.conv = same_padding_conv(c.vocab_size, c.stem_channels, c.stem_kernel_size)
        self.tower = nn.ModuleList(
            ConvBlock(
                width, width_out, c.conv_tower_kernel_size, c.hidden_act,
                c.batch_norm_eps, c.batch_norm_momentum,
            )
            for width, width_out in pairwise((c.stem_channels, *c.conv_tower_channels))
        )  # fmt: skip
        self.num_skips = c.num_upsamples
        self.factors = (c.pool_factor, *(c.pool_factor >> n for n in range(1, self.num_skips + 1)))
        self.reach = c.tower_reach

    def compute(self, x: Tensor) -> tuple[Tensor, ...]:
        """Apply the stem: one-hot (batch, letters, length) → the deepest output, then the skips."""
        x = max_pool(convolve(x, self.conv))
        skips: list[Tensor] = []
        for depth, stage in enumerate(self.tower):
            x = stage(x)
            if depth >= len(self.tower) - self.num_skips:
                skips.insert(0, x)
            x = max_pool(x)
        return (x, *skips)


class BorzoiUpsample(nn.Module):
    """One U-net step: upsample the trunk by 2, add a tower stage's output, mix over 3 bins."""

    def __init__(self, config: BorzoiConfig, skip_channels: int) -> None:
        super().__init__()
        c, width = config, config.hidden_size
        self.activation = c.hidden_act
        self.norm = nn.BatchNorm1d(width, eps=c.batch_norm_eps, momentum=c.batch_norm_momentum)
        self.dense = nn.Linear(width, width) if c.upsample_conv else None
        self.skip_norm = nn.BatchNorm1d(
            skip_channels, eps=c.batch_norm_eps, momentum=c.batch_norm_momentum
        )
        self.skip_dense = nn.Linear(skip_channels, width)
        self.separable = SeparableConv(width, c.upsample_kernel_size)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Apply the step: (batch, hidden, T), (batch, skip channels, 2T) → (batch, hidden, 2T)."""
        x = activate(normalise(x, self.norm), self.activation, overwrite=True)
        if self.dense is not None:
            x = apply_pointwise(x, self.dense)
        skip = activate(normalise(skip, self.skip_norm), self.activation, overwrite=True)
        skip = apply_pointwise(skip, self.skip_dense)
        total = (
            skip.view(*skip.shape[:-1], -1, 2) + x[..., None]
        )  # one position of x is two positions of skip
        return self.separable(total.flatten(-2))  # type: ignore[no-any-return]


class BorzoiTrunk(nn.Module):
    """The part that sees the entire window: from the stem's output to the head's input."""

    def __init__(self, config: BorzoiConfig) -> None:
        super().__init__()
        c = self.config = config
        self.blocks = nn.ModuleList(
            TransformerBlock(
                _attention(c), c.hidden_size, c.intermediate_size, c.layer_norm_eps,
                c.intermediate_dropout,
            )
            for _ in range(c.num_hidden_layers)
        )  # fmt: skip
        self.upsamples = nn.ModuleList(
            BorzoiUpsample(c, c.conv_tower_channels[-1 - step]) for step in range(c.num_upsamples)
        )
        self.final = (
            ConvBlock(
                c.hidden_size, c.head_hidden_size, 1, c.hidden_act,
                c.batch_norm_eps, c.batch_norm_momentum,
            )
            if c.head_hidden_size
            else None
        )  # fmt: skip

    def forward(self, features: tuple[Tensor, ...], contexts: list[Tensor] | None = None) -> Tensor:
        """Apply the trunk: (batch, head_hidden_size or hidden_size, bins), activated."""
        c = self.config
        x, *skips = features
        x = x.transpose(1, 2)  # (batch, positions, width) through the transformer
        length = x.shape[1]
        span = self.needed_positions(length)
        positions = self.encode_positions(length, x) if self.blocks else x
        append_hidden(contexts, x)
        for number, block in enumerate(self.blocks, 1):
            is_last = number == len(self.blocks) and contexts is None
            x = block(x, positions, span if is_last else ALL_POSITIONS)
            append_hidden(contexts, x)
        if contexts is not None or not self.blocks:
            x = x[:, span]
        x = x.transpose(1, 2)
        first, end = span.start, span.stop
        for upsample, skip in zip(self.upsamples, skips, strict=True):
            first, end = 2 * first, 2 * end
            x = upsample(x, skip[..., first:end])
        bins = length * 2**c.num_upsamples
        x = x[..., c.crop_bins - first : bins - c.crop_bins - first]
        if self.final is not None:
            x = F.dropout(self.final(x), c.hidden_dropout, self.training)
        return activate(x, c.hidden_act)

    def needed_positions(self, length: int) -> slice:
        """Return the transformer's positions, out of `length`, on which the kept bins depend.

        Each U-net step looks half a kernel to each side on its own grid, which is less than half a
        kernel of the transformer's positions in all.
        """
        c = self.config
        if not c.num_upsamples:
            return slice(c.crop_bins, length - c.crop_bins)
        crop = max(0, c.crop_bins // 2**c.num_upsamples - c.upsample_kernel_size // 2)
        return slice(crop, length - crop)

    def encode_positions(self, length: int, reference: Tensor) -> Tensor:
        """Compute the attention's encoding of `length` positions, on `reference`'s device."""
        c = self.config
        if c.attention_type == "rotary":
            return rotary_angles(length, c.rotary_size, c.rotary_base).to(reference.device)
        sizes = length, c.num_rel_pos_features, c.position_length
        return cached_features(reference.device, reference.dtype, central_mask_features, *sizes)


def _attention(config: BorzoiConfig) -> RelativeAttention | RotaryAttention:
    """Build the attention of one transformer block."""
    c = config
    if c.attention_type == "rotary":
        return RotaryAttention(
            c.hidden_size, c.num_attention_heads, c.num_key_value_heads, c.attention_head_size,
            c.attention_dropout,
        )  # fmt: skip
    return RelativeAttention(
        c.hidden_size, c.num_attention_heads, c.attention_head_size, c.attention_value_size,
        c.num_rel_pos_features, c.attention_dropout, c.position_dropout,
    )  # fmt: skip


class BorzoiModel(HeadlessModel):
    """Borzoi without a head: windows to hidden states.

    Attributes:
        config: The sizes of the network.
        stem: The convolutions and poolings; bases to positions of the transformer, and the skips.
        trunk: The transformer, the U-net steps and the final pointwise block.

    Example:
        >>> BorzoiModel(BorzoiConfig())(codes).last_hidden_state.shape  # codes (1, 524288)
        torch.Size([1, 6144, 1920])
    """

    def __init__(self, config: BorzoiConfig) -> None:
        super().__init__(config)
        self.stem = BorzoiStem(config)
        self.trunk = BorzoiTrunk(config)


class BorzoiForTokenPrediction(TokenPredictionModel):
    """Borzoi with the head of one species: coverage of every track in every bin.

    Attributes:
        config: The sizes of the network.
        tracks: The tracks, in the order of the last axis of the coverage.
        model: The same network without its head.
        head: Linear from hidden states to tracks.

    Example:
        >>> model = load_model("borzoi", "weights/", tracks=["assay:CAGE"])
        >>> model.predict(["ACGT" * 131_072]).shape  # (batch, bins, tracks)
        (1, 6144, 638)
    """

    def __init__(self, config: BorzoiConfig) -> None:
        super().__init__(config, config.last_hidden_size, config.num_labels)
        self.model = BorzoiModel(config)

    def compute_loss(self, coverage: Tensor, labels: Tensor) -> Tensor:
        """Compute Borzoi's loss, `poisson_multinomial`; both (batch, bins, tracks), ≥ 0."""
        return poisson_multinomial(coverage, labels)
