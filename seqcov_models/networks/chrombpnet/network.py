"""ChromBPNet: a BPNet of accessibility, and a smaller one of the enzyme's bias.

Both read the same window. Their profile logits are added, so one softmax is over the sum; their
reads are added, so log counts are combined by logsumexp. Source: kundajelab/chrombpnet,
`chrombpnet/training/models/chrombpnet_with_bias_model.py`.
"""

import torch
from torch import Tensor

from seqcov_models.networks.bpnet.network import BPNetForProfilePrediction
from seqcov_models.networks.chrombpnet.config import ChromBPNetConfig
from seqcov_models.networks.shared.losses import profile_and_counts
from seqcov_models.networks.shared.profiles import PositionOutput, ProfileOutput


class ChromBPNetForProfilePrediction(BPNetForProfilePrediction):
    """ChromBPNet with its heads: reads per base.

    Attributes:
        config: The sizes of the network.
        tracks: The track: observed coverage, accessibility without bias, or bias alone.
        bias: The network of the bias; None if there is a single network.

    The other attributes are those of `BPNetForProfilePrediction`, of the network of accessibility.

    Example:
        >>> model = load_model("chrombpnet", "chrombpnet_nobias.h5")
        >>> model.predict(["ACGT" * 528 + "AC"]).shape  # (batch, bases, tracks)
        (1, 1000, 1)
    """

    config: ChromBPNetConfig

    def __init__(self, config: ChromBPNetConfig) -> None:
        super().__init__(config)
        self.bias: BPNetForProfilePrediction | None = None
        if config.bias_hidden_size:
            self.bias = BPNetForProfilePrediction(config.bias_config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_contexts: bool | None = None,
        output_hidden_states: bool = False,
        controls: Tensor | None = None,
    ) -> ProfileOutput:
        """Predict profiles and read counts; see `BPNetForProfilePrediction.forward`.

        Args:
            input_ids: Codes 0 … 4 for A, C, G, T, N: (batch, length), any integer type.
            inputs_embeds: One-hot (batch, length, letters) floating point, instead of `input_ids`.
            labels: Measured reads per base (batch, core, tasks, strands).
            output_contexts: Whether to return `contexts` of the network of accessibility.
            output_hidden_states: Whether to return its `hidden_states`.
            controls: Not read by ChromBPNet.

        Returns:
            The sum of both networks' profile logits, the logsumexp of their log counts, `loss` if
            labels were given, and what was requested.

        Raises:
            ValueError: If both inputs or neither are given, a shape, type or code is wrong, or the
                labels have another shape than the profile.
            SeqcovError: If the length leaves no base after the crop, or controls are given.
        """
        output = super().forward(
            input_ids,
            inputs_embeds,
            output_contexts=output_contexts,
            output_hidden_states=output_hidden_states,
            controls=controls,
        )
        if self.bias is not None:
            bias = self.bias(input_ids, inputs_embeds, output_contexts=False)
            output.profile_logits = output.profile_logits + bias.profile_logits
            output.count_logits = torch.logaddexp(output.count_logits, bias.count_logits)
        if labels is not None:
            output.loss = profile_and_counts(
                output.profile_logits, output.count_logits, labels, self.config.count_loss_weight
            )
        return output

    def predict_positions(self, codes: Tensor) -> PositionOutput:
        """Predict all bases of sequences of any length; see `ProfileModel.predict_positions`."""
        output = super().predict_positions(codes)
        if self.bias is None:
            return output
        bias = self.bias.predict_positions(codes)
        return PositionOutput(
            output.profile_logits + bias.profile_logits,
            (*output.count_terms, *bias.count_terms),
            (*output.count_reach, *bias.count_reach),
        )

    def reduce_heads(self, rows: list[int]) -> None:
        """Reduce the heads of both networks to the tasks of `rows`."""
        super().reduce_heads(rows)
        if self.bias is not None:
            self.bias.reduce_heads(rows)
