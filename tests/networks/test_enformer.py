"""Enformer against float64 arithmetic from its definition."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqcov_models import EnformerForTokenPrediction
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.enformer.config import EnformerConfig
from seqcov_models.networks.shared import compute
from seqcov_models.networks.shared.attention import (
    enformer_features,
    gamma_basis,
)
from seqcov_models.tracks.table import build_default_tracks
from support.naive import (
    ACTIVATIONS,
    ROUNDING,
    TOLERANCE,
    Array,
    Weights,
    batch_norm,
    conv,
    dense,
    difference,
    indices,
    one_hot,
    predict,
    random_codes,
    randomise,
    read_weights,
    relative_attention,
    softmax,
    softplus,
    stack,
    transformer_block,
)

TINY = EnformerConfig(
    sequence_length=256, stem_channels=6, stem_kernel_size=7, conv_tower_channels=(6, 8, 12),
    conv_tower_kernel_size=3, num_hidden_layers=2, num_attention_heads=2, attention_head_size=5,
    attention_value_size=6, num_rel_pos_features=24, position_length=16, intermediate_size=20,
    target_length=10, head_hidden_size=14, num_labels=5, other_heads={"mouse": 3},
)  # fmt: skip


# Position features


def features(length: int, count: int) -> Array:
    """Compute Enformer's position features one by one: three families of `count` functions."""
    rows = []
    for d in range(-(length - 1), length):
        x = abs(d)
        half_lives = [
            2 ** (3 + (math.log2(length) - 3) * k / max(count - 1, 1)) for k in range(count)
        ]
        row = [math.exp(-math.log(2) * x / half_life) for half_life in half_lives]
        row += [float(x < 2**k - 1) for k in range(1, count + 1)]
        for k in range(1, count + 1):
            shape, rate = 4.0 * k**2, 4 * count * k / length
            norm = math.lgamma(shape) - shape * math.log(rate)
            power = (shape - 1) * math.log(x) if x else -math.inf
            row.append(math.exp(power - rate * x - norm) + 1e-8)
        rows.append(row)
    basis = np.array(rows)
    basis[:, 2 * count :] /= basis[:, 2 * count :].max(0)
    sign = np.sign(np.arange(-(length - 1), length))[:, None]
    return np.hstack([basis, sign * basis])


@pytest.mark.parametrize(("length", "count"), [(16, 4), (100, 32), (1536, 32), (3072, 32)])
def test_position_features_equal_the_published_formulas(length: int, count: int) -> None:
    values = enformer_features(length, 6 * count).numpy()
    expected = features(length, count)
    columns = [*range(2 * count), *range(3 * count, 5 * count)]
    assert np.abs(values - expected)[:, columns].max() < 1e-5
    # a gamma is the exponential of three terms of up to 4e4, each rounded to float32
    assert np.abs(values - expected).max() < 3 * 4e4 * 2**-24


def test_central_masks_reach_their_distances() -> None:
    masks = enformer_features(1536, 192).numpy()[1535:, 32:64]  # distances 0 … 1535
    distances = [0, 2, 6, 14, 30, 62, 126, 254, 510, 1022, 1535]
    assert [int(column.sum()) - 1 for column in masks.T[: len(distances)]] == distances
    assert (masks[:, 10:] == 1).all()


def test_gammas_are_divided_by_their_maximum_over_positions(
    real_input: Callable[[str], Path],
) -> None:
    table = torch.load(real_input("reference_outputs/enformer_tf_gammas.pt"), weights_only=True)
    table = table.squeeze().numpy()
    assert np.abs(gamma_basis(1536, 32).numpy() - table).max() <= 2.5e-3
    unnormalised = features(1536, 32)[:, 64:96]  # each column up to its factor
    assert np.abs(unnormalised / unnormalised.max(1, keepdims=True) - table).max() > 0.5


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_features_cached_by_a_prediction_can_be_used_in_training(mode: Callable[[], Any]) -> None:
    enformer_features.cache_clear()
    codes = torch.from_numpy(random_codes(256)[None])
    model = randomise(EnformerForTokenPrediction(TINY))
    with mode():
        model(codes)
    model(codes, labels=torch.ones(1, 10, 5)).loss.backward()
    assert model.head.weight.grad is not None


# The whole network


def pool(w: Weights, name: str, x: Array) -> Array:
    """Weight each pair by a softmax, channel by channel."""
    pairs = x.reshape(len(x) // 2, 2, -1)
    weight = softmax(pairs @ w[f"{name}.to_logits.weight"].T, 1)
    result: Array = (weight * pairs).sum(1)
    return result


def reference(
    config: EnformerConfig, w: Weights, x: Array, head: str = "head", gammas: Array | None = None
) -> Array:
    """Compute the coverage (bins, tracks) of one window (length, letters)."""
    act = ACTIVATIONS["quick_gelu"]

    def block(name: str, x: Array) -> Array:
        return conv(w, f"{name}.conv", act(batch_norm(w, f"{name}.norm", x, 1e-5)))

    x = conv(w, "model.stem.conv", x)
    x = pool(w, "model.stem.pool", x + block("model.stem.pointwise", x))
    for name in indices(w, "model.stem.tower"):
        x = block(f"{name}.widen", x)
        x = pool(w, f"{name}.pool", x + block(f"{name}.pointwise", x))
    count = config.num_rel_pos_features // 6
    positions = features(len(x), count)
    if gammas is not None:
        sign = np.sign(np.arange(-(len(x) - 1), len(x)))[:, None]
        positions[:, 2 * count : 3 * count] = gammas
        positions[:, 5 * count :] = sign * gammas
    for name in indices(w, "model.trunk.blocks"):
        x = transformer_block(
            w, name, x, 1e-5,
            lambda name, x: relative_attention(w, name, x, positions, config.num_attention_heads),
        )  # fmt: skip
    x = x[config.crop_bins : len(x) - config.crop_bins]
    return softplus(dense(w, head, act(block("model.trunk.final", x))))


VARIANTS = {
    "as published": TINY,
    "no crop": dataclasses.replace(TINY, target_length=-1),
    "quarters": dataclasses.replace(TINY, n_encoding="uniform"),
    "five letters": dataclasses.replace(TINY, n_encoding="multimolecule", vocab_size=5),
    "one block": dataclasses.replace(TINY, num_hidden_layers=1, other_heads={}),
    "no block": dataclasses.replace(TINY, num_hidden_layers=0),
    "a longer window": dataclasses.replace(TINY, sequence_length=1024, target_length=40),
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_enformer_agrees_with_float64_arithmetic_from_its_definition(
    config: EnformerConfig,
) -> None:
    model = randomise(EnformerForTokenPrediction(config))
    codes = np.stack([random_codes(config.sequence_length, seed) for seed in (1, 2)])
    weights = read_weights(model)
    expected = [reference(config, weights, one_hot(row, config.n_encoding)) for row in codes]
    assert difference(predict(model, codes), stack(expected)) < TOLERANCE


def test_gammas_divided_over_the_wrong_axis_exceed_the_tolerance() -> None:
    model = randomise(EnformerForTokenPrediction(TINY))
    codes = random_codes(256)
    gammas = features(16, 4)[:, 8:12]
    gammas_of_features = gammas / gammas.max(1, keepdims=True)
    expected = reference(
        TINY, read_weights(model), one_hot(codes, "zeros"), gammas=gammas_of_features
    )
    assert difference(predict(model, codes[None])[0], expected) > TOLERANCE


@pytest.mark.parametrize("length", [112, 264, 640])
def test_position_features_follow_the_length_of_the_window(length: int) -> None:
    model = randomise(EnformerForTokenPrediction(dataclasses.replace(TINY, sequence_length=256)))
    config = dataclasses.replace(
        TINY, sequence_length=16 * (length // 16), target_length=length // 16 - 6
    )
    length = config.sequence_length
    codes = random_codes(length)
    values = predict(model, codes[None])[0]
    expected = reference(config, read_weights(model), one_hot(codes, "zeros"))
    assert values.shape == (length // 16 - 6, 5)
    assert difference(values, expected) < TOLERANCE


def test_a_stored_gamma_table_is_used_for_its_length_only() -> None:
    config = dataclasses.replace(TINY, use_precomputed_gamma_basis=True)
    model = randomise(EnformerForTokenPrediction(config))
    weights = read_weights(model)
    table = weights["model.trunk.gamma_basis"]
    assert table.shape == (31, 4)
    codes = random_codes(256)
    expected = reference(config, weights, one_hot(codes, "zeros"), gammas=table)
    assert difference(predict(model, codes[None])[0], expected) < TOLERANCE
    codes = random_codes(384)
    config = dataclasses.replace(config, sequence_length=384, target_length=18)
    expected = reference(config, weights, one_hot(codes, "zeros"))
    assert difference(predict(model, codes[None])[0], expected) < TOLERANCE


@pytest.mark.parametrize("piece", [16, 48, 112])
def test_a_stem_computed_in_pieces_gives_the_same_values(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = randomise(EnformerForTokenPrediction(TINY))
    codes = np.stack([random_codes(256, seed) for seed in (1, 2)])
    expected = predict(model, codes)
    monkeypatch.setitem(compute.ROUTES, "cpu", replace(compute.CPU, piece=piece))
    assert difference(predict(model, codes), expected) < ROUNDING


@pytest.mark.parametrize("queries", [1, 3, 16])
def test_the_last_block_computes_only_the_kept_bins(
    queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hidden states requested it computes all positions; the prediction is the same."""
    monkeypatch.setitem(compute.ROUTES, "cpu", replace(compute.CPU, queries=queries))
    model = randomise(EnformerForTokenPrediction(TINY))
    codes = torch.from_numpy(random_codes(256)[None])
    with torch.inference_mode():
        output = model(codes, output_hidden_states=True)
        assert difference(model(codes).logits, output.logits) < ROUNDING
    assert [tuple(state.shape) for state in output.hidden_states] == [
        *[(1, 16, 12)] * 3,
        (1, 10, 14),
    ]


# Two species on one trunk


def test_both_heads_share_one_trunk() -> None:
    model = randomise(EnformerForTokenPrediction(TINY))
    model.other_tracks["mouse"] = build_default_tracks(3)[::-1]
    codes = random_codes(256)
    weights, inputs = read_weights(model), one_hot(codes, "zeros")
    human_coverage = predict(model, codes[None])
    assert difference(human_coverage[0], reference(TINY, weights, inputs)) < TOLERANCE
    model.select_species("mouse")
    expected = reference(TINY, weights, inputs, head="other_heads.mouse")
    assert difference(predict(model, codes[None])[0], expected) < TOLERANCE
    assert [track.row for track in model.tracks] == [2, 1, 0]
    config = model.config
    assert (config.species, config.num_labels, config.other_heads) == ("mouse", 3, {"human": 5})
    restored = EnformerForTokenPrediction(config)
    restored.load_state_dict(model.state_dict())
    assert np.array_equal(predict(model.select_species("human"), codes[None]), human_coverage)
    assert model.config == TINY
    assert len(model.tracks) == 5


def test_selected_tracks_remain_selected_after_a_change_of_species() -> None:
    model = randomise(EnformerForTokenPrediction(TINY)).select_tracks([4, 1])
    codes = random_codes(256)[None]
    expected = predict(model, codes)
    assert np.array_equal(
        predict(model.select_species("mouse").select_species("human"), codes), expected
    )
    assert model.select_species("human") is model


def test_a_species_without_a_head_is_refused() -> None:
    with pytest.raises(SeqcovError, match="human, mouse"):
        EnformerForTokenPrediction(TINY).select_species("fly")


# Configs


IMPOSSIBLE = [
    ("target_length", 17),
    ("target_length", 9),
    ("target_length", 0),
    ("target_length", -2),
    ("num_rel_pos_features", 20),
    ("other_heads", {"human": 5}),
    ("other_heads", {"mouse": 0}),
    ("other_heads", ["mouse"]),
    ("other_heads", {"mouse": 2**31}),
    ("other_heads", {"mouse": 100_000}),  # with the others more than there may be
    ("other_heads", {"a.b": 3}),
    ("other_heads", {"": 3}),
    ("other_heads", {"../mouse": 3}),
    ("other_heads", {"mouse\n": 3}),
    ("head_hidden_size", 0),
    ("sequence_length", 264),
    ("position_length", 0),
    ("use_precomputed_gamma_basis", 1),
    ("hidden_act", "swish"),
    ("species", 3),
]


@pytest.mark.parametrize(("field", "value"), IMPOSSIBLE, ids=lambda setting: repr(setting)[:30])
def test_an_invalid_value_is_refused_and_the_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(SeqcovError, match=field):
        EnformerConfig.from_dict({**TINY.to_dict(), field: value})


@pytest.mark.parametrize("name", ["pop", "training", "keys"])
def test_a_species_named_like_a_method_of_torch_is_refused(name: str) -> None:
    with pytest.raises(SeqcovError, match=f"other_heads.*'{name}'"):
        EnformerForTokenPrediction(dataclasses.replace(TINY, other_heads={name: 3}))
