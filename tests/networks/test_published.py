"""The published sizes of the networks, and training and track selection of every network."""

from typing import Any

import numpy as np
import pytest
import torch

from seqcov_models import (
    BasenjiConfig,
    BorzoiConfig,
    BPNetConfig,
    BPNetLiteConfig,
    CherimoyaConfig,
    ChromBPNetConfig,
    EnformerConfig,
    Geometry,
)
from seqcov_models.checkpoints.load import build
from seqcov_models.networks.shared.config import Config
from support.networks import TINY

FIVE_CHANNELS: dict[str, Any] = {"vocab_size": 5, "n_encoding": "multimolecule"}
SIZES = [
    (BasenjiConfig(), 30_088_228),
    (BasenjiConfig(**FIVE_CHANNELS), 30_092_548),
    (BasenjiConfig(species="mouse", num_labels=1_643, **FIVE_CHANNELS), 24_451_758),
    (EnformerConfig(other_heads={"mouse": 1_643}), 251_221_292),
    (EnformerConfig(**FIVE_CHANNELS), 246_183_873),
    (EnformerConfig(species="mouse", num_labels=1_643, **FIVE_CHANNELS), 234_905_963),
    (BorzoiConfig(), 185_892_699),
    (BorzoiConfig(species="mouse", num_labels=2_608), 176_281_936),
    (BorzoiConfig(**FIVE_CHANNELS), 185_900_379),
    (BorzoiConfig(species="mouse", num_labels=2_608, **FIVE_CHANNELS), 176_289_616),
    (BPNetConfig(), 130_960),
    (BPNetConfig(**FIVE_CHANNELS), 132_560),
    (ChromBPNetConfig(bias_hidden_size=0), 6_377_986),
    (ChromBPNetConfig(hidden_size=128, num_dilated_layers=4, bias_hidden_size=0), 217_730),
    (ChromBPNetConfig(), 6_377_986 + 217_730),
    (CherimoyaConfig(), 613_890),  # without the two weights of its losses
]


@pytest.mark.parametrize(("config", "parameters"), SIZES)
def test_a_published_network_has_as_many_parameters_as_published(
    config: Config, parameters: int
) -> None:
    with torch.device("meta"):
        model = build(config)
    assert sum(weight.numel() for weight in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("config", "geometry", "core", "context"),
    [
        (BasenjiConfig(), Geometry(131_072, 128, 896, 64), 114_688, 8_192),
        (EnformerConfig(), Geometry(196_608, 128, 896, 320), 114_688, 40_960),
        (BorzoiConfig(), Geometry(524_288, 32, 6_144, 5_120), 196_608, 163_840),
        (BPNetConfig(), Geometry(1_000, 1, 1_000, 0), 1_000, 0),
        (BPNetLiteConfig(), Geometry(2_114, 1, 1_000, 557), 1_000, 557),
        (ChromBPNetConfig(), Geometry(2_114, 1, 1_000, 557), 1_000, 557),
        (CherimoyaConfig(), Geometry(2_114, 1, 1_000, 557), 1_000, 557),
    ],
)
def test_published_geometry(config: Config, geometry: Geometry, core: int, context: int) -> None:
    assert config.geometry == geometry
    assert (config.geometry.core, config.geometry.context) == (core, context)


def test_the_dilations_of_basenji2_are_the_published_ones() -> None:
    dilations = BasenjiConfig().blocks.dilations
    assert list(dilations) == [1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72]


@pytest.mark.slow
@pytest.mark.parametrize("config", TINY, ids=lambda config: type(config).__name__)
def test_training_lowers_the_loss(config: Config) -> None:
    """Every weight gets a gradient in every step."""
    torch.manual_seed(0)
    model = build(config).train()
    codes = torch.randint(0, 5, (2, config.geometry.window))
    labels = torch.rand(2, config.geometry.bins, 3) * 5
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        output = model(codes, labels=labels)
        optimiser.zero_grad()
        output.loss.backward()
        assert all(w.grad is not None for w in model.parameters())
        optimiser.step()
        losses.append(output.loss.item())
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("rows", [[1], [0, 2], [2, 0], [1, 2, 0], [0, 1, 2]])
@pytest.mark.parametrize("config", TINY, ids=lambda config: type(config).__name__)
def test_selected_tracks_are_columns_of_the_full_prediction(
    config: Config, rows: list[int]
) -> None:
    model = build(config).eval()
    sequence = "".join(np.random.default_rng(0).choice(list("ACGTN"), config.geometry.window))
    coverage = model.predict([sequence])
    names = [track.identifier for track in model.tracks]
    selection = model.select_tracks(rows)
    assert [track.identifier for track in selection.tracks] == [names[row] for row in rows]
    # the head's product may be summed in another order for another width: 10 terms, float32
    np.testing.assert_allclose(selection.predict([sequence]), coverage[..., rows], rtol=2e-6)
