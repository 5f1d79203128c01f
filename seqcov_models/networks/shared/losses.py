"""The losses of the originals' training. Coverage is (batch, bins, tracks), not negative."""

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-7
"""Added inside the logarithms, as in Keras and baskerville."""


def _check_shapes(labels: Tensor, predicted: Tensor) -> None:
    """Raise ValueError for different shapes, which torch would broadcast without a word."""
    if labels.shape != predicted.shape:
        shapes = tuple(labels.shape), tuple(predicted.shape)
        raise ValueError(f"labels have the shape {shapes[0]}, but predictions have {shapes[1]}")


def poisson(coverage: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean Poisson loss without its constant term (Basenji2, Enformer).

    This is Keras' `poisson`, which omits the term that depends on the labels alone.

    Args:
        coverage: Predicted coverage (batch, bins, tracks).
        labels: Measured coverage of the same shape.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: If the shapes differ.
    """
    _check_shapes(labels, coverage)
    return (coverage - labels * torch.log(coverage + EPSILON)).mean()


def poisson_multinomial(coverage: Tensor, labels: Tensor, total_weight: float = 0.2) -> Tensor:
    """Compute Borzoi's loss: the shape along the window, plus the weighted loss of its sum.

    A window's sum is Poisson. Given the sum, its bins are multinomial, with the predicted fractions
    of the sum as probabilities. Both terms are divided by the number of bins (baskerville
    `metrics.py` `poisson_multinomial`).

    Args:
        coverage: Predicted coverage (batch, bins, tracks).
        labels: Measured coverage of the same shape.
        total_weight: Weight of the sum's loss; 0.2 in Borzoi's params.json.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: If the shapes differ.
    """
    _check_shapes(labels, coverage)
    bins = coverage.shape[-2]
    sums, label_sums = coverage.sum(-2), labels.sum(-2)
    total = (sums - label_sums * torch.log(sums + EPSILON)) / bins
    log_fractions = torch.log((coverage + EPSILON) / sums[..., None, :])
    shape = -((labels + EPSILON) * log_fractions).sum(-2) / bins
    return (shape + total_weight * total).mean()


def multinomial(logits: Tensor, counts: Tensor) -> Tensor:
    """Compute the negative log-likelihood of counts with the probabilities softmax(logits).

    Args:
        logits: (…, categories).
        counts: Of the same shape.

    Returns:
        The losses, (…).

    Raises:
        ValueError: If the shapes differ.
    """
    _check_shapes(counts, logits)
    arrangements = torch.lgamma(counts.sum(-1) + 1) - torch.lgamma(counts + 1).sum(-1)
    return -(arrangements + (counts * F.log_softmax(logits, -1)).sum(-1))


def profile_and_counts(
    profile_logits: Tensor, count_logits: Tensor, labels: Tensor, count_weight: float
) -> Tensor:
    """Compute BPNet's loss of the reads' positions and number (kundajelab/bpnet `losses.py`).

    Multinomial negative log-likelihoods are summed over tasks and strands. Squared errors of
    log(1 + count) are averaged over strands and summed over tasks. Both are averaged over the
    batch.

    Args:
        profile_logits: (batch, length, tasks, strands).
        count_logits: (batch, tasks, strands), or (batch, tasks, 1) if strands are joint
            (bpnet-lite).
        labels: Measured reads per base, of the shape of `profile_logits`.
        count_weight: Weight of the counts' errors.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: If the shapes of labels and profiles differ.
    """
    _check_shapes(labels, profile_logits)
    logits, counts = (x.permute(0, 2, 3, 1) for x in (profile_logits, labels))
    if count_logits.shape[-1] < logits.shape[2]:
        logits, counts = logits.flatten(2)[:, :, None], counts.flatten(2)[:, :, None]
    profile = multinomial(logits, counts).sum((1, 2)).mean()
    error = (count_logits - torch.log1p(counts.sum(-1))) ** 2
    return profile + count_weight * error.mean((0, 2)).sum()
