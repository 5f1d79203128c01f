"""What every network offers to a user: select tracks, give sequence, get coverage.

`SequenceModel` is the common base. `HeadlessModel` returns hidden states; `CoverageModel` has a
head and tracks; `TokenPredictionModel` is a `CoverageModel` with one value per bin and track.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.shared.config import Config
from seqcov_models.networks.shared.layers import activate, apply_linear
from seqcov_models.networks.shared.losses import poisson
from seqcov_models.sequence import UNKNOWN, Codes, encode, one_hot_table
from seqcov_models.tiling import Geometry
from seqcov_models.tracks.table import Track, build_default_tracks


@dataclass(kw_only=True)
class ModelOutput:
    """What every network's `forward` returns in addition to its logits.

    Attributes:
        last_hidden_state: Input of the head, (batch, bins, hidden).
        loss: A scalar, if labels were given.
        contexts: If requested, the output of each block of the trunk for the entire window, each
            (batch, positions, width).
        hidden_states: If requested, the input of the trunk, `contexts`, and `last_hidden_state`.
    """

    last_hidden_state: Tensor
    loss: Tensor | None = None
    contexts: tuple[Tensor, ...] | None = None
    hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class TokenPredictionOutput(ModelOutput):
    """What `forward` of a network with one value per bin and track returns.

    Attributes:
        logits: Values before the output activation, (batch, bins, tracks).
    """

    logits: Tensor


class SequenceModel(nn.Module):
    """What models with and without a head share: codes or one-hot in, hidden states out.

    Attributes:
        config: The sizes of the network.
    """

    one_hot: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        table = torch.from_numpy(one_hot_table(config.n_encoding))
        self.register_buffer("one_hot", table, persistent=False)

    @property
    def geometry(self) -> Geometry:
        """Window, core and bin size in bp, kept bins, and bins cropped at each side.

        Example:
            >>> EnformerModel(EnformerConfig()).geometry
            Geometry(window=196608, bin=128, bins=896, crop=320)
        """
        return self.config.geometry

    @property
    def device(self) -> torch.device:
        """The device that holds the weights; `to(device)` moves them."""
        return self.one_hot.device

    def embed(self, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
        """Encode sequence as one-hot (batch, letters, length).

        Args:
            input_ids: Codes 0 … 4 for A, C, G, T, N: (batch, length), any integer type.
            inputs_embeds: One-hot (batch, length, letters) floating point, instead of `input_ids`.

        Raises:
            ValueError: Both or neither are given, or a shape, type or code is wrong.
            SeqcovError: The length leaves no bin after the crop.
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
        """Compute the input of the head, (batch, hidden, bins), from one-hot `inputs`.

        `inputs` are (batch, letters, length). If `contexts` is a list, the input of the trunk and
        the output of each of its blocks are appended, (batch, positions, width).
        """
        raise NotImplementedError

    def read(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None,
        output_contexts: bool | None,
        output_hidden_states: bool,
    ) -> ModelOutput:
        """Return what `forward` returns, without the head's part. Parameters as in `forward`."""
        contexts = self.contexts_for(output_contexts, output_hidden_states)
        hidden = self.hidden_state(self.embed(input_ids, inputs_embeds), contexts)
        output = ModelOutput(last_hidden_state=hidden.transpose(1, 2))
        self.collect(output, contexts, output_contexts, output_hidden_states)
        return output

    def contexts_for(
        self, output_contexts: bool | None, output_hidden_states: bool
    ) -> list[Tensor] | None:
        """Return the list that the trunk appends its contexts to; None if none are requested."""
        return [] if self._returns_contexts(output_contexts) or output_hidden_states else None

    def collect(
        self,
        output: ModelOutput,
        contexts: list[Tensor] | None,
        output_contexts: bool | None,
        output_hidden_states: bool,
    ) -> None:
        """Set the contexts and hidden states of `output`, as requested."""
        if contexts is not None and self._returns_contexts(output_contexts):
            output.contexts = tuple(contexts[1:])
        if contexts is not None and output_hidden_states:
            output.hidden_states = (*contexts, output.last_hidden_state)

    def _returns_contexts(self, output_contexts: bool | None) -> bool:
        return self.config.output_contexts if output_contexts is None else output_contexts


class HeadlessModel(SequenceModel):
    """A network without a head: windows to hidden states. Each network adds `stem` and `trunk`."""

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
        """Compute hidden states of windows.

        Args:
            input_ids: Codes 0 … 4 for A, C, G, T, N: (batch, length), any integer type.
            inputs_embeds: One-hot (batch, length, letters) floating point, instead of `input_ids`.
            output_contexts: Whether to return `contexts`; None means as the config says.
            output_hidden_states: Whether to return `hidden_states`.

        Returns:
            `last_hidden_state` (batch, bins, hidden), and what was requested.

        Raises:
            ValueError: As in `embed`.
        """
        return self.read(input_ids, inputs_embeds, output_contexts, output_hidden_states)


class CoverageModel(SequenceModel):
    """A network with a head and tracks: codes or one-hot in, coverage out.

    Attributes:
        config: The sizes of the network.
        tracks: The tracks, in the order of the last axis of the coverage.
        model: The same network without its head.

    Example:
        >>> model = load_model("enformer", "weights/", tracks=["assay:CAGE"]).to("cuda")
        >>> coverage = model.predict(["ACGT" * 49_152])  # (1, 896, tracks)
    """

    model: HeadlessModel

    def __init__(self, config: Config, tracks: list[Track]) -> None:
        super().__init__(config)
        self.tracks = tracks

    def postprocess(self, output: Any) -> tuple[Tensor, list[str]]:
        """Turn an output of `forward` into coverage.

        Returns:
            Coverage (batch, bins, tracks), non-negative, in the units of the training data, on the
            device of the model; and the identifier of each track.
        """
        raise NotImplementedError

    def assign_tracks(
        self, tracks: Sequence[Track], other_tracks: Mapping[str, list[Track]] | None = None
    ) -> None:
        """Name the head's outputs.

        Args:
            tracks: One per output of the selected head, in its order.
            other_tracks: Those of further heads by species, for networks that have some.
        """
        del other_tracks
        self.tracks = list(tracks)

    def track_tables(self) -> dict[str, list[Track]]:
        """Return the track tables that a saved model comes with, by file name without `.txt`."""
        return {"targets": self.tracks}

    def keep_rows(self, rows: list[int]) -> None:
        """Reduce the heads to `rows` of `tracks`. Called by `select_tracks`."""
        raise NotImplementedError

    def select_tracks(self, rows: Sequence[int]) -> Self:
        """Reduce the model to some of its tracks, in place. Other tracks cost nothing any more.

        Args:
            rows: Places in `tracks`, 0-based, in the order of the new `tracks`.

        Returns:
            The model itself.

        Raises:
            SeqcovError: There is no row, or a row is not in `tracks`.
        """
        if not rows or min(rows) < 0 or max(rows) >= len(self.tracks):
            raise SeqcovError(f"tracks {list(rows)}: this head has rows 0 … {len(self.tracks) - 1}")
        self.keep_rows(list(rows))
        self.tracks = [self.tracks[row] for row in rows]
        return self

    @torch.inference_mode()
    def predict(self, sequences: Sequence[str]) -> npt.NDArray[np.float32]:
        """Predict the coverage of sequences.

        Args:
            sequences: IUPAC nucleotide letters in either case, each exactly `geometry.window` long.
                Letters other than A, C, G, T are read as N.

        Returns:
            Non-negative coverage (batch, bins, tracks), float32, in the units of the training data.
            Bin i covers bases `geometry.crop * bin + i * bin` to the next bin of the window.

        Raises:
            SeqcovError: There is no sequence, or one has another length or other letters.
        """
        codes = torch.from_numpy(encode_windows(sequences, self.geometry.window))
        was_training = self.training
        self.eval()
        try:
            coverage, _ = self.postprocess(self(codes.to(self.device), output_contexts=False))
        finally:
            self.train(was_training)
        return coverage.float().cpu().numpy()


class TokenPredictionModel(CoverageModel):
    """A network with a pointwise head, one row per track. Each network adds `model`.

    Attributes:
        head: Linear from hidden states to tracks, its rows in the order of `tracks`.
    """

    def __init__(self, config: Config, hidden: int, num_labels: int) -> None:
        super().__init__(config, build_default_tracks(num_labels))
        self.head = nn.Linear(hidden, num_labels)

    def hidden_state(self, inputs: Tensor, contexts: list[Tensor] | None = None) -> Tensor:
        return self.model.hidden_state(inputs, contexts)

    def loss(self, coverage: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss that the original was trained with; both (batch, bins, tracks)."""
        return poisson(coverage, labels)

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_contexts: bool | None = None,
        output_hidden_states: bool = False,
    ) -> TokenPredictionOutput:
        """Predict windows; `postprocess` turns the result into coverage.

        Args:
            input_ids: Codes 0 … 4 for A, C, G, T, N: (batch, length), any integer type.
            inputs_embeds: One-hot (batch, length, letters) floating point, instead of `input_ids`.
            labels: Measured coverage (batch, bins, tracks) in the units of the output.
            output_contexts: Whether to return `contexts`; None means as the config says.
            output_hidden_states: Whether to return `hidden_states`.

        Returns:
            `logits` (batch, bins, tracks) before the output activation, `loss` if labels were
            given, and what was requested.

        Raises:
            ValueError: As in `embed`, and for labels of another shape than the logits.
        """
        read = self.read(input_ids, inputs_embeds, output_contexts, output_hidden_states)
        output = TokenPredictionOutput(
            apply_linear(read.last_hidden_state, self.head), **vars(read)
        )
        if labels is not None:
            output.loss = self.loss(self.postprocess(output)[0], labels)
        return output

    def postprocess(self, output: TokenPredictionOutput) -> tuple[Tensor, list[str]]:
        coverage = activate(output.logits, self.config.output_act)
        return coverage, [track.identifier for track in self.tracks]

    def keep_rows(self, rows: list[int]) -> None:
        self.head = select_outputs(self.head, rows)
        self.config = self.config.with_tracks(len(rows))


def encode_windows(sequences: Sequence[str], window: int) -> Codes:
    """Encode sequences as codes, (batch, window) ``uint8``.

    Args:
        sequences: IUPAC nucleotide letters in either case.
        window: The length that each sequence must have, in bp.

    Raises:
        SeqcovError: If there is no sequence, or one has another length or other letters.
    """
    if not sequences:
        raise SeqcovError("there is no sequence to predict")
    for number, letters in enumerate(sequences):
        if len(letters) != window:
            raise SeqcovError(
                f"sequence {number} has {len(letters):,} bp; this network reads windows of"
                f" {window:,} bp"
            )
    return np.stack([encode(letters) for letters in sequences])


def _check_codes(codes: Tensor) -> None:
    """Raise ValueError if `codes` are not whole numbers 0 … 4 of shape (batch, length)."""
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


def select_outputs(layer: nn.Linear, rows: Sequence[int]) -> nn.Linear:
    """Copy `layer` with these outputs only."""
    kept = nn.Linear(
        layer.in_features, len(rows), device=layer.weight.device, dtype=layer.weight.dtype
    )
    with torch.no_grad():
        kept.weight.copy_(layer.weight[list(rows)])
        kept.bias.copy_(layer.bias[list(rows)])
    return kept
