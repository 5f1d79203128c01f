"""Basenji2: convolutions, then dilated convolutions that look further block by block.

Kelley, PLoS Computational Biology 2020. Layers after calico/basenji `basenji/blocks.py`
(conv_block, conv_tower, dilated_residual); in all of them the activation comes first, so the very
first one acts on the one-hot input.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.shared.base import HeadlessModel, TokenPredictionModel
from seqcov_models.networks.shared.compute import constant, pad_to_multiple
from seqcov_models.networks.shared.layers import (
    Stem,
    activate,
    append_hidden,
    convolve,
    max_pool,
    same_padding_conv,
    scale_and_shift,
)


class BasenjiBlock(nn.Module):
    """Activation, convolution ('same', without bias), batch norm, in this order."""

    def __init__(
        self, config: BasenjiConfig, width: int, width_out: int, kernel_size: int, dilation: int = 1
    ) -> None:
        super().__init__()
        self.activation = config.hidden_act
        self.conv = same_padding_conv(width, width_out, kernel_size, dilation, bias=False)
        self.norm: nn.BatchNorm1d | None = nn.BatchNorm1d(
            width_out, eps=config.batch_norm_eps, momentum=config.batch_norm_momentum
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block: (batch, width, length) → (batch, width_out, length)."""
        return convolve(activate(x, self.activation), self.conv, self.norm)

    def rewrite_for_prediction(self, multiple: int) -> None:
        """Fold the norm into the convolution, in float32, once."""
        if self.norm is None:
            return
        scale, shift = scale_and_shift(self.norm)
        self.conv.weight = constant(self.conv.weight * scale[:, None, None])
        self.conv.bias = constant(shift)
        self.norm = None


class BasenjiStem(Stem):
    """The stem and the tower: convolutions, each followed by a pooling."""

    def __init__(self, config: BasenjiConfig) -> None:
        super().__init__()
        c = config
        widths = (c.vocab_size, c.stem_channels, *c.conv_tower_channels)
        kernels = (c.stem_kernel_size, *(c.conv_tower_kernel_size for _ in c.conv_tower_channels))
        self.pool = c.stem_pool_size
        self.blocks = nn.ModuleList(
            BasenjiBlock(c, width, width_out, kernel)
            for (width, width_out), kernel in zip(pairwise(widths), kernels, strict=True)
        )
        self.factors = (c.pool_factor,)
        self.reach = c.tower_reach

    def rewrite_for_prediction(self, multiple: int) -> None:
        """Pad the odd widths between the blocks to multiples of `multiple`.

        The new channels are 0 or meet weights of 0. Devices read whole vectors of channels.
        """
        for number, block in enumerate(self.blocks):
            assert isinstance(block, BasenjiBlock)
            block.rewrite_for_prediction(multiple)
            weight, bias = block.conv.weight, block.conv.bias
            assert bias is not None
            if number:  # the first block reads letters
                weight = pad_to_multiple(weight.transpose(0, 1), multiple).transpose(0, 1)
            if number < len(self.blocks) - 1:  # the last one writes the trunk's channels
                weight, bias = pad_to_multiple(weight, multiple), pad_to_multiple(bias, multiple)
            block.conv.weight, block.conv.bias = constant(weight), constant(bias)

    def compute(self, x: Tensor) -> tuple[Tensor, ...]:
        """Apply the stem: one-hot (batch, letters, length) → (batch, hidden, bins) in a tuple."""
        for block in self.blocks:
            x = max_pool(block(x), self.pool)
        return (x,)


class BasenjiDilatedBlock(nn.Module):
    """x + wide(narrow(x)): a bottleneck that looks `dilation` positions to each side."""

    def __init__(self, config: BasenjiConfig, dilation: int) -> None:
        super().__init__()
        width, narrow = config.hidden_size, config.blocks.bottleneck_size
        self.dropout = config.blocks.dropout
        self.narrow = BasenjiBlock(config, width, narrow, config.blocks.kernel_size, dilation)
        self.wide = BasenjiBlock(config, narrow, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block: (batch, width, positions) → the same shape."""
        return x + F.dropout(self.wide(self.narrow(x)), self.dropout, self.training)


class BasenjiTrunk(nn.Module):
    """The part that sees the entire window: from the stem's output to the head's input."""

    def __init__(self, config: BasenjiConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(
            BasenjiDilatedBlock(config, dilation) for dilation in config.blocks.dilations
        )
        self.final = BasenjiBlock(config, config.hidden_size, config.head_hidden_size, 1)

    def forward(self, features: tuple[Tensor, ...], contexts: list[Tensor] | None = None) -> Tensor:
        """Apply the trunk to the stem's output: (batch, head_hidden_size, bins), activated."""
        (x,) = features
        c = self.config
        append_hidden(contexts, x.transpose(1, 2))
        for block in self.blocks:
            x = block(x)
            append_hidden(contexts, x.transpose(1, 2))
        x = self.final(x[..., c.crop_bins : x.shape[-1] - c.crop_bins])
        return activate(F.dropout(x, c.hidden_dropout, self.training), c.hidden_act)


class BasenjiModel(HeadlessModel):
    """Basenji2 without a head: windows to hidden states.

    Attributes:
        config: The sizes of the network.
        stem: The convolutions and poolings; bases to bins.
        trunk: The dilated blocks and the final pointwise block.

    Example:
        >>> BasenjiModel(BasenjiConfig())(codes).last_hidden_state.shape  # codes (1, 131072)
        torch.Size([1, 896, 1536])
    """

    def __init__(self, config: BasenjiConfig) -> None:
        super().__init__(config)
        self.stem = BasenjiStem(config)
        self.trunk = BasenjiTrunk(config)


class BasenjiForTokenPrediction(TokenPredictionModel):
    """Basenji2 with the head of one species: coverage of every track in every bin.

    Attributes:
        config: The sizes of the network.
        tracks: The tracks, in the order of the last axis of the coverage.
        model: The same network without its head.
        head: Linear from hidden states to tracks.

    Example:
        >>> model = load_model("basenji2", "weights/", species="mouse")
        >>> model.predict(["ACGT" * 32_768]).shape  # (batch, bins, tracks)
        (1, 896, 1643)
    """

    def __init__(self, config: BasenjiConfig) -> None:
        super().__init__(config, config.last_hidden_size, config.num_labels)
        self.model = BasenjiModel(config)
