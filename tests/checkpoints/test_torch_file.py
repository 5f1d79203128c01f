"""Files of torch.save: state dicts are read, anything else is refused and never unpickled."""

import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqcov_models import SeqcovError, load_model
from seqcov_models.checkpoints.containers import open_file
from support.checkpoints import check_refusal, read_saved_state, read_state, refusal

pytestmark = pytest.mark.usefixtures("no_hang")


def compress_entries(path: Path, suffix: str) -> None:
    """Compress the entries of a zip whose names have this suffix."""
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            compressed = name.endswith(suffix)
            archive.writestr(
                name, content, zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            )


@pytest.mark.parametrize("suffix", ["/data/0", "data.pkl"])
def test_compressed_entries_are_refused(
    suffix: str, state_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compress_entries(state_file, suffix)
    check_refusal(state_file, "compressed", capsys)


def test_a_damaged_tensor_is_found_by_its_checksum(state_file: Path) -> None:
    content = bytearray(state_file.read_bytes())
    with zipfile.ZipFile(state_file) as archive:
        content[content.index(archive.read("pytorch_model/data/3"))] ^= 1
    state_file.write_bytes(content)
    refusal(None, state_file, "checksum of pytorch_model/data/.* is wrong")


def test_a_tensor_expanded_from_one_number_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"stem.0.weight": torch.zeros(1).expand(10**5, 4, 15)}, tmp_path / "model.torch")
    check_refusal(tmp_path / "model.torch", "more numbers than fit", capsys)


@pytest.mark.parametrize("is_old", [False, True])
def test_every_view_of_a_storage_is_read(is_old: bool, tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "all": base,
        "turned": base.T,
        "slice": base[1:3, ::2],
        "row": base[2],
        "scalar": base[3, 5],
        "empty": base[:0],
        "double": base.double() / 3,
        "half": base.half(),
        "bfloat": base.bfloat16(),
        "parameter": torch.nn.Parameter(base + 1),
        "counter": torch.tensor(7),
    }
    torch.save(state, tmp_path / "x.pt", _use_new_zipfile_serialization=not is_old)
    arrays = open_file(tmp_path / "x.pt")
    assert arrays.shapes == {name: tuple(value.shape) for name, value in state.items()}
    del state["counter"]
    for name in state:
        value = arrays.read(name)
        assert value.dtype == np.float32
        assert np.array_equal(value, state[name].detach().float().numpy()), name
    with pytest.raises(SeqcovError, match="counter holds int64"):
        arrays.read("counter")


def test_a_checkpoint_with_an_optimiser_is_read_or_refused_with_advice(state_file: Path) -> None:
    state = torch.load(state_file, weights_only=True)
    optimiser = {"state": {0: {"step": 3}}, "groups": [{"betas": (0.9, 0.99)}]}
    torch.save({"state_dict": state, "optimizer": optimiser}, state_file)
    load_model("enformer", state_file)
    torch.save({"state_dict": state, "x": Path("x")}, state_file)  # a class is not a tensor
    refusal(None, state_file, "save its weights alone")
    torch.save({"model": state, "epoch": 1}, state_file)
    refusal(None, state_file, "'model' is not a tensor.*save it alone")


@pytest.mark.parametrize("is_old", [False, True])
def test_the_prefix_of_a_dataparallel_is_dropped(is_old: bool, state_file: Path) -> None:
    expected = load_model("enformer", state_file).state_dict()
    state = {f"module.{name}": value for name, value in read_state(state_file).items()}
    torch.save(state, state_file, _use_new_zipfile_serialization=not is_old)
    weights = load_model("enformer", state_file).state_dict()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())


def test_a_pickled_module_is_refused_with_a_command_that_saves_its_weights(
    real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    message = refusal("bpnetlite", real_input("models/bpnetlite_ctcf/ctcf.torch"))
    assert "bpnetlite.bpnet.BPNet" in message
    assert 'python -c "import torch; torch.save(torch.load(' in message
    torch.save(torch.nn.Linear(2, 3), tmp_path / "module.pt")
    command = re.search(r'python -c "(.*)"', refusal(None, tmp_path / "module.pt"))
    assert command is not None
    old_file = tmp_path / "older" / "module.pt"
    old_file.parent.mkdir()
    torch.save(torch.nn.Linear(2, 3), old_file, _use_new_zipfile_serialization=False)
    refusal(None, old_file, "a pickle that holds torch.nn.modules.linear.Linear")
    subprocess.run([sys.executable, "-c", command[1]], cwd=tmp_path, check=True, timeout=60)
    state = torch.load(tmp_path / "module.state.pt", weights_only=True)
    assert list(state) == ["weight", "bias"]


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ({"weight": torch.ones(2), "step": 3}, "step"),
        ({"a": {"b": torch.ones(2)}}, "'a'"),
        ([torch.ones(2)], "list"),
        (torch.ones(2), "a Tensor, not a state dict"),
        ({}, "an empty dict"),
        ({"weight": torch.ones(2)}, "no known network"),
        ({"model.encoder.x": torch.ones(2)}, "config.json"),
    ],
)
def test_a_file_of_torch_save_without_a_state_dict_is_refused(
    content: Any, pattern: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "thing.pt")
    assert "thing.pt" in refusal(None, tmp_path, pattern)


class Payload:
    """Unpickling it makes a folder: the mark of code that was run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.mark),))


@pytest.mark.parametrize("kind", ["pickle", "torch", "old torch", "inside a state dict"])
@pytest.mark.parametrize("with_description", [True, False])
def test_a_pickle_among_weights_is_refused_and_never_unpickled(
    kind: str, with_description: bool, copy_golden: Callable[[str], Path], tmp_path: Path
) -> None:
    folder, mark = copy_golden("enformer_pytorch"), tmp_path / "mark"
    file = folder / "pytorch_model.bin"
    content: Any = Payload(mark)
    if kind == "inside a state dict":
        content = {**read_saved_state(folder), "x": content}
    (folder / "model.safetensors").unlink()
    if not with_description:
        (folder / "config.json").unlink()
    if kind == "pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=kind != "old torch")
    for path in (folder, file):
        message = refusal("enformer", path, "a pickle that holds")
        assert file.name in message
        assert "safe_globals" not in message
        assert "save its weights alone" in message
        assert not mark.exists()


@pytest.mark.parametrize("kind", ["pickle", "torch", "old torch"])
@pytest.mark.parametrize("name", ["model.safetensors", "model.h5", "params.json", "targets.txt"])
def test_a_pickle_under_any_file_name_is_refused_and_never_unpickled(
    kind: str, name: str, tiny_folder: Path, saved_folder: Path, tmp_path: Path
) -> None:
    folder = saved_folder if name == "model.safetensors" else tiny_folder
    payload = Payload(tmp_path / "mark")
    if kind == "pickle":
        (folder / name).write_bytes(pickle.dumps(payload))
    else:
        torch.save(payload, folder / name, _use_new_zipfile_serialization=kind == "torch")
    assert name in refusal("borzoi", folder)
    assert not (tmp_path / "mark").exists()


def test_unpickling_the_payload_would_leave_its_mark(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()
