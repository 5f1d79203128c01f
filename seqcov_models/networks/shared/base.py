"""What a user does with any coverage network: choose tracks, give letters, get coverage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.shared.config import Config
from seqcov_models.networks.shared.layers import activate, dense
from seqcov_models.networks.shared.losses import poisson
from seqcov_models.sequence import UNKNOWN, encode, one_hot_table
from seqcov_models.tiling import Geometry
from seqcov_models.tracks.table import Track, default_tracks


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


class Network(nn.Module):
    """What networks with and without a head share: codes or one-hot in, hidden states out.

    Attributes: `config`.
    """

    one_hot: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
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
        """Codes (batch, length) or one-hot (batch, length, letters) → (batch, letters, length).

        Raises ValueError for both or neither, for another shape or kind of numbers, for codes
        beyond 0 … 4, and, as a SeqcovError, for a length of which no bin is left.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        if inputs_embeds is None:
            assert input_ids is not None
            _check_codes(input_ids)
            inputs_embeds = nn.functional.embedding(input_ids.int(), self.one_hot)
        shape, letters = tuple(inputs_embeds.shape), self.config.vocab_size
        if len(shape) != 3 or shape[2] != letters or not inputs_embeds.is_floating_point():
            raise ValueError(
                f"inputs_embeds: {inputs_embeds.dtype} of shape {shape}; this network reads"
                f" floating-point numbers of (batch, length, {letters})"
            )
        self.config.check_length(shape[1])
        return inputs_embeds.transpose(1, 2)

    def hidden_state(self, inputs: Tensor, contexts: list[Tensor] | None = None) -> Tensor:
        """One-hot (batch, letters, length) → what a head reads, (batch, hidden, bins).

        contexts: where given, what the trunk is given and what each of its blocks makes of it is
        appended, (batch, positions, width).
        """
        raise NotImplementedError

    def read(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None,
        output_contexts: bool | None,
        output_hidden_states: bool,
    ) -> ModelOutput:
        """What `forward` gives but for the head's part; the parameters are those of `forward`."""
        contexts = self.contexts_for(output_contexts, output_hidden_states)
        hidden = self.hidden_state(self.embed(input_ids, inputs_embeds), contexts)
        output = ModelOutput(last_hidden_state=hidden.transpose(1, 2))
        self.collect(output, contexts, output_contexts, output_hidden_states)
        return output

    def contexts_for(
        self, output_contexts: bool | None, output_hidden_states: bool
    ) -> list[Tensor] | None:
        """Where the trunk is to put its contexts; None where nobody asks for them."""
        return [] if self._gives(output_contexts) or output_hidden_states else None

    def collect(
        self,
        output: ModelOutput,
        contexts: list[Tensor] | None,
        output_contexts: bool | None,
        output_hidden_states: bool,
    ) -> None:
        """Put what the trunk was given and what its blocks gave where `output` has its place."""
        if contexts is not None and self._gives(output_contexts):
            output.contexts = tuple(contexts[1:])
        if contexts is not None and output_hidden_states:
            output.hidden_states = (*contexts, output.last_hidden_state)

    def _gives(self, output_contexts: bool | None) -> bool:
        return self.config.output_contexts if output_contexts is None else output_contexts


class HeadlessModel(Network):
    """A network without a head, windows to hidden states; each network adds `stem` and `trunk`."""

    stem: nn.Module
    trunk: nn.Module

    def hidden_state(self, inputs: Tensor, contexts: list[Tensor] | None = None) -> Tensor:
        return self.trunk(self.stem(inputs), contexts)  # type: ignore[no-any-return]

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_contexts: bool | None = None,
        output_hidden_states: bool = False,
    ) -> ModelOutput:
        """Read windows given as codes (batch, length) or one-hot (batch, length, letters).

        output_contexts: as the config says where it is None.
        Raises ValueError as `embed` does.
        """
        return self.read(input_ids, inputs_embeds, output_contexts, output_hidden_states)


class CoverageModel(Network):
    """A network with its tracks: codes or one-hot in, coverage out.

    Attributes: `config`; `tracks`, in the order of the coverage's last axis; `model`, the same
    network without its head.
    """

    model: HeadlessModel

    def __init__(self, config: Config, tracks: list[Track]) -> None:
        super().__init__(config)
        self.tracks = tracks

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
            coverage, _ = self.postprocess(self(codes.to(self.device), output_contexts=False))
        finally:
            self.train(was_training)
        return coverage.float().cpu().numpy()


class TokenPredictionModel(CoverageModel):
    """A network with a pointwise head of one row a track; each network adds `model`.

    Attributes: `head`, a Linear of (hidden, tracks), its rows in the order of `tracks`.
    """

    def __init__(self, config: Config, hidden: int, num_labels: int) -> None:
        super().__init__(config, default_tracks(num_labels))
        self.head = nn.Linear(hidden, num_labels)

    def hidden_state(self, inputs: Tensor, contexts: list[Tensor] | None = None) -> Tensor:
        return self.model.hidden_state(inputs, contexts)

    def loss(self, coverage: Tensor, labels: Tensor) -> Tensor:
        """The loss that the original was trained with; both (batch, bins, tracks)."""
        return poisson(coverage, labels)

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_contexts: bool | None = None,
        output_hidden_states: bool = False,
    ) -> TokenPredictionOutput:
        """Predict windows given as codes (batch, length) or one-hot (batch, length, letters).

        labels: measured coverage (batch, bins, tracks), on the scale of the network's output;
        output_contexts: as the config says where it is None.
        Raises ValueError as `embed` does, and for labels of another shape than the logits.
        """
        read = self.read(input_ids, inputs_embeds, output_contexts, output_hidden_states)
        output = TokenPredictionOutput(dense(read.last_hidden_state, self.head), **vars(read))
        if labels is not None:
            output.loss = self.loss(self.postprocess(output)[0], labels)
        return output

    def postprocess(self, output: TokenPredictionOutput) -> tuple[Tensor, list[str]]:
        coverage = activate(output.logits, self.config.output_act)
        return coverage, [track.identifier for track in self.tracks]

    def keep_rows(self, rows: list[int]) -> None:
        self.head = rows_of(self.head, rows)
        self.config = self.config.with_tracks(len(rows))


def _check_codes(codes: Tensor) -> None:
    """Raise ValueError for what are no codes of (batch, length)."""
    if codes.dim() != 2 or codes.is_floating_point():
        shape = tuple(codes.shape)
        raise ValueError(
            f"input_ids: {codes.dtype} of shape {shape}, not whole numbers of (batch, length)"
        )
    if codes.numel() and codes.device.type == "cpu":  # elsewhere looking would mean waiting
        low, high = (int(end) for end in codes.aminmax())
        if low < 0 or high > UNKNOWN:
            raise ValueError(
                f"input_ids: from {low} to {high}; they go from 0 to {UNKNOWN} (A, C, G, T, N)"
            )


def rows_of(layer: nn.Linear, rows: Sequence[int]) -> nn.Linear:
    """A copy of `layer` with these rows of its output only."""
    kept = nn.Linear(
        layer.in_features, len(rows), device=layer.weight.device, dtype=layer.weight.dtype
    )
    with torch.no_grad():
        kept.weight.copy_(layer.weight[list(rows)])
        kept.bias.copy_(layer.bias[list(rows)])
    return kept
