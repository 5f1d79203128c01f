"""BPNet: dilated convolutions at base resolution, then a profile and its total for each strand.

Avsec, Weilert et al., Nature Genetics 2021. Layers after kundajelab/bpnet at commit 0cb7277 (the
published BPNet-OSKN) and after jmschrei/bpnet-lite, whose windows are longer than what they predict
and whose strands share one profile and one total; the config says which.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.bpnet.config import BPNetConfig
from seqcov_models.networks.shared.base import (
    CoverageModel,
    HeadlessModel,
    ModelOutput,
    TokenPredictionModel,
    rows_of,
)
from seqcov_models.networks.shared.layers import (
    LARGE_PIECE,
    PIECES,
    Stem,
    activate,
    convolve,
    convolve_to_few,
    keep,
    same,
)
from seqcov_models.networks.shared.losses import profile_and_counts
from seqcov_models.tracks.table import strand_tracks


@dataclass
class BPNetOutput(ModelOutput):
    """What `forward` of the profile network returns."""

    profile_logits: Tensor
    """Where reads fall, before the softmax over positions: (batch, length, tasks, strands)."""
    count_logits: Tensor
    """log(1 + reads), (batch, tasks, strands); (batch, tasks, 1) where strands are joint."""


class BPNetStem(Stem):
    """One wide convolution."""

    def __init__(self, config: BPNetConfig) -> None:
        super().__init__()
        self.activation = config.hidden_act
        self.conv = same(config.vocab_size, config.hidden_size, config.stem_kernel_size)
        self.factors, self.reach = (1,), config.stem_kernel_size // 2

    def whole(self, x: Tensor) -> tuple[Tensor, ...]:
        return (activate(convolve(x, self.conv), self.activation, own=True),)


class BPNetTrunk(nn.Module):
    """x + activation(convolution(x)), each looking twice as far as the one before it."""

    def __init__(self, config: BPNetConfig) -> None:
        super().__init__()
        width, self.activation = config.hidden_size, config.hidden_act
        self.convs = nn.ModuleList(
            same(width, width, config.dilated_kernel_size, dilation=2**layer)
            for layer in range(1, config.num_dilated_layers + 1)
        )

    def forward(
        self,
        features: tuple[Tensor, ...],
        contexts: list[Tensor] | None = None,
        margin: int = 0,
    ) -> Tensor:
        """The stem's output → (batch, hidden, length − 2 · margin).

        margin: positions at both ends that nobody needs. Where they are enough, no layer computes
        more than those after it see.
        """
        (x,) = features
        keep(contexts, x.transpose(1, 2))
        convs = [conv for conv in self.convs if isinstance(conv, nn.Conv1d)]
        reaches = [conv.dilation[0] * (conv.kernel_size[0] // 2) for conv in convs]
        for layer, conv in enumerate(convs):
            inner = contexts is None and margin >= sum(reaches[layer:])
            lost = reaches[layer] if inner else 0
            margin -= lost
            y = activate(convolve(x, conv, inner=inner), self.activation, own=True)
            x = x[..., lost : x.shape[-1] - lost]
            x = x + y if torch.is_grad_enabled() else y.add_(x)
            keep(contexts, x.transpose(1, 2))
        return x[..., margin : x.shape[-1] - margin]


class BPNetModel(HeadlessModel):
    """BPNet without heads: windows to hidden states."""

    def __init__(self, config: BPNetConfig) -> None:
        super().__init__(config)
        self.stem = BPNetStem(config)
        self.trunk = BPNetTrunk(config)

    def hidden_state(self, inputs: Tensor, contexts: list[Tensor] | None = None) -> Tensor:
        hidden, crop = self.without(0, inputs, contexts), self.geometry.crop
        return hidden[..., crop : hidden.shape[-1] - crop]

    def without(self, margin: int, x: Tensor, contexts: list[Tensor] | None = None) -> Tensor:
        """One-hot (batch, letters, length) → (batch, hidden, length − 2 · margin).

        Some windows after the others, so that what is between the layers stays in the processor's
        cache.
        """
        most = max(1, PIECES.get(x.device.type, LARGE_PIECE) // x.shape[-1])
        if contexts is not None or len(x) <= most:
            return self.trunk(self.stem(x), contexts, margin)  # type: ignore[no-any-return]
        some = [self.trunk(self.stem(part), None, margin) for part in torch.split(x, most)]
        return torch.cat([hidden.transpose(1, 2) for hidden in some]).transpose(1, 2)


class BPNetForProfilePrediction(CoverageModel):
    """BPNet with its own heads: where reads fall along the window, and how many there are.

    Attributes: `kept`, the places of `tracks` among all strands of the tasks that are computed.
    """

    config: BPNetConfig
    model: BPNetModel

    def __init__(self, config: BPNetConfig) -> None:
        super().__init__(config, strand_tracks(config.tasks, config.num_strands))
        c = config
        self.model = BPNetModel(c)
        controls = c.num_control_tracks
        self.profile = same(c.hidden_size + controls, c.num_labels, c.profile_kernel_size)
        self.counts = nn.Linear(c.hidden_size + bool(controls), len(c.tasks) * c.num_counts)
        self.kept = list(range(c.num_labels))

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_contexts: bool | None = None,
        output_hidden_states: bool = False,
        controls: Tensor | None = None,
    ) -> BPNetOutput:
        """Predict windows given as codes (batch, length) or one-hot (batch, length, letters).

        labels: counted reads (batch, kept length, tasks, strands); controls: measured ones (batch,
        tracks, length), taken as 0 where there are none; output_contexts: as the config says where
        it is None.
        Raises ValueError as `embed` does, and for labels of another shape than the profile's.
        """
        c = self.config
        contexts = self.contexts_for(output_contexts, output_hidden_states)
        embedded = self.embed(input_ids, inputs_embeds)
        reach = c.profile_kernel_size // 2
        margin = max(0, c.crop_bins - reach)  # what is left the profile's core is made from
        hidden = self.model.without(margin, embedded, contexts)
        if controls is not None:
            if controls.shape[1] != c.num_control_tracks:
                raise SeqcovError(f"{controls.shape[1]} controls; these weights read"
                                  f" {c.num_control_tracks}")  # fmt: skip
            controls = controls[..., margin : controls.shape[-1] - margin]
        profile, counts = self._heads(hidden, controls, padding=reach + margin - c.crop_bins)
        beyond = c.crop_bins - margin
        output = BPNetOutput(
            _by_task(profile.transpose(1, 2), c.num_strands),
            _by_task(counts, c.num_counts),
            last_hidden_state=hidden[..., beyond : hidden.shape[-1] - beyond].transpose(1, 2),
        )
        if labels is not None:
            output.loss = profile_and_counts(
                output.profile_logits, output.count_logits, labels, c.count_loss_weight
            )
        self.collect(output, contexts, output_contexts, output_hidden_states)
        return output

    def _heads(
        self, hidden: Tensor, controls: Tensor | None, padding: int
    ) -> tuple[Tensor, Tensor]:
        """(batch, hidden, length) → profile (batch, labels, positions), counts (batch, counts).

        padding: zeros that the profile sees beyond both ends. Controls that are 0 add nothing, so
        that without any their weights are left out.
        """
        mean = hidden.mean(-1)
        if controls is not None:
            hidden = torch.cat([hidden, controls], 1)
            mean = torch.cat([mean, controls.sum((1, 2)).log1p()[:, None]], 1)
        profile = convolve_to_few(
            hidden, self.profile.weight[:, : hidden.shape[1]], self.profile.bias, padding
        )
        return profile, F.linear(mean, self.counts.weight[:, : mean.shape[1]], self.counts.bias)

    def postprocess(self, output: BPNetOutput, expm1: bool = False) -> tuple[Tensor, list[str]]:
        """Reads at each base, (batch, length, tracks), and the tracks' names.

        A profile's share of each position times the exponential of its count (see `reads`).
        """
        coverage = (shares(output) * reads(output.count_logits, expm1)[:, None]).flatten(2)
        if len(self.kept) < coverage.shape[-1]:
            coverage = coverage[..., self.kept]
        return coverage, [track.identifier for track in self.tracks]

    def keep_rows(self, rows: list[int]) -> None:
        """Whole tasks stay in the heads, since strands may be joint; their order is that of `rows`.

        What is not asked for of them is left out by `postprocess`.
        """
        c, strands = self.config, self.config.num_strands
        places = [self.kept[row] for row in rows]
        tasks = list(dict.fromkeys(place // strands for place in places))
        self.kept = [tasks.index(place // strands) * strands + place % strands for place in places]
        self.profile = _outputs_of(self.profile, _rows(tasks, strands))
        self.counts = rows_of(self.counts, _rows(tasks, c.num_counts))
        self.config = replace(c, tasks=tuple(c.tasks[task] for task in tasks))


def shares(output: BPNetOutput) -> Tensor:
    """The part of its reads that falls on each position: (batch, length, tasks, strands).

    They sum to 1 for each task and strand; over both strands where these are joint.
    """
    logits = output.profile_logits
    if output.count_logits.shape[-1] == logits.shape[-1]:
        return logits.softmax(1)
    joint = logits.movedim(1, 2).flatten(2).softmax(-1)
    return joint.view(*joint.shape[:2], *logits.shape[1:4:2]).movedim(1, 2)


def reads(count_logits: Tensor, expm1: bool = False) -> Tensor:
    """How many reads a window has, the same shape.

    The networks were trained on log(1 + reads), so the exponential is too large by 1: the original
    keeps it, `expm1` takes the 1 away (and what is below 0 then).
    """
    return count_logits.expm1().clamp(min=0) if expm1 else count_logits.exp()


def _by_task(x: Tensor, each: int) -> Tensor:
    """(…, tasks·each) → (…, tasks, each)."""
    return x.reshape(*x.shape[:-1], -1, each)


def _rows(tasks: Sequence[int], each: int) -> list[int]:
    return [task * each + one for task in tasks for one in range(each)]


def _outputs_of(layer: nn.Conv1d, rows: list[int]) -> nn.Conv1d:
    """A copy of `layer` with these channels of its output only."""
    kept = same(layer.in_channels, len(rows), layer.kernel_size[0]).to(layer.weight)
    assert kept.bias is not None
    assert layer.bias is not None
    with torch.no_grad():
        kept.weight.copy_(layer.weight[rows])
        kept.bias.copy_(layer.bias[rows])
    return kept


class BPNetForTokenPrediction(TokenPredictionModel):
    """BPNet's trunk with a plain head: one value a base, task and strand."""

    def __init__(self, config: BPNetConfig) -> None:
        super().__init__(config, config.hidden_size, config.num_labels)
        self.model = BPNetModel(config)
        self.tracks = strand_tracks(config.tasks, config.num_strands)
