"""Losses against formulas written term by term, and gradients of every weight."""

import math
import re

import numpy as np
import pytest
import torch

from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.config import Config, ProfileConfig
from seqcov_models.networks.shared.losses import poisson, poisson_multinomial, profile_and_counts
from seqcov_models.networks.shared.profiles import ProfileModel
from support.naive import Array, random_codes, randomise, softplus, stack
from support.networks import EVERY_NETWORK

FLOAT32 = 1e-5  # relative: a few hundred terms, each rounded at 6e-8
DRAW = np.random.default_rng(1)
COVERAGE: Array = DRAW.gamma(1, 2, (2, 9, 4))
LABELS: Array = DRAW.poisson(3, (2, 9, 4)).astype(float)


def tensor(x: Array) -> torch.Tensor:
    return torch.from_numpy(x).float()


def test_poisson_is_the_mean_over_all_values() -> None:
    terms = [y - n * math.log(y) for y, n in zip(COVERAGE.flat, LABELS.flat, strict=True)]
    loss = poisson(tensor(COVERAGE), tensor(LABELS)).item()
    assert loss == pytest.approx(np.mean(terms), rel=FLOAT32)


@pytest.mark.parametrize("weight", [0.2, 0.0, 1.0])
def test_poisson_multinomial_is_the_shape_plus_the_weighted_total(weight: float) -> None:
    terms = []
    for sequence in range(2):
        for track in range(4):
            y, n = COVERAGE[sequence, :, track], LABELS[sequence, :, track]
            shape = -sum(k * math.log(v / y.sum()) for k, v in zip(n, y, strict=True)) / 9
            total = (y.sum() - n.sum() * math.log(y.sum())) / 9
            terms.append(shape + weight * total)
    loss = poisson_multinomial(tensor(COVERAGE), tensor(LABELS), weight).item()
    assert loss == pytest.approx(np.mean(terms), rel=FLOAT32)


def test_a_window_without_reads_has_a_finite_loss() -> None:
    coverage, labels = torch.full((1, 9, 4), 1e-30), torch.zeros(1, 9, 4)
    assert math.isfinite(poisson(coverage, labels).item())
    assert math.isfinite(poisson_multinomial(coverage, labels).item())


def likelihood(logits: Array, counts: Array) -> float:
    """Return −log of the multinomial probability of `counts`."""
    odds = np.exp(logits) / np.exp(logits).sum()
    result = math.lgamma(counts.sum() + 1) - sum(math.lgamma(n + 1) for n in counts)
    return -(result + sum(n * math.log(p) for n, p in zip(counts, odds, strict=True)))


@pytest.mark.parametrize("joint", [False, True])
def test_bpnets_loss_is_the_multinomial_plus_the_weighted_counts(joint: bool) -> None:
    tasks, strands, weight = 3, 2, 10.0
    logits = DRAW.normal(0, 1, (2, 9, tasks, strands))
    counts = DRAW.normal(1, 1, (2, tasks, 1 if joint else strands))
    labels = DRAW.poisson(2, (2, 9, tasks, strands)).astype(float)
    labels[0, :, 1] = 0
    losses = []
    for sequence in range(2):
        value = 0.0
        for task in range(tasks):
            profile, reads = logits[sequence, :, task], labels[sequence, :, task]
            if joint:
                pairs = [(profile.ravel(), reads.ravel())]
            else:
                pairs = [(profile[:, strand], reads[:, strand]) for strand in range(strands)]
            value += sum(likelihood(*pair) for pair in pairs)
            errors = [
                (counts[sequence, task, number] - math.log(1 + pair[1].sum())) ** 2
                for number, pair in enumerate(pairs)
            ]
            value += weight * float(np.mean(errors))
        losses.append(value)
    loss = profile_and_counts(tensor(logits), tensor(counts), tensor(labels), weight).item()
    assert loss == pytest.approx(np.mean(losses), rel=FLOAT32)


@pytest.mark.parametrize(("network", "config"), EVERY_NETWORK.values(), ids=EVERY_NETWORK)
@pytest.mark.parametrize("training", [False, True])
def test_a_loss_has_a_gradient_in_every_weight(
    network: type[CoverageModel], config: Config, training: bool
) -> None:
    model = randomise(network(config)).train(training)  # type: ignore[arg-type]
    codes = torch.from_numpy(stack([random_codes(256, seed) for seed in (1, 2)]))
    bins, tracks = config.geometry.bins, len(model.tracks)
    labels = tensor(np.random.default_rng(1).poisson(2, (2, bins, tracks)).astype(float))
    if isinstance(config, ProfileConfig) and issubclass(network, ProfileModel):
        labels = labels.view(2, bins, -1, config.num_strands)
    output = model(codes, labels=labels)
    assert model(codes).loss is None
    output.loss.backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.any(), name


@pytest.mark.parametrize(("network", "config"), EVERY_NETWORK.values(), ids=EVERY_NETWORK)
def test_labels_of_another_shape_are_refused(network: type[CoverageModel], config: Config) -> None:
    model = network(config)  # type: ignore[arg-type]
    codes = torch.from_numpy(stack([random_codes(256, seed) for seed in (1, 2)]))
    output = model(codes)
    logits = output.profile_logits if hasattr(output, "profile_logits") else output.logits
    expected = tuple(logits.shape)
    for shape in [(1,), (1, *expected[1:]), (*expected[:-1], 1), expected[1:], (*expected, 1)]:
        if shape == expected:
            continue
        with pytest.raises(
            ValueError, match=f"{re.escape(str(shape))}.*{re.escape(str(expected))}"
        ):
            model(codes, labels=torch.ones(shape))
    assert model(codes, labels=torch.ones(expected)).loss.isfinite()


@pytest.mark.parametrize("name", ["basenji2", "enformer", "borzoi"])
def test_the_loss_is_computed_from_the_coverage(name: str) -> None:
    network, config = EVERY_NETWORK[name]
    model = randomise(network(config))  # type: ignore[arg-type]
    codes = torch.from_numpy(random_codes(256)[None])
    labels = torch.ones(1, config.geometry.bins, 3)
    with torch.inference_mode():
        output = model(codes, labels=labels)
    coverage = tensor(softplus(output.logits.double().numpy()))
    expected = (poisson_multinomial if name == "borzoi" else poisson)(coverage, labels)
    assert output.loss.item() == pytest.approx(expected.item(), rel=FLOAT32)


def test_gradients_agree_with_finite_differences() -> None:
    """Finite differences in float64, through every kind of layer."""
    for name in ("enformer", "borzoi", "flashzoi", "basenji2"):
        network, config = EVERY_NETWORK[name]
        model = randomise(network(config)).double()  # type: ignore[arg-type]
        codes = torch.from_numpy(random_codes(256)[None])
        labels = torch.ones(1, config.geometry.bins, 3, dtype=torch.float64)
        model(codes, labels=labels).loss.backward()
        for weight in list(model.parameters())[::5]:
            assert weight.grad is not None
            index = int(weight.grad.abs().argmax())
            with torch.no_grad():
                values = []
                for step in (1e-5, -2e-5):
                    weight.view(-1)[index] += step
                    values.append(model(codes, labels=labels).loss.item())
                weight.view(-1)[index] += 1e-5
            slope = (values[0] - values[1]) / 2e-5
            assert slope == pytest.approx(weight.grad.view(-1)[index].item(), rel=1e-3)
