"""Flashzoi's rotary attention, and what Borzoi and Flashzoi compute of a cropped window."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from seqcov_models import BorzoiForTokenPrediction
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.shared import compute
from seqcov_models.networks.shared.attention import RotaryAttention, rotary_angles
from support.naive import (
    ROUNDING,
    TOLERANCE,
    Array,
    dense,
    difference,
    predict,
    random_codes,
    randomise,
    read_weights,
    softmax,
    stack,
)
from support.networks import SMALL_BORZOI

SMALL: dict[str, Any] = SMALL_BORZOI | {
    "num_hidden_layers": 2, "attention_head_size": 6, "crop_bins": 41,
}  # fmt: skip


def test_rotary_attention_equals_a_naive_loop() -> None:
    """Rotations are products of complex numbers; neighbouring heads of queries share keys."""
    length, width, heads, shared_heads, size, rotated, base = 7, 10, 4, 2, 6, 4, 50.0
    layer = randomise(RotaryAttention(width, heads, shared_heads, size, 0.1))
    w = read_weights(layer)
    x = np.random.default_rng(1).normal(0, 1, (2, length, width))
    qkv = [dense(w, "to_qkv", row) for row in x]

    def rotate(vector: Array, position: int) -> Array:
        count = rotated // 2
        pairs = vector[:count] + 1j * vector[count:rotated]
        pairs = pairs * np.exp(1j * position * base ** (-2 * np.arange(count) / rotated))
        return np.concatenate([pairs.real, pairs.imag, vector[rotated:]])

    def attend(row: Array) -> Array:
        outputs = np.zeros((length, heads * size))
        keys, values = heads * size, (heads + shared_heads) * size
        for head in range(heads):
            q = row[:, head * size : (head + 1) * size]
            offset = head // (heads // shared_heads) * size
            k, v = (
                row[:, keys + offset : keys + offset + size],
                row[:, values + offset : values + offset + size],
            )
            for i in range(length):
                logits = [
                    rotate(q[i], i) @ rotate(k[j], j) / math.sqrt(size) for j in range(length)
                ]
                outputs[i, head * size : (head + 1) * size] = softmax(np.array(logits), 0) @ v
        return dense(w, "to_out", outputs)

    angles = rotary_angles(length, rotated, base)
    expected = stack([attend(row) for row in qkv])
    with torch.inference_mode():
        values = layer(torch.from_numpy(x).float(), angles)
        part_of_values = layer(torch.from_numpy(x).float(), angles, slice(2, 5))
    assert difference(values, expected) < TOLERANCE
    assert difference(part_of_values, values[:, 2:5]) < ROUNDING


FLASHZOI: dict[str, Any] = {
    "attention_type": "rotary",
    "attention_head_size": 192,
    "num_key_value_heads": 4,
}


def test_flashzoi_has_one_projection_and_no_biases_of_distance() -> None:
    with torch.device("meta"):
        model = BorzoiForTokenPrediction(BorzoiConfig(**FLASHZOI))
    shapes = {
        name.removeprefix("model.trunk.blocks.0.attention."): tuple(value.shape)
        for name, value in model.state_dict().items()
        if name.startswith("model.trunk.blocks.0.attention.")
    }
    assert shapes == {
        "to_qkv.weight": (3072, 1536),
        "to_qkv.bias": (3072,),
        "to_out.weight": (1536, 1536),
        "to_out.bias": (1536,),
    }


@pytest.mark.parametrize(
    "extra",
    [{}, {"attention_type": "rotary", "num_key_value_heads": 1, "rotary_size": 4}],
    ids=["borzoi", "flashzoi"],
)
@pytest.mark.parametrize("crop", [0, 1, 3, 41, 62])
def test_borzoi_computes_only_the_positions_that_the_kept_bins_need(
    extra: dict[str, Any], crop: int
) -> None:
    """With hidden states requested the last block computes all positions."""
    model = randomise(BorzoiForTokenPrediction(BorzoiConfig(**{**SMALL, **extra, "crop_bins": 0})))
    cropped = BorzoiForTokenPrediction(BorzoiConfig(**{**SMALL, **extra, "crop_bins": crop})).eval()
    cropped.load_state_dict(model.state_dict())
    codes = random_codes(512)[None]
    values, uncropped = predict(cropped, codes), predict(model, codes)
    assert values.shape == (1, 128 - 2 * crop, 7)
    assert np.abs(values - uncropped[:, crop : 128 - crop]).max() < ROUNDING * np.ptp(uncropped)
    with torch.inference_mode():
        output = cropped(torch.from_numpy(codes), output_contexts=True)
    assert difference(cropped.postprocess(output)[0], values) < ROUNDING
    assert [tuple(context.shape) for context in output.contexts] == [(1, 32, 12)] * 2


def test_the_published_borzoi_needs_1538_of_4096_positions_at_its_end() -> None:
    with torch.device("meta"):
        model = BorzoiForTokenPrediction(BorzoiConfig(num_hidden_layers=0))
    positions = model.model.trunk.needed_positions(4096)
    assert positions.stop - positions.start == 1_538
    assert BorzoiConfig().tower_reach == 7 + 2 * sum(2**power for power in range(1, 7))


@pytest.mark.parametrize("piece", [16, 80, 208])
def test_skips_computed_in_pieces_give_the_same_values(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = randomise(BorzoiForTokenPrediction(BorzoiConfig(**SMALL)))
    codes = np.stack([random_codes(512, seed) for seed in (1, 2)])
    expected = predict(model, codes)
    monkeypatch.setitem(compute.ROUTES, "cpu", replace(compute.CPU, piece=piece))
    assert difference(predict(model, codes), expected) < ROUNDING


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attention_type", "flash"),
        ("num_key_value_heads", 4),
        ("attention_head_size", 5),
        ("rotary_size", 8),
        ("rotary_size", 3),
    ],
)
def test_an_invalid_size_of_flashzoi_is_refused(field: str, value: Any) -> None:
    right = {**SMALL, "attention_type": "rotary", "num_key_value_heads": 1, "rotary_size": 4}
    assert BorzoiConfig(**right)
    with pytest.raises(SeqcovError, match=field):
        BorzoiConfig(**{**right, field: value})
