"""Borzoi: convolutions, a transformer, two U-net steps back up to 32 bp.

Linder, Srivastava, Yuan, Agarwal, Kelley, Nature Genetics 2025. Layers after calico/baskerville
`blocks.py` (conv_dna, res_tower, transformer_tower, unet_conv, conv_nac).
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from ..configs import BorzoiConfig
from .attention import RelativeAttention, TransformerBlock, central_mask_features
from .base import TokenPredictionModel
from .layers import ConvBlock, SeparableConv, activate, pointwise


class BorzoiStem(nn.Module):
    """Convolutions and poolings: local, the same at every position."""

    def __init__(self, config: BorzoiConfig) -> None:
        super().__init__()
        c = config
        self.conv = nn.Conv1d(
            c.vocab_size, c.stem_channels, c.stem_kernel_size, padding=c.stem_kernel_size // 2
        )
        widths = (c.stem_channels, *c.conv_tower_channels)
        self.tower = nn.ModuleList(
            ConvBlock(
                width, out, c.conv_tower_kernel_size, c.hidden_act,
                c.batch_norm_eps, c.batch_norm_momentum,
            )
            for width, out in pairwise(widths)
        )  # fmt: skip
        self.num_skips = c.num_upsamples

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """One-hot (batch, 4, L) → (batch, hidden, L / 2^pools) and the skips, deepest first.

        A skip is a tower stage's output before its pooling: (batch, channels, twice the length).
        """
        x = F.max_pool1d(self.conv(x), 2)
        skips: list[Tensor] = []
        for depth, stage in enumerate(self.tower):
            x = stage(x)
            if depth >= len(self.tower) - self.num_skips:
                skips.insert(0, x)
            x = F.max_pool1d(x, 2)
        return x, skips


class BorzoiUpsample(nn.Module):
    """One U-net step: the trunk taken up by 2, plus a tower stage's output, mixed over 3 bins."""

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
        """(batch, hidden, T), (batch, skip channels, 2T) → (batch, hidden, 2T)."""
        x = activate(self.norm(x), self.activation)
        if self.dense is not None:
            x = pointwise(x, self.dense)
        skip = pointwise(activate(self.skip_norm(skip), self.activation), self.skip_dense)
        return self.separable(x.repeat_interleave(2, dim=-1) + skip)  # type: ignore[no-any-return]


class BorzoiTrunk(nn.Module):
    """What sees the whole window, up to the hidden state that the head reads."""

    def __init__(self, config: BorzoiConfig) -> None:
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

    def forward(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        """The stem's output → (batch, head_hidden_size or hidden_size, bins), activated."""
        c = self.config
        if self.blocks:
            positions = central_mask_features(
                x.shape[-1], c.num_rel_pos_features, c.position_length
            ).to(x)
            x = x.transpose(1, 2)
            for block in self.blocks:
                x = block(x, positions)
            x = x.transpose(1, 2)
        for upsample, skip in zip(self.upsamples, skips, strict=True):
            x = upsample(x, skip)
        x = x[..., c.crop_bins : x.shape[-1] - c.crop_bins]
        if self.final is not None:
            x = F.dropout(self.final(x), c.head_dropout, self.training)
        return activate(x, c.hidden_act)


class BorzoiModel(nn.Module):
    """Borzoi without a head: windows to hidden states."""

    def __init__(self, config: BorzoiConfig) -> None:
        super().__init__()
        self.stem = BorzoiStem(config)
        self.trunk = BorzoiTrunk(config)

    def forward(self, x: Tensor) -> Tensor:
        """One-hot (batch, 4, length) → (batch, hidden, bins)."""
        return self.trunk(*self.stem(x))  # type: ignore[no-any-return]


class BorzoiForTokenPrediction(TokenPredictionModel):
    """Borzoi with the head of one species: coverage of every track in every bin."""

    def __init__(self, config: BorzoiConfig) -> None:
        hidden = config.head_hidden_size or config.hidden_size
        super().__init__(config, hidden, config.num_labels, config.n_encoding)
        self.model = BorzoiModel(config)

    def hidden_state(self, inputs: Tensor) -> Tensor:
        return self.model(inputs)  # type: ignore[no-any-return]
