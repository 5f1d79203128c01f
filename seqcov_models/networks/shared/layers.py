"""Layers that several networks share. Shapes are (batch, channels, length) throughout.

Between layers the channels of one position are adjacent in memory: the tensors are transposed views
of (batch, length, channels). Convolutions and linear layers are fastest in this order (on CPUs
twice as fast as in torch's own), and no layer has to copy the output of another one.
"""

from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqcov_models.networks.shared.compute import constant, pack_weight, route
from seqcov_models.networks.shared.pairs import (
    MIN_PAIRS,
    PairKernel,
    can_pair,
    count_pairs,
    join_pairs,
    pair_inputs,
)


def activate(x: Tensor, name: str, overwrite: bool = False) -> Tensor:
    """Apply the activation `name` element by element.

    The three GELUs differ by up to 2e-2, so they are not interchangeable. gelu_new is the tanh form
    (Borzoi; `tf.nn.gelu(approximate=True)`), quick_gelu is x·sigmoid(1.702x) (Enformer), gelu is
    x·Φ(x) (none of the originals). `overwrite` allows reusing the memory of `x`.
    """
    in_place = overwrite and not torch.is_grad_enabled()
    match name:
        case "gelu_new":
            return F.gelu(x, approximate="tanh")
        case "quick_gelu":
            scaled = x.mul_(1.702) if in_place else x * 1.702
            gated = F.silu(scaled, inplace=in_place)
            return gated.mul_(1 / 1.702) if in_place else gated * (1 / 1.702)
        case "gelu":
            return F.gelu(x)
        case "silu":  # what `ConvBlock.rewrite_for_prediction` makes of quick_gelu
            return F.silu(x, inplace=in_place)
        case "relu":
            return F.relu(x, inplace=in_place)
        case "softplus":
            return F.softplus(x)
        case "linear":
            return x
    raise ValueError(f"unknown activation {name!r}")


def make_channels_adjacent(x: Tensor) -> Tensor:
    """Make the channels of each position adjacent in memory; copy only if needed."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def convolve(
    x: Tensor, layer: nn.Conv1d, norm: nn.BatchNorm1d | None = None, valid: bool = False
) -> Tensor:
    """Apply `layer`, then `norm`: (batch, in, length) → (batch, out, length).

    `layer` is a convolution with same padding. In evaluation mode the batch norm is folded into its
    weights and costs nothing. `valid` omits the positions at both ends that see the padding.
    """
    if norm is not None and norm.training:
        return norm(convolve(x, layer, valid=valid))  # type: ignore[no-any-return]
    weight, bias = layer.weight, layer.bias
    if norm is not None:
        scale, shift = scale_and_shift(norm)
        weight = weight * scale[:, None, None]
        bias = shift if bias is None else bias * scale + shift
    dilation = layer.dilation[0]
    reach = dilation * (layer.kernel_size[0] // 2)
    padding = 0 if valid else reach
    kernel = getattr(layer, "pairs", None)
    pairs = count_pairs(x.shape[-1] + 2 * (padding - reach), dilation)
    if isinstance(kernel, PairKernel) and norm is None and pairs >= MIN_PAIRS:
        return _convolve_pairs(x, layer, kernel, pairs, padding)
    return _convolve(make_channels_adjacent(x), weight, bias, padding, dilation, layer.groups)


def _convolve_pairs(
    x: Tensor, layer: nn.Conv1d, kernel: PairKernel, pairs: int, padding: int
) -> Tensor:
    """Apply `layer`, to `pairs` of positions in the form of `kernel` and to the rest as it is."""
    dilation = layer.dilation[0]
    rows = F.pad(x.transpose(1, 2), (0, 0, padding, padding)) if padding else x.transpose(1, 2)
    positions = rows.shape[1] - dilation * (layer.kernel_size[0] - 1)
    y = rows.new_empty(len(rows), positions, len(kernel.weights[0]))
    inputs = pair_inputs(rows, layer.kernel_size[0], dilation, pairs)
    biases = (None, layer.bias, None, None)
    products = [
        _convolve(inputs.pop(0).transpose(1, 2), weight, bias).transpose(1, 2)
        for weight, bias in zip(kernel.weights, biases, strict=True)
    ]
    join_pairs(products, y[:, : 2 * pairs], dilation)
    if 2 * pairs < positions:
        rest = make_channels_adjacent(rows[:, 2 * pairs :].transpose(1, 2))
        y[:, 2 * pairs :] = _convolve(rest, layer.weight, layer.bias, 0, dilation).transpose(1, 2)
    return y.transpose(1, 2)


SIMD_LANES = 16
"""Channels that a CPU computes at once (float32 in AVX-512), even if a layer has fewer of them."""


def convolve_narrow(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Convolve to fewer channels than `SIMD_LANES`: (batch, in, length) → (batch, out, positions).

    `weight` is (out, in, kernel); `padding` counts zeros beyond each end. Adjacent positions are
    computed as channels of one position, each with a shifted kernel, so that no lane is idle.
    """
    width_out, _, kernel = weight.shape
    group = max(1, SIMD_LANES // width_out)  # positions that are computed as one
    length = x.shape[-1] + 2 * padding - kernel + 1
    kernels = [F.pad(weight, (shift, group - 1 - shift)) for shift in range(group)]
    x = F.pad(x.transpose(1, 2), (0, 0, padding, padding + -length % group)).transpose(1, 2)
    biases = None if bias is None else bias.repeat(group)
    y = _convolve(x, torch.cat(kernels), biases, stride=group)
    y = y.reshape(len(y), group, width_out, y.shape[-1]).movedim(1, -1)
    return y.flatten(2)[..., :length]


def _convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    stride: int = 1,
) -> Tensor:
    """Convolve (batch, in, length) with weight (out, in, kernel) → (batch, out, positions).

    Computed as the convolution of an image of height 1, because only conv2d supports the fast
    memory order. The vertical dilation does not matter at height 1. On CPUs a value of 2 makes
    torch choose oneDNN for kernels of width 1 in a single thread too; its default there is a loop
    around MKL, which runs at half the speed on AMD processors.

    `weight` may also be what `pack_weight` returns.
    """
    vertical_dilation = 2 if x.device.type == "cpu" else 1
    x = x.to(weight.dtype)
    if len(x) == 1:  # any stride is valid for a batch of 1, and conv2d infers the order from it
        x = x.transpose(1, 2)[0].unsqueeze(0).transpose(1, 2)
    paddings, dilations, strides = (0, padding), (vertical_dilation, dilation), (1, stride)
    if weight.is_mkldnn:
        image: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x.unsqueeze(2), weight, bias, paddings, strides, dilations, groups, "none", [], ""
        )
    else:
        image = F.conv2d(
            x.unsqueeze(2), weight.unsqueeze(2), bias, strides, paddings, dilations, groups
        )
    return image.squeeze(2)


def apply_linear(x: Tensor, layer: nn.Linear) -> Tensor:
    """Apply `layer` to every position: (batch, length, in) → (batch, length, out)."""
    return linear(x, layer.weight, layer.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute x · weightᵀ + bias: (batch, length, in), (out, in) → (batch, length, out).

    See `has_fast_mkl` for the choice between MKL and oneDNN.
    """
    if not route(x.device).dense_by_convolution:
        return F.linear(x.to(weight.dtype), weight, bias)
    return _convolve(x.transpose(1, 2), weight[..., None], bias).transpose(1, 2)


def apply_pointwise(x: Tensor, layer: nn.Linear) -> Tensor:
    """Apply `layer` to every position: (batch, in, length) → (batch, out, length)."""
    return apply_linear(x.transpose(1, 2), layer).transpose(1, 2)


def scale_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return a batch norm in evaluation mode as x·scale + shift; both (channels,)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - norm.running_mean * scale


def normalise(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Apply `norm`; return a new tensor of the same shape, never `x` itself."""
    if norm.training:
        return norm(x)  # type: ignore[no-any-return]
    if x.dtype != norm.weight.dtype:  # reduced: one pass that computes in float32 inside
        image = F.batch_norm(
            x.unsqueeze(2), norm.running_mean, norm.running_var, norm.weight, norm.bias,
            eps=norm.eps,
        )  # fmt: skip
        return image.squeeze(2)
    scale, shift = scale_and_shift(norm)
    return torch.addcmul(shift[:, None], x, scale[:, None])


def max_pool(x: Tensor, size: int = 2) -> Tensor:
    """Take the maximum of every `size` positions: (…, length) → (…, length / size)."""
    if route(x.device).pool_by_maximum and not torch.is_grad_enabled():
        length = x.shape[-1] // size * size
        neighbours = [x[..., offset:length:size] for offset in range(size)]
        return make_channels_adjacent(reduce(torch.maximum, neighbours))
    return F.max_pool2d(make_channels_adjacent(x).unsqueeze(2), (1, size)).squeeze(2)


def same_padding_conv(
    width: int, width_out: int, kernel_size: int, dilation: int = 1, bias: bool = True
) -> nn.Conv1d:
    """Build a convolution whose output is as long as its input."""
    reach = dilation * (kernel_size // 2)
    return nn.Conv1d(width, width_out, kernel_size, padding=reach, dilation=dilation, bias=bias)


def append_hidden(contexts: list[Tensor] | None, x: Tensor) -> None:
    """Append the hidden state `x` to `contexts`, if the caller asked for hidden states."""
    if contexts is not None:
        contexts.append(x)


def pack_layers(module: nn.Module) -> None:
    """Keep the weights of all convolutions of `module` in oneDNN's order; see `pack_weight`.

    A layer that reads single letters gains nothing, one of width 1 would lose.
    """
    for layer in module.modules():
        if (
            isinstance(layer, nn.Conv1d)
            and layer.in_channels >= SIMD_LANES
            and layer.kernel_size[0] > 1
        ):
            if can_pair(layer):
                layer.pairs = PairKernel(layer.weight)
            layer.weight = constant(pack_weight(layer.weight))


class ConvBlock(nn.Module):
    """Batch norm, activation, convolution with same padding, in this order."""

    def __init__(
        self,
        width: int,
        width_out: int,
        kernel_size: int,
        activation: str,
        eps: float,
        momentum: float,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.norm = nn.BatchNorm1d(width, eps=eps, momentum=momentum)
        self.conv = same_padding_conv(width, width_out, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block: (batch, width, length) → (batch, width_out, length)."""
        return convolve(
            activate(normalise(x, self.norm), self.activation, overwrite=True), self.conv
        )

    def rewrite_for_prediction(self, multiple: int) -> None:
        """Make quick_gelu one pass: its factors go into the norm before and the weights after."""
        if self.activation == "quick_gelu":
            self.norm.weight = constant(self.norm.weight * 1.702)
            self.norm.bias = constant(self.norm.bias * 1.702)
            self.conv.weight = constant(self.conv.weight / 1.702)
            self.activation = "silu"


class SeparableConv(nn.Module):
    """Depthwise convolution without bias, then pointwise with bias (Keras' SeparableConv1D)."""

    def __init__(self, width: int, kernel_size: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            width, width, kernel_size, padding=kernel_size // 2, groups=width, bias=False
        )
        self.pointwise = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both convolutions: (batch, width, length) → the same shape."""
        return convolve(convolve(x, self.depthwise), self.pointwise)


class Stem(nn.Module):
    """Convolutions and poolings: the part of a network in which every position sees a few bases.

    A long window is therefore computed in pieces, which limits the memory and keeps it in the CPU's
    cache. Each network implements `compute`.

    Attributes:
        factors: Bases per position of each output, largest first.
        reach: Bases that a position sees beyond its own, at each side.
    """

    factors: tuple[int, ...]
    reach: int

    @property
    def pool_factor(self) -> int:
        """Bases per position of the trunk."""
        return self.factors[0]

    @property
    def halo(self) -> int:
        """`reach` rounded up to a multiple of `pool_factor`, in bp."""
        return -(-self.reach // self.pool_factor) * self.pool_factor

    def compute(self, x: Tensor) -> tuple[Tensor, ...]:
        """Apply the stem: one-hot (batch, letters, length) → (batch, channels, length / factor).

        There is one output per element of `factors`.
        """
        raise NotImplementedError

    def compute_within(self, x: Tensor, first: int, last: int) -> tuple[Tensor, ...]:
        """Apply `compute` to `x`; return bases [first, last): (batch, positions, channels) each.

        The results are copies: a view would keep the tensors of all of `x` in memory.
        """
        return tuple(
            output[..., first // factor : last // factor].transpose(1, 2).clone()
            for output, factor in zip(self.compute(x), self.factors, strict=True)
        )

    def pack_weights(self) -> None:
        """Keep weights in the order in which oneDNN reads them; see `pack_layers`."""
        pack_layers(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Apply `compute`, to a long window in pieces; return the same values up to rounding.

        The length is a multiple of `pool_factor`.
        """
        piece, length = route(x.device).piece, x.shape[-1]
        if self.training:  # batch norms need all positions at once
            return self.compute(x)
        if length <= piece:
            windows = max(1, piece // length)
            if len(x) <= windows or not route(x.device).splits_batches:
                return self.compute(x)
            batches = [self.compute(batch) for batch in torch.split(x, windows)]
            return tuple(
                torch.cat([output.transpose(1, 2) for output in outputs]).transpose(1, 2)
                for outputs in zip(*batches, strict=True)
            )
        rows = [self._compute_pieces(row, piece) for row in torch.split(x, 1)]
        return tuple(torch.cat(tensors).transpose(1, 2) for tensors in zip(*rows, strict=True))

    def _compute_pieces(self, x: Tensor, piece: int) -> list[Tensor]:
        """Compute pieces of at most `piece` bases; return (batch, length / factor, channels) each.

        Pieces overlap by a halo, which is discarded. At the ends of the window there is no halo,
        and `compute` pads there as it does for a window in one piece.
        """
        length, halo = x.shape[-1], self.halo
        count = -(-length // max(piece, self.pool_factor))
        step = -(-length // (count * self.pool_factor)) * self.pool_factor
        pieces = []
        for start in range(0, length, step):
            stop = min(start + step, length)
            first = max(0, start - halo)
            pieces.append(
                self.compute_within(x[..., first : stop + halo], start - first, stop - first)
            )
        return [torch.cat(tensors, 1) for tensors in zip(*pieces, strict=True)]
