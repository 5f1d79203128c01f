"""What a user does with any coverage network: choose tracks, give letters, get coverage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..configs import Config, Geometry
from ..errors import SeqcovError
from ..sequence import encode, one_hot_table
from ..tracks import Track, default_tracks
from .layers import activate, pointwise
from .losses import poisson


@dataclass(kw_only=True)
class ModelOutput:
    """What every network's `forward` returns beside its logits."""

    last_hidden_state: Tensor
    """What the head reads, (batch, bins, hidden)."""
    loss: Tensor | None = None
    """Where labels were given: a single number."""
    contexts: tuple[Tensor, ...] | None = None
    """Where asked for: what each block of the trunk gave for the whole window, (batch, positions,
    width)."""
    hidden_states: tuple[Tensor, ...] | None = None
    """Where asked for: what the trunk was given, then `contexts`, then `last_hidden_state`."""


@dataclass
class TokenPredictionOutput(ModelOutput):
    """What `forward` of a network with one value a bin and track returns."""

    logits: Tensor
    """Before the output activation, (batch, bins, tracks)."""


class CoverageModel(nn.Module):
    """A network with its tracks: codes or one-hot in, coverage out.

    Attributes: `config`; `tracks`, in the order of the coverage's last axis.
    """

    one_hot: Tensor

    def __init__(self, config: Config, tracks: list[Track]) -> None:
        super().__init__()
        self.config = config
        self.tracks = tracks
        table = torch.from_numpy(one_hot_table(config.n_encoding))
        self.register_buffer("one_hot", table, persistent=False)

    @property
    def geometry(self) -> Geometry:
        """Window, core and bins in bp."""
        return self.config.geometry

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.one_hot.device

    def embed(self, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
        """Codes (batch, length) or one-hot (batch, length, letters) → (batch, letters, length)."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        if inputs_embeds is None:
            assert input_ids is not None
            inputs_embeds = nn.functional.embedding(input_ids.int(), self.one_hot)
        self.config.check_length(inputs_embeds.shape[1])
        return inputs_embeds.transpose(1, 2)

    def postprocess(self, output: Any) -> tuple[Tensor, list[str]]:
        """Coverage (batch, bins, tracks), non-negative, and the tracks' identifiers."""
        raise NotImplementedError

    def keep_rows(self, rows: list[int]) -> None:
        """Cut the heads down to `rows` of `tracks`."""
        raise NotImplementedError

    def select_tracks(self, rows: Sequence[int]) -> Self:
        """Keep only `rows` of `tracks`, in this order; the rest is never computed again."""
        if not rows or min(rows) < 0 or max(rows) >= len(self.tracks):
            raise SeqcovError(f"tracks {list(rows)}: this head has rows 0 … {len(self.tracks) - 1}")
        self.keep_rows(list(rows))
        self.tracks = [self.tracks[row] for row in rows]
        return self

    @torch.inference_mode()
    def predict(self, sequences: Sequence[str]) -> npt.NDArray[np.float32]:
        """Coverage of `sequences`, each one window long: (batch, bins, tracks) ``float32``.

        Raises SeqcovError for a sequence of another length or with foreign letters, and for none.
        """
        window = self.geometry.window
        if not sequences:
            raise SeqcovError("no sequence to predict")
        for number, letters in enumerate(sequences):
            if len(letters) != window:
                raise SeqcovError(f"sequence {number}: {len(letters):,} bp; this network reads"
                                  f" windows of {window:,} bp")  # fmt: skip
        codes = torch.from_numpy(np.stack([encode(letters) for letters in sequences]))
        was_training = self.training
        self.eval()
        try:
            coverage, _ = self.postprocess(self(codes.to(self.device)))
        finally:
            self.train(was_training)
        return coverage.float().cpu().numpy()


class TokenPredictionModel(CoverageModel):
    """A trunk and a pointwise head with one row a track; each network adds `hidden_state`.

    Attributes: `head`, a Linear of (hidden, tracks), its rows in the order of `tracks`.
    """

    def __init__(self, config: Config, hidden: int, num_labels: int, n_encoding: str = "") -> None:
        # n_encoding is the config's; the parameter is what older callers still pass
        assert n_encoding in ("", config.n_encoding)
        super().__init__(config, default_tracks(num_labels))
        self.head = nn.Linear(hidden, num_labels)

    def hidden_state(self, inputs: Tensor, contexts: list[Tensor] | None = None) -> Tensor:
        """One-hot (batch, letters, length) → what the head reads, (batch, hidden, bins).

        contexts: where given, what the trunk is given and what each of its blocks makes of it is
        appended, (batch, positions, width).
        """
        raise NotImplementedError

    def loss(self, coverage: Tensor, labels: Tensor) -> Tensor:
        """The loss that the original was trained with; both (batch, bins, tracks)."""
        return poisson(coverage, labels)

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_contexts: bool = False,
        output_hidden_states: bool = False,
    ) -> TokenPredictionOutput:
        """Predict windows given as codes (batch, length) or one-hot (batch, length, letters).

        labels: measured coverage (batch, bins, tracks), on the scale of the network's output.
        Raises SeqcovError for a length of which no bin is left.
        """
        inputs = self.embed(input_ids, inputs_embeds)
        contexts: list[Tensor] = []
        if output_contexts or output_hidden_states:
            hidden = self.hidden_state(inputs, contexts)
        else:
            hidden = self.hidden_state(inputs)
        output = TokenPredictionOutput(
            pointwise(hidden, self.head).transpose(1, 2), last_hidden_state=hidden.transpose(1, 2)
        )
        if labels is not None:
            output.loss = self.loss(self.postprocess(output)[0], labels)
        collect(output, contexts, output_contexts, output_hidden_states)
        return output

    def postprocess(self, output: TokenPredictionOutput) -> tuple[Tensor, list[str]]:
        coverage = activate(output.logits, self.config.output_act)
        return coverage, [track.identifier for track in self.tracks]

    def keep_rows(self, rows: list[int]) -> None:
        self.head = rows_of(self.head, rows)
        self.config = self.config.with_tracks(len(rows))


def collect(
    output: ModelOutput, contexts: list[Tensor], as_contexts: bool, as_hidden_states: bool
) -> None:
    """Put what the trunk was given and what its blocks gave where `output` has a place for it."""
    if as_contexts:
        output.contexts = tuple(contexts[1:])
    if as_hidden_states:
        output.hidden_states = (*contexts, output.last_hidden_state)


def rows_of(layer: nn.Linear, rows: Sequence[int]) -> nn.Linear:
    """A copy of `layer` with these rows of its output only."""
    kept = nn.Linear(
        layer.in_features, len(rows), device=layer.weight.device, dtype=layer.weight.dtype
    )
    with torch.no_grad():
        kept.weight.copy_(layer.weight[list(rows)])
        kept.bias.copy_(layer.bias[list(rows)])
    return kept
