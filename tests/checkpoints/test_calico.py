"""The format of calico: params.json, and what an .h5 says without one."""

import copy
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from goldens.common import windows
from seqcov_models import Geometry, SeqcovError, load_model
from seqcov_models.checkpoints.formats._calico_params import params_config
from seqcov_models.checkpoints.recognise import recognise
from support.calico import Tiny, Weights, draw_keras_weights, write_calico
from support.checkpoints import load_golden, refusal

pytestmark = pytest.mark.usefixtures("no_hang")


@pytest.mark.parametrize("name", ["keras_basenji_2020", "keras_basenji_2022"])
def test_a_basenji2_h5_without_params_json_gives_the_sizes(
    name: str, copy_golden: Callable[[str], Path]
) -> None:
    folder = copy_golden(name)
    expected = load_golden(name, folder)
    assert expected.config.hidden_act == {"2020": "quick_gelu", "2022": "gelu_new"}[name[-4:]]
    (folder / "params.json").unlink()
    model = load_model("basenji2", folder)
    values, expected_values = model.config.to_dict(), expected.config.to_dict()
    for fields in (values, expected_values):  # of training, which only params.json says
        del fields["hidden_dropout"], fields["blocks"]["dropout"]
    assert values == expected_values
    letters = windows(1024, 1)
    assert np.array_equal(model.predict(letters), expected.predict(letters))


def test_the_gelu_follows_from_layer_names_or_the_caller(
    copy_golden: Callable[[str], Path],
) -> None:
    folder = copy_golden("keras_basenji_2020")
    with h5py.File(folder / "model_human.h5", "r+") as file:
        del file.attrs["model_config"]
        names = file["model_weights"].attrs["layer_names"]
        assert "gelu_1" in [name if isinstance(name, str) else name.decode() for name in names]
    assert recognise("basenji2", folder).config.hidden_act == "quick_gelu"
    assert recognise("basenji2", folder, hidden_act="gelu").config.hidden_act == "gelu"
    with h5py.File(folder / "model_human.h5", "r+") as file:
        del file["model_weights"].attrs["layer_names"]
    assert recognise("basenji2", folder).config.hidden_act == "gelu_new"  # the config's default
    (folder / "params.json").unlink()
    assert recognise("basenji2", folder).config.sequence_length == 131_072  # as published


def test_other_dilations_than_the_configs_are_refused(copy_golden: Callable[[str], Path]) -> None:
    folder = copy_golden("keras_basenji_2020")
    params = json.loads((folder / "params.json").read_text())
    params["model"]["trunk"][2]["rate_mult"] = 2
    (folder / "params.json").write_text(json.dumps(params))
    assert "2, 1, 4, 1, 8" in refusal("basenji2", folder, "dilations")


@pytest.mark.parametrize("pool_size", [4, None])
def test_poolings_that_differ_from_the_stems_are_refused(
    pool_size: int | None, copy_golden: Callable[[str], Path]
) -> None:
    folder = copy_golden("keras_basenji_2020")
    params = json.loads((folder / "params.json").read_text())
    tower = params["model"]["trunk"][1]
    del tower["pool_size"]
    tower.update({"pool_size": pool_size} if pool_size else {})
    (folder / "params.json").write_text(json.dumps(params))
    refusal("basenji2", folder, f"conv_tower.pool_size: {pool_size or 1} .* only 2")


def test_a_borzoi_h5_without_params_json_gives_the_sizes(
    tmp_path: Path, tiny_weights: Weights
) -> None:
    folder = write_calico(tmp_path, Tiny(), tiny_weights)
    expected = load_model("borzoi", folder)
    (folder / "params.json").unlink()
    config = recognise("borzoi", folder / "model.h5").config.to_dict()
    unknown = {"sequence_length", "position_length", "crop_bins", "target_length"}
    unknown |= {"hidden_dropout", "intermediate_dropout"}
    expected_values = expected.config.to_dict()
    for name in unknown:
        del config[name], expected_values[name]
    assert config == expected_values


def test_the_mini_borzoi_needs_no_params_json(
    real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copy(real_input("models/mini_borzoi/model.h5"), tmp_path)
    config = recognise("borzoi", tmp_path).config
    expected_values = recognise("borzoi", real_input("models/mini_borzoi")).config
    assert config == type(expected_values).from_dict(
        {**expected_values.to_dict(), "hidden_dropout": 0.1}
    )


def test_strand_pairs_of_a_borzoi_are_unknown_unless_a_file_lists_them(tiny_folder: Path) -> None:
    """Tracks of other networks have no strands: each is its own partner."""
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
        ("transformer_tower", "position_dropout", 0.3, "position_dropout", 0.3),
        ("transformer_tower", "qkv_width", 1, "attention_head_size", Tiny().key),
        ("transformer_tower", "block_type", "transformer", "num_hidden_layers", Tiny().blocks),
        ("res_tower", "dropout", 0.1, "conv_tower_channels", Tiny().tower),
        ("res_tower", "pool_type", "max", "conv_tower_channels", Tiny().tower),
        ("res_tower", "norm_type", "batch-sync", "conv_tower_channels", Tiny().tower),
        ("conv_dna", "use_bias", True, "stem_channels", Tiny().stem[0]),
        ("unet_conv", "stride", 2, "num_upsamples", Tiny().upsamples),
        ("conv_nac", "kernel_size", 1, "head_hidden_size", Tiny().nac),
        (None, "bn_momentum", 0.75, "batch_norm_momentum", 0.25),
    ],
)
def test_fields_of_params_json_reach_the_config(
    layer: str | None, key: str, value: Any, field: str, expected: Any, tiny_folder: Path
) -> None:
    params: Any = Tiny().params()
    blocks = [block for block in params["model"]["trunk"] if block["name"] == layer]
    (*_, block) = [params["model"], *blocks]
    block[key] = value
    (tiny_folder / "params.json").write_text(json.dumps(params))
    assert getattr(recognise("borzoi", tiny_folder).config, field) == expected


@pytest.mark.parametrize(
    ("layer", "key", "value"),
    [
        ("transformer_tower", "qkv_width", 3),
        ("transformer_tower", "block_type", "swin"),
        ("transformer_tower", "content_position_bias", False),
        ("transformer_tower", "dense_expansion", 0),
        ("transformer_tower", "dense_expansion", "x"),
        ("res_tower", "se", True),
        ("res_tower", "dilation_rate", 2),
        ("res_tower", "pool_type", "softmax"),
        ("res_tower", "norm_type", "layer"),
        ("conv_dna", "residual", True),
        ("conv_dna", "conv_type", "separable"),
        ("conv_nac", "kernel_size", 3),
        ("unet_conv", "stride", 4),
        (None, "padding", "valid"),
        ("head", "flatten", True),
        ("head", "name", "dense_nac"),
        ("head", "flattened", True),
    ],
)
def test_a_value_that_the_network_cannot_have_is_refused_by_name(
    layer: str | None, key: str, value: Any, tiny_folder: Path
) -> None:
    params: Any = Tiny().params()
    model = params["model"]
    blocks = [block for block in model["trunk"] if block["name"] == layer]
    (*_, block) = [model["head_human"] if layer == "head" else model, *blocks]
    block[key] = value
    (tiny_folder / "params.json").write_text(json.dumps(params))
    with pytest.raises(SeqcovError, match=rf"params\.json: .*{key}"):
        recognise("borzoi", tiny_folder)


def test_a_head_may_be_a_list_of_one_layer_and_is_linear_without_an_activation(
    tiny_folder: Path,
) -> None:
    params: Any = Tiny().params()
    params["model"]["head_human"] = [{"name": "final", "units": Tiny().tracks}]
    (tiny_folder / "params.json").write_text(json.dumps(params))
    assert recognise("borzoi", tiny_folder).config.output_act == "linear"


def test_a_narrower_transformer_is_read(tmp_path: Path) -> None:
    """Borzuki's micro networks have `dense_expansion` 1.5, no Cropping1D and no conv_nac."""
    tiny = Tiny(expansion=1.5, nac=0, crop=0)
    folder = write_calico(tmp_path / "micro", tiny, draw_keras_weights(tiny))
    params = json.loads((folder / "params.json").read_text())
    layers = params["model"]["trunk"]
    params["model"]["trunk"] = [layer for layer in layers if layer["name"] != "Cropping1D"]
    (folder / "params.json").write_text(json.dumps(params))
    model = load_model("borzoi", folder)
    config: Any = model.config
    assert (config.intermediate_size, config.head_hidden_size) == (18, 0)
    assert config.geometry.bins == tiny.positions * 4
    (folder / "params.json").unlink()
    inferred: Any = recognise("borzoi", folder / "model.h5").config
    assert inferred.intermediate_size == 18


PRIME: list[dict[str, Any]] = [
    {"name": "conv_dna", "filters": 512, "kernel_size": 15, "norm_type": None,
     "activation": "linear", "pool_size": 2},
    {"name": "res_tower", "filters_init": 608, "filters_end": 1536, "divisible_by": 32,
     "kernel_size": 5, "num_convs": 1, "pool_size": 2, "repeat": 6},
    {"name": "transformer_tower", "key_size": 64, "heads": 8, "num_position_features": 32,
     "dropout": 0.2, "mha_l2_scale": 1e-8, "l2_scale": 1e-8, "kernel_initializer": "he_normal",
     "qkv_width": 1, "repeat": 8},
    *({"name": "unet_conv", "kernel_size": 3, "upsample_conv": True} for _ in range(3)),
    {"name": "Cropping1D", "cropping": 10_240},
]  # fmt: skip
"""The trunk of Borzoi Prime: calico/borzoi-paper `extensions/prime/examples/params.json`."""


def test_borzoi_prime_predicts_12_288_bins_of_16_bp(tmp_path: Path) -> None:
    head = {"name": "final", "units": 5_431, "activation": "softplus"}
    model = {"seq_length": 524_288, "augment_rc": True, "augment_shift": 3, "activation": "gelu",
             "norm_type": "batch-sync", "bn_momentum": 0.9, "kernel_initializer": "lecun_normal",
             "l2_scale": 2e-8, "trunk": PRIME, "head_human": head}  # fmt: skip
    (tmp_path / "params.json").write_text(json.dumps({"train": {}, "model": model}))
    config: Any = params_config("borzoi", tmp_path / "params.json", "human")
    assert config.geometry == Geometry(524_288, 16, 12_288, 10_240)
    assert (config.num_labels, config.intermediate_size) == (5_431, 3_072)
    assert config.conv_tower_channels == (608, 736, 896, 1056, 1280, 1536)


@pytest.mark.parametrize("key", ["activation", "gated"])
def test_an_unknown_key_of_a_layer_is_refused(key: str, tiny_folder: Path) -> None:
    params: Any = Tiny().params()
    params["model"]["trunk"][1][key] = "relu"
    (tiny_folder / "params.json").write_text(json.dumps(params))
    with pytest.raises(SeqcovError, match=rf"res_tower\.{key}: not known here, and it may change"):
        recognise("borzoi", tiny_folder)


def params_with(change: Callable[[dict[str, Any], list[dict[str, Any]]], Any]) -> dict[str, Any]:
    params: dict[str, Any] = copy.deepcopy(Tiny().params())
    change(params["model"], params["model"]["trunk"])
    return params


BAD_PARAMS: dict[str, Callable[[dict[str, Any], list[dict[str, Any]]], Any]] = {
    # another network than that of the weights
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
    "two convolutions per stage": lambda model, trunk: trunk[1].update(num_convs=2),
    "relu": lambda model, trunk: model.update(activation="relu"),
    "layer norm": lambda model, trunk: model.update(norm_type="layer"),
    "unknown output": lambda model, trunk: model["head_human"].update(activation="exp"),
    "unknown layer": lambda model, trunk: trunk.append({"name": "lstm"}),
    "no head": lambda model, trunk: model.pop("head_human"),
    "no heads of attention": lambda model, trunk: trunk[2].update(heads=0),
    "no position features": lambda model, trunk: trunk[2].update(num_position_features=0),
    "a stem of nothing": lambda model, trunk: trunk[0].update(filters=0),
    "wider than any memory": lambda model, trunk: trunk[0].update(filters=10**14),
    # not numbers
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


@pytest.mark.parametrize("change", BAD_PARAMS)
def test_a_params_json_that_does_not_fit_is_refused(change: str, tiny_folder: Path) -> None:
    params = params_with(BAD_PARAMS[change])
    (tiny_folder / "params.json").write_text(json.dumps(params))
    (tiny_folder / "targets.txt").unlink()  # it would be the table that does not fit
    refusal("borzoi", tiny_folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "more blocks",
            r"6 layer_normalization layers \(this file: 4\),"
            r" 3 multihead_attention layers \(this file: 2\)$",
        ),
        ("three upsamples", r"3 separable_conv1d layers \(this file: 2\)$"),
        ("more tracks", r"no head of 8 human tracks; heads in this file: dense_8 \(7 tracks\)$"),
    ],
)
def test_layers_that_the_weights_do_not_have_are_counted(
    change: str, message: str, tiny_folder: Path
) -> None:
    (tiny_folder / "params.json").write_text(json.dumps(params_with(BAD_PARAMS[change])))
    (tiny_folder / "targets.txt").unlink()
    text = refusal("borzoi", tiny_folder, message)
    assert ("heads in this file" in text) == (change == "more tracks")


def test_two_heads_of_one_size_are_refused(tiny_folder: Path) -> None:
    with h5py.File(tiny_folder / "model.h5", "r+") as file:
        layers = file["model_weights"]
        layers["dense_9/dense_9/kernel:0"] = layers["dense_8/dense_8/kernel:0"][:]
        layers["dense_9/dense_9/bias:0"] = layers["dense_8/dense_8/bias:0"][:]
    message = refusal("borzoi", tiny_folder, "more than one head of 7 human tracks")
    assert message.endswith("dense_8 (7 tracks), dense_9 (7 tracks)")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"model": []}', b'{"model": {}}']
)
def test_another_file_named_params_json_is_refused(content: bytes, tiny_folder: Path) -> None:
    (tiny_folder / "params.json").write_bytes(content)
    assert "params.json" in refusal("borzoi", tiny_folder)


def test_the_params_of_another_architecture_are_refused(
    tiny_folder: Path, real_input: Callable[[str], Path]
) -> None:
    other = real_input("targets/basenji2_params_human.json")
    (tiny_folder / "params.json").write_bytes(other.read_bytes())
    assert "borzoi" in refusal("borzoi", tiny_folder, "basenji")


def test_a_missing_layer_of_keras_is_named(
    copy_golden: Callable[[str], Path], tiny_folder: Path
) -> None:
    folder = copy_golden("keras_basenji_2020")
    (folder / "params.json").unlink()
    (tiny_folder / "params.json").unlink()
    for path, layer, message in (
        (folder / "model_human.h5", "batch_normalization_3", "4 missing: batch_normalization_3/"),
        (folder / "model_human.h5", "conv1d_2", "conv1d_2 is missing"),
        (tiny_folder / "model.h5", "separable_conv1d", "separable_conv1d is missing"),
    ):
        with h5py.File(path, "r+") as file:
            del file["model_weights"][layer]
        refusal(None, path, rf"^{re.escape(str(path))}( is not complete.*)?: {message}")
