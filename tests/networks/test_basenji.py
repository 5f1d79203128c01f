"""Basenji2, and what all networks have in common, against float64 arithmetic."""

import dataclasses
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from seqcov_models import BasenjiForTokenPrediction
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.basenji.config import BasenjiBlockConfig, BasenjiConfig
from seqcov_models.networks.shared import compute
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
    max_pool,
    one_hot,
    predict,
    random_codes,
    randomise,
    read_weights,
    softplus,
    stack,
)

TINY = BasenjiConfig(
    sequence_length=512, stem_channels=6, stem_kernel_size=7, conv_tower_channels=(8, 10),
    conv_tower_kernel_size=3, blocks=BasenjiBlockConfig(num_blocks=5, bottleneck_size=5),
    crop_bins=4, head_hidden_size=12, num_labels=7,
)  # fmt: skip


def reference(config: BasenjiConfig, w: Weights, x: Array) -> Array:
    """Compute the coverage (bins, tracks) of one window (length, letters)."""
    act = ACTIVATIONS[config.hidden_act]

    def block(name: str, x: Array, dilation: int = 1) -> Array:
        return batch_norm(w, f"{name}.norm", conv(w, f"{name}.conv", act(x), dilation), 1e-3)

    for name in indices(w, "model.stem.blocks"):
        x = max_pool(block(name, x), config.stem_pool_size)
    dilations = [1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72]
    for name, dilation in zip(indices(w, "model.trunk.blocks"), dilations, strict=False):
        x = x + block(f"{name}.wide", block(f"{name}.narrow", x, dilation))
    x = x[config.crop_bins : len(x) - config.crop_bins]
    return softplus(dense(w, "head", act(block("model.trunk.final", x))))


VARIANTS = {
    "as published": TINY,
    "the GELU of 2020": dataclasses.replace(TINY, hidden_act="quick_gelu"),
    "erf": dataclasses.replace(TINY, hidden_act="gelu"),
    "quarters": dataclasses.replace(TINY, n_encoding="uniform"),
    "five letters": dataclasses.replace(TINY, n_encoding="multimolecule", vocab_size=5),
    "wide poolings": dataclasses.replace(TINY, stem_pool_size=4, crop_bins=0),
    "all dilations": dataclasses.replace(
        TINY, blocks=BasenjiBlockConfig(bottleneck_size=5), sequence_length=2048
    ),
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_basenji_agrees_with_float64_arithmetic_from_its_definition(config: BasenjiConfig) -> None:
    model = randomise(BasenjiForTokenPrediction(config))
    codes = np.stack([random_codes(config.sequence_length, seed) for seed in (1, 2)])
    weights = read_weights(model)
    expected = [reference(config, weights, one_hot(row, config.n_encoding)) for row in codes]
    assert difference(predict(model, codes), stack(expected)) < TOLERANCE


@pytest.mark.parametrize("hidden_act", ["quick_gelu", "gelu"])
def test_the_gelus_are_not_interchangeable(hidden_act: str) -> None:
    model = randomise(BasenjiForTokenPrediction(TINY))
    codes = random_codes(512)
    config = dataclasses.replace(TINY, hidden_act=hidden_act)
    expected = reference(config, read_weights(model), one_hot(codes, "zeros"))
    assert difference(predict(model, codes[None])[0], expected) > TOLERANCE


@pytest.mark.parametrize("length", [72, 256, 1_000])
def test_the_crop_does_not_depend_on_the_length_of_the_window(length: int) -> None:
    model = randomise(BasenjiForTokenPrediction(TINY))
    codes = random_codes(length)
    expected = reference(TINY, read_weights(model), one_hot(codes, "zeros"))
    values = predict(model, codes[None])[0]
    assert values.shape == (length // 8 - 8, 7)
    assert difference(values, expected) < TOLERANCE


@pytest.mark.parametrize(
    ("length", "message"), [(513, "multiple of 8"), (64, "short"), (0, "short")]
)
def test_a_window_without_an_uncropped_bin_is_refused(length: int, message: str) -> None:
    model = BasenjiForTokenPrediction(TINY)
    with pytest.raises(SeqcovError, match=message):
        model(torch.zeros(1, length, dtype=torch.uint8))


# The reach of a bin


def test_the_published_network_reads_27395_bases_beyond_a_bin() -> None:
    config = BasenjiConfig()
    reach_of_blocks = 128 * sum(config.blocks.dilations)
    assert reach_of_blocks == 27_136
    assert config.tower_reach + reach_of_blocks == 27_395
    starts = 8_192 + 128 * np.arange(896)  # of the bins, in the window
    is_complete = (starts >= 27_395) & (starts + 128 + 27_395 <= 131_072)
    assert np.flatnonzero(is_complete)[[0, -1]].tolist() == [151, 744]


@pytest.mark.parametrize("base", [100, 101, 255, 256, 263])
def test_a_base_changes_only_the_bins_within_reach(base: int) -> None:
    config = dataclasses.replace(TINY, hidden_act="gelu_new", crop_bins=0)
    model = randomise(BasenjiForTokenPrediction(config))
    codes = random_codes(512)
    variant = codes.copy()
    variant[base] = (codes[base] + 1) % 4
    reach_of_blocks = 8 * sum(config.blocks.dilations)
    starts = 8 * np.arange(64)
    reach = config.tower_reach + reach_of_blocks
    is_reached = (starts - reach <= base) & (base < starts + 8 + reach)
    is_changed = (predict(model, codes[None]) != predict(model, variant[None])).any((0, 2))
    assert not (is_changed & ~is_reached).any()
    stem = model.model.stem
    features = [stem(model.embed(torch.from_numpy(c[None]), None))[0] for c in (codes, variant)]
    is_stem_changed = (features[0] != features[1]).any(1)[0].numpy()
    is_in_tower_reach = (starts - config.tower_reach <= base) & (
        base < starts + 8 + config.tower_reach
    )
    assert (is_stem_changed <= is_in_tower_reach).all()
    assert is_stem_changed[base // 8]


def test_the_farthest_base_within_reach_changes_the_bin() -> None:
    config = dataclasses.replace(TINY, crop_bins=0)
    model = randomise(BasenjiForTokenPrediction(config))
    stem = model.model.stem
    is_changed = False
    for seed in range(20):
        codes = random_codes(512, seed)
        variant = codes.copy()
        base = 256 - stem.reach  # the first base that position 32 (bases 256 … 263) can see
        variant[base] = (codes[base] + 1) % 4
        pair = [stem(model.embed(torch.from_numpy(c[None]), None))[0] for c in (codes, variant)]
        is_changed |= bool((pair[0][..., 32] != pair[1][..., 32]).any())
    assert is_changed


# Pieces


@pytest.mark.parametrize("piece", [1, 8, 40, 104, 511])
def test_a_stem_computed_in_pieces_gives_the_same_values(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = randomise(BasenjiForTokenPrediction(TINY))
    codes = np.stack([random_codes(512, seed) for seed in (1, 2, 3)])
    expected = predict(model, codes)
    monkeypatch.setitem(compute.ROUTES, "cpu", replace(compute.CPU, piece=piece))
    lengths: list[int] = []
    model.model.stem.blocks[0].register_forward_pre_hook(
        lambda _, inputs: lengths.append(inputs[0].shape[-1])
    )
    assert difference(predict(model, codes), expected) < ROUNDING
    assert len(lengths) >= 3 * 512 // max(piece, 8)
    assert max(lengths) <= max(piece, 8) + 2 * model.model.stem.halo


def test_predictions_with_and_without_gradients_agree() -> None:
    model = randomise(BasenjiForTokenPrediction(dataclasses.replace(TINY, hidden_act="quick_gelu")))
    codes = random_codes(512)[None]
    with_gradients = model.postprocess(model(torch.from_numpy(codes)))[0].detach().numpy()
    assert difference(predict(model, codes), with_gradients) < ROUNDING


# Contexts, hidden states and training


def test_contexts_are_the_outputs_of_the_blocks() -> None:
    model = randomise(BasenjiForTokenPrediction(TINY))
    codes = torch.from_numpy(random_codes(512)[None])
    with torch.inference_mode():
        output = model(codes, output_contexts=True, output_hidden_states=True)
        default = model(codes)
    assert default.contexts is None
    assert default.hidden_states is None
    assert torch.equal(default.logits, output.logits)
    assert [tuple(context.shape) for context in output.contexts] == [(1, 64, 10)] * 5
    assert output.last_hidden_state.shape == (1, 56, 12)
    first, *contexts, last = output.hidden_states
    assert torch.equal(first, model.model.stem(model.embed(codes, None))[0].transpose(1, 2))
    assert all(a is b for a, b in zip(contexts, output.contexts, strict=True))
    assert last is output.last_hidden_state


def test_the_config_says_whether_contexts_are_returned_by_default() -> None:
    config = dataclasses.replace(TINY, output_contexts=True)
    model = randomise(BasenjiForTokenPrediction(config))
    codes = torch.from_numpy(random_codes(512)[None])
    with torch.inference_mode():
        assert len(model(codes).contexts) == 5
        assert model(codes, output_contexts=False).contexts is None
        assert len(model.model(codes).contexts) == 5
    assert model.predict(["A" * 512]).shape == (1, 56, 7)


def test_the_config_follows_the_selected_tracks() -> None:
    model = randomise(BasenjiForTokenPrediction(TINY))
    assert model.select_tracks([5, 0]).config == dataclasses.replace(TINY, num_labels=2)


def test_batch_norms_learn_only_in_training() -> None:
    model = randomise(BasenjiForTokenPrediction(TINY))
    codes = torch.from_numpy(np.stack([random_codes(512, seed) for seed in (1, 2)]))
    means = [value for name, value in model.named_buffers() if name.endswith("running_mean")]
    copies = [value.clone() for value in means]
    model(codes)
    assert all(torch.equal(a, b) for a, b in zip(means, copies, strict=True))
    model.train()(codes)
    assert not any(torch.equal(a, b) for a, b in zip(means, copies, strict=True))


# Configs


def test_dilations_without_rounding_are_powers_of_the_rate() -> None:
    blocks = BasenjiBlockConfig(num_blocks=6, round_dilation=False)
    assert blocks.dilations == tuple(round(1.5**power) for power in range(6))


IMPOSSIBLE = [
    ("stem_pool_size", 0),
    ("sequence_length", 516),
    ("crop_bins", 32),
    ("head_hidden_size", 0),
    ("vocab_size", 5),
    ("n_encoding", "multimolecule"),
    ("n_encoding", "random"),
    ("hidden_act", "silu"),
    ("blocks", None),
    ("blocks", 11),
    ("blocks", {"kernel_size": 4}),
    ("blocks", {"dilation_rate": 0.5}),
    ("blocks", {"num_block": 11}),
    ("blocks", {"bottleneck_size": 0}),
    ("blocks", {"dilation_rate": 1e300}),
    ("blocks", {"dilation_rate": 10**400}),
    ("blocks", {"dilation_rate": 1e9}),
    ("blocks", {"num_blocks": 10**9}),
    ("stem_pool_size", 2**31),
]


@pytest.mark.parametrize(("field", "value"), IMPOSSIBLE, ids=lambda setting: repr(setting)[:30])
def test_an_invalid_value_is_refused_and_the_field_is_named(field: str, value: Any) -> None:
    name = field if not isinstance(value, dict) else next(iter(value))
    with pytest.raises(SeqcovError, match=name):
        BasenjiConfig.from_dict({**TINY.to_dict(), field: value})


@pytest.mark.parametrize("size", [3, 2**31 - 1])
def test_a_window_that_the_poolings_do_not_divide_is_refused(size: int) -> None:
    with pytest.raises(SeqcovError, match=f"sequence_length.*{size} to the power of 3"):
        dataclasses.replace(TINY, stem_pool_size=size)
