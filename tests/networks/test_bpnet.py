"""BPNet-OSKN and bpnet-lite against float64 arithmetic from their code."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from seqcov_models import BPNetForProfilePrediction, BPNetForTokenPrediction
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.bpnet.config import BPNetConfig, BPNetLiteConfig
from seqcov_models.sequence import encode
from support.naive import (
    ROUNDING,
    TOLERANCE,
    Array,
    Weights,
    conv,
    dense,
    difference,
    indices,
    one_hot,
    random_codes,
    randomise,
    read_weights,
    softmax,
    softplus,
    stack,
)

TINY = BPNetConfig(
    sequence_length=60, target_length=60, tasks=("a", "b", "c"), hidden_size=6, stem_kernel_size=7,
    num_dilated_layers=3, profile_kernel_size=5,
)  # fmt: skip
BPNET_LITE = BPNetLiteConfig(
    sequence_length=60, target_length=32, tasks=("a",), hidden_size=6, stem_kernel_size=7,
    num_dilated_layers=2, profile_kernel_size=9,
)  # fmt: skip


def reference(
    config: BPNetConfig, w: Weights, x: Array, controls: Array | None = None
) -> tuple[Array, Array]:
    """Compute profile logits (length, tracks) and count logits (counts,) of x (length, letters).

    controls: (length, tracks), which the heads read besides the trunk's channels.
    """
    x = conv(w, "model.stem.conv", x)
    x = x if config.pre_activation else np.maximum(x, 0)
    for number, name in enumerate(indices(w, "model.trunk.convs"), 1):
        if config.pre_activation:
            x = x + conv(w, name, np.maximum(x, 0), 2**number)
        else:
            x = x + np.maximum(conv(w, name, x, 2**number), 0)
    x = np.maximum(x, 0) if config.pre_activation else x
    if config.num_control_tracks:
        control_tracks = (
            np.zeros((len(x), config.num_control_tracks)) if controls is None else controls
        )
        x = np.hstack([x, control_tracks])
    crop, reach = config.crop_bins, config.profile_kernel_size // 2
    profile = conv(w, "profile", x)[crop : len(x) - crop]
    margin = config.reach if config.valid_padding else max(0, crop - reach)
    inputs = x[margin : len(x) - margin]
    mean = inputs[:, : config.hidden_size].mean(0)
    if config.num_control_tracks:
        added = config.num_control_tracks if config.one_per_track else 1
        mean = np.append(mean, np.log(added + inputs[:, config.hidden_size :].sum()))
    return profile, dense(w, "counts", mean)


def run(model: Any, codes: Array, **inputs: Any) -> Any:
    with torch.inference_mode():
        return model(torch.from_numpy(codes), **inputs)


VARIANTS = {
    "as published": TINY,
    "one strand": dataclasses.replace(TINY, num_strands=1),
    "cropped": dataclasses.replace(TINY, target_length=40),
    "five letters": dataclasses.replace(TINY, n_encoding="multimolecule", vocab_size=5),
    "bpnet-lite": BPNET_LITE,
    "bpnet-lite, hardly cropped": dataclasses.replace(BPNET_LITE, target_length=58),
    "bpnet-lite, one strand": dataclasses.replace(BPNET_LITE, num_strands=1),
    "bpnet-lite, two tasks": dataclasses.replace(BPNET_LITE, tasks=("a", "b")),
    "bpnet-lite, controls": dataclasses.replace(BPNET_LITE, num_control_tracks=2),
    "valid padding": dataclasses.replace(
        BPNET_LITE, target_length=20, valid_padding=True, num_dilated_layers=1
    ),
    "residuals before the activation": dataclasses.replace(TINY, pre_activation=True),
    "ENCODE's": dataclasses.replace(
        BPNET_LITE, num_control_tracks=2, one_per_track=True, pre_activation=True
    ),
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_bpnet_agrees_with_float64_arithmetic_from_its_definition(config: BPNetConfig) -> None:
    model = randomise(BPNetForProfilePrediction(config))
    with torch.no_grad():
        model.counts.bias += 3  # so that subtracting reads leaves some
    codes = stack([random_codes(60, seed) for seed in (1, 2)])
    output = run(model, codes)
    coverage, names = model.postprocess(output)
    weights, tasks, strands = read_weights(model), len(config.tasks), config.num_strands
    for number, row in enumerate(codes):
        profile, counts = reference(config, weights, one_hot(row, config.n_encoding))
        length = len(profile)
        logits = profile.reshape(length, tasks, strands)
        assert difference(output.profile_logits[number], logits) < TOLERANCE
        count_logits = output.count_logits[number].numpy().ravel()
        assert np.abs(count_logits - counts).max() < TOLERANCE * np.abs(counts).max()
        if config.joint_strands:
            probabilities = softmax(logits, (0, 2))  # type: ignore[arg-type]
            expected = probabilities * np.maximum(np.exp(counts) - config.added_reads, 0)[:, None]
        else:
            expected = softmax(logits, 0) * np.exp(counts).reshape(tasks, strands)
        assert difference(coverage[number], expected.reshape(length, -1)) < TOLERANCE
    assert coverage.shape == (2, config.geometry.bins, tasks * strands)
    assert names == [track.identifier for track in model.tracks]


def test_the_heads_of_the_original_are_one_convolution() -> None:
    """One transposed convolution per task is one convolution with all kernels reversed."""
    model = randomise(BPNetForProfilePrediction(TINY))
    draw = torch.Generator().manual_seed(1)
    heads = [torch.randn(6, 2, 5, generator=draw) for _ in TINY.tasks]
    with torch.no_grad():
        reversed_heads = [head.permute(1, 0, 2).flip(-1) for head in heads]
        model.profile.weight.copy_(torch.cat(reversed_heads))
        model.profile.bias.zero_()
    output = run(model, random_codes(60)[None])
    hidden = output.last_hidden_state.transpose(1, 2)
    for task, head in enumerate(heads):
        expected = F.conv_transpose1d(hidden, head, padding=2).transpose(1, 2)
        assert difference(output.profile_logits[:, :, task], expected) < ROUNDING


@pytest.mark.parametrize("length", [29, 100])
def test_the_crop_does_not_depend_on_the_length_of_the_window(length: int) -> None:
    model = randomise(BPNetForProfilePrediction(BPNET_LITE))
    codes = random_codes(length)
    output = run(model, codes[None])
    config = dataclasses.replace(BPNET_LITE, sequence_length=length, target_length=length - 28)
    profile, counts = reference(config, read_weights(model), one_hot(codes, "zeros"))
    assert output.profile_logits.shape == (1, length - 28, 1, 2)
    logits = output.profile_logits[0, :, 0].numpy()
    assert np.abs(logits - profile).max() < TOLERANCE * np.abs(profile).max()
    assert output.count_logits.item() == pytest.approx(counts.item(), rel=TOLERANCE)


def test_a_window_without_an_uncropped_base_is_refused() -> None:
    with pytest.raises(SeqcovError, match="short"):
        run(BPNetForProfilePrediction(BPNET_LITE), np.zeros((1, 28), np.uint8))


# Controls


def test_the_heads_read_measured_controls() -> None:
    config = dataclasses.replace(BPNET_LITE, num_control_tracks=2)
    model = randomise(BPNetForProfilePrediction(config))
    codes = random_codes(60)
    controls = np.random.default_rng(1).poisson(2, (60, 2)).astype(float)
    measured_controls = torch.from_numpy(controls).float().T[None]
    output = run(model, codes[None], controls=measured_controls)
    profile, counts = reference(config, read_weights(model), one_hot(codes, "zeros"), controls)
    assert difference(output.profile_logits[0, :, 0], profile) < TOLERANCE
    assert output.count_logits.item() == pytest.approx(counts.item(), rel=TOLERANCE)
    zeros = run(model, codes[None], controls=torch.zeros(1, 2, 60))
    assert difference(run(model, codes[None]).profile_logits, zeros.profile_logits) < ROUNDING


@pytest.mark.parametrize(
    "config", [BPNET_LITE, dataclasses.replace(BPNET_LITE, num_control_tracks=1)]
)
def test_controls_that_the_weights_do_not_read_are_refused(config: BPNetConfig) -> None:
    with pytest.raises(SeqcovError, match="2 control tracks"):
        run(
            BPNetForProfilePrediction(config), random_codes(60)[None], controls=torch.ones(1, 2, 60)
        )


# Tracks and units


def test_strands_are_named_after_their_task_and_paired() -> None:
    tracks = BPNetForProfilePrediction(TINY).tracks
    assert [track.identifier for track in tracks] == ["a+", "a-", "b+", "b-", "c+", "c-"]
    assert [track.pair for track in tracks] == [1, 0, 3, 2, 5, 4]
    assert len({track.file_name for track in tracks}) == 6
    single = BPNetForProfilePrediction(dataclasses.replace(TINY, num_strands=1)).tracks
    assert [(track.identifier, track.pair) for track in single] == [("a", 0), ("b", 1), ("c", 2)]


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("rows", [[0], [3], [5, 0, 1], [4, 2], [2, 3, 0, 1, 4, 5]])
def test_selected_tracks_are_columns_of_the_full_prediction(rows: list[int], joint: bool) -> None:
    model = randomise(BPNetForProfilePrediction(dataclasses.replace(TINY, joint_strands=joint)))
    codes = random_codes(60)[None]
    coverage, names = model.postprocess(run(model, codes))
    selection = model.select_tracks(rows)
    values, identifiers = selection.postprocess(run(selection, codes))
    assert identifiers == [names[row] for row in rows]
    assert difference(values, coverage[..., rows]) < ROUNDING
    assert len(selection.config.tasks) == len({row // 2 for row in rows})
    single = selection.select_tracks([len(rows) - 1])
    values, identifiers = single.postprocess(run(single, codes))
    assert identifiers == [names[rows[-1]]]
    assert difference(values, coverage[..., rows[-1:]]) < ROUNDING


def test_totals_are_exp_or_expm1_of_the_count_logits() -> None:
    for config in (TINY, BPNET_LITE):
        model = randomise(BPNetForProfilePrediction(config))
        with torch.no_grad():
            model.counts.bias[0] = -3
        output = run(model, random_codes(60)[None])
        expected = output.count_logits.double().exp()
        for total, expm1 in ((expected, False), ((expected - 1).clamp(min=0), True)):
            coverage = model.postprocess(output, expm1=expm1)[0].view(1, -1, len(config.tasks), 2)
            sums = coverage.double().sum(1)
            sums = sums.sum(-1, keepdim=True) if config.joint_strands else sums
            # a sum of 60 float32 shares, times a total of at most 30
            assert torch.allclose(sums, total, atol=30 * 60 * 2**-24)


def test_the_token_network_has_a_pointwise_head_on_the_same_trunk() -> None:
    config = dataclasses.replace(TINY, target_length=40)
    model = randomise(BPNetForTokenPrediction(config))
    profile = randomise(BPNetForProfilePrediction(config))
    profile.model.load_state_dict(model.model.state_dict())
    codes = random_codes(60)[None]
    hidden = run(profile, codes).last_hidden_state.double().numpy()
    output = run(model, codes)
    expected = softplus(dense(read_weights(model), "head", hidden))
    assert difference(model.postprocess(output)[0], expected) < TOLERANCE
    assert [track.identifier for track in model.select_tracks([5, 0]).tracks] == ["c-", "a+"]


def test_contexts_are_the_dilated_layers() -> None:
    output = run(
        BPNetForProfilePrediction(BPNET_LITE), random_codes(60)[None],
        output_contexts=True, output_hidden_states=True,
    )  # fmt: skip
    assert [tuple(context.shape) for context in output.contexts] == [(1, 60, 6)] * 2
    shapes = [tuple(state.shape) for state in output.hidden_states]
    assert shapes == [(1, 60, 6)] * 3 + [(1, 32, 6)]


def test_predict_encodes_letters() -> None:
    model = randomise(BPNetForProfilePrediction(TINY))
    letters = ["ACGTN" * 12, "acgtr" * 12]
    codes = stack([encode(text) for text in letters])  # type: ignore[list-item]
    expected = model.postprocess(run(model, codes))[0].numpy()
    assert np.array_equal(model.predict(letters), expected)
    assert difference(expected[0], expected[1]) < ROUNDING  # soft-masked and IUPAC letters


# Configs


IMPOSSIBLE = [
    ("tasks", ()),
    ("tasks", ("a", "a")),
    ("tasks", "abc"),
    ("tasks", ("", "b")),
    ("tasks", (1, 2)),
    ("tasks", ("a\tb",)),
    ("tasks", ("a\n",)),
    ("tasks", ("\ud800",)),
    ("tasks", tuple(map(str, range(100_001)))),
    ("num_dilated_layers", 31),
    ("num_dilated_layers", 2**31),
    ("count_loss_weight", 10**400),
    ("num_strands", 0),
    ("num_strands", 3),
    ("target_length", 62),
    ("target_length", 31),
    ("target_length", 0),
    ("stem_kernel_size", 24),
    ("profile_kernel_size", 4),
    ("dilated_kernel_size", 2),
    ("hidden_size", 0),
    ("joint_strands", "yes"),
    ("num_control_tracks", -1),
    ("count_loss_weight", -1.0),
    ("vocab_size", 5),
]


@pytest.mark.parametrize(("field", "value"), IMPOSSIBLE, ids=lambda inputs: repr(inputs)[:30])
@pytest.mark.parametrize("config", [TINY, BPNET_LITE], ids=["bpnet", "bpnetlite"])
def test_an_invalid_value_is_refused_and_the_field_is_named(
    config: BPNetConfig, field: str, value: Any
) -> None:
    with pytest.raises(SeqcovError, match=field):
        type(config).from_dict({**config.to_dict(), field: value})
