"""The published networks: sizes, Enformer's features, a trained bpnet-lite, what can train."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from seqcov_models import (
    BasenjiBlockConfig,
    BasenjiConfig,
    BorzoiConfig,
    BPNetConfig,
    EnformerConfig,
    Geometry,
    load_model,
)
from seqcov_models.checkpoints.load import build
from seqcov_models.networks.shared.attention import gamma_basis
from seqcov_models.networks.shared.config import Config
from seqcov_models.sequence import encode

FIVE: dict[str, Any] = {"vocab_size": 5, "n_encoding": "multimolecule"}
SIZES = [
    (BasenjiConfig(), 30_088_228),
    (BasenjiConfig(**FIVE), 30_092_548),
    (BasenjiConfig(species="mouse", num_labels=1_643, **FIVE), 24_451_758),
    (EnformerConfig(other_heads={"mouse": 1_643}), 251_221_292),
    (EnformerConfig(**FIVE), 246_183_873),
    (EnformerConfig(species="mouse", num_labels=1_643, **FIVE), 234_905_963),
    (BorzoiConfig(), 185_892_699),
    (BorzoiConfig(species="mouse", num_labels=2_608), 176_281_936),
    (BorzoiConfig(**FIVE), 185_900_379),
    (BorzoiConfig(species="mouse", num_labels=2_608, **FIVE), 176_289_616),
    (BPNetConfig(), 130_960),
    (BPNetConfig(**FIVE), 132_560),
]


@pytest.mark.parametrize(("config", "parameters"), SIZES)
def test_a_published_network_has_as_many_parameters_as_published(
    config: Config, parameters: int
) -> None:
    with torch.device("meta"):
        model = build(config)
    assert sum(weight.numel() for weight in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("config", "window", "bin_size", "bins", "crop"),
    [
        (BasenjiConfig(), 131_072, 128, 896, 64),
        (EnformerConfig(), 196_608, 128, 896, 320),
        (BorzoiConfig(), 524_288, 32, 6_144, 5_120),
        (BPNetConfig(), 1_000, 1, 1_000, 0),
    ],
)
def test_published_geometry(
    config: Config, window: int, bin_size: int, bins: int, crop: int
) -> None:
    assert config.geometry == Geometry(window, bin_size, bins, crop)


def test_basenji2_dilates_as_published() -> None:
    dilations = BasenjiConfig().blocks.dilations
    assert list(dilations) == [1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72]


def test_gamma_basis_is_normalised_over_positions(shared: Callable[[str], Path]) -> None:
    """Against the table that Enformer's users pass around, made by DeepMind's own code."""
    path = shared("reference_outputs/enformer_tf_gammas.pt")
    table = torch.load(path, weights_only=True).squeeze().numpy()
    ours = gamma_basis(1_536, 32).numpy()
    # the table's own float32 rounding of log-gamma at large concentrations is 2.5e-3
    assert np.abs(ours - table).max() <= 2.5e-3
    over_features = ours / ours.max(1, keepdims=True)
    assert np.abs(over_features - table).max() > 0.5, "the wrong axis would show"


def test_trained_bpnet_lite_agrees_with_its_authors_outputs(shared: Callable[[str], Path]) -> None:
    reference = np.load(shared("reference_outputs/bpnetlite_ctcf_hg38_chr1_1Mb.npz"))
    lines = gzip.decompress(shared("genomes/hg38_chr1_1Mb.fa.gz").read_bytes()).decode()
    letters = "".join(line for line in lines.splitlines() if not line.startswith(">"))
    model = load_model("bpnetlite", shared("models/bpnetlite_ctcf/ctcf.safetensors"))
    length = int(reference["length"])
    windows = [encode(letters[start : start + length]) for start in reference["start"].tolist()]
    with torch.inference_mode():
        output = model(torch.from_numpy(np.stack(windows)))
    logits = output.profile_logits[:, :, 0].transpose(1, 2).numpy()  # one task
    agreeing = 0
    for which in ("example", "example_final"):
        counts = reference[f"{which}_logcounts"]
        if np.abs(output.count_logits.reshape(counts.shape).numpy() - counts).max() <= 1e-4:
            assert np.abs(logits - reference[f"{which}_profile_logits"]).max() <= 1e-4
            agreeing += 1
    assert agreeing == 1, "the file is one of the two stages of training"


TINY: list[Config] = [
    BasenjiConfig(
        sequence_length=512, num_labels=3, stem_channels=6, conv_tower_channels=(8, 8),
        blocks=BasenjiBlockConfig(num_blocks=2, bottleneck_size=4), crop_bins=4,
        head_hidden_size=10,
    ),
    EnformerConfig(
        sequence_length=512, num_labels=3, stem_channels=8, conv_tower_channels=(8, 12),
        num_hidden_layers=1, num_attention_heads=2, attention_head_size=4, attention_value_size=6,
        num_rel_pos_features=12, intermediate_size=16, target_length=40, head_hidden_size=10,
    ),
    BorzoiConfig(
        sequence_length=512, num_labels=3, stem_channels=8, conv_tower_channels=(8, 12, 12),
        num_hidden_layers=1, num_attention_heads=2, attention_head_size=4, attention_value_size=6,
        num_rel_pos_features=8, position_length=32, intermediate_size=16, crop_bins=10,
        head_hidden_size=10,
    ),
]  # fmt: skip


@pytest.mark.parametrize("config", TINY, ids=lambda config: type(config).__name__)
def test_a_lab_can_fine_tune(config: Config) -> None:
    """A few steps on one window lower the loss, and every weight that is used gets a gradient."""
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


@pytest.mark.parametrize("config", TINY[:2], ids=lambda config: type(config).__name__)
def test_the_loss_of_basenji_and_enformer_is_poisson(config: Config) -> None:
    model = build(config).eval()
    codes = torch.randint(0, 4, (1, config.geometry.window))
    labels = torch.rand(1, config.geometry.bins, 3) * 5
    output = model(codes, labels=labels)
    rate = F.softplus(output.logits)
    expected = (rate - labels * rate.log()).mean()
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("config", TINY, ids=lambda config: type(config).__name__)
def test_a_selected_track_is_the_same_column(config: Config) -> None:
    model = build(config).eval()
    sequence = "".join(np.random.default_rng(0).choice(list("ACGTN"), config.geometry.window))
    everything = model.predict([sequence])
    # the head's product may be summed in another order for another width: 10 terms, float32
    np.testing.assert_allclose(
        model.select_tracks([2, 0]).predict([sequence]), everything[..., [2, 0]], rtol=2e-6
    )
