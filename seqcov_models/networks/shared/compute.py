"""Decide how networks compute on each kind of device and in each precision.

Everything in the networks that depends on the device asks `route`. What has to be done to the
weights once, before many predictions, is `prepare_network`. Float32 on processors is left as it is.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Network = TypeVar("Network", bound=nn.Module)
REDUCED = {"bfloat16": torch.bfloat16}
"""The type of the weights in each precision that is not float32's."""


@dataclass(frozen=True)
class Route:
    """How layers compute on one kind of device. None of it changes values beyond rounding."""

    piece: int
    """Bases that a stem works on at once: bounds its memory."""
    splits_batches: bool
    """Whether the windows of a batch together are held to `piece`, not each of them alone."""
    queries: int
    """Queries of relative attention at once: bounds the memory of the logits."""
    fused_attention: bool
    """Below float32, logits, softmax and product in one kernel."""
    dense_by_convolution: bool
    """Matrix products as convolutions of width 1."""
    pool_by_maximum: bool
    """Max pooling as a maximum of neighbours, which writes no indices."""
    asynchronous: bool
    """The host works on one batch while the device computes the next."""
    width_multiple: int
    """Channels of a convolution tower are padded with zeros to a multiple of this."""


CPU = Route(
    piece=1 << 14, splits_batches=False, queries=512, fused_attention=False,
    dense_by_convolution=True, pool_by_maximum=False, asynchronous=False, width_multiple=1,
)  # fmt: skip
GPU = Route(  # 2^20 bases times Enformer's 768 channels stay below 2^31 elements
    piece=1 << 20, splits_batches=True, queries=1024, fused_attention=True,
    dense_by_convolution=False, pool_by_maximum=True, asynchronous=True, width_multiple=8,
)  # fmt: skip
ROUTES = {"cpu": CPU}
"""By kind of device; every other kind takes `GPU`."""


def route(device: torch.device) -> Route:
    """Return how to compute on `device`."""
    return ROUTES.get(device.type, GPU)


def prepare_network(network: Network, precision: str) -> Network:
    """Return `network` as predictions on its device in `precision` use it.

    That is `network` itself if nothing is to be done, else a copy: its state is not that of a
    checkpoint any more. Heads, the norms' statistics and outputs stay in float32.

    Args:
        network: a network with its head, in evaluation mode, on the device that predicts.
        precision: float32, tf32 or bfloat16.
    """
    device = next(network.parameters()).device
    dtype = REDUCED.get(precision)
    if dtype is None and route(device) is CPU:
        return network
    copy = deepcopy(network)
    with torch.no_grad():
        for module in copy.modules():
            rewrite = getattr(module, "rewrite_for_prediction", None)
            if rewrite is not None:
                rewrite(route(device).width_multiple)
        if dtype is not None:
            _lower(copy.get_submodule("model"), dtype)
    return copy


def _lower(module: nn.Module, dtype: torch.dtype) -> None:
    """Keep all weights of `module` in `dtype`, but for batch norms, which act in float32."""
    for child in module.modules():
        if not isinstance(child, nn.BatchNorm1d):
            for weight in child.parameters(recurse=False):
                weight.data = weight.data.to(dtype)


def pad_to_multiple(weight: Tensor, multiple: int) -> Tensor:
    """Pad the first axis of `weight` with zeros to a length that `multiple` divides."""
    return F.pad(weight, (*[0] * (2 * weight.dim() - 1), -len(weight) % multiple))
