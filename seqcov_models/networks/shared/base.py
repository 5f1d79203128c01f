"""What every network offers to a user: select tracks, read sequence, predict coverage.

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
from seqcov_models.networks.shared.layers import Stem, activate, apply_linear
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

        Bin i of a window covers its bases from ``context + i * bin`` to the next bin, 0-based.

        Example:
            >>> EnformerModel(EnformerConfig()).geometry
            Geometry(window=196608, bin=128, bins=896, crop=320)
        """
        return self.config.geometry

    @property
    def device(self) -> torch.device:
        """The device that holds the weights; ``to(device)`` moves them."""
        return self.one_hot.device

    def embed(self, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
        """Encode sequence as one-hot (batch, letters, length).

        Args:
            input_ids: Codes 0 … 4 for A, C, G, T, N: (batch, length), any integer type.
            inputs_embeds: One-hot (batch, length, letters) floating point, instead of `input_ids`.

        Returns:
            One-hot (batch, letters, length); an unknown base as `config.n_encoding` says.

        Raises:
            ValueError: If both or neither are given, or a shape, type or code is wrong.
            SeqcovError: If the length leaves no bin after the crop.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds, and not both")
        if inputs_embeds is None:
            assert input_ids is not None
            _check_codes(input_ids)
            inputs_embeds = self.encode(input_ids)
        shape, letters = tuple(inputs_embeds.shape), self.config.vocab_size
        if len(shape) != 3 or shape[2] != letters or not inputs_embeds.is_floating_point():
            raise ValueError(
                f"inputs_embeds: {inputs_embeds.dtype} of shape {shape}; this network reads"
                f" floating-point numbers of shape (batch, length, {letters})"
            )
        self.config.check_length(shape[1])
        return inputs_embeds.transpose(1, 2)

    def encode(self, codes: Tensor) -> Tensor:
        """Encode codes (batch, length) of any length as one-hot (batch, length, letters)."""
        return nn.functional.embedding(codes.int(), self.one_hot)

    def compute_hidden_state(self, inputs: Tensor, contexts: list[Tensor] | None = None) -> Tensor:
        """Compute the input of the head, (batch, hidden, bins), from one-hot `inputs`.

        `inputs` are (batch, letters, length). If `contexts` is a list, the input of the trunk and
        the output of each of its blocks are appended, (batch, positions, width).
        """
        raise NotImplementedError

    def run_headless(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None,
        output_contexts: bool | None,
        output_hidden_states: bool,
    ) -> ModelOutput:
        """Compute the hidden states that `forward` returns. Parameters are those of `forward`."""
        contexts = self.new_context_list(output_contexts, output_hidden_states)
        hidden = self.compute_hidden_state(self.embed(input_ids, inputs_embeds), contexts)
        output = ModelOutput(last_hidden_state=hidden.transpose(1, 2))
        self.add_contexts(output, contexts, output_contexts, output_hidden_states)
        return output

    def new_context_list(
        self, output_contexts: bool | None, output_hidden_states: bool
    ) -> list[Tensor] | None:
        """Return a list to which the trunk appends its contexts; None if none are requested."""
        return [] if self._returns_contexts(output_contexts) or output_hidden_states else None

    def add_contexts(
        self,
        output: ModelOutput,
        contexts: list[Tensor] | None,
        output_contexts: bool | None,
        output_hidden_states: bool,
    ) -> None:
        """Add the contexts and hidden states to `output`, as requested."""
        if contexts is not None and self._returns_contexts(output_contexts):
            output.contexts = tuple(contexts[1:])
        if contexts is not None and output_hidden_states:
            output.hidden_states = (*contexts, output.last_hidden_state)

    def _returns_contexts(self, output_contexts: bool | None) -> bool:
        """Return whether contexts are requested, by the caller or else by the config."""
        return self.config.output_contexts if output_contexts is None else output_contexts


class HeadlessModel(SequenceModel):
    """A network without a head: windows to hidden states. Each network adds `stem` and `trunk`.

    Attributes:
        config: The sizes of the network.
        stem: Convolutions and poolings; each of its positions depends on a few bases.
        trunk: The layers that see the entire window.

    Example:
        >>> model = EnformerModel(EnformerConfig())
        >>> model(codes).last_hidden_state.shape  # codes (1, 196608)
        torch.Size([1, 896, 3072])
    """

    stem: Stem
    trunk: nn.Module

    def compute_hidden_state(self, inputs: Tensor, contexts: list[Tensor] | None = None) -> Tensor:
        """Apply stem and trunk: one-hot (batch, letters, length) → (batch, hidden, bins)."""
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
            ValueError: If both inputs or neither are given, or a shape, type or code is wrong.
            SeqcovError: If the length leaves no bin after the crop.
        """
        return self.run_headless(input_ids, inputs_embeds, output_contexts, output_hidden_states)


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
        """Compute coverage (batch, bins, tracks) from an output; return it and the track names."""
        raise NotImplementedError

    @property
    def shared_stem(self) -> Stem | None:
        """The stem, if overlapping windows can share its output; see `predict_from_stem`."""
        return None

    def predict_from_stem(self, features: tuple[Tensor, ...]) -> Tensor:
        """Compute coverage (batch, bins, tracks) from the output of `shared_stem` for windows."""
        raise NotImplementedError

    def assign_tracks(
        self, tracks: Sequence[Track], other_tracks: Mapping[str, list[Track]] | None = None
    ) -> None:
        """Set what the head's outputs are.

        Args:
            tracks: One track per output of the selected head, in its order.
            other_tracks: Tracks of further heads by species, for networks that have several.
        """
        del other_tracks
        self.tracks = list(tracks)

    def track_tables(self) -> dict[str, list[Track]]:
        """Return the track tables to save with the model, by file name without ``.txt``."""
        return {"targets": self.tracks}

    def reduce_heads(self, rows: list[int]) -> None:
        """Reduce the heads to `rows` of `tracks`; `select_tracks` calls this."""
        raise NotImplementedError

    def select_tracks(self, rows: Sequence[int]) -> Self:
        """Reduce the model to some of its tracks, in place. Other tracks are not computed any more.

        Args:
            rows: Indices into `tracks`, 0-based, in the order of the new `tracks`.

        Returns:
            The model itself.

        Raises:
            SeqcovError: If there is no row, or a row is not in `tracks`.

        Example:
            >>> cage = [i for i, track in enumerate(model.tracks) if track.assay == "CAGE"]
            >>> coverage = model.select_tracks(cage).predict(["ACGT" * 49_152])
        """
        if not rows or min(rows) < 0 or max(rows) >= len(self.tracks):
            raise SeqcovError(
                f"tracks {list(rows)}: choose rows from 0 to {len(self.tracks) - 1}, the rows of"
                " this model's head"
            )
        self.reduce_heads(list(rows))
        self.tracks = [self.tracks[row] for row in rows]
        return self

    @torch.inference_mode()
    def predict(self, sequences: str | Sequence[str]) -> npt.NDArray[np.float32]:
        """Predict the coverage of sequences.

        Args:
            sequences: One sequence or several: IUPAC nucleotide letters in either case, each
                exactly `geometry.window` long. Letters other than A, C, G, T are read as N.

        Returns:
            Non-negative coverage (batch, bins, tracks) ``float32``, in the units of the training
            data. Bin i of a window covers its bases from ``geometry.context + i * geometry.bin``
            on, 0-based.

        Raises:
            SeqcovError: If there is no sequence, or one has another length or other letters.
            TypeError: If a sequence is not text.

        Example:
            >>> load_model("enformer", "weights/").predict("ACGT" * 49_152).shape
            (1, 896, 5313)
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

    def compute_hidden_state(self, inputs: Tensor, contexts: list[Tensor] | None = None) -> Tensor:
        """Apply the network without its head: (batch, letters, length) → (batch, hidden, bins)."""
        return self.model.compute_hidden_state(inputs, contexts)

    def compute_loss(self, coverage: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of the original's training; both (batch, bins, tracks), ≥ 0."""
        return poisson(coverage, labels)

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_contexts: bool | None = None,
        output_hidden_states: bool = False,
    ) -> TokenPredictionOutput:
        """Predict windows; `postprocess` computes coverage from the result.

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
            ValueError: If both inputs or neither are given, a shape, type or code is wrong, or the
                labels have another shape than the logits.
            SeqcovError: If the length leaves no bin after the crop.

        Example:
            >>> output = model(input_ids)  # codes (batch, window)
            >>> coverage, names = model.postprocess(output)
        """
        headless = self.run_headless(
            input_ids, inputs_embeds, output_contexts, output_hidden_states
        )
        logits = apply_linear(headless.last_hidden_state, self.head)
        output = TokenPredictionOutput(logits, **vars(headless))
        if labels is not None:
            output.loss = self.compute_loss(self.postprocess(output)[0], labels)
        return output

    def postprocess(self, output: TokenPredictionOutput) -> tuple[Tensor, list[str]]:
        """Compute coverage from an output of `forward`.

        Args:
            output: What `forward` returned.

        Returns:
            Coverage (batch, bins, tracks), non-negative, in the units of the training data, on the
            device of the model; and the identifier of each track.

        Example:
            >>> coverage, names = model.postprocess(model(codes))
        """
        coverage = activate(output.logits, self.config.output_act)
        return coverage, [track.identifier for track in self.tracks]

    @property
    def shared_stem(self) -> Stem | None:
        """The stem, if it pools; without pooling it is a single cheap convolution."""
        return self.model.stem if self.model.stem.pool_factor > 1 else None

    def predict_from_stem(self, features: tuple[Tensor, ...]) -> Tensor:
        """Compute coverage (batch, bins, tracks) from what the stem returns for windows."""
        hidden = self.model.trunk(features).transpose(1, 2)
        output = TokenPredictionOutput(apply_linear(hidden, self.head), last_hidden_state=hidden)
        return self.postprocess(output)[0]

    def reduce_heads(self, rows: list[int]) -> None:
        """Reduce the head and the config to `rows` of `tracks`."""
        self.head = select_outputs(self.head, rows)
        self.config = self.config.with_tracks(len(rows))


def encode_windows(sequences: str | Sequence[str], window: int) -> Codes:
    """Encode sequences as codes, (batch, window) ``uint8``.

    Args:
        sequences: One sequence or several, IUPAC nucleotide letters in either case.
        window: The length that each sequence must have, in bp.

    Raises:
        SeqcovError: If there is no sequence, or one has another length or other letters.
        TypeError: If a sequence is not text.
    """
    if isinstance(sequences, str):
        sequences = [sequences]
    if not len(sequences):
        raise SeqcovError("the list of sequences is empty; give at least one")
    for number, letters in enumerate(sequences):
        if not isinstance(letters, str):
            raise TypeError(
                f"sequence {number} is of type {type(letters).__name__}; give text of the letters"
                " A, C, G, T and N"
            )
        if len(letters) != window:
            raise SeqcovError(
                f"sequence {number} has {len(letters):,} bp; this network reads windows of"
                f" {window:,} bp"
            )
    return np.stack([encode(letters) for letters in sequences])


def _check_codes(codes: Tensor) -> None:
    """Raise ValueError if `codes` are not integers 0 … 4 of shape (batch, length)."""
    if codes.dim() != 2 or codes.is_floating_point():
        shape = tuple(codes.shape)
        raise ValueError(
            f"input_ids: {codes.dtype} of shape {shape}; give integers of shape (batch, length)"
        )
    if codes.numel() and codes.device.type == "cpu":  # a GPU would have to finish first
        low, high = (int(end) for end in codes.aminmax())
        if low < 0 or high > UNKNOWN:
            raise ValueError(
                f"input_ids: codes from {low} to {high}; valid are 0 to {UNKNOWN} (A, C, G, T, N)"
            )


def select_outputs(layer: nn.Linear, rows: Sequence[int]) -> nn.Linear:
    """Copy `layer` with the outputs `rows` only."""
    with torch.device("meta"):  # nothing is initialised
        copy = nn.Linear(layer.in_features, len(rows))
    with torch.no_grad():
        copy.weight = nn.Parameter(layer.weight[list(rows)])
        copy.bias = nn.Parameter(layer.bias[list(rows)])
    return copy
