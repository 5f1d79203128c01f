"""Files of weights that are damaged, or claim what they do not hold: refused in one line, in little
memory, by `describe`, which reads names and shapes alone, as by loading.
"""

import json
import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from seqcov_models import SeqcovError, load_model
from seqcov_models.checkpoints.containers import open_file
from seqcov_models.checkpoints.containers.tensor_bundle import masked_crc32c
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.cli import main

pytestmark = pytest.mark.usefixtures("no_hang")

Fresh = Callable[[str], Path]


def refused(path: Path, said: str, capsys: pytest.CaptureFixture[str] | None = None) -> None:
    """Loading `path` is refused; with `capsys`, describing it is, too."""
    with pytest.raises(SeqcovError, match=said) as caught:
        load_model(recognise(None, path).architecture, path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2_000
    if capsys is not None:
        assert main(["describe", str(path)]) == 1
        assert re.search(said, capsys.readouterr().err)


# Safetensors

Header = dict[str, Any]


def with_header(path: Path, change: Callable[[Header, list[str]], Any]) -> None:
    """Change the header of a safetensors file, given its names in the order of their bytes."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    change(header, sorted(header, key=lambda name: header[name]["data_offsets"]))
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def overlapping(header: Header, names: list[str]) -> None:
    header[names[0]] = header[names[1]]


def with_a_gap(header: Header, names: list[str]) -> None:
    del header[names[3]]


INCOMPLETE, NAME = "not a complete safetensors file", "not a possible name"
HEADERS: dict[str, tuple[Callable[[Header, list[str]], Any], str]] = {
    "overlapping": (overlapping, INCOMPLETE),
    "a gap": (with_a_gap, INCOMPLETE),
    "an unknown kind": (lambda h, names: h[names[0]].update(dtype="F99"), "F99"),
    "another width": (lambda h, names: h[names[0]].update(dtype="F16"), INCOMPLETE),
    "another shape": (lambda h, names: h[names[0]]["shape"].append(2), INCOMPLETE),
    "a huge shape": (lambda h, names: h[names[0]].update(shape=[2**40] * 3), INCOMPLETE),
    "a negative shape": (lambda h, names: h[names[0]].update(shape=[-2, -2]), INCOMPLETE),
    "no place": (lambda h, names: h[names[0]].update(data_offsets=[0]), INCOMPLETE),
    "no number, but a huge shape": (
        lambda h, names: h.update(x={"dtype": "F32", "shape": [0, 10**15], "data_offsets": [0, 0]}),
        "more numbers than fit",
    ),
    "lines in a name": (
        lambda h, names: h.update({"a\nb": h.pop(names[0])}),
        "not a possible name",
    ),
    "a long name": (
        lambda h, names: h.update({"a" * 10**6: h.pop(names[0])}),
        "not a possible name",
    ),
}


@pytest.mark.parametrize("bad", HEADERS)
def test_a_safetensors_header_that_does_not_fit_its_file_is_refused(
    bad: str, fresh: Fresh, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fresh("multimolecule_basenji")
    change, said = HEADERS[bad]
    with_header(folder / "model.safetensors", change)
    refused(folder, said, capsys)


@pytest.mark.parametrize(
    "named",
    [{}, {"a": 5}, {"a": []}, {"a": "x" * 5_000}, {"a": "a\0b"}, {"a": "."}, {"a": "\ud800"}],
)
def test_an_index_that_names_no_files_is_refused(named: Any, fresh: Fresh) -> None:
    folder = fresh("multimolecule_borzoi")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": named}))
    refused(folder, "no weight_map|is not in its folder")


@pytest.mark.parametrize("species", ["pop", "", "training"])
def test_a_head_of_an_impossible_name_is_refused(
    species: str, fresh: Fresh, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fresh("enformer_pytorch")
    (folder / "config.json").unlink()
    state = load_file(folder / "model.safetensors")
    for leaf in ("weight", "bias"):
        state[f"_heads.{species}.0.{leaf}"] = state[f"_heads.human.0.{leaf}"].clone()
    save_file(state, folder / "model.safetensors")
    refused(folder, "other_heads", capsys)


# torch.save


@pytest.fixture
def state_dict(fresh: Fresh) -> Path:
    """The file of a folder with an Enformer's state dict, which a test may damage."""
    folder = fresh("enformer_pytorch")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder / "pytorch_model.bin"


def zipped_again(path: Path, pickled: bytes | None = None, packed: str = "") -> None:
    """Write the entries of `path` anew, with another pickle, or with those on `packed` deflated."""
    with zipfile.ZipFile(path) as old:
        entries = [(name, old.read(name)) for name in old.namelist()]
    with zipfile.ZipFile(path, "w") as new:
        for name, content in entries:
            replaced = pickled if pickled is not None and name.endswith("data.pkl") else content
            deflated = bool(packed) and name.endswith(packed)
            new.writestr(name, replaced, zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED)


@pytest.mark.parametrize("packed", ["/data/0", "data.pkl"])
def test_compressed_entries_are_refused(
    packed: str, state_dict: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zipped_again(state_dict, packed=packed)
    refused(state_dict, "compressed", capsys)


def test_a_damaged_tensor_is_told_by_its_checksum(state_dict: Path) -> None:
    content = bytearray(state_dict.read_bytes())
    with zipfile.ZipFile(state_dict) as archive:
        content[content.index(archive.read("pytorch_model/data/3"))] ^= 1
    state_dict.write_bytes(content)
    refused(state_dict, "checksum of pytorch_model/data/.* is wrong")


def test_numbers_that_are_one_number_many_times_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"stem.0.weight": torch.zeros(1).expand(10**5, 4, 15)}, tmp_path / "model.torch")
    refused(tmp_path / "model.torch", "more numbers than fit", capsys)


@pytest.mark.parametrize("old", [False, True])
def test_a_state_dict_keeps_every_view_of_its_storages(old: bool, tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "all": base,
        "turned": base.T,
        "part": base[1:3, ::2],
        "row": base[2],
        "one": base[3, 5],
        "none": base[:0],
        "double": base.double() / 3,
        "half": base.half(),
        "bfloat": base.bfloat16(),
        "parameter": torch.nn.Parameter(base + 1),
        "counter": torch.tensor(7),
    }
    torch.save(state, tmp_path / "x.pt", _use_new_zipfile_serialization=not old)
    arrays = open_file(tmp_path / "x.pt")
    assert arrays.shapes == {name: tuple(value.shape) for name, value in state.items()}
    del state["counter"]
    for name in state:
        value = arrays.read(name)
        assert value.dtype == np.float32
        assert np.array_equal(value, state[name].detach().float().numpy()), name
    with pytest.raises(SeqcovError, match="counter holds int64"):
        arrays.read("counter")


def test_a_checkpoint_with_an_optimiser_is_read_or_refused_with_advice(state_dict: Path) -> None:
    state = torch.load(state_dict, weights_only=True)
    optimiser = {"state": {0: {"step": 3}}, "groups": [{"betas": (0.9, 0.99), "of": [0]}]}
    torch.save({"state_dict": state, "optimizer": optimiser}, state_dict)
    load_model("enformer", state_dict)
    torch.save({"state_dict": state, "x": Path("x")}, state_dict)  # a class is not a tensor
    refused(state_dict, "save its weights alone")
    torch.save({"model": state, "epoch": 1}, state_dict)
    refused(state_dict, "'model' is not a tensor.*save it alone")


@pytest.mark.parametrize("old", [False, True])
def test_the_prefix_of_a_dataparallel_is_dropped(old: bool, state_dict: Path) -> None:
    expected = load_model("enformer", state_dict).state_dict()
    state = {f"module.{name}": value for name, value in load_state(state_dict).items()}
    torch.save(state, state_dict, _use_new_zipfile_serialization=not old)
    found = load_model("enformer", state_dict).state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def load_state(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state


# HDF5


@pytest.mark.parametrize("letters", [b"GCOL\x01", b"HEAP\0"])
def test_weights_may_spell_the_words_of_hdf5(letters: bytes, fresh: Fresh) -> None:
    path = fresh("keras_basenji_2020") / "model_human.h5"
    with h5py.File(path, "r+") as file:
        bias = file["model_weights"]["dense"]["dense"]["bias:0"]
        values = np.zeros(bias.shape, "f4")
        values.view(np.uint8)[: len(letters)] = np.frombuffer(letters, np.uint8)
        bias[...] = values
    found = load_model("basenji2", path.parent).head.bias
    assert np.array_equal(found.detach().numpy(), values)


def test_compressed_arrays_are_read(fresh: Fresh) -> None:
    path = fresh("keras_basenji_2020") / "model_human.h5"
    expected = load_model("basenji2", path.parent).state_dict()
    with h5py.File(path, "r+") as file:
        layer = file["model_weights"]["conv1d"]["conv1d"]
        kernel = layer["kernel:0"][()]
        del layer["kernel:0"]
        layer.create_dataset("kernel:0", data=kernel, compression="gzip", shuffle=True)
    found = load_model("basenji2", path.parent).state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_compressed_array_of_an_absurd_size_is_refused(
    fresh: Fresh, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fresh("keras_basenji_2020")
    with h5py.File(folder / "model_human.h5", "r+") as file:
        group = file["model_weights"]
        item = group.create_dataset(
            "x/bias:0", (10**12,), "f4", chunks=(10**4,), compression="gzip"
        )
        item[:10] = 1
    refused(folder, "more numbers than fit", capsys)


# TensorFlow's


def test_the_checksum_is_crc_32c() -> None:
    def masked(crc: int) -> int:
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    def one_by_one(data: bytes) -> int:
        crc = 0xFFFFFFFF
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        return masked(crc ^ 0xFFFFFFFF)

    def ours(data: bytes) -> int:
        return masked_crc32c(data)

    assert ours(b"123456789") == masked(0xE3069283)  # the check value of its definition
    assert ours(bytes(32)) == masked(0x8A9136AA)  # RFC 3720
    rng = np.random.default_rng(1)
    for length in (0, 1, 3, 4, 16_383, 16_384, 16_385, 32_768, 70_001):
        data = rng.bytes(length)
        assert ours(data) == one_by_one(data), length


# What is no file, and what is missing


@pytest.mark.parametrize("name", ["model.safetensors", "x.h5", "x.pt", "x.index"])
def test_a_pipe_is_not_waited_for(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / name)
    refused(tmp_path / name, "not a file", capsys)
    refused(Path("/dev/zero"), "not a file", capsys)


def without(path: Path, *parts: str) -> None:
    """Take the arrays out of a file whose names have one of `parts`."""
    state = load_file(path)
    save_file({n: v for n, v in state.items() if not any(p in n for p in parts)}, path)


@pytest.mark.parametrize("described", [True, False])
@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("enformer_pytorch", ["conv_tower.0.0.2.weight", "_trunk.2.0.0.2.weight"]),
        ("enformer_pytorch", ["transformer.1.1.fn.1.weight", "_trunk.4.1.1.fn.1.weight"]),
        ("enformer_pytorch", ["transformer.0.0.fn.1.rel_content_bias",
                              "_trunk.4.0.0.fn.1.rel_content_bias"]),
        ("enformer_pytorch", ["transformer.0.0.fn.1.to_v.weight",
                              "_trunk.4.0.0.fn.1.to_v.weight"]),
        ("enformer_pytorch", ["_heads.human.0.bias"]),
        ("borzoi_pytorch", ["transformer.0.1.fn.1.weight"]),
        ("borzoi_pytorch", ["res_tower.2.conv_layer.weight"]),
        ("borzoi_pytorch", ["unet1.1.conv_layer.weight"]),
        ("borzoi_pytorch", ["separable1.conv_layer.0.weight"]),
        ("bpnet_lite", ["rconvs.0.weight"]),
    ],
)  # fmt: skip
def test_a_missing_array_is_named_as_the_file_would(
    described: bool, name: str, parts: list[str], fresh: Fresh
) -> None:
    folder = fresh(name)
    if name == "bpnet_lite":
        state = load_state(folder / "model.torch")
        del state[parts[0]]
        torch.save(state, folder / "model.torch")
    else:
        without(folder / "model.safetensors", *parts)
    if not described:
        (folder / "config.json").unlink(missing_ok=True)
    refused(folder, f": 1 missing: {re.escape(parts[0])}$")


def test_a_missing_layer_of_keras_is_named(fresh: Fresh, tiny_folder: Path) -> None:
    folder = fresh("keras_basenji_2020")
    (folder / "params.json").unlink()
    (tiny_folder / "params.json").unlink()
    for path, layer, said in (
        (folder / "model_human.h5", "batch_normalization_3", "4 missing: batch_normalization_3/"),
        (folder / "model_human.h5", "conv1d_2", "conv1d_2 is missing"),
        (tiny_folder / "model.h5", "separable_conv1d", "separable_conv1d is missing"),
    ):
        with h5py.File(path, "r+") as file:
            del file["model_weights"][layer]
        refused(path, f"^{re.escape(str(path))}: {said}")
