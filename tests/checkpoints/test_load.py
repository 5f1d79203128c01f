"""Checkpoints: nothing lost on the way, and SeqcovError alone for what is not right."""

import copy
import dataclasses
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from seqcov_models import load_model, save_model
from seqcov_models.checkpoints.load import build, model_card, verify
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.bpnet.config import BPNetConfig
from seqcov_models.networks.shared.base import TokenPredictionModel
from seqcov_models.networks.shared.config import Config
from support.calico import Tiny, Weights, draw_keras_weights, write_calico

LETTERS = ["".join(np.random.default_rng(1).choice(list("ACGTN"), Tiny().length))]
HEAD = "model_weights/dense_8/dense_8"  # 2 blocks and 2 upsamples use dense … dense_7


def same_weights(one: TokenPredictionModel, two: TokenPredictionModel) -> bool:
    ours, theirs = one.state_dict(), two.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Weights) -> TokenPredictionModel:
    return load_model("borzoi", write_calico(tmp_path_factory.mktemp("good"), Tiny(), tiny_weights))


@pytest.fixture
def own(tmp_path: Path, good: TokenPredictionModel) -> Path:
    """A fresh checkpoint in our own format that a test may damage."""
    save_model(good, tmp_path / "own")
    return tmp_path / "own"


# What is kept


def test_our_own_format_keeps_every_bit(own: Path, good: TokenPredictionModel) -> None:
    again = load_model("borzoi", own)
    assert same_weights(again, good)
    assert np.array_equal(again.predict(LETTERS), good.predict(LETTERS))
    assert again.config == good.config
    assert again.tracks == good.tracks
    assert again.geometry == good.geometry


def test_saving_again_gives_the_same_bytes(own: Path, tmp_path: Path) -> None:
    save_model(load_model("borzoi", own), tmp_path / "again")
    for file in own.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_model_of_selected_tracks_can_be_saved_and_loaded(
    tiny_folder: Path, tmp_path: Path, good: TokenPredictionModel
) -> None:
    some = load_model("borzoi", tiny_folder, tracks=["id2", "id5"])
    save_model(some, tmp_path / "some")
    again = load_model("borzoi", tmp_path / "some")
    assert [track.identifier for track in again.tracks] == ["id2", "id5"]
    assert np.array_equal(again.predict(LETTERS), some.predict(LETTERS))


def test_of_borzois_strands_nothing_is_assumed(tiny_folder: Path) -> None:
    """Elsewhere a track without a pair is its own: their published tracks have no strands."""
    assert {track.pair for track in recognise("borzoi", tiny_folder).tracks} == {-1}
    (tiny_folder / "targets.txt").unlink()
    assert {track.pair for track in recognise("borzoi", tiny_folder).tracks} == {-1}
    with h5py.File(tiny_folder / "model.h5", "r+") as file:
        pairs = [1, 0, 2, 4, 3, 6, 5]
        layer = {"class_name": "SwitchReverse", "config": {"strand_pair": pairs}}
        file.attrs["model_config"] = json.dumps({"config": {"layers": [layer]}})
    assert [track.pair for track in recognise("borzoi", tiny_folder).tracks] == pairs
    with h5py.File(tiny_folder / "model.h5", "r+") as file:
        layer["config"] = {"strand_pair": [1, 0, 2, 4, 5, 6, 3]}
        file.attrs["model_config"] = json.dumps({"config": {"layers": [layer]}})
    with pytest.raises(SeqcovError, match=r"model\.h5: strand_pair: .* does not pair 7 tracks"):
        recognise("borzoi", tiny_folder)


@pytest.mark.parametrize(
    ("layer", "key", "value", "field", "expected"),
    [
        ("transformer_tower", "seqlen_train", 16, "position_length", 16),
        ("transformer_tower", "seqlen_train", None, "position_length", Tiny().positions),
        ("transformer_tower", "attention_dropout", 0.5, "attention_dropout", 0.5),
        (None, "bn_momentum", 0.75, "batch_norm_momentum", 0.25),
    ],
)
def test_what_params_json_says_is_heard(
    layer: str | None, key: str, value: Any, field: str, expected: Any, tiny_folder: Path
) -> None:
    params: Any = Tiny().params()
    blocks = [block for block in params["model"]["trunk"] if block["name"] == layer]
    (*_, block) = [params["model"], *blocks]
    block[key] = value
    (tiny_folder / "params.json").write_text(json.dumps(params))
    assert getattr(recognise("borzoi", tiny_folder).config, field) == expected


@pytest.mark.parametrize("key", ["activation", "gated", "se", "dilation_rate"])
def test_what_is_not_known_of_a_layer_is_refused(key: str, tiny_folder: Path) -> None:
    params: Any = Tiny().params()
    params["model"]["trunk"][1][key] = "relu"
    (tiny_folder / "params.json").write_text(json.dumps(params))
    with pytest.raises(SeqcovError, match=rf"res_tower\.{key}: not known here, and it may change"):
        recognise("borzoi", tiny_folder)


def test_selected_tracks_come_in_the_tables_order(tiny_folder: Path) -> None:
    model = load_model("borzoi", tiny_folder, tracks=[5, "id0", "track 3"])
    assert [track.identifier for track in model.tracks] == ["id0", "id3", "id5"]


def test_the_weights_file_itself_may_be_named(
    tiny_folder: Path, own: Path, good: TokenPredictionModel
) -> None:
    (tiny_folder / "model.h5").rename(tiny_folder / "fold 3.h5")
    shutil.copy(tiny_folder / "fold 3.h5", tiny_folder / "fold 4.h5")
    assert same_weights(load_model("borzoi", tiny_folder / "fold 3.h5"), good)
    assert same_weights(load_model("borzoi", str(own / "model.safetensors")), good)


def test_a_loaded_model_is_in_evaluation_mode(tiny_folder: Path, own: Path) -> None:
    assert not load_model("borzoi", tiny_folder).training
    assert not load_model("borzoi", own).training


@pytest.mark.slow
def test_the_mini_checkpoint_survives_the_way_through_our_format(
    real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    mini = load_model("borzoi", real_input("models/mini_borzoi"))
    save_model(mini, tmp_path)
    again = load_model("borzoi", tmp_path)
    assert same_weights(again, mini)
    assert again.tracks == mini.tracks
    letters = ["ACGTTGCATN" * 13_107 + "AC"]
    assert np.array_equal(again.predict(letters), mini.predict(letters))


def test_a_table_elsewhere_names_the_tracks(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("identifier\n" + "".join(f"x{i}\n" for i in range(7)))
    model = load_model("borzoi", tiny_folder, targets=tmp_path / "mine.txt")
    assert [track.identifier for track in model.tracks] == [f"x{i}" for i in range(7)]


def test_a_head_without_a_table_is_loaded(tiny_folder: Path) -> None:
    (tiny_folder / "targets.txt").unlink()
    assert len(load_model("borzoi", tiny_folder).tracks) == 7


# Keras files of either generation


def rewrite(path: Path, change: Callable[[h5py.Group], None]) -> None:
    with h5py.File(path, "r+") as file:
        change(file["model_weights"])


def as_released(group: h5py.Group) -> None:
    """The names of the released Borzoi files."""
    for layer in list(group):
        if layer.startswith("batch_normalization"):
            group.move(f"{layer}/{layer}", f"{layer}/sync_{layer}")
            group.move(layer, f"sync_{layer}")
        if layer.startswith("multihead_attention"):
            for bias in ("r_w_bias:0", "r_r_bias:0"):
                group.move(f"{layer}/{layer}/{bias}", f"{layer}/{bias}")


def with_flat_biases(group: h5py.Group) -> None:
    as_released(group)
    for layer in ("multihead_attention", "multihead_attention_1"):
        for bias in ("r_w_bias:0", "r_r_bias:0"):
            values = group[layer][bias][()]
            del group[layer][bias]
            group[layer][bias] = values.reshape(values.shape[1], values.shape[3])


def without_root(group: h5py.Group) -> None:
    """A file of weights alone."""
    for layer in list(group):
        group.file.move(f"model_weights/{layer}", layer)
    del group.file["model_weights"]


def with_empty_layers(group: h5py.Group) -> None:
    for layer in ("dropout", "add_1", "tf.nn.gelu", "top_level_model_weights"):
        group.create_group(layer)


@pytest.mark.parametrize("change", [as_released, with_flat_biases, without_root, with_empty_layers])
def test_a_keras_file_of_another_generation_gives_the_same_model(
    change: Callable[[h5py.Group], None], tiny_folder: Path, good: TokenPredictionModel
) -> None:
    rewrite(tiny_folder / "model.h5", change)
    assert same_weights(load_model("borzoi", tiny_folder), good)


def test_the_mini_file_under_released_names_gives_the_same_outputs(
    real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    source = real_input("models/mini_borzoi")
    for name in ("model.h5", "params.json", "targets.txt"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    rewrite(tmp_path / "model.h5", as_released)
    released, newer = load_model("borzoi", tmp_path), load_model("borzoi", source)
    assert same_weights(released, newer)
    letters = ["ACGGTATTCA" * 13_107 + "GT"]
    assert np.array_equal(released.predict(letters), newer.predict(letters))


def test_of_several_files_the_species_is_chosen_by_the_published_names(tiny_folder: Path) -> None:
    params = Tiny().params()
    params["model"]["head_mouse"] = {"units": 7}
    (tiny_folder / "params.json").write_text(json.dumps(params))
    weights = draw_keras_weights(Tiny(), seed=2)
    write_calico(tiny_folder / "mouse", Tiny(), weights)
    (tiny_folder / "model.h5").rename(tiny_folder / "model0_best.h5")
    shutil.copy(tiny_folder / "mouse/model.h5", tiny_folder / "model1_best.h5")
    bias = load_model("borzoi", tiny_folder, species="mouse").head.bias
    assert torch.equal(bias, torch.from_numpy(weights["dense_8/bias"]))


# Files that are not right: Keras


def refused(folder: Path, said: str | None = None, **how: Any) -> str:
    """The message with which a checkpoint is refused; `said` must be in it."""
    with pytest.raises(SeqcovError, match=said) as caught:
        load_model("borzoi", folder, **how)
    return str(caught.value)


@pytest.mark.slow
def test_a_keras_file_cut_anywhere_is_refused(tiny_folder: Path) -> None:
    path = tiny_folder / "model.h5"
    whole = path.read_bytes()
    lengths = [*range(0, 2_100, 150), *range(2_100, len(whole), len(whole) // 40)]
    for length in [*lengths, *(len(whole) - cut for cut in (1, 2, 3, 8, 50, 500))]:
        path.write_bytes(whole[:length])
        assert "model.h5" in refused(tiny_folder)


def replace(group: h5py.Group, name: str, value: Any) -> None:
    del group[name]
    group[name] = value


KERNEL, BIAS = "conv1d/conv1d/kernel:0", "dense_8/dense_8/bias:0"
GAMMA = "batch_normalization/batch_normalization/gamma:0"
BAD_WEIGHTS: dict[str, tuple[Callable[[h5py.Group], Any], str]] = {
    "missing layer": (lambda g: g.__delitem__("dense_3"), "dense_3/kernel"),
    "missing weight": (lambda g: g.__delitem__(KERNEL), "conv1d/kernel"),
    "renamed layer": (lambda g: g.move("dense_3", "densely_3"), "dense_3/kernel"),
    "extra layer": (lambda g: g.create_dataset("conv1d_5/conv1d_5/bias:0", data=[1.0]), "conv1d_5"),
    "extra weight": (lambda g: g.create_dataset("dense/dense/more:0", data=[1.0]), "dense/more"),
    "no head": (lambda g: g.__delitem__("dense_8"), "7 human tracks"),
    "the same weight twice": (
        lambda g: g.create_dataset("sync_batch_normalization/gamma:0", data=np.ones(6, "f4")),
        "batch_normalization",
    ),
    "the same weight at two depths": (
        lambda g: g.create_dataset("batch_normalization/gamma:0", data=np.ones(6, "f4")),
        "batch_normalization",
    ),
    "a kernel of another width": (
        lambda g: replace(g, KERNEL, np.zeros((5, 4, 9), "f4")),
        r"\(9, 4, 5\)|\(5, 4, 9\)",
    ),
    "a kernel transposed": (
        lambda g: replace(g, KERNEL, np.zeros((6, 4, 5), "f4")),
        r"\(5, 4, 6\)|\(6, 4, 5\)",
    ),
    "a flat kernel": (lambda g: replace(g, KERNEL, np.zeros(120, "f4")), "conv1d/kernel|120"),
    "a kernel with an axis more": (
        lambda g: replace(g, KERNEL, np.zeros((2, 5, 4, 6), "f4")),
        "conv1d/kernel|5, 4, 6",
    ),
    "a scalar": (lambda g: replace(g, KERNEL, np.float32(1)), "conv1d/kernel|stem"),
    "NaN": (lambda g: g[KERNEL].__setitem__((0, 0, 0), np.nan), "finite"),
    "infinity": (lambda g: g[BIAS].__setitem__(0, -np.inf), "finite"),
    "too large for float32": (
        lambda g: replace(g, BIAS, np.full(7, 1e300)),
        "finite|float32|overflow",
    ),
    "a negative variance": (
        lambda g: g[GAMMA.replace("gamma", "moving_variance")].__setitem__(0, -1.0),
        "variance",
    ),
    "whole numbers": (lambda g: replace(g, BIAS, np.zeros(7, "i4")), "int32"),
    "complex numbers": (lambda g: replace(g, BIAS, np.zeros(7, "c8")), "complex"),
    "text": (lambda g: replace(g, BIAS, np.array([b"x"] * 7)), "bias"),
    "objects": (
        lambda g: (g.__delitem__(BIAS), g.create_dataset(BIAS, (7,), dtype=h5py.string_dtype())),
        "bias",
    ),
    "nothing": (lambda g: replace(g, BIAS, h5py.Empty("f4")), "no head"),
    "a dataset for the group": (lambda g: replace(g.file, "model_weights", [1.0]), "Keras"),
    "an empty file": (lambda g: g.file.__delitem__("model_weights"), "Keras"),
    "a far larger array": (
        lambda g: (g.__delitem__(BIAS), g.create_dataset(BIAS, (10**13,), "f4", chunks=(8,))),
        "bias|HDF5",
    ),
}


@pytest.mark.parametrize("bad", BAD_WEIGHTS)
def test_a_keras_file_with_other_weights_is_refused(bad: str, tiny_folder: Path) -> None:
    change, said = BAD_WEIGHTS[bad]
    rewrite(tiny_folder / "model.h5", change)
    assert "model.h5" in refused(tiny_folder, said)


def link_to_another_file(kind: str, file: h5py.File, other: Path) -> None:
    """Let (a part of) the weights be read from `other`, a whole and fitting checkpoint."""
    if kind == "all weights":
        del file["model_weights"]
        file["model_weights"] = h5py.ExternalLink(str(other), "/model_weights")
    elif kind == "a soft link to all weights":
        del file["model_weights"]
        file["elsewhere"] = h5py.ExternalLink(str(other), "/model_weights")
        file["model_weights"] = h5py.SoftLink("/elsewhere")
    elif kind == "a layer":
        del file["model_weights/dense_8"]
        file["model_weights/dense_8"] = h5py.ExternalLink(str(other), "/model_weights/dense_8")
    elif kind == "a weight":
        del file[f"{HEAD}/bias:0"]
        file[f"{HEAD}/bias:0"] = h5py.ExternalLink(str(other), f"/{HEAD}/bias:0")
    elif kind == "a virtual dataset":
        del file[f"{HEAD}/bias:0"]
        layout = h5py.VirtualLayout((7,), "f4")
        layout[:] = h5py.VirtualSource(str(other), f"/{HEAD}/bias:0", (7,))
        file.create_virtual_dataset(f"{HEAD}/bias:0", layout)
    else:
        del file[f"{HEAD}/bias:0"]
        raw = other.with_suffix(".raw")
        raw.write_bytes(np.ones(7, "f4").tobytes())
        file.create_dataset(f"{HEAD}/bias:0", (7,), "f4", external=[(str(raw), 0, 28)])


LINKS = ["all weights", "a soft link to all weights", "a layer", "a weight", "a virtual dataset"]


@pytest.mark.parametrize("kind", [*LINKS, "raw bytes"])
def test_a_keras_file_never_reads_another_file(
    kind: str, tiny_folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "secret.h5"
    shutil.copy(tiny_folder / "model.h5", other)
    with h5py.File(tiny_folder / "model.h5", "r+") as file:
        link_to_another_file(kind, file, other)
    assert "model.h5" in refused(tiny_folder)


# Files that are not right: params.json


def params_with(change: Callable[[dict[str, Any], list[dict[str, Any]]], Any]) -> dict[str, Any]:
    params: dict[str, Any] = copy.deepcopy(Tiny().params())
    change(params["model"], params["model"]["trunk"])
    return params


BAD_PARAMS: dict[str, Callable[[dict[str, Any], list[dict[str, Any]]], Any]] = {
    # another network than the weights are of
    "more tracks": lambda model, trunk: model["head_human"].update(units=8),
    "fewer tracks": lambda model, trunk: model["head_human"].update(units=6),
    "stem width": lambda model, trunk: trunk[0].update(filters=7),
    "stem kernel": lambda model, trunk: trunk[0].update(kernel_size=7),
    "tower width": lambda model, trunk: trunk[1].update(filters_end=14),
    "tower depth": lambda model, trunk: trunk[1].update(repeat=4),
    "heads": lambda model, trunk: trunk[2].update(heads=3),
    "key size": lambda model, trunk: trunk[2].update(key_size=4),
    "fewer blocks": lambda model, trunk: trunk[2].update(repeat=1),
    "more blocks": lambda model, trunk: trunk[2].update(repeat=3),
    "position features": lambda model, trunk: trunk[2].update(num_position_features=6),
    "one upsample": lambda model, trunk: trunk.pop(3),
    "three upsamples": lambda model, trunk: trunk.insert(3, trunk[3]),
    "no upsample_conv": lambda model, trunk: [b.update(upsample_conv=False) for b in trunk[3:5]],
    "upsample_conv in one": lambda model, trunk: trunk[3].update(upsample_conv=False),
    "no conv_nac": lambda model, trunk: trunk.pop(),
    "conv_nac width": lambda model, trunk: trunk[6].update(filters=15),
    "no stem": lambda model, trunk: trunk.pop(0),
    "no layers": lambda model, trunk: trunk.clear(),
    # what this network cannot be built with
    "odd length": lambda model, trunk: model.update(seq_length=513),
    "crop of everything": lambda model, trunk: trunk[5].update(cropping=64),
    "two crops": lambda model, trunk: trunk.insert(5, {"name": "Cropping1D", "cropping": 1}),
    "crop before the upsamples": lambda model, trunk: trunk.insert(3, trunk.pop(5)),
    "transformer before the tower": lambda model, trunk: trunk.insert(1, trunk.pop(2)),
    "two towers": lambda model, trunk: trunk.insert(1, trunk[1]),
    "even kernel": lambda model, trunk: trunk[1].update(kernel_size=4),
    "pool of 4": lambda model, trunk: trunk[1].update(pool_size=4),
    "two convolutions a stage": lambda model, trunk: trunk[1].update(num_convs=2),
    "relu": lambda model, trunk: model.update(activation="relu"),
    "layer norm": lambda model, trunk: model.update(norm_type="layer"),
    "unknown output": lambda model, trunk: model["head_human"].update(activation="exp"),
    "unknown layer": lambda model, trunk: trunk.append({"name": "lstm"}),
    "no head": lambda model, trunk: model.pop("head_human"),
    "no heads of attention": lambda model, trunk: trunk[2].update(heads=0),
    "no position features": lambda model, trunk: trunk[2].update(num_position_features=0),
    "a stem of nothing": lambda model, trunk: trunk[0].update(filters=0),
    "wider than any memory": lambda model, trunk: trunk[0].update(filters=10**14),
    # no numbers
    "filters text": lambda model, trunk: trunk[0].update(filters="6"),
    "filters_end text": lambda model, trunk: trunk[1].update(filters_end="x"),
    "filters_end null": lambda model, trunk: trunk[1].update(filters_end=None),
    "filters_end infinite": lambda model, trunk: trunk[1].update(filters_end=float("inf")),
    "divisible_by 0": lambda model, trunk: trunk[1].update(divisible_by=0),
    "divisible_by list": lambda model, trunk: trunk[1].update(divisible_by=[2]),
    "dropout text": lambda model, trunk: trunk[2].update(dropout="x"),
    "dropout list": lambda model, trunk: trunk[6].update(dropout=[0.1]),
    "cropping pair": lambda model, trunk: trunk[5].update(cropping=[5, 5]),
    "trunk object": lambda model, trunk: model.update(trunk={}),
    "trunk of numbers": lambda model, trunk: model.update(trunk=[1, 2]),
    "layer without a name": lambda model, trunk: trunk[3].pop("name"),
    "head list": lambda model, trunk: model.update(head_human=[7]),
}


@pytest.mark.parametrize("bad", BAD_PARAMS)
def test_a_params_json_that_does_not_fit_is_refused(bad: str, tiny_folder: Path) -> None:
    params = params_with(BAD_PARAMS[bad])
    (tiny_folder / "params.json").write_text(json.dumps(params))
    (tiny_folder / "targets.txt").unlink()  # it would be the table that does not fit
    refused(tiny_folder)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"model": []}', b'{"model": {}}']
)
def test_a_params_json_that_is_none_is_refused(content: bytes, tiny_folder: Path) -> None:
    (tiny_folder / "params.json").write_bytes(content)
    assert "params.json" in refused(tiny_folder)


def test_the_params_of_another_architecture_are_refused(
    tiny_folder: Path, real_input: Callable[[str], Path]
) -> None:
    other = real_input("targets/basenji2_params_human.json")
    (tiny_folder / "params.json").write_bytes(other.read_bytes())
    assert "borzoi" in refused(tiny_folder, "basenji")


# Files that are not right: our own format


def test_a_safetensors_file_cut_anywhere_is_refused(own: Path) -> None:
    path = own / "model.safetensors"
    whole = path.read_bytes()
    lengths = [0, 1, 7, 8, 9, 100, 1_000, 5_000, len(whole) // 2, len(whole) - 1]
    for content in [*(whole[:length] for length in lengths), whole + b"x"]:
        path.write_bytes(content)
        assert "model.safetensors" in refused(own)


Change = Callable[[torch.Tensor], torch.Tensor]
BAD_TENSORS: dict[str, Change] = {
    "transposed": lambda head: head.T.contiguous(),
    "flat": lambda head: head.flatten(),
    "a row more": lambda head: torch.cat([head, head[:1]]),
    "NaN": lambda head: head * float("nan"),
    "infinite": lambda head: head / 0,
    "float8": lambda head: head.to(torch.float8_e4m3fn),
    "complex": lambda head: head.to(torch.complex64),
    "whole numbers": lambda head: head.to(torch.int64),
    "yes and no": lambda head: head > 0,
}


@pytest.mark.parametrize("bad", BAD_TENSORS)
def test_a_safetensors_file_with_another_tensor_is_refused(bad: str, own: Path) -> None:
    state = load_file(own / "model.safetensors")
    state["head.weight"] = BAD_TENSORS[bad](state["head.weight"])
    save_file(state, own / "model.safetensors")
    assert "head.weight" in refused(own)


def test_missing_and_extra_tensors_are_named(own: Path) -> None:
    state = load_file(own / "model.safetensors")
    state["more.weight"] = state.pop("head.bias")
    save_file(state, own / "model.safetensors")
    assert "more.weight" in refused(own, r"head\.bias")


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_floating_point_numbers_of_another_width_are_read(
    kind: torch.dtype, own: Path, good: TokenPredictionModel
) -> None:
    state = load_file(own / "model.safetensors")
    save_file({name: value.to(kind) for name, value in state.items()}, own / "model.safetensors")
    again = load_model("borzoi", own)
    assert again.head.weight.dtype == torch.float32
    assert torch.equal(again.head.weight, good.head.weight.to(kind).float())


BAD_CONFIGS: dict[str, dict[str, Any]] = {
    "unknown field": {"num_lables": 7},
    "another architecture": {"architecture": "enformer"},
    "no architecture": {"architecture": None},
    "another species": {"species": "mouse"},
    "more tracks": {"num_labels": 8},
    "another width": {"stem_channels": 7},
    "no heads": {"num_attention_heads": 0},
    "channels text": {"conv_tower_channels": "abc"},
    "channels negative": {"conv_tower_channels": [8, -10, 12]},
    "channels number": {"conv_tower_channels": 8},
    "epsilon text": {"batch_norm_eps": "0.001"},
    "epsilon null": {"layer_norm_eps": None},
    "dropout text": {"hidden_dropout": "x"},
    "length list": {"sequence_length": [512]},
    "encoding object": {"n_encoding": {}},
    "wider than any memory": {"stem_channels": 10**14},
    "wider than torch counts": {"stem_channels": 2**63 - 1},
    "as wide as may be": {"stem_channels": 2**31 - 1, "stem_kernel_size": 2**31 - 1},
    "tracks without end": {"num_labels": 300_000_000},
    "epsilon without end": {"batch_norm_eps": 10**400},
    "dropout without end": {"hidden_dropout": 10**400},
    "length without end": {"sequence_length": 8 * 10**30},
    "no base": {"attention_type": "rotary", "rotary_base": 0.0},
}


@pytest.mark.parametrize("bad", BAD_CONFIGS)
def test_a_config_json_that_does_not_fit_is_refused(bad: str, own: Path) -> None:
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps({**config, **BAD_CONFIGS[bad]}))
    refused(own)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cuda:-1", "", "cpu:x"])
def test_a_device_that_is_not_there_is_refused_with_the_choices(name: str, own: Path) -> None:
    with pytest.raises(SeqcovError, match=rf"device '{name}'.*choose cpu"):
        load_model("borzoi", own, device=name)


SMALL = {"sequence_length": 256, "stem_channels": 6, "num_labels": 3, "head_hidden_size": 12}
FIVE: dict[str, Config] = {
    "borzoi": BorzoiConfig(
        **SMALL, conv_tower_channels=(8, 8, 8), num_hidden_layers=0, crop_bins=5,
        n_encoding="multimolecule",
    ),
    "basenji2": BasenjiConfig(
        **SMALL, conv_tower_channels=(8,), crop_bins=3, n_encoding="multimolecule",
    ),
    "bpnet": BPNetConfig(sequence_length=256, target_length=256, n_encoding="multimolecule"),
}  # fmt: skip


@pytest.mark.parametrize("architecture", FIVE)
@pytest.mark.parametrize("n_encoding", ["zeros", "uniform"])
def test_a_fifth_channel_of_our_own_is_kept_or_dropped_as_asked(
    architecture: str, n_encoding: str, tmp_path: Path
) -> None:
    letters = ["ACGTN" * 51 + "A"]
    five = build(FIVE[architecture]).eval()
    save_model(five, tmp_path / "five")
    kept = load_model(architecture, tmp_path / "five", n_encoding="multimolecule")
    assert np.array_equal(kept.predict(letters), five.predict(letters))
    four = load_model(architecture, tmp_path / "five", n_encoding=n_encoding)
    assert four.config == dataclasses.replace(five.config, n_encoding=n_encoding, vocab_size=4)
    assert four.model.stem.state_dict().keys() == five.model.stem.state_dict().keys()
    state = five.state_dict()
    stem = next(name for name in state if name.startswith("model.stem"))
    state[stem] = state[stem][:, :4]
    expected = build(four.config).eval()
    expected.load_state_dict(state)
    assert np.array_equal(four.predict(letters), expected.predict(letters))
    save_model(four, tmp_path / "four")
    with pytest.raises(SeqcovError, match="reads 4 channels"):
        load_model(architecture, tmp_path / "four", n_encoding="multimolecule")


# Pickles


class Payload:
    """Unpickling it makes a folder: the mark of code that was run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.mark),))


@pytest.mark.parametrize("how", ["pickle", "torch", "torch, old format"])
@pytest.mark.parametrize("name", ["model.safetensors", "model.h5", "params.json", "targets.txt"])
def test_a_pickle_is_refused_and_never_unpickled(
    how: str, name: str, tiny_folder: Path, own: Path, tmp_path: Path
) -> None:
    folder = own if name == "model.safetensors" else tiny_folder
    payload = Payload(tmp_path / "mark")
    if how == "pickle":
        (folder / name).write_bytes(pickle.dumps(payload))
    else:
        torch.save(payload, folder / name, _use_new_zipfile_serialization=how == "torch")
    assert name in refused(folder)
    assert not (tmp_path / "mark").exists()


def test_the_payload_of_the_test_above_would_leave_its_mark(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


# Folders that are not right


@pytest.mark.parametrize("rows", [0, 6, 8, 100])
def test_a_table_with_another_number_of_rows_is_refused(
    rows: int, tiny_folder: Path, own: Path
) -> None:
    table = "identifier\n" + "".join(f"id{row}\n" for row in range(rows))
    for folder in (tiny_folder, own):
        (folder / "targets.txt").write_text(table)
        assert str(rows) in refused(folder, "7")


def test_a_table_of_part_of_the_tracks_is_refused_with_advice(
    real_input: Callable[[str], Path],
) -> None:
    part = real_input("targets/borzoi_targets_gtex.txt")
    assert "file:" in refused(real_input("models/mini_borzoi"), "89", targets=part)


def test_a_missing_table_path_or_file_is_refused(tiny_folder: Path, own: Path) -> None:
    assert "absent.txt" in refused(tiny_folder, targets=tiny_folder / "absent.txt")
    assert "absent" in refused(tiny_folder / "absent")
    (own / "model.safetensors").unlink()
    assert "model.safetensors" in refused(own)
    (tiny_folder / "model.h5").unlink()
    assert ".h5" in refused(tiny_folder)
    (tiny_folder / "params.json").unlink()
    assert "params.json" in refused(tiny_folder)


def test_folders_under_the_names_of_files_are_refused(tiny_folder: Path, own: Path) -> None:
    for path in (tiny_folder / "model.h5", own / "model.safetensors"):
        path.unlink()
        path.mkdir()
        assert str(path.parent) in refused(path.parent)


def test_several_weight_files_must_be_told_apart(tiny_folder: Path) -> None:
    shutil.copy(tiny_folder / "model.h5", tiny_folder / "other.h5")
    assert "other.h5" in refused(tiny_folder, r"model\.h5")


@pytest.mark.parametrize("species", ["mouse", "fly", ""])
def test_a_head_of_another_species_is_refused_with_those_there_are(
    species: str, tiny_folder: Path, own: Path
) -> None:
    for folder in (tiny_folder, own):
        assert "human" in refused(folder, species=species)


def test_an_unknown_architecture_is_refused_with_the_known_ones(tiny_folder: Path) -> None:
    with pytest.raises(SeqcovError, match="borzoi"):
        load_model("borzio", tiny_folder)


def test_a_track_that_is_not_there_is_refused_before_weights_are_read(tiny_folder: Path) -> None:
    (tiny_folder / "model.h5").write_bytes(b"")
    assert "id3" in refused(tiny_folder, "id33", tracks=["id33"])


# The card


def test_a_checkpoint_that_changed_since_its_card_is_refused(
    own: Path, good: TokenPredictionModel
) -> None:
    checkpoint = recognise("borzoi", own)
    card = json.loads(json.dumps(model_card(checkpoint, good)))
    verify(checkpoint, card)
    for file in ("config.json", "targets.txt", "model.safetensors"):
        before = (own / file).read_bytes()
        (own / file).write_bytes(before[:-1] + b" ")
        with pytest.raises(SeqcovError, match=file):
            verify(checkpoint, card)
        (own / file).write_bytes(before)


def test_the_card_counts_parameters_and_says_the_geometry(
    own: Path, good: TokenPredictionModel, tiny_weights: Weights
) -> None:
    card = model_card(recognise("borzoi", own), good)
    learnt = [name for name in tiny_weights if "/moving_" not in name]
    assert card["parameters"] == sum(tiny_weights[name].size for name in learnt)
    assert (card["window"], card["bin"], card["core"]) == (512, 4, 4 * 118)
