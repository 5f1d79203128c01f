"""Layers that more than one network is built of. Shapes: (batch, channels, length) throughout."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def activate(x: Tensor, name: str) -> Tensor:
    """Apply the activation `name`. The three GELUs differ by up to 2e-2: never swap them.

    gelu_new: tanh form (Borzoi; `tf.nn.gelu(approximate=True)`); quick_gelu: x·sigmoid(1.702x)
    (Enformer); gelu: x·Φ(x), in none of the originals.
    """
    match name:
        case "gelu_new":
            return F.gelu(x, approximate="tanh")
        case "quick_gelu":
            return x * torch.sigmoid(1.702 * x)
        case "gelu":
            return F.gelu(x)
        case "relu":
            return F.relu(x)
        case "softplus":
            return F.softplus(x)
        case "linear":
            return x
    raise ValueError(f"unknown activation {name!r}")


def pointwise(x: Tensor, layer: nn.Linear) -> Tensor:
    """A Linear layer along the channels of (batch, channels, length).

    As a convolution of width 1, which is twice as fast as a matrix product on AMD processors
    (oneDNN instead of MKL).
    """
    return F.conv1d(x, layer.weight[..., None], layer.bias)


class ConvBlock(nn.Module):
    """Batch norm, activation, convolution ('same'), in this order."""

    def __init__(
        self, width: int, out: int, kernel_size: int, activation: str, eps: float, momentum: float
    ) -> None:
        super().__init__()
        self.activation = activation
        self.norm = nn.BatchNorm1d(width, eps=eps, momentum=momentum)
        self.conv = nn.Conv1d(width, out, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, length) → (batch, out, length)."""
        return self.conv(activate(self.norm(x), self.activation))  # type: ignore[no-any-return]


class SeparableConv(nn.Module):
    """Depthwise convolution without bias, then pointwise with bias (Keras' SeparableConv1D)."""

    def __init__(self, width: int, kernel_size: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            width, width, kernel_size, padding=kernel_size // 2, groups=width, bias=False
        )
        self.pointwise = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, length) → the same shape."""
        return self.pointwise(self.depthwise(x))  # type: ignore[no-any-return]
