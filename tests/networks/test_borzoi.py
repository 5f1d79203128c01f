"""Borzoi and its attention against float64 arithmetic written from its description alone.

Tolerances: the error of a float32 sum of n terms is about √n·6e-8 of its terms. That of a dozen
layers is about 1e-6 of the output's range. Outputs that differ by less than 1e-5 of the range count
as equal.
"""

import dataclasses
import gzip
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from seqcov_models import BorzoiForTokenPrediction, load_model
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.shared import compute
from seqcov_models.networks.shared.attention import RelativeAttention, central_mask_features
from seqcov_models.networks.shared.base import TokenPredictionModel
from support.calico import Tiny, Weights, draw_keras_weights, write_calico
from support.naive import TOLERANCE, Array, difference

# Position features


def test_each_mask_of_the_published_borzoi_reaches_its_distance() -> None:
    distances = [0, 1, 3, 7, 12, 21, 37, 63, 106, 180, 303, 511, 860, 1447, 2435, 4095]
    features = central_mask_features(4096, 32, 4096).numpy()
    assert features.shape == (8191, 32)
    distance = np.arange(-4095, 4096)
    for mask, signed_mask, largest in zip(features.T[:16], features.T[16:], distances, strict=True):
        is_in_reach = np.abs(distance) <= largest
        assert (mask == is_in_reach).all()
        assert (signed_mask == is_in_reach * np.sign(distance)).all()


@pytest.mark.parametrize("length", [1, 7, 100, 5000])
def test_masks_do_not_depend_on_the_length_of_the_window(length: int) -> None:
    length_in_training = 4096
    length_of_table = max(length, length_in_training)
    all_distances = central_mask_features(length_of_table, 32, length_in_training)
    centre = slice(length_of_table - length, length_of_table + length - 1)
    assert torch.equal(central_mask_features(length, 32, length_in_training), all_distances[centre])


# Attention


def attend(x: Array, features: Array, weights: dict[str, Array], heads: int) -> Array:
    """Apply relative attention to x (length, width), one product at a time; kernels (in, out)."""
    length = len(x)
    key = weights["q"].shape[1] // heads
    value = weights["v"].shape[1] // heads
    q, k, v = x @ weights["q"] * key**-0.5, x @ weights["k"], x @ weights["v"]
    r = features @ weights["r"]
    outputs = np.zeros((length, heads * value))
    for h in range(heads):
        keys, values = slice(h * key, (h + 1) * key), slice(h * value, (h + 1) * value)
        content, position = weights["content"][h], weights["position"][h]
        for i in range(length):
            logits = np.zeros(length)
            for j in range(length):
                row = length - 1 + (j - i)
                logits[j] = (q[i, keys] + content) @ k[j, keys] + (q[i, keys] + position) @ r[
                    row, keys
                ]
            odds = np.exp(logits - logits.max())
            outputs[i, values] = odds / odds.sum() @ v[:, values]
    result: Array = outputs @ weights["out"] + weights["out_bias"]
    return result


@pytest.mark.parametrize("queries", [1, 4, 5, 13, 512])
def test_attention_equals_a_naive_loop_for_every_block_size(
    queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(compute.ROUTES, "cpu", replace(compute.CPU, queries=queries))
    length, width, heads, key, value, features = 13, 10, 3, 4, 5, 6
    rng = np.random.default_rng(3)
    weights = {
        "q": rng.normal(0, 0.5, (width, heads * key)),
        "k": rng.normal(0, 0.5, (width, heads * key)),
        "v": rng.normal(0, 0.5, (width, heads * value)),
        "r": rng.normal(0, 0.5, (features, heads * key)),
        "out": rng.normal(0, 0.5, (heads * value, width)),
        "out_bias": rng.normal(0, 0.5, width),
        "content": rng.normal(0, 1, (heads, key)),
        "position": rng.normal(0, 1, (heads, key)),
    }
    layer = RelativeAttention(width, heads, key, value, features, 0.1, 0.1).eval()
    state = {
        "to_q.weight": weights["q"].T,
        "to_k.weight": weights["k"].T,
        "to_v.weight": weights["v"].T,
        "to_rel_k.weight": weights["r"].T,
        "to_out.weight": weights["out"].T,
        "to_out.bias": weights["out_bias"],
        "rel_content_bias": weights["content"][None, :, None],
        "rel_pos_bias": weights["position"][None, :, None],
    }
    layer.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in state.items()})
    x = rng.normal(0, 1, (2, length, width))
    positions = rng.normal(0, 1, (2 * length - 1, features))
    with torch.inference_mode():
        values = layer(torch.from_numpy(x).float(), torch.from_numpy(positions).float()).numpy()
    expected = np.stack([attend(sequence, positions, weights, heads) for sequence in x])
    assert difference(values, expected) < TOLERANCE


# The whole network


def gelu(x: Array) -> Array:
    """Apply the tanh form of the GELU."""
    result: Array = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return result


def convolve(x: Array, kernel: Array, bias: Array | float = 0.0) -> Array:
    """Convolve x with same padding: x (length, in) with a kernel (k, in, out)."""
    margin = len(kernel) // 2
    padded = np.pad(x, ((margin, margin), (0, 0)))
    taps = [padded[offset : offset + len(x)] @ matrix for offset, matrix in enumerate(kernel)]
    result: Array = np.sum(taps, axis=0) + bias
    return result


def max_pool(x: Array) -> Array:
    result: Array = x.reshape(len(x) // 2, 2, -1).max(1)
    return result


def reference(tiny: Tiny, keras: Weights, one_hot: Array, trained: int | None = None) -> Array:
    """Compute the coverage (bins, tracks) of a window (length, 4) from weights by Keras name."""
    w = {name: value.astype(np.float64) for name, value in keras.items()}
    counts = dict.fromkeys(("conv1d", "batch_normalization", "layer_normalization"), 0)
    counts |= dict.fromkeys(("multihead_attention", "dense", "separable_conv1d"), 0)

    def layer(kind: str) -> str:
        counts[kind] += 1
        return f"{kind}_{counts[kind] - 1}" if counts[kind] > 1 else kind

    def conv(x: Array) -> Array:
        name = layer("conv1d")
        return convolve(x, w[f"{name}/kernel"], w[f"{name}/bias"])

    def dense(x: Array) -> Array:
        name = layer("dense")
        result: Array = x @ w[f"{name}/kernel"] + w[f"{name}/bias"]
        return result

    def norm_gelu(x: Array) -> Array:
        n = layer("batch_normalization")
        scaled = (x - w[f"{n}/moving_mean"]) / np.sqrt(w[f"{n}/moving_variance"] + 1e-3)
        return gelu(scaled * w[f"{n}/gamma"] + w[f"{n}/beta"])

    def layer_norm(x: Array) -> Array:
        name = layer("layer_normalization")
        centred = x - x.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-3)
        result: Array = scaled * w[f"{name}/gamma"] + w[f"{name}/beta"]
        return result

    def positions(length: int) -> Array:
        half = tiny.features // 2
        d = np.arange(-(length - 1), length)
        width = [((trained or tiny.positions) + 1) ** (k / half) - 1 for k in range(1, half + 1)]
        masks = np.array(width)[None] > np.abs(d)[:, None]
        return np.hstack([masks, np.sign(d)[:, None] * masks]).astype(np.float64)

    def apply_attention(x: Array) -> Array:
        name = layer("multihead_attention")
        parts = {"q": "q_layer", "k": "k_layer", "v": "v_layer", "r": "r_k_layer"}
        parts["out"] = "embedding_layer"
        weights = {key: w[f"{name}/{part}/kernel"] for key, part in parts.items()}
        weights["out_bias"] = w[f"{name}/embedding_layer/bias"]
        weights["content"] = w[f"{name}/r_w_bias"][0, :, 0]
        weights["position"] = w[f"{name}/r_r_bias"][0, :, 0]
        return attend(x, positions(len(x)), weights, tiny.heads)

    x = max_pool(conv(one_hot))
    skips = []
    for _ in tiny.tower:
        x = conv(norm_gelu(x))
        skips.append(x)
        x = max_pool(x)
    for _ in range(tiny.blocks):
        x = x + apply_attention(layer_norm(x))
        x = x + dense(np.maximum(dense(layer_norm(x)), 0))
    for step in range(tiny.upsamples):
        upsampled, skip = norm_gelu(x), norm_gelu(skips[-1 - step])
        upsampled = dense(upsampled) if tiny.upsample_conv else upsampled
        x = np.repeat(upsampled, 2, axis=0) + dense(skip)
        name = layer("separable_conv1d")
        depthwise = w[f"{name}/depthwise_kernel"][:, :, 0]
        x = convolve(x, depthwise[:, :, None] * np.eye(depthwise.shape[1]))
        x = convolve(x, w[f"{name}/pointwise_kernel"], w[f"{name}/bias"])
    x = x[tiny.crop : len(x) - tiny.crop]
    if tiny.nac:
        x = conv(norm_gelu(x))
    result: Array = np.logaddexp(0, dense(gelu(x)))
    return result


def random_letters(length: int, seed: int) -> str:
    """Draw random bases with soft-masked ones, N and other IUPAC letters among them."""
    return "".join(np.random.default_rng(seed).choice(list("ACGTACGTACGTacgtNR"), length))


def one_hot_of(letters: str) -> Array:
    return np.array([[float(letter == base) for base in "ACGT"] for letter in letters.upper()])


def network(tiny: Tiny, folder: Path, weights: Weights | None = None) -> TokenPredictionModel:
    return load_model("borzoi", write_calico(folder, tiny, weights or draw_keras_weights(tiny)))


VARIANTS = {
    "as published": Tiny(),
    "as the mini fixture": Tiny(nac=0),
    "as the mini collection": Tiny(upsample_conv=False, nac=0, heads=3, crop=0),
    "plain upsample": Tiny(upsample_conv=False),
    "one upsample": Tiny(upsamples=1, blocks=1, crop=0),
    "three upsamples": Tiny(tower=(6, 8, 10, 12), upsamples=3, tower_kernel=5, upsample_kernel=5),
    "no upsample": Tiny(upsamples=0, blocks=3, crop=1),
}


@pytest.mark.parametrize("tiny", VARIANTS.values(), ids=VARIANTS)
def test_borzoi_agrees_with_float64_arithmetic(tiny: Tiny, tmp_path: Path) -> None:
    weights = draw_keras_weights(tiny)
    letters = [random_letters(tiny.length, seed) for seed in (1, 2)]
    values = network(tiny, tmp_path, weights).predict(letters)
    expected = np.stack([reference(tiny, weights, one_hot_of(text)) for text in letters])
    assert difference(values, expected) < TOLERANCE


@pytest.mark.parametrize("length", [256, 1024])
def test_windows_of_other_lengths_use_the_masks_of_the_training(
    length: int, tmp_path: Path
) -> None:
    original = Tiny()
    tiny = dataclasses.replace(original, length=length)
    weights = draw_keras_weights(original)
    letters = one_hot_of(random_letters(length, 3))
    model = network(original, tmp_path, weights)
    with torch.inference_mode():
        output = model(inputs_embeds=torch.from_numpy(letters[None]).float())
        values = model.postprocess(output)[0].numpy()[0]
    expected = reference(tiny, weights, letters, trained=original.positions)
    assert difference(values, expected) < TOLERANCE


def test_the_crop_selects_the_central_bins(tmp_path: Path) -> None:
    letters = [random_letters(512, 4)]
    with_crop, without_crop = Tiny(crop=9), Tiny(crop=0)
    values = network(with_crop, tmp_path / "cropped").predict(letters)
    uncropped = network(without_crop, tmp_path / "whole").predict(letters)
    assert values.shape == (1, 128 - 18, 7)
    assert difference(values, uncropped[:, 9:-9]) < TOLERANCE


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> TokenPredictionModel:
    return network(Tiny(), tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize("rows", [[], [7], [-1], [0, 100]])
def test_a_row_that_is_not_in_the_head_is_refused(rows: list[int], tmp_path: Path) -> None:
    with pytest.raises(SeqcovError, match="6"):
        network(Tiny(), tmp_path).select_tracks(rows)


def test_a_second_selection_counts_rows_of_the_first(tmp_path: Path) -> None:
    model = network(Tiny(), tmp_path).select_tracks([1, 3, 5]).select_tracks([2])
    assert [track.identifier for track in model.tracks] == ["id5"]


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.int64])
def test_codes_and_one_hot_give_the_same_logits(
    kind: torch.dtype, tiny_model: TokenPredictionModel
) -> None:
    letters = random_letters(512, 6)
    codes = ["ACGT".find(letter) % 5 for letter in letters.upper()]  # -1, not found, becomes 4
    embeds = torch.from_numpy(one_hot_of(letters)).float()
    with torch.inference_mode():
        output = tiny_model(input_ids=torch.tensor([codes], dtype=kind))
        expected = tiny_model(inputs_embeds=embeds[None])
    assert torch.equal(output.logits, expected.logits)


def test_either_codes_or_one_hot_must_be_given(tiny_model: TokenPredictionModel) -> None:
    codes = torch.zeros(1, 512, dtype=torch.uint8)
    for inputs in ({}, {"input_ids": codes, "inputs_embeds": torch.zeros(1, 512, 4)}):
        with pytest.raises(ValueError, match="input_ids"):
            tiny_model(**inputs)


def test_coverage_is_the_softplus_of_the_logits(tiny_model: TokenPredictionModel) -> None:
    with torch.inference_mode():
        output = tiny_model(input_ids=torch.zeros(1, 512, dtype=torch.uint8))
    coverage, names = tiny_model.postprocess(output)
    assert (output.logits < 0).any()
    expected = np.logaddexp(0, output.logits.double().numpy())
    assert np.allclose(coverage.numpy(), expected, rtol=1e-6)  # a few roundings of float32
    assert names == [f"id{row}" for row in range(7)]


@pytest.mark.parametrize("letters", ["", "A", "A" * 511, "A" * 513, "A" * 1024])
def test_predict_refuses_a_sequence_of_another_length(
    letters: str, tiny_model: TokenPredictionModel
) -> None:
    with pytest.raises(SeqcovError, match="512"):
        tiny_model.predict(["C" * 512, letters])


def test_predict_refuses_letters_other_than_nucleotides(tiny_model: TokenPredictionModel) -> None:
    with pytest.raises(SeqcovError, match="'!'"):
        tiny_model.predict(["C" * 511 + "!"])


def test_predict_refuses_an_empty_list(tiny_model: TokenPredictionModel) -> None:
    with pytest.raises(SeqcovError, match="the list of sequences is empty"):
        tiny_model.predict([])


def test_predictions_do_not_depend_on_the_batch(tiny_model: TokenPredictionModel) -> None:
    letters = [random_letters(512, seed) for seed in range(4)]
    expected = np.concatenate([tiny_model.predict([text]) for text in letters])
    assert difference(tiny_model.predict(letters), expected) < TOLERANCE


def test_predict_does_not_change_a_network_in_training(tmp_path: Path) -> None:
    model = network(Tiny(), tmp_path)
    expected = model.predict(["A" * 512])
    model.train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    assert np.array_equal(model.predict(["A" * 512]), expected)
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_uniform_encodes_unknown_bases_as_a_quarter_of_each_letter() -> None:
    tiny = Tiny()
    sizes = {"sequence_length": 512, "stem_channels": 6, "conv_tower_channels": tiny.tower}
    config = BorzoiConfig(**sizes, num_hidden_layers=0, crop_bins=0, num_labels=2)
    uniform = BorzoiForTokenPrediction(dataclasses.replace(config, n_encoding="uniform")).eval()
    codes = torch.full((1, 512), 4, dtype=torch.uint8)
    with torch.inference_mode():
        logits = uniform(input_ids=codes).logits
        assert torch.equal(logits, uniform(inputs_embeds=torch.full((1, 512, 4), 0.25)).logits)


# The trained mini network against its authors' code


@dataclasses.dataclass(frozen=True)
class Mini:
    folder: Path
    letters: list[str]
    plus: npt.NDArray[np.float32]
    minus: npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def mini(real_input: Callable[[str], Path]) -> Mini:
    folder = real_input("models/mini_borzoi")
    fasta = gzip.decompress(real_input("genomes/hg38_chr1_1Mb.fa.gz").read_bytes()).decode()
    chromosome = "".join(fasta.split("\n")[1:])
    with np.load(real_input("reference_outputs/mini_borzoi_hg38_chr1_1Mb.npz")) as arrays:
        spans = zip(arrays["start"].tolist(), arrays["end"].tolist(), strict=True)
        letters = [chromosome[start:end] for start, end in spans]
        return Mini(folder, letters, arrays["pred"], arrays["pred_rc_input"])


@pytest.mark.slow
def test_mini_borzoi_agrees_with_its_authors_code(mini: Mini) -> None:
    values = load_model("borzoi", mini.folder).predict(mini.letters)
    assert difference(values, mini.plus) < TOLERANCE


def test_mini_borzoi_agrees_with_its_authors_code_on_the_other_strand(mini: Mini) -> None:
    complement = str.maketrans("ACGTacgt", "TGCAtgca")
    letters = [text.translate(complement)[::-1] for text in mini.letters[1:]]
    values = load_model("borzoi", mini.folder).predict(letters)
    assert difference(values, mini.minus[1:]) < TOLERANCE


def swap_biases(model: TokenPredictionModel) -> None:
    for block in model.get_submodule("model.trunk.blocks"):
        layer = block.get_submodule("attention")
        layer.rel_content_bias, layer.rel_pos_bias = layer.rel_pos_bias, layer.rel_content_bias


def use_erf_gelu(model: TokenPredictionModel) -> None:
    config = dataclasses.replace(model.config, hidden_act="gelu")  # type: ignore[call-arg]
    for module in model.modules():
        if getattr(module, "activation", "") == "gelu_new":
            module.activation = "gelu"  # type: ignore[assignment]
        if hasattr(module, "config"):
            module.config = config  # type: ignore[assignment]


def use_epsilon_of_torch(model: TokenPredictionModel) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.eps = 1e-5


def flip_distances(model: TokenPredictionModel) -> None:
    for block in model.get_submodule("model.trunk.blocks"):
        weight = block.get_submodule("attention.to_rel_k").weight
        with torch.no_grad():
            weight[:, weight.shape[1] // 2 :] *= -1


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [swap_biases, use_erf_gelu, use_epsilon_of_torch, flip_distances]
)
def test_a_wrong_layer_exceeds_the_tolerance(
    change: Callable[[TokenPredictionModel], None], mini: Mini
) -> None:
    model = load_model("borzoi", mini.folder)
    change(model)
    values = model.predict(mini.letters[1:2])
    assert difference(values, mini.plus[1:2]) > TOLERANCE


@pytest.mark.parametrize(("species", "tracks"), [("human", 7_611), ("mouse", 2_608)])
def test_the_published_params_json_describes_the_default_network(
    species: str, tracks: int, real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    published = real_input("targets/borzoi_params_pred.json").read_bytes()
    (tmp_path / "params.json").write_bytes(published)
    (tmp_path / "model.h5").write_bytes(b"not read")
    config = recognise("borzoi", tmp_path, species).config
    assert config == dataclasses.replace(
        BorzoiConfig(), species=species, num_labels=tracks, crop_bins=16
    )


def test_the_widths_of_the_tower_are_the_published_ones() -> None:
    widths = [round(608 * (1536 / 608) ** (i / 5) / 32) * 32 for i in range(6)]
    assert list(BorzoiConfig().conv_tower_channels) == widths
    assert all(small < large for small, large in itertools.pairwise(widths))
