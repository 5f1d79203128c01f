"""Multi-head attention with relative positions, as Enformer and Borzoi share it.

Source: deepmind-research `enformer/attention_module.py`; calico/baskerville `layers.py`. The two
networks differ only in the position features they hand in.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

QUERIES_AT_ONCE = 512  # bounds the memory of the attention logits, not their values


def central_mask_features(length: int, features: int, trained_length: int) -> Tensor:
    """Borzoi's position features, shape (2·length − 1, features), rows d = −(length−1) … length−1.

    Half of them are masks of growing width, 1 where |d| < (T+1)^(k/n) − 1 for k = 1 … n and T the
    *trained* length, half are the same times sign(d) (baskerville
    `positional_features_central_mask`; float32 as there).
    """
    half = features // 2
    rate = np.exp(np.log(trained_length + 1) / half).astype(np.float32)
    widths = np.power(rate, np.arange(1, half + 1, dtype=np.float32)) - np.float32(1)
    distance = np.arange(-(length - 1), length, dtype=np.float32)
    masks = (widths > np.abs(distance)[:, None]).astype(np.float32)
    return torch.from_numpy(np.hstack([masks, np.sign(distance)[:, None] * masks]))


class RelativeAttention(nn.Module):
    """Self-attention whose logits add a learned function of the distance key − query."""

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

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """(batch, length, width), (2·length − 1, features) → (batch, length, width)."""
        length = x.shape[1]
        positions = F.dropout(positions, self.position_dropout, self.training)
        q = self._heads(self.to_q(x)) * self.key_size**-0.5  # (batch, heads, length, key)
        k = self._heads(self.to_k(x)).transpose(-1, -2)  # (batch, heads, key, length)
        v = self._heads(self.to_v(x))  # (batch, heads, length, value)
        r = self._heads(self.to_rel_k(positions)[None]).transpose(-1, -2)  # (1, heads, key, 2L−1)
        q_content, q_position = q + self.rel_content_bias, q + self.rel_pos_bias
        attended = []
        for start in range(0, length, QUERIES_AT_ONCE):
            stop = min(start + QUERIES_AT_ONCE, length)
            # queries start … stop see distances −(stop−1) … length−1−start and no others
            seen = r[..., length - stop : 2 * length - 1 - start]
            logits = q_content[:, :, start:stop] @ k
            logits = logits + _by_key(q_position[:, :, start:stop] @ seen, length)
            weights = F.dropout(logits.softmax(-1), self.dropout, self.training)
            attended.append(weights @ v)
        joined = torch.cat(attended, 2).transpose(1, 2).flatten(2)  # (batch, length, heads·value)
        return self.to_out(joined)  # type: ignore[no-any-return]

    def _heads(self, x: Tensor) -> Tensor:
        """(batch, length, heads·size) → (batch, heads, length, size)."""
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)


def _by_key(by_distance: Tensor, length: int) -> Tensor:
    """Logits by distance (…, queries, queries + length − 1) as logits by key (…, queries, length).

    Query i's key j stands at column j − i + queries − 1: each row is the row above moved by one.
    """
    by_distance = by_distance.contiguous()
    *lead, row, column = by_distance.stride()
    queries = by_distance.shape[-2]
    return by_distance.as_strided(
        (*by_distance.shape[:-1], length),
        (*lead, row - column, column),
        by_distance.storage_offset() + queries - 1,
    )


class TransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)); ReLU between the two dense layers."""

    def __init__(
        self, attention: RelativeAttention, width: int, inner: int, eps: float, dropout: float
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.attention = attention
        self.ffn_norm = nn.LayerNorm(width, eps=eps)
        self.ffn_in = nn.Linear(width, inner)
        self.ffn_out = nn.Linear(inner, width)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """(batch, length, width), (2·length − 1, features) → (batch, length, width)."""
        x = x + self._drop(self.attention(self.attention_norm(x), positions))
        hidden = self._drop(F.relu(self.ffn_in(self.ffn_norm(x))))
        return x + self._drop(self.ffn_out(hidden))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)
