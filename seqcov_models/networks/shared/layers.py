"""Layers that more than one network is built of. Shapes: (batch, channels, length) throughout.

Between layers the channels of one position lie next to each other in memory (the tensors are
transposed views of (batch, length, channels)): convolutions and dense layers are fastest so, on
processors twice as fast as in torch's own order, and no layer has to copy what another one made.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PIECES = {"cpu": 1 << 14}
"""Bases that a stem works on at once, by kind of device: bounds its memory, not its values."""
LARGE_PIECE = 1 << 19  # what other devices than these take: any published window


def activate(x: Tensor, name: str, own: bool = False) -> Tensor:
    """Apply the activation `name`. The three GELUs differ by up to 2e-2: never swap them.

    gelu_new: tanh form (Borzoi; `tf.nn.gelu(approximate=True)`); quick_gelu: x·sigmoid(1.702x)
    (Enformer); gelu: x·Φ(x), in none of the originals. own: nobody reads `x` afterwards.
    """
    in_place = own and not torch.is_grad_enabled()
    match name:
        case "gelu_new":
            return F.gelu(x, approximate="tanh")
        case "quick_gelu":
            scaled = x.mul_(1.702) if in_place else x * 1.702
            gated = F.silu(scaled, inplace=in_place)
            return gated.mul_(1 / 1.702) if in_place else gated * (1 / 1.702)
        case "gelu":
            return F.gelu(x)
        case "relu":
            return F.relu(x, inplace=in_place)
        case "softplus":
            return F.softplus(x)
        case "linear":
            return x
    raise ValueError(f"unknown activation {name!r}")


def channels_together(x: Tensor) -> Tensor:
    """`x` with the channels of a position next to each other in memory; a copy only if need be."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def convolve(
    x: Tensor, layer: nn.Conv1d, norm: nn.BatchNorm1d | None = None, inner: bool = False
) -> Tensor:
    """What `layer`, a 'same' convolution, gives: (batch, in, length) → (batch, out, length).

    norm: a batch norm that follows; it costs nothing more outside of training. inner: leave out the
    positions at both ends that see the padding.
    """
    if norm is not None and norm.training:
        return norm(convolve(x, layer, inner=inner))  # type: ignore[no-any-return]
    weight, bias = layer.weight, layer.bias
    if norm is not None:
        scale, shift = scale_and_shift(norm)
        weight = weight * scale[:, None, None]
        bias = shift if bias is None else bias * scale + shift
    dilation = layer.dilation[0]
    padding = 0 if inner else dilation * (weight.shape[-1] // 2)
    return _convolve(channels_together(x), weight, bias, padding, dilation, layer.groups)


LANES = 16
"""Channels that a convolution computes at once on today's processors, whether there are so many or
not (float32 in AVX-512)."""


def convolve_to_few(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """A convolution to fewer channels than `LANES`: (batch, in, length) → (batch, out, positions).

    weight: (out, in, kernel); padding: zeros beyond both ends. Neighbouring positions are computed
    as channels of one, with the kernel moved for each, so that no lane is idle.
    """
    out, _, kernel = weight.shape
    together = max(1, LANES // out)
    length = x.shape[-1] + 2 * padding - kernel + 1
    moved = [F.pad(weight, (at, together - 1 - at)) for at in range(together)]
    x = F.pad(x.transpose(1, 2), (0, 0, padding, padding + -length % together)).transpose(1, 2)
    many = None if bias is None else bias.repeat(together)
    y = _convolve(x, torch.cat(moved), many, stride=together)
    y = y.reshape(len(y), together, out, y.shape[-1]).movedim(1, -1)
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
    """(batch, in, length), weight (out, in, kernel) → (batch, out, positions).

    As a convolution of an image one row high, because only those know the order of memory that is
    fastest. The rows' own dilation means nothing where there is one row, but makes torch take
    oneDNN also for kernels of width 1 in a single thread, where it would take its own loop around
    MKL, which AMD's processors run at half the speed.
    """
    rows = 2 if x.device.type == "cpu" else 1
    image = F.conv2d(
        x.unsqueeze(2), weight.unsqueeze(2), bias,
        stride=(1, stride), padding=(0, padding), dilation=(rows, dilation), groups=groups,
    )  # fmt: skip
    return image.squeeze(2)


def dense(x: Tensor, layer: nn.Linear) -> Tensor:
    """What `layer` gives: (batch, length, in) → (batch, length, out)."""
    return product(x, layer.weight, layer.bias)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x · weightᵀ + bias: (batch, length, in), (out, in) → (batch, length, out).

    On processors as a convolution of width 1, which is twice as fast as a matrix product on those
    by AMD (oneDNN instead of MKL).
    """
    if x.device.type != "cpu":
        return F.linear(x, weight, bias)
    return _convolve(x.transpose(1, 2), weight[..., None], bias).transpose(1, 2)


def pointwise(x: Tensor, layer: nn.Linear) -> Tensor:
    """A Linear layer along the channels of (batch, channels, length)."""
    return dense(x.transpose(1, 2), layer).transpose(1, 2)


def scale_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """A batch norm outside of training is x·scale + shift; both (channels,)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - norm.running_mean * scale


def normalise(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """What `norm` gives, always a new tensor."""
    if norm.training:
        return norm(x)  # type: ignore[no-any-return]
    scale, shift = scale_and_shift(norm)
    return torch.addcmul(shift[:, None], x, scale[:, None])


def max_pool(x: Tensor, size: int = 2) -> Tensor:
    """(batch, channels, length) → (batch, channels, length / size)."""
    return F.max_pool2d(channels_together(x).unsqueeze(2), (1, size)).squeeze(2)


def same(width: int, out: int, kernel_size: int, dilation: int = 1, bias: bool = True) -> nn.Conv1d:
    """A convolution whose output is as long as its input."""
    reach = dilation * (kernel_size // 2)
    return nn.Conv1d(width, out, kernel_size, padding=reach, dilation=dilation, bias=bias)


def keep(contexts: list[Tensor] | None, x: Tensor) -> None:
    """Append `x` where the caller asked for what lies between the blocks of a trunk."""
    if contexts is not None:
        contexts.append(x)


class ConvBlock(nn.Module):
    """Batch norm, activation, convolution ('same'), in this order."""

    def __init__(
        self, width: int, out: int, kernel_size: int, activation: str, eps: float, momentum: float
    ) -> None:
        super().__init__()
        self.activation = activation
        self.norm = nn.BatchNorm1d(width, eps=eps, momentum=momentum)
        self.conv = same(width, out, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, length) → (batch, out, length)."""
        return convolve(activate(normalise(x, self.norm), self.activation, own=True), self.conv)


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
        return convolve(convolve(x, self.depthwise), self.pointwise)


class Stem(nn.Module):
    """Convolutions and poolings: local, the same at every position.

    Because they are local they run piece by piece, which bounds their memory and keeps it in the
    processor's cache, and neighbouring windows can share them. Each network says what its stem
    computes in `whole`.

    Attributes: `factors`, the bases that a position of each output stands for, the largest first;
    `reach`, the bases beyond its own that a position sees at each side.
    """

    factors: tuple[int, ...]
    reach: int

    @property
    def pool_factor(self) -> int:
        """Bases that a position of the trunk stands for."""
        return self.factors[0]

    @property
    def halo(self) -> int:
        """`reach`, rounded up to whole positions of the trunk; in bp."""
        return -(-self.reach // self.pool_factor) * self.pool_factor

    def whole(self, x: Tensor) -> tuple[Tensor, ...]:
        """One-hot (batch, letters, length) → tensors (batch, channels, length / factor)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """As `whole`, to rounding, but piece by piece. length: a multiple of `pool_factor`."""
        piece = PIECES.get(x.device.type, LARGE_PIECE)
        if self.training or x.shape[-1] <= piece:  # in training, batch norms must see all at once
            return self.whole(x)
        rows = [self._pieces(row, piece) for row in torch.split(x, 1)]
        return tuple(torch.cat(tensors).transpose(1, 2) for tensors in zip(*rows, strict=True))

    def _pieces(self, x: Tensor, piece: int) -> list[Tensor]:
        """`whole` in equal pieces of at most `piece` bases (but at least one position).

        Gives (batch, length / factor, channels). Pieces overlap by a halo, which is thrown away;
        where there is none a window's edge is, and `whole` pads as it does there.
        """
        length, halo = x.shape[-1], self.halo
        count = -(-length // max(piece, self.pool_factor))
        step = -(-length // (count * self.pool_factor)) * self.pool_factor
        pieces: list[list[Tensor]] = [[] for _ in self.factors]
        for start in range(0, length, step):
            stop = min(start + step, length)
            first = max(0, start - halo)
            made = self.whole(x[..., first : stop + halo])
            for kept, tensor, factor in zip(pieces, made, self.factors, strict=True):
                inner = tensor[..., (start - first) // factor : (stop - first) // factor]
                kept.append(inner.transpose(1, 2).clone())  # a view would keep the halo alive
        return [torch.cat(kept, 1) for kept in pieces]
