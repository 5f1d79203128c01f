"""What the originals were trained to minimise. Coverage is (batch, bins, tracks), ≥ 0."""

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-7  # Keras' and baskerville's, inside the logarithms


def _check(labels: Tensor, predicted: Tensor) -> None:
    if labels.shape != predicted.shape:  # torch would broadcast them into a loss of something else
        shapes = tuple(labels.shape), tuple(predicted.shape)
        raise ValueError(f"labels are of shape {shapes[0]}, what is predicted of {shapes[1]}")


def poisson(coverage: Tensor, labels: Tensor) -> Tensor:
    """Mean Poisson loss without the labels' own term (Basenji2, Enformer; Keras' `poisson`).

    Raises ValueError for labels of another shape than the coverage, as all of these do.
    """
    _check(labels, coverage)
    return (coverage - labels * torch.log(coverage + EPSILON)).mean()


def poisson_multinomial(coverage: Tensor, labels: Tensor, total_weight: float = 0.2) -> Tensor:
    """Shape along the window, plus `total_weight` times its sum (Borzoi; 0.2 in its params.json).

    A window's sums are Poisson, its bins multinomial with what the network says each bin's part
    is; both divided by the number of bins (baskerville `metrics.py` `poisson_multinomial`).
    """
    _check(labels, coverage)
    bins = coverage.shape[-2]
    sums, label_sums = coverage.sum(-2), labels.sum(-2)
    total = (sums - label_sums * torch.log(sums + EPSILON)) / bins
    part = torch.log((coverage + EPSILON) / sums[..., None, :])
    shape = -((labels + EPSILON) * part).sum(-2) / bins
    return (shape + total_weight * total).mean()


def multinomial(logits: Tensor, counts: Tensor) -> Tensor:
    """Negative log-likelihood of `counts` drawn with the odds softmax(logits).

    Both (…, categories); gives (…).
    """
    _check(counts, logits)
    arrangements = torch.lgamma(counts.sum(-1) + 1) - torch.lgamma(counts + 1).sum(-1)
    return -(arrangements + (counts * F.log_softmax(logits, -1)).sum(-1))


def profile_and_counts(
    profile_logits: Tensor, count_logits: Tensor, labels: Tensor, count_weight: float
) -> Tensor:
    """BPNet's loss: where the reads are, and how many (kundajelab/bpnet `losses.py`).

    profile_logits and labels, counted reads: (batch, length, tasks, strands); count_logits: (batch,
    tasks, strands), or (batch, tasks, 1) where strands are joint (bpnet-lite). Multinomial
    negative log-likelihoods are summed over tasks and strands, squared errors of log(1 + count)
    averaged over strands and summed over tasks; both are averaged over the batch.
    """
    _check(labels, profile_logits)
    logits, counts = (x.permute(0, 2, 3, 1) for x in (profile_logits, labels))
    if count_logits.shape[-1] < logits.shape[2]:
        logits, counts = logits.flatten(2)[:, :, None], counts.flatten(2)[:, :, None]
    profile = multinomial(logits, counts).sum((1, 2)).mean()
    error = (count_logits - torch.log1p(counts.sum(-1))) ** 2
    return profile + count_weight * error.mean((0, 2)).sum()
