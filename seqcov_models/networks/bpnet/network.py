"""BPNet: dilated convolutions at base resolution, then a profile and a read count per strand.

Avsec, Weilert et al., Nature Genetics 2021. Layers after kundajelab/bpnet at commit 0cb7277 (the
published BPNet-OSKN) and after jmschrei/bpnet-lite, whose windows are longer than what they predict
and whose strands share one profile and one total; the config says which. ENCODE's and JASPAR's
networks of ChIP-seq (kundajelab/bpnet-refactor) add residuals before the activation.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.bpnet.config import BPNetConfig
from seqcov_models.networks.shared.base import (
    HeadlessModel,
    TokenPredictionModel,
    select_outputs,
)
from seqcov_models.networks.shared.compute import route
from seqcov_models.networks.shared.layers import (
    Stem,
    activate,
    append_hidden,
    convolve,
    convolve_narrow,
    pack_layers,
    same_padding_conv,
)
from seqcov_models.networks.shared.losses import profile_and_counts
from seqcov_models.networks.shared.profiles import PositionOutput, ProfileModel, ProfileOutput


class BPNetStem(Stem):
    """One wide convolution."""

    def __init__(self, config: BPNetConfig) -> None:
        super().__init__()
        self.activation = "linear" if config.pre_activation else config.hidden_act
        self.conv = same_padding_conv(
            config.vocab_size, config.hidden_size, config.stem_kernel_size
        )
        self.factors, self.reach = (1,), config.stem_kernel_size // 2

    def compute(self, x: Tensor) -> tuple[Tensor, ...]:
        """Apply the stem: one-hot (batch, letters, length) → (batch, hidden, length) in a tuple."""
        return (activate(convolve(x, self.conv), self.activation, overwrite=True),)


class BPNetTrunk(nn.Module):
    """Layers of x + activation(convolution(x)), each with twice the dilation of the last.

    With `pre_activation` they are x + convolution(activation(x)), and an activation follows.
    """

    def __init__(self, config: BPNetConfig) -> None:
        super().__init__()
        width, self.activation = config.hidden_size, config.hidden_act
        self.pre_activation = config.pre_activation
        self.convs = nn.ModuleList(
            same_padding_conv(width, width, config.dilated_kernel_size, dilation=2**layer)
            for layer in range(1, config.num_dilated_layers + 1)
        )

    def pack_weights(self) -> None:
        """Keep weights in the order in which oneDNN reads them; see `pack_layers`."""
        pack_layers(self)

    def forward(
        self,
        features: tuple[Tensor, ...],
        contexts: list[Tensor] | None = None,
        margin: int = 0,
    ) -> Tensor:
        """Apply the layers to the stem's output; return (batch, hidden, length − 2 · margin).

        `margin` counts positions at each end that are not needed. If there are enough of them, a
        layer only computes the positions that later layers see.
        """
        (x,) = features
        append_hidden(contexts, x.transpose(1, 2))
        convs = [conv for conv in self.convs if isinstance(conv, nn.Conv1d)]
        reaches = [conv.dilation[0] * (conv.kernel_size[0] // 2) for conv in convs]
        for layer, conv in enumerate(convs):
            valid = contexts is None and margin >= sum(reaches[layer:])
            trim = reaches[layer] if valid else 0
            margin -= trim
            if self.pre_activation:
                y = convolve(activate(x, self.activation), conv, valid=valid)
            else:
                y = activate(convolve(x, conv, valid=valid), self.activation, overwrite=True)
            x = x[..., trim : x.shape[-1] - trim]
            x = x + y if torch.is_grad_enabled() else y.add_(x)
            append_hidden(contexts, x.transpose(1, 2))
        x = activate(x, self.activation) if self.pre_activation else x
        return x[..., margin : x.shape[-1] - margin]


class BPNetModel(HeadlessModel):
    """BPNet without heads: windows to hidden states.

    Attributes:
        config: The sizes of the network.
        stem: One wide convolution.
        trunk: The dilated convolutions.

    Example:
        >>> BPNetModel(BPNetConfig())(codes).last_hidden_state.shape  # codes (1, 1000)
        torch.Size([1, 1000, 64])
    """

    def __init__(self, config: BPNetConfig) -> None:
        super().__init__(config)
        self.stem = BPNetStem(config)
        self.trunk = BPNetTrunk(config)

    def compute_hidden_state(self, inputs: Tensor, contexts: list[Tensor] | None = None) -> Tensor:
        """Compute the core's hidden states: (batch, letters, length) → (batch, hidden, core)."""
        hidden, crop = self.compute_trimmed(0, inputs, contexts), self.geometry.crop
        return hidden[..., crop : hidden.shape[-1] - crop]

    def compute_trimmed(
        self, margin: int, x: Tensor, contexts: list[Tensor] | None = None
    ) -> Tensor:
        """Compute hidden states without `margin` positions at each end.

        One-hot (batch, letters, length) → (batch, hidden, length − 2 · margin). A few windows are
        computed at a time, so that the tensors between the layers stay in the CPU's cache.
        """
        windows = max(1, route(x.device).piece // x.shape[-1])
        if contexts is not None or len(x) <= windows:
            return self.trunk(self.stem(x), contexts, margin)  # type: ignore[no-any-return]
        batches = [self.trunk(self.stem(batch), None, margin) for batch in torch.split(x, windows)]
        return torch.cat([hidden.transpose(1, 2) for hidden in batches]).transpose(1, 2)


class BPNetForProfilePrediction(ProfileModel):
    """BPNet with its profile head and its count head: reads per base of every task and strand.

    Attributes:
        config: The sizes of the network.
        tracks: The tracks, in the order of the last axis of the coverage.
        model: The same network without its heads.
        profile: The profile head, a convolution from hidden states to all strands of the tasks.
        counts: The count head, Linear from the mean hidden state to log(1 + reads).
        track_channels: Index of each of `tracks` among all strands of the computed tasks.

    Example:
        >>> model = load_model("bpnet", "weights/")
        >>> model.predict(["ACGT" * 250]).shape  # (batch, bases, tracks)
        (1, 1000, 8)
    """

    config: BPNetConfig
    model: BPNetModel

    def __init__(self, config: BPNetConfig) -> None:
        super().__init__(config, config.default_tracks())
        c = config
        self.model = BPNetModel(c)
        controls = c.num_control_tracks
        self.profile = same_padding_conv(
            c.hidden_size + controls, c.num_labels, c.profile_kernel_size
        )
        self.counts = nn.Linear(c.hidden_size + bool(controls), len(c.tasks) * c.num_counts)
        self.track_channels = list(range(c.num_labels))

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_contexts: bool | None = None,
        output_hidden_states: bool = False,
        controls: Tensor | None = None,
    ) -> ProfileOutput:
        """Predict profiles and read counts; `postprocess` computes coverage from them.

        Args:
            input_ids: Codes 0 … 4 for A, C, G, T, N: (batch, length), any integer type.
            inputs_embeds: One-hot (batch, length, letters) floating point, instead of `input_ids`.
            labels: Measured reads per base (batch, core, tasks, strands).
            output_contexts: Whether to return `contexts`; None means as the config says.
            output_hidden_states: Whether to return `hidden_states`.
            controls: Measured control tracks (batch, tracks, length); 0 if not given.

        Returns:
            `profile_logits` (batch, core, tasks, strands), `count_logits` (batch, tasks, strands)
            or for joint strands (batch, tasks, 1), `loss` if labels were given, and what was
            requested.

        Raises:
            ValueError: If both inputs or neither are given, a shape, type or code is wrong, or the
                labels have another shape than the profile.
            SeqcovError: If the length leaves no base after the crop, or the number of controls is
                wrong.

        Example:
            >>> output = model(input_ids)  # codes (batch, window)
            >>> coverage, names = model.postprocess(output)
        """
        c = self.config
        contexts = self.new_context_list(output_contexts, output_hidden_states)
        embedded = self.embed(input_ids, inputs_embeds)
        reach = c.profile_kernel_size // 2
        margin = c.count_margin
        hidden = self.model.compute_trimmed(margin, embedded, contexts)
        if controls is not None:
            if controls.shape[1] != c.num_control_tracks:
                raise SeqcovError(
                    f"{controls.shape[1]} control tracks are given; these weights read"
                    f" {c.num_control_tracks}"
                )
            controls = controls[..., margin : controls.shape[-1] - margin]
        profile, counts = self._heads(hidden, controls, padding=reach + margin - c.crop_bins)
        crop = c.crop_bins - margin
        output = ProfileOutput(
            _split_tasks(profile.transpose(1, 2), c.num_strands),
            _split_tasks(counts, c.num_counts),
            last_hidden_state=hidden[..., crop : hidden.shape[-1] - crop].transpose(1, 2),
        )
        if labels is not None:
            output.loss = profile_and_counts(
                output.profile_logits, output.count_logits, labels, c.count_loss_weight
            )
        self.add_contexts(output, contexts, output_contexts, output_hidden_states)
        return output

    def _heads(
        self, hidden: Tensor, controls: Tensor | None, padding: int
    ) -> tuple[Tensor, Tensor]:
        """Compute profile logits (batch, labels, positions) and count logits (batch, counts).

        `padding` counts zeros beyond each end of the profile's input; if it is negative, positions
        of `hidden` that the profile does not read. Controls of 0 add nothing to the profile, so
        their weights are not used if there are none.
        """
        c = self.config
        hidden = hidden.to(self.profile.weight.dtype)  # heads are float32 in every precision
        mean, added = hidden.mean(-1), c.num_control_tracks if c.one_per_track else 1
        if controls is None and added > 1:
            mean = torch.cat([mean, mean.new_full((len(mean), 1), log(added))], 1)
        if controls is not None:
            hidden = torch.cat([hidden, controls], 1)
            mean = torch.cat([mean, controls.sum((1, 2)).add(added).log()[:, None]], 1)
        hidden = hidden[..., max(0, -padding) : hidden.shape[-1] + min(0, padding)]
        profile = convolve_narrow(
            hidden, self.profile.weight[:, : hidden.shape[1]], self.profile.bias, max(0, padding)
        )
        return profile, F.linear(mean, self.counts.weight[:, : mean.shape[1]], self.counts.bias)

    def predict_positions(self, codes: Tensor) -> PositionOutput:
        """Predict all bases of sequences of any length; see `ProfileModel.predict_positions`."""
        c = self.config
        x = self.encode(codes).transpose(1, 2)
        hidden = self.model.compute_trimmed(c.count_margin, x).to(self.profile.weight.dtype)
        reach = c.crop_bins - c.count_margin
        trim, width = reach - c.profile_kernel_size // 2, c.hidden_size
        profile = convolve_narrow(
            hidden[..., trim : hidden.shape[-1] - trim],
            self.profile.weight[:, :width],
            self.profile.bias,
            padding=0,
        )
        counts = F.linear(hidden.transpose(1, 2), self.counts.weight[:, :width], self.counts.bias)
        if c.num_control_tracks and c.one_per_track:
            counts = counts + log(c.num_control_tracks) * self.counts.weight[:, width]
        return PositionOutput(
            _split_tasks(profile.transpose(1, 2), c.num_strands),
            (_split_tasks(counts, c.num_counts),),
            (reach,),
        )

    def reduce_heads(self, rows: list[int]) -> None:
        """Reduce the heads to the tasks of `rows`. Both strands of a task stay: they may be joint.

        `postprocess` then omits the strands that are not in `rows`.
        """
        c, strands = self.config, self.config.num_strands
        channels = [self.track_channels[row] for row in rows]
        tasks = list(dict.fromkeys(channel // strands for channel in channels))
        self.track_channels = [
            tasks.index(channel // strands) * strands + channel % strands for channel in channels
        ]
        self.profile = _select_channels(self.profile, _task_rows(tasks, strands))
        self.counts = select_outputs(self.counts, _task_rows(tasks, c.num_counts))
        self.config = replace(c, tasks=tuple(c.tasks[task] for task in tasks))


def _split_tasks(x: Tensor, size: int) -> Tensor:
    """Split the last axis: (…, tasks·size) → (…, tasks, size)."""
    return x.reshape(*x.shape[:-1], -1, size)


def _task_rows(tasks: Sequence[int], size: int) -> list[int]:
    """Return the outputs of `tasks` in a head with `size` outputs per task."""
    return [task * size + offset for task in tasks for offset in range(size)]


def _select_channels(layer: nn.Conv1d, rows: list[int]) -> nn.Conv1d:
    """Copy `layer` with the output channels `rows` only."""
    assert layer.bias is not None
    with torch.device("meta"):  # nothing is initialised
        copy = same_padding_conv(layer.in_channels, len(rows), layer.kernel_size[0])
    with torch.no_grad():
        copy.weight = nn.Parameter(layer.weight[rows])
        copy.bias = nn.Parameter(layer.bias[rows])
    return copy


class BPNetForTokenPrediction(TokenPredictionModel):
    """BPNet's trunk with a pointwise head: one value per base, task and strand.

    Attributes:
        config: The sizes of the network.
        tracks: The tracks, in the order of the last axis of the coverage.
        model: The same network without its head.
        head: Linear from hidden states to tracks.

    Example:
        >>> model = BPNetForTokenPrediction(BPNetConfig())
        >>> model.predict(["ACGT" * 250]).shape  # (batch, bases, tracks)
        (1, 1000, 8)
    """

    def __init__(self, config: BPNetConfig) -> None:
        super().__init__(config, config.hidden_size, config.num_labels)
        self.model = BPNetModel(config)
        self.tracks = config.default_tracks()
