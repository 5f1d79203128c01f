"""Decide how networks compute on each kind of device and in each precision.

Everything in the networks that depends on the device asks `route`. `prepare_network` rewrites the
weights once, before many predictions. float32 on CPUs is not changed.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Module = TypeVar("Module", bound=nn.Module)
REDUCED_TYPES = {"bfloat16": torch.bfloat16}
"""Type of the weights by precision, if it is not float32."""


@dataclass(frozen=True)
class Route:
    """How layers compute on one kind of device. None of it changes values beyond rounding."""

    piece: int
    """Bases that a stem computes at once; this limits its memory."""
    splits_batches: bool
    """Whether `piece` limits all windows of a batch together, and not each window."""
    queries: int
    """Queries of relative attention at once; this limits the memory of the logits."""
    fused_attention: bool
    """Whether logits, softmax and product are one kernel in reduced precision."""
    dense_by_convolution: bool
    """Whether matrix products are computed as convolutions of width 1."""
    pool_by_maximum: bool
    """Whether max pooling is a maximum of neighbours, which writes no indices."""
    asynchronous: bool
    """Whether the host works on one batch while the device computes the next."""
    width_multiple: int
    """A divisor of the tower's channels; zeros are added until it divides them."""


CPU = Route(
    piece=1 << 14, splits_batches=False, queries=512, fused_attention=False,
    dense_by_convolution=True, pool_by_maximum=False, asynchronous=False, width_multiple=1,
)  # fmt: skip
GPU = Route(  # 2^20 bases times Enformer's 768 channels stay below 2^31 elements
    piece=1 << 20, splits_batches=True, queries=1024, fused_attention=True,
    dense_by_convolution=False, pool_by_maximum=True, asynchronous=True, width_multiple=8,
)  # fmt: skip
ROUTES = {"cpu": CPU}
"""Routes by kind of device; every other kind takes `GPU`."""


def route(device: torch.device) -> Route:
    """Return how layers compute on `device`."""
    return ROUTES.get(device.type, GPU)


def prepare_network(network: Module, precision: str) -> Module:
    """Rewrite `network` for predictions on its device; return a copy, or `network` if unchanged.

    The copy's weights are not those of a checkpoint any more. Heads, statistics of norms and
    outputs stay in float32.

    Args:
        network: A network with its head, in evaluation mode, on the device that predicts.
        precision: float32, tf32 or bfloat16.

    Returns:
        The network to predict with. Its values agree with `network` up to the precision.
    """
    device = next(network.parameters()).device
    dtype = REDUCED_TYPES.get(precision)
    if dtype is None and route(device) is CPU:
        return network
    copy = deepcopy(network)
    with torch.no_grad():
        for module in copy.modules():
            rewrite = getattr(module, "rewrite_for_prediction", None)
            if rewrite is not None:
                rewrite(route(device).width_multiple)
        if dtype is not None:
            _reduce_weights(copy.get_submodule("model"), dtype)
    return copy


def _reduce_weights(module: nn.Module, dtype: torch.dtype) -> None:
    """Convert the weights of `module` to `dtype`, except batch norms, which stay in float32."""
    for child in module.modules():
        if not isinstance(child, nn.BatchNorm1d):
            for weight in child.parameters(recurse=False):
                weight.data = weight.data.to(dtype)


def pad_to_multiple(weight: Tensor, multiple: int) -> Tensor:
    """Pad the first axis of `weight` with zeros to a length that `multiple` divides."""
    return F.pad(weight, (*[0] * (2 * weight.dim() - 1), -len(weight) % multiple))
