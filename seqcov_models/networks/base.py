"""What a user does with any coverage network: choose tracks, give letters, get coverage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..configs import Config, Geometry
from ..errors import SeqcovError
from ..sequence import encode, one_hot_table
from ..tracks import Track, default_tracks
from .layers import activate, pointwise


@dataclass
class TokenPredictionOutput:
    """What `forward` returns. Shapes: (batch, bins, tracks) and (batch, bins, hidden)."""

    logits: Tensor
    """Before the output activation."""
    last_hidden_state: Tensor
    loss: Tensor | None = None


class TokenPredictionModel(nn.Module):
    """A trunk and a pointwise head with one row a track; each network adds `stem` and `trunk`.

    Attributes: `config`; `head`, a Linear of (hidden, tracks); `tracks`, the head's rows as a list
    of `Track` in the order of the output's last axis.
    """

    one_hot: Tensor

    def __init__(self, config: Config, hidden: int, num_labels: int, n_encoding: str) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Linear(hidden, num_labels)
        self.tracks: list[Track] = default_tracks(num_labels)
        table = torch.from_numpy(one_hot_table(n_encoding))
        self.register_buffer("one_hot", table, persistent=False)

    @property
    def geometry(self) -> Geometry:
        """Window, core and bins in bp."""
        return self.config.geometry

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    def hidden_state(self, inputs: Tensor) -> Tensor:
        """One-hot (batch, 4, length) → what the head reads, (batch, hidden, bins)."""
        raise NotImplementedError

    def forward(
        self, input_ids: Tensor | None = None, inputs_embeds: Tensor | None = None
    ) -> TokenPredictionOutput:
        """Predict windows given as codes (batch, length) or one-hot (batch, length, 4)."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        if inputs_embeds is None:
            assert input_ids is not None
            inputs_embeds = nn.functional.embedding(input_ids.int(), self.one_hot)
        hidden = self.hidden_state(inputs_embeds.transpose(1, 2))
        logits = pointwise(hidden, self.head)
        return TokenPredictionOutput(logits.transpose(1, 2), hidden.transpose(1, 2))

    def postprocess(self, output: TokenPredictionOutput) -> tuple[Tensor, list[str]]:
        """Coverage (batch, bins, tracks), non-negative, and the tracks' identifiers."""
        act: str = getattr(self.config, "output_act")
        return activate(output.logits, act), [track.identifier for track in self.tracks]

    def select_tracks(self, rows: Sequence[int]) -> Self:
        """Keep only the head's `rows`, in this order; the rest is never computed again."""
        if not rows or min(rows) < 0 or max(rows) >= len(self.tracks):
            raise SeqcovError(f"tracks {list(rows)}: this head has rows 0 … {len(self.tracks) - 1}")
        kept = list(rows)
        head = nn.Linear(self.head.in_features, len(kept), device=self.device)
        with torch.no_grad():
            head.weight.copy_(self.head.weight[kept])
            head.bias.copy_(self.head.bias[kept])
        self.head = head.to(self.head.weight.dtype)
        self.tracks = [self.tracks[row] for row in kept]
        return self

    @torch.inference_mode()
    def predict(self, sequences: Sequence[str]) -> npt.NDArray[np.float32]:
        """Coverage of `sequences`, each one window long: (batch, bins, tracks) ``float32``.

        Raises SeqcovError for a sequence of another length or with foreign letters.
        """
        window = self.geometry.window
        for number, letters in enumerate(sequences):
            if len(letters) != window:
                raise SeqcovError(f"sequence {number}: {len(letters):,} bp; this network reads"
                                  f" windows of {window:,} bp")  # fmt: skip
        codes = torch.from_numpy(np.stack([encode(letters) for letters in sequences]))
        was_training = self.training
        self.eval()
        coverage, _ = self.postprocess(self(codes.to(self.device)))
        self.train(was_training)
        return coverage.float().cpu().numpy()
