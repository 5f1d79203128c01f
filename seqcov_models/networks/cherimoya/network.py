"""Cherimoya: BPNet's stem and heads around blocks of ConvNeXt's kind.

A block is a depthwise dilated convolution, a normalisation over all positions and channels of the
window together, and two pointwise layers. Source: jmschrei/cherimoya 0.3.1, `cherimoya/cheri.py`
and `cherimoya/cherimoya.py`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqcov_models.networks.bpnet.network import BPNetForProfilePrediction, BPNetModel
from seqcov_models.networks.cherimoya.config import CherimoyaConfig
from seqcov_models.networks.shared.layers import (
    activate,
    append_hidden,
    apply_linear,
    convolve,
    convolve_narrow,
)


class CherimoyaBlock(nn.Module):
    """One block: x + scale · contract(activation(expand(norm(conv(x)))))."""

    def __init__(self, config: CherimoyaConfig, dilation: int) -> None:
        super().__init__()
        self.config, width = config, config.hidden_size
        reach = dilation * (config.dilated_kernel_size // 2)
        self.conv = nn.Conv1d(
            width, width, config.dilated_kernel_size,
            padding=reach, dilation=dilation, groups=width, bias=False,
        )  # fmt: skip
        self.expand = nn.Linear(width, config.expansion * width, bias=False)
        self.contract = nn.Linear(config.expansion * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to an entire window: (batch, hidden, length) → the same shape."""
        y = convolve(x, self.conv).transpose(1, 2)
        y = F.layer_norm(y, y.shape[1:], eps=self.config.layer_norm_eps)
        y = activate(apply_linear(y, self.expand), self.config.hidden_act, overwrite=True)
        return x + apply_linear(y, self.contract).transpose(1, 2) * self.config.residual_scale


class CherimoyaTrunk(nn.Module):
    """Blocks, each with twice the dilation of the last."""

    def __init__(self, config: CherimoyaConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            CherimoyaBlock(config, 2**number) for number in range(config.num_dilated_layers)
        )

    def forward(
        self, features: tuple[Tensor, ...], contexts: list[Tensor] | None = None, margin: int = 0
    ) -> Tensor:
        """Apply the blocks to the stem's output; return (batch, hidden, length − 2 · margin).

        `margin` counts positions at each end that are not returned; all of them are computed,
        because the others depend on them.
        """
        (x,) = features
        append_hidden(contexts, x.transpose(1, 2))
        for block in self.blocks:
            x = block(x)
            append_hidden(contexts, x.transpose(1, 2))
        return x[..., margin : x.shape[-1] - margin]


class CherimoyaModel(BPNetModel):
    """Cherimoya without heads: windows to hidden states.

    Attributes:
        config: The sizes of the network.
        stem: One wide convolution.
        trunk: The blocks.
    """

    def __init__(self, config: CherimoyaConfig) -> None:
        super().__init__(config)
        self.trunk = CherimoyaTrunk(config)


class CherimoyaForProfilePrediction(BPNetForProfilePrediction):
    """Cherimoya with its heads: reads per base of every task and strand.

    Attributes:
        config: The sizes of the network.
        tracks: The tracks, in the order of the last axis of the coverage.
        model: The same network without its heads.

    The other attributes are those of `BPNetForProfilePrediction`.

    Example:
        >>> model = load_model("cherimoya", "cherimoya.fold_0.torch")
        >>> model.predict(["ACGT" * 528 + "AC"]).shape  # (batch, bases, tracks)
        (1, 1000, 1)
    """

    config: CherimoyaConfig

    def __init__(self, config: CherimoyaConfig) -> None:
        super().__init__(config)
        self.model = CherimoyaModel(config)

    def _heads(
        self, hidden: Tensor, controls: Tensor | None, padding: int
    ) -> tuple[Tensor, Tensor]:
        """Compute profile logits (batch, labels, positions) and count logits (batch, counts).

        `padding` counts zeros beyond each end of the profile's input. Counts are averaged over the
        core, not over all that the profile reads.
        """
        hidden = hidden.to(self.profile.weight.dtype)  # heads are float32 in every precision
        reach = self.config.profile_kernel_size // 2 - padding
        core = slice(reach, hidden.shape[-1] - reach)
        mean = hidden[..., core].mean(-1)
        if controls is not None:
            total = controls[..., core].sum((1, 2)).log1p()
            mean = torch.cat([mean, total[:, None]], 1)
            hidden = torch.cat([hidden, controls], 1)
        profile = convolve_narrow(
            hidden, self.profile.weight[:, : hidden.shape[1]], self.profile.bias, padding
        )
        return profile, F.linear(mean, self.counts.weight[:, : mean.shape[1]], self.counts.bias)
