"""The route of GPUs, taken on the CPU, gives the values of the CPU's route."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from seqcov_models.checkpoints.load import build
from seqcov_models.networks import registry
from seqcov_models.networks.shared import compute
from seqcov_models.networks.shared.attention import RelativeAttention
from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.compute import (
    constant,
    pack_weight,
    pad_to_multiple,
    prepare_network,
)
from seqcov_models.networks.shared.layers import (
    convolve,
    max_pool,
    pack_layers,
    same_padding_conv,
)
from support.naive import random_codes, randomise

TOWER = {"stem_channels": 6, "conv_tower_channels": (9, 11, 13, 14, 15, 16), "num_labels": 5}
BLOCKS = {"num_attention_heads": 2, "attention_head_size": 8, "num_hidden_layers": 2}
ROTARY = {
    "attention_type": "rotary", "num_key_value_heads": 1, "attention_value_size": 8,
    "rotary_size": 4,
}  # fmt: skip
SIZES: dict[str, tuple[str, dict[str, Any]]] = {
    "basenji2": ("basenji2", {"sequence_length": 4_096, "crop_bins": 8, **TOWER}),
    "basenji2 quick": (
        "basenji2",
        {"sequence_length": 4_096, "crop_bins": 8, "hidden_act": "quick_gelu", **TOWER},
    ),
    "enformer": ("enformer", {"sequence_length": 4_096, "target_length": 8, **TOWER, **BLOCKS}),
    "borzoi": ("borzoi", {"sequence_length": 4_096, "target_length": 32, **TOWER, **BLOCKS}),
    "flashzoi": (
        "borzoi", {"sequence_length": 4_096, "target_length": 32, **TOWER, **BLOCKS, **ROTARY}
    ),
    "bpnet": ("bpnet", {"hidden_size": 12}),
    "bpnetlite": ("bpnetlite", {"hidden_size": 12}),
}  # fmt: skip


def network(name: str) -> CoverageModel:
    architecture, sizes = SIZES[name]
    torch.manual_seed(1)
    model: CoverageModel = randomise(
        build(registry.NETWORKS[architecture].config_class.from_dict(sizes))
    )
    return model.eval()


@torch.inference_mode()
def coverage(model: CoverageModel, windows: int) -> npt.NDArray[np.float32]:
    codes = np.stack([random_codes(model.geometry.window, seed) for seed in range(windows)])
    output = model(torch.from_numpy(codes), output_contexts=False)
    values: npt.NDArray[np.float32] = model.postprocess(output)[0].numpy()
    return values


def error(values: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """Return the largest difference as a fraction of the range."""
    assert values.shape == expected.shape
    assert values.dtype == np.float32
    return float(np.abs(values - expected).max() / np.ptp(expected))


@pytest.mark.parametrize("windows", [1, 3])
@pytest.mark.parametrize("name", SIZES)
def test_the_route_of_gpus_gives_the_same_float32(
    name: str, windows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch does not fit into one piece."""
    model = network(name)
    expected = coverage(model, windows)
    monkeypatch.setitem(compute.ROUTES, "cpu", replace(compute.GPU, piece=8_192, queries=12))
    assert error(coverage(prepare_network(model, "float32"), windows), expected) < 1e-5


@pytest.mark.parametrize("is_gpu_route", [False, True])
@pytest.mark.parametrize("name", SIZES)
def test_bfloat16_leaves_heads_norms_and_the_original_in_float32(
    name: str, is_gpu_route: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(name)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    expected = coverage(model, 2)
    if is_gpu_route:
        monkeypatch.setitem(compute.ROUTES, "cpu", compute.GPU)
    reduced = prepare_network(model, "bfloat16")
    assert error(coverage(reduced, 2), expected) < 0.1
    for key, value in reduced.named_parameters():
        in_norm = isinstance(reduced.get_submodule(key.rpartition(".")[0]), torch.nn.BatchNorm1d)
        is_float32 = in_norm or not key.startswith("model.")
        assert value.dtype == (torch.float32 if is_float32 else torch.bfloat16), key
    state_afterwards = model.state_dict()
    assert state.keys() == state_afterwards.keys()
    assert all(torch.equal(state[key], state_afterwards[key]) for key in state)


@pytest.mark.parametrize("name", SIZES)
def test_float32_on_cpus_agrees_and_copies_few_weights(name: str) -> None:
    """A second copy of the transformer would not fit into every computer."""
    model = network(name)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    expected = coverage(model, 2)
    prepared = prepare_network(model, "float32")
    assert error(coverage(prepared, 2), expected) < 1e-5
    assert all(torch.equal(model.state_dict()[key], state[key]) for key in state)
    shared = {id(weight) for weight in model.parameters()}
    for key, weight in prepared.named_parameters():
        assert id(weight) in shared or ".blocks." not in key or name.startswith("basenji2"), key


@pytest.mark.parametrize("by_convolution", [False, True])
@pytest.mark.parametrize("name", SIZES)
def test_products_of_both_libraries_agree(
    name: str, by_convolution: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MKL multiplies on Intel's CPUs and oneDNN on all others."""
    model = network(name)
    expected = coverage(model, 2)
    cpu = replace(compute.CPU, dense_by_convolution=by_convolution)
    monkeypatch.setitem(compute.ROUTES, "cpu", cpu)
    assert error(coverage(prepare_network(model, "float32"), 2), expected) < 1e-5


@torch.inference_mode()
def test_packed_weights_convolve_to_the_same_values() -> None:
    """To rounding: a sum of 96 products of numbers of size 1 errs by at most 96 roundings."""
    torch.manual_seed(4)
    for batch, length in [(1, 40), (3, 7), (1, 3_000)]:
        x, layer = torch.randn(batch, 32, length), torch.nn.Conv1d(32, 24, 3, padding=1)
        expected = convolve(x, layer)
        layer.weight = constant(pack_weight(layer.weight))
        torch.testing.assert_close(convolve(x, layer), expected, rtol=0, atol=96 * 2**-22)


@torch.inference_mode()
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (3, 7), (3, 200), (5, 1), (5, 3)])
def test_pairs_of_positions_convolve_to_the_same_values(kernel: int, dilation: int) -> None:
    """To rounding, which grows with the root of the number of products, twice as much as usual."""
    torch.manual_seed(5)
    layer = same_padding_conv(288, 304, kernel, dilation)
    exact = deepcopy(layer).double()
    pack_layers(layer)
    scale = 2 * 2**-24 * (288 * kernel) ** 0.5
    for batch, length in [(1, 1_603), (2, 1_900)]:
        x = torch.randn(batch, 288, length)
        for valid in (False, True):
            with torch.profiler.profile() as profile:
                values = convolve(x, layer, valid=valid)
            additions = [event for event in profile.key_averages() if event.key == "aten::sub"]
            assert additions, "not in pairs"
            expected = convolve(x.double(), exact, valid=valid)
            assert values.shape == expected.shape
            assert (values - expected).abs().max() < 6 * scale
            assert (values - expected).square().mean().sqrt() < scale


@pytest.mark.parametrize("rows", [slice(0, 24), slice(5, 19)])
def test_fused_attention_equals_unfused_attention(
    rows: slice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float64, in which the route of GPUs fuses, too."""
    attention = randomise(RelativeAttention(10, 3, 4, 5, 6, 0.0, 0.0)).double()
    torch.manual_seed(2)
    x, positions = torch.randn(2, 24, 10).double(), torch.randn(47, 6).double()
    outputs = []
    for is_fused in (False, True):
        route = replace(compute.GPU, queries=7, fused_attention=is_fused)
        monkeypatch.setitem(compute.ROUTES, "cpu", route)
        with torch.inference_mode(), torch.profiler.profile() as profile:
            output = attention(x, positions, rows)
        names = {event.key for event in profile.key_averages()}
        assert ("aten::scaled_dot_product_attention" in names) == is_fused
        outputs.append(output)
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("length", "size"), [(12, 2), (13, 2), (13, 3)])
def test_pooling_by_maximum_equals_max_pooling(
    length: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    x = torch.randn(1, 5, length)
    x[0, 2, 3] = torch.nan
    expected = max_pool(x, size)
    monkeypatch.setitem(compute.ROUTES, "cpu", compute.GPU)
    with torch.inference_mode():
        values = max_pool(x, size)
    assert torch.equal(values.nan_to_num(9), expected.nan_to_num(9))
    assert values.unsqueeze(2).is_contiguous(memory_format=torch.channels_last)


def test_widths_between_the_blocks_of_basenji2_are_padded_for_gpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(compute.ROUTES, "cpu", compute.GPU)
    stem: Any = prepare_network(network("basenji2"), "float32").model.stem
    shapes = [tuple(block.conv.weight.shape[:2]) for block in stem.blocks]
    assert shapes == [(8, 4), (16, 8), (16, 16), (16, 16), (16, 16), (16, 16), (16, 16)]
    assert pad_to_multiple(torch.ones(3, 2), 4).tolist() == [[1, 1], [1, 1], [1, 1], [0, 0]]
