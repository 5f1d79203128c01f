"""Multi-head attention with relative or rotary positions, and the position features.

Enformer and Borzoi use relative attention and differ in the position features only; Flashzoi uses
rotary attention. Sources: deepmind-research `enformer/attention_module.py`; calico/baskerville
`layers.py`; johahi/borzoi-pytorch (rotary).
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqcov_models.networks.shared.compute import route
from seqcov_models.networks.shared.layers import apply_linear, linear

ALL_POSITIONS = slice(0, None)


def central_mask_features(length: int, features: int, trained_length: int) -> Tensor:
    """Compute Borzoi's position features: (2·length − 1, features).

    Rows are distances d = −(length−1) … length−1. The first half are masks of growing width: 1 if
    |d| < (T+1)^(k/n) − 1 for k = 1 … n, with T the *trained* length. The second half are the masks
    times sign(d). Source: baskerville `positional_features_central_mask` (float32, too).
    """
    half = features // 2
    rate = np.exp(np.log(trained_length + 1) / half).astype(np.float32)
    widths = np.power(rate, np.arange(1, half + 1, dtype=np.float32)) - np.float32(1)
    distance = np.arange(-(length - 1), length, dtype=np.float32)
    masks = (widths > np.abs(distance)[:, None]).astype(np.float32)
    return torch.from_numpy(np.hstack([masks, np.sign(distance)[:, None] * masks]))


def gamma_basis(length: int, count: int) -> Tensor:
    """Compute Enformer's gamma features: (2·length − 1, count).

    Rows are distances d = −(length−1) … length−1. Columns are densities at |d| of gamma
    distributions with means length·k/count, k = 1 … count, and standard deviation
    length / (2·count). Each column is divided by its maximum over the *positions*, as in the
    original (float32, too); ports that divide by the maximum over the columns are wrong.
    """
    distance = torch.arange(-(length - 1), length, device="cpu").abs().float()[:, None]
    deviation = length / (2 * count)
    mean = torch.linspace(length / count, length, count, device="cpu")
    concentration, rate = (mean / deviation) ** 2, mean / deviation**2
    log_density = torch.xlogy(concentration - 1, distance) - rate * distance
    log_norm = torch.lgamma(concentration) - concentration * rate.log()
    density = (log_density - log_norm).exp() + 1e-8
    return density / density.amax(0)


@lru_cache(maxsize=2)
@torch.inference_mode(False)
def enformer_features(length: int, features: int) -> Tensor:
    """Compute Enformer's position features: (2·length − 1, features), rows as in `gamma_basis`.

    One sixth each are exponentials with half-lives 2^3 … length (evenly spaced logarithms), masks
    of width 2^k − 1, and gamma densities. The other half are these times sign(d). The result is
    cached; do not write to it.
    """
    count = features // 6
    distance = torch.arange(-(length - 1), length, device="cpu").float()[:, None]
    half_life = 2 ** torch.linspace(3, math.log2(length), count, device="cpu")
    exponential = torch.exp(-math.log(2) / half_life * distance.abs())
    width = 2.0 ** torch.arange(1, count + 1, device="cpu") - 1
    mask = (width > distance.abs()).float()
    basis = torch.cat([exponential, mask, gamma_basis(length, count)], 1)
    return torch.cat([basis, distance.sign() * basis], 1)


@lru_cache(maxsize=4)
@torch.inference_mode(False)
def cached_features(
    device: torch.device, dtype: torch.dtype, make: Callable[..., Tensor], *sizes: int
) -> Tensor:
    """Return the position features ``make(*sizes)`` on `device`, copied there once.

    A copy in every pass would let the host wait for the device. The result is cached; do not write
    to it.
    """
    return make(*sizes).to(device, dtype)


def replace_gammas(features: Tensor, table: Tensor) -> Tensor:
    """Replace the gammas of `enformer_features` by `table`; return (2·length − 1, 6·count).

    `table` is (2·length − 1, count): the gammas of the training, which some weights come with.
    """
    count = table.shape[1]
    sign = torch.arange(len(table), device=table.device).sub(len(table) // 2).sign()[:, None]
    features = features.clone()
    features[:, 2 * count : 3 * count] = table
    features[:, 5 * count :] = sign * table
    return features


def rotary_angles(length: int, size: int, base: float) -> Tensor:
    """Compute the cosines and sines of each position's rotation: (2, length, size / 2)."""
    frequency = base ** (-torch.arange(0, size, 2) / size)
    angle = torch.arange(length)[:, None] * frequency
    return torch.stack([angle.cos(), angle.sin()])


class RelativeAttention(nn.Module):
    """Self-attention whose logits include a learned function of the distance key − query."""

    def __init__(
        self,
        width: int,
        heads: int,
        key_size: int,
        value_size: int,
        features: int,
        dropout: float,
        position_dropout: float,
    ) -> None:
        super().__init__()
        self.heads, self.key_size, self.value_size = heads, key_size, value_size
        self.dropout, self.position_dropout = dropout, position_dropout
        self.to_q = nn.Linear(width, heads * key_size, bias=False)
        self.to_k = nn.Linear(width, heads * key_size, bias=False)
        self.to_v = nn.Linear(width, heads * value_size, bias=False)
        self.to_rel_k = nn.Linear(features, heads * key_size, bias=False)
        self.to_out = nn.Linear(heads * value_size, width)
        self.rel_content_bias = nn.Parameter(torch.zeros(1, heads, 1, key_size))
        self.rel_pos_bias = nn.Parameter(torch.zeros(1, heads, 1, key_size))

    def forward(self, x: Tensor, positions: Tensor, queries: slice = ALL_POSITIONS) -> Tensor:
        """Attend from `queries` to all positions; return (batch, queries, width).

        `x` is (batch, length, width); `positions` are features (2·length − 1, features).
        """
        positions = F.dropout(positions, self.position_dropout, self.training)
        q = self._split_heads(apply_linear(x[:, queries], self.to_q)) * self.key_size**-0.5
        k = self._split_heads(
            apply_linear(x, self.to_k)
        ).contiguous()  # (batch, heads, length, key)
        v = self._split_heads(apply_linear(x, self.to_v))
        (r,) = self._split_heads(
            apply_linear(positions[None], self.to_rel_k)
        )  # (heads, 2·length − 1, key)
        q_content, q_position = q + self.rel_content_bias, q + self.rel_pos_bias
        first = queries.indices(x.shape[1])[0]
        if route(x.device).fused_attention and x.dtype != torch.float32 and not self.training:
            outputs = attend_fused(q_content, q_position, k, v, r, first)
            return apply_linear(outputs.transpose(1, 2).flatten(2), self.to_out)
        v = v.transpose(-1, -2).contiguous()  # (batch, heads, value, length)
        if not route(x.device).heads_in_turn:
            outputs = self._attend(q_content, q_position, k, v, r.contiguous(), first)
        else:  # one head after the other, so that its tensors stay in the cache
            outputs = torch.stack([
                torch.stack([
                    self._attend(
                        q_content[b, h], q_position[b, h], k[b, h], v[b, h], r[h].contiguous(),
                        first,
                    )
                    for h in range(self.heads)
                ])
                for b in range(len(x))
            ])  # fmt: skip
        return apply_linear(outputs.transpose(1, 2).flatten(2), self.to_out)

    def _split_heads(self, x: Tensor) -> Tensor:
        """Split the last axis: (batch, length, heads·size) → (batch, heads, length, size)."""
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)

    def _attend(
        self, q_content: Tensor, q_position: Tensor, k: Tensor, v: Tensor, r: Tensor, first: int
    ) -> Tensor:
        """Attend block by block, which limits the memory; return (…, queries, value).

        Queries are (…, queries, key), keys `k` (…, length, key), values `v` (…, value, length), and
        keys by distance `r` (…, 2·length − 1, key). `first` is the position of the first query.
        """
        length, queries = k.shape[-2], q_content.shape[-2]
        outputs = []
        for start, stop in _blocks(queries, route(k.device).queries):
            # queries first + start … stop see distances −(first+stop−1) … length−1−first−start
            distance_keys = r[..., length - first - stop : 2 * length - 1 - first - start, :]
            logits = _multiply_transposed(q_content[..., start:stop, :], k)
            logits += relative_shift(
                _multiply_transposed(q_position[..., start:stop, :], distance_keys), length
            )
            weights = F.dropout(logits.softmax(-1), self.dropout, self.training)
            outputs.append(_multiply_transposed(weights, v))
        return torch.cat(outputs, -2)


def attend_fused(
    q_content: Tensor, q_position: Tensor, k: Tensor, v: Tensor, r: Tensor, first: int
) -> Tensor:
    """Attend as `RelativeAttention._attend`, without storing the logits by key.

    Values `v` are (…, length, value). The logits by distance become the additive bias of torch's
    attention kernel. They are copied into rows of a multiple of 16 bytes, which the kernel needs.
    """
    length, queries = k.shape[-2], q_content.shape[-2]
    outputs = []
    for start, stop in _blocks(queries, route(k.device).queries):
        distance_keys = r[..., length - first - stop : 2 * length - 1 - first - start, :]
        logits = _multiply_transposed(q_position[..., start:stop, :], distance_keys)
        bias = relative_shift(logits, length).contiguous()
        query = q_content[..., start:stop, :]
        outputs.append(F.scaled_dot_product_attention(query, k, v, attn_mask=bias, scale=1.0))
    return torch.cat(outputs, -2)


def _blocks(queries: int, size: int) -> list[tuple[int, int]]:
    """Return the starts and stops of blocks of at most `size` queries."""
    return [(start, min(start + size, queries)) for start in range(0, queries, size)]


def _multiply_transposed(a: Tensor, b: Tensor) -> Tensor:
    """Compute a · bᵀ over the last two axes."""
    return linear(a[None], b)[0] if a.dim() == 2 else a @ b.transpose(-1, -2)


def relative_shift(logits: Tensor, length: int) -> Tensor:
    """View logits by distance (…, queries, queries + length − 1) by key (…, queries, length).

    Key j of query i is in column j − i + queries − 1: each row is the row above shifted by one.
    """
    logits = logits.contiguous()
    *strides, row, column = logits.stride()
    queries = logits.shape[-2]
    return logits.as_strided(
        (*logits.shape[:-1], length),
        (*strides, row - column, column),
        logits.storage_offset() + queries - 1,
    )


class RotaryAttention(nn.Module):
    """Self-attention whose queries and keys are rotated by their position (Flashzoi).

    There are fewer heads of keys and values than of queries; each serves consecutive query heads.
    """

    def __init__(
        self, width: int, heads: int, key_value_heads: int, head_size: int, dropout: float
    ) -> None:
        super().__init__()
        self.sizes = [heads * head_size, key_value_heads * head_size, key_value_heads * head_size]
        self.head_size, self.dropout = head_size, dropout
        self.to_qkv = nn.Linear(width, sum(self.sizes))
        self.to_out = nn.Linear(heads * head_size, width)

    def forward(self, x: Tensor, positions: Tensor, queries: slice = ALL_POSITIONS) -> Tensor:
        """Attend from `queries` to all positions; return (batch, queries, width).

        `x` is (batch, length, width); `positions` are `rotary_angles` (2, length, rotated / 2).
        """
        q, k, v = (
            tensor.reshape(*x.shape[:-1], -1, self.head_size).transpose(1, 2)  # (batch, heads, …)
            for tensor in torch.split(apply_linear(x, self.to_qkv), self.sizes, -1)
        )
        q, k = rotate(q[:, :, queries], positions[:, queries]), rotate(k, positions)
        dropout = self.dropout if self.training else 0.0
        outputs = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, enable_gqa=True)
        return apply_linear(outputs.transpose(1, 2).flatten(2), self.to_out)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate channels i and i + n of x (…, length, size) by the position's angle i, for i < n.

    `angles` are cosines and sines (2, length, n). Channels from 2n on do not change.
    """
    cosine, sine = angles.to(x)
    pairs = cosine.shape[-1]
    real, imaginary, remainder = torch.split(x, [pairs, pairs, x.shape[-1] - 2 * pairs], -1)
    return torch.cat(
        [real * cosine - imaginary * sine, imaginary * cosine + real * sine, remainder], -1
    )


class TransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)); ReLU between the two dense layers."""

    def __init__(
        self,
        attention: RelativeAttention | RotaryAttention,
        width: int,
        hidden: int,
        eps: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.attention = attention
        self.ffn_norm = nn.LayerNorm(width, eps=eps)
        self.ffn_in = nn.Linear(width, hidden)
        self.ffn_out = nn.Linear(hidden, width)

    def forward(self, x: Tensor, positions: Tensor, queries: slice = ALL_POSITIONS) -> Tensor:
        """Apply the block: (batch, length, width) → (batch, queries, width).

        `positions` are what the block's attention expects.
        """
        x = x[:, queries] + self._drop(self.attention(self.attention_norm(x), positions, queries))
        hidden = self._drop(F.relu(apply_linear(self.ffn_norm(x), self.ffn_in)))
        return x + self._drop(apply_linear(hidden, self.ffn_out))

    def _drop(self, x: Tensor) -> Tensor:
        """Apply dropout in training."""
        return F.dropout(x, self.dropout, self.training)
