"""Safetensors files: headers that do not fit, cut files, tensors of other kinds, shards."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from seqcov_models import load_model
from seqcov_models.networks.shared.base import TokenPredictionModel
from support.checkpoints import are_equal, check_refusal, load_golden, refusal

pytestmark = pytest.mark.usefixtures("no_hang")


Header = dict[str, Any]


def change_header(path: Path, change: Callable[[Header, list[str]], Any]) -> None:
    """Change the header of a safetensors file, given its names in the order of their bytes."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    change(header, sorted(header, key=lambda name: header[name]["data_offsets"]))
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def overlap(header: Header, names: list[str]) -> None:
    header[names[0]] = header[names[1]]


def leave_a_gap(header: Header, names: list[str]) -> None:
    del header[names[3]]


INCOMPLETE, NAME = "not a complete safetensors file", "not a possible name"


HEADERS: dict[str, tuple[Callable[[Header, list[str]], Any], str]] = {
    "overlapping": (overlap, INCOMPLETE),
    "a gap": (leave_a_gap, INCOMPLETE),
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


@pytest.mark.parametrize("change_name", HEADERS)
def test_a_safetensors_header_that_does_not_fit_its_file_is_refused(
    change_name: str, copy_golden: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_golden("multimolecule_basenji")
    change, pattern = HEADERS[change_name]
    change_header(folder / "model.safetensors", change)
    check_refusal(folder, pattern, capsys)


@pytest.mark.parametrize(
    "weight_map",
    [{}, {"a": 5}, {"a": []}, {"a": "x" * 5_000}, {"a": "a\0b"}, {"a": "."}, {"a": "\ud800"}],
)
def test_an_index_that_names_no_files_is_refused(
    weight_map: Any, copy_golden: Callable[[str], Path]
) -> None:
    folder = copy_golden("multimolecule_borzoi")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    refusal(None, folder, "no weight_map|is not in its folder")


def test_shards_are_read_as_one_file(copy_golden: Callable[[str], Path]) -> None:
    folder = copy_golden("multimolecule_borzoi")
    expected = load_golden("multimolecule_borzoi", folder)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    weight_map = {}
    for number, members in enumerate((names[::2], names[1::2]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: state[name] for name in members}, folder / file)
        weight_map |= dict.fromkeys(members, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert are_equal(load_golden("multimolecule_borzoi", folder), expected)
    index.write_text(json.dumps({"weight_map": {**weight_map, "x": "../elsewhere.safetensors"}}))
    assert "elsewhere" in refusal("borzoi", folder)
    index.write_text(json.dumps({"weight_map": weight_map}))
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "00002-of-00002" in refusal("borzoi", folder)


def test_a_safetensors_file_cut_anywhere_is_refused(saved_folder: Path) -> None:
    path = saved_folder / "model.safetensors"
    content = path.read_bytes()
    lengths = [0, 1, 7, 8, 9, 100, 1_000, 5_000, len(content) // 2, len(content) - 1]
    for damage in [*(content[:length] for length in lengths), content + b"x"]:
        path.write_bytes(damage)
        assert "model.safetensors" in refusal("borzoi", saved_folder)


Change = Callable[[torch.Tensor], torch.Tensor]


BAD_TENSORS: dict[str, Change] = {
    "transposed": lambda head: head.T.contiguous(),
    "flat": lambda head: head.flatten(),
    "a row more": lambda head: torch.cat([head, head[:1]]),
    "NaN": lambda head: head * float("nan"),
    "infinite": lambda head: head / 0,
    "float8": lambda head: head.to(torch.float8_e4m3fn),
    "complex": lambda head: head.to(torch.complex64),
    "integers": lambda head: head.to(torch.int64),
    "booleans": lambda head: head > 0,
}


@pytest.mark.parametrize("change_name", BAD_TENSORS)
def test_a_safetensors_file_with_a_wrong_tensor_is_refused(
    change_name: str, saved_folder: Path
) -> None:
    state = load_file(saved_folder / "model.safetensors")
    state["head.weight"] = BAD_TENSORS[change_name](state["head.weight"])
    save_file(state, saved_folder / "model.safetensors")
    assert "head.weight" in refusal("borzoi", saved_folder)


def test_missing_and_extra_tensors_are_named(saved_folder: Path) -> None:
    state = load_file(saved_folder / "model.safetensors")
    state["more.weight"] = state.pop("head.bias")
    save_file(state, saved_folder / "model.safetensors")
    assert "more.weight" in refusal("borzoi", saved_folder, r"head\.bias")


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_floating_point_numbers_of_another_width_are_read(
    kind: torch.dtype, saved_folder: Path, tiny_model: TokenPredictionModel
) -> None:
    state = load_file(saved_folder / "model.safetensors")
    save_file(
        {name: value.to(kind) for name, value in state.items()}, saved_folder / "model.safetensors"
    )
    model = load_model("borzoi", saved_folder)
    assert model.head.weight.dtype == torch.float32
    assert torch.equal(model.head.weight, tiny_model.head.weight.to(kind).float())
