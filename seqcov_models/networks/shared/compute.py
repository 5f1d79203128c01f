"""Decide how networks compute on each kind of device and in each precision.

Everything in the networks that depends on the device asks `route`. `prepare_network` rewrites the
weights once, before many predictions.
"""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

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
    heads_in_turn: bool
    """Whether attention computes one head after the other, so that each stays in the cache."""
    pool_by_maximum: bool
    """Whether max pooling is a maximum of neighbours, which writes no indices."""
    asynchronous: bool
    """Whether the host works on one batch while the device computes the next."""
    width_multiple: int
    """A divisor of the tower's channels; zeros are added until it divides them."""
    packed_weights: bool
    """Whether a stem keeps its weights in oneDNN's order instead of reordering them per call."""


def is_built(library: Any) -> bool:
    """Return whether torch was built with one of `torch.backends`."""
    return bool(library.is_available())


def has_fast_mkl() -> bool:
    """Return whether MKL computes matrix products faster than oneDNN: on Intel's CPUs.

    Per core, in 10^9 float32 operations per second: Intel (AVX-512) MKL 176, oneDNN 160; AMD EPYC
    (AVX-512) MKL 102, oneDNN 230. In bfloat16 Intel's AMX gives 1,050 and 700.
    """
    processors = Path("/proc/cpuinfo")
    is_intel = processors.exists() and "GenuineIntel" in processors.read_text()
    return is_intel and is_built(torch.backends.mkl)


CPU = Route(
    piece=1 << 14, splits_batches=False, queries=512, fused_attention=False,
    dense_by_convolution=not has_fast_mkl(), heads_in_turn=True, pool_by_maximum=True,
    asynchronous=False, width_multiple=16, packed_weights=is_built(torch.backends.mkldnn),
)  # fmt: skip
GPU = Route(  # 2^20 bases times Enformer's 768 channels stay below 2^31 elements
    piece=1 << 20, splits_batches=True, queries=1024, fused_attention=True,
    dense_by_convolution=False, heads_in_turn=False, pool_by_maximum=True,
    asynchronous=True, width_multiple=8, packed_weights=False,
)  # fmt: skip
ROUTES = {"cpu": CPU}
"""Routes by kind of device; every other kind takes `GPU`."""


def route(device: torch.device) -> Route:
    """Return how layers compute on `device`."""
    return ROUTES.get(device.type, GPU)


def prepare_network(network: Module, precision: str) -> Module:
    """Return a copy of `network` that is rewritten for predictions on its device.

    The copy's weights are not those of a checkpoint any more. Heads, statistics of norms and
    outputs stay in float32. Weights that do not change are shared with `network`.

    Args:
        network: A network with its head, in evaluation mode, on the device that predicts.
        precision: float32, tf32 or bfloat16.

    Returns:
        The network to predict with. Its values agree with `network` up to the precision.
    """
    device = next(network.parameters()).device
    dtype = REDUCED_TYPES.get(precision)
    copy = deepcopy(network, {id(weight): weight for weight in network.parameters()})
    with torch.no_grad():
        _call_each(copy, "rewrite_for_prediction", route(device).width_multiple)
        if dtype is not None:
            for name, module in copy.named_modules():
                if name.rpartition(".")[2] == "model":  # of every network in it; the rest are heads
                    _reduce_weights(module, dtype)
        if route(device).packed_weights:
            _call_each(copy, "pack_weights")
    return copy


def _call_each(network: nn.Module, method: str, *arguments: int) -> None:
    """Call `method` of each module that has it."""
    for module in network.modules():
        getattr(module, method, lambda *_: None)(*arguments)


def _reduce_weights(module: nn.Module, dtype: torch.dtype) -> None:
    """Convert the weights of `module` to `dtype`, except batch norms, which stay in float32."""
    for child in module.modules():
        if not isinstance(child, nn.BatchNorm1d):
            for name, weight in child.named_parameters(recurse=False):
                setattr(child, name, constant(weight.to(dtype)))


def constant(weight: Tensor) -> nn.Parameter:
    """Return `weight` as a parameter that is not trained."""
    return nn.Parameter(weight, requires_grad=False)


def pack_weight(weight: Tensor) -> Tensor:
    """Reorder a weight (out, in, kernel) as oneDNN's convolutions read it.

    oneDNN otherwise reorders it in every call, which takes as long as the convolution itself if
    there are few positions. torch.compile does the same when it freezes a network. The values of
    the convolution do not change. Not for kernels of width 1: their order depends on the length,
    and a convolution of another length is up to 15 times slower.
    """
    image, ones = weight.unsqueeze(2), [1, 1]
    reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
    packed: Tensor = reorder(image.to_mkldnn(), [0, image.shape[-1] // 2], ones, ones, 1, None)
    return packed


def pad_to_multiple(weight: Tensor, multiple: int) -> Tensor:
    """Pad the first axis of `weight` with zeros to a length that `multiple` divides."""
    return F.pad(weight, (*[0] * (2 * weight.dim() - 1), -len(weight) % multiple))
