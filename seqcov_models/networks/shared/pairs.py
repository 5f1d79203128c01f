"""Convolutions that compute two positions at once, with fewer multiplications.

Two adjacent outputs of a kernel of width 3 take 6 products of weights and inputs; of sums and
differences of the inputs 4 are enough (Winograd, Arithmetic Complexity of Computations, 1980,
F(2, 3)). Two more weights take 3 products instead of 4 (Karatsuba). The only factor is 1/2, so that
a sum errs by no more than the usual one.
"""

import torch
from torch import Tensor, nn

MIN_CHANNELS, MIN_PAIRS = 288, 512
"""Below these the additions, and the order of the weights, cost more than the products saved."""

_INPUTS = {
    3: [[(0, -1, 2)], [(1, 1, 2)], [(2, -1, 1)], [(1, -1, 3)]],
    5: [[(0, -1, 2), (3, -1, 4)], [(1, 1, 2), (4, 0, 4)], [(2, -1, 1)], [(1, -1, 3), (4, -1, 5)]],
}
"""By width of the kernel, the input of each of the four products: offset, sign, second offset."""


class PairKernel(nn.Module):
    """A kernel of width 3 or 5 in the form that computes two outputs at once.

    Attributes:
        weights: Four weights (out, in or 2·in, 1). With p, s, d and q for the products with them,
            the first output of a pair is p + s + d and the second is s − d − q.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        a, b, c, *others = weight.unbind(-1)
        products = [[a], [(a + b + c) / 2], [(a - b + c) / 2], [c]]
        if others:
            d, e = others
            products[0].append(d)
            products[1].append(d + e)
            products[3].append(e)
        self.weights = nn.ParameterList(
            nn.Parameter(torch.cat(parts, 1)[..., None], requires_grad=False) for parts in products
        )


def can_pair(layer: nn.Conv1d) -> bool:
    """Return whether computing two outputs of a layer at once saves time, if there are enough."""
    return (
        layer.kernel_size[0] in _INPUTS
        and layer.groups == 1
        and min(layer.in_channels, layer.out_channels) >= MIN_CHANNELS
        and layer.weight.dtype == torch.float32
    )


def count_pairs(positions: int, dilation: int) -> int:
    """Return the pairs of outputs, `dilation` positions apart, in whole blocks of 2 · dilation."""
    return positions // (2 * dilation) * dilation


def pair_inputs(x: Tensor, kernel: int, dilation: int, pairs: int) -> list[Tensor]:
    """Compute the inputs of the four products.

    Args:
        x: The input (batch, length, in), with all positions that the outputs see.
        kernel: Width of the kernel.
        dilation: Its dilation.
        pairs: What `count_pairs` returned.

    Returns:
        Four tensors (batch, pairs, in or 2·in).
    """
    shifted = []  # by offset in units of the dilation: (batch, blocks, dilation, in)
    for offset in range(kernel + 1):
        first = offset // 2 * 2 * dilation
        blocks = _split_blocks(x[:, first : first + 2 * pairs], dilation)
        shifted.append(blocks[:, :, offset % 2])
    inputs = []
    for terms in _INPUTS[kernel]:
        y = x.new_empty(*shifted[0].shape[:-1], len(terms), x.shape[-1])
        for part, (first, sign, second) in zip(y.unbind(-2), terms, strict=True):
            if sign:
                torch.add(shifted[first], shifted[second], alpha=sign, out=part)
            else:
                part.copy_(shifted[first])
        inputs.append(y.flatten(3).flatten(1, 2))
    return inputs


def join_pairs(products: list[Tensor], outputs: Tensor, dilation: int) -> None:
    """Compute the outputs from the four products (batch, pairs, out), which are overwritten.

    `outputs` (batch, 2 · pairs, out) takes the values.
    """
    blocks = _split_blocks(outputs, dilation)
    p, s, d, q = (product.view_as(blocks[:, :, 0]) for product in products)
    torch.add(p.add_(s), d, out=blocks[:, :, 0])
    torch.sub(s.sub_(d), q, out=blocks[:, :, 1])


def _split_blocks(x: Tensor, dilation: int) -> Tensor:
    """View (batch, 2 · pairs, channels) as (batch, blocks, 2, dilation, channels)."""
    return x.view(len(x), -1, 2, dilation, x.shape[-1])
