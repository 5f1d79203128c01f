"""Damaged files: cut, with flipped bits, with renamed or missing arrays."""

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from seqcov_models import SeqcovError, save_model
from seqcov_models.checkpoints.containers.tensor_bundle import masked_crc32c, open_bundle
from seqcov_models.checkpoints.formats import sonnet
from seqcov_models.checkpoints.load import outline, weight_shapes
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.networks.shared.base import CoverageModel
from support.calico import Tiny, Weights, write_calico
from support.checkpoints import CONTAINERS, GOLDENS, are_equal, load_golden, read_state, refusal

pytestmark = pytest.mark.usefixtures("no_hang")


@pytest.fixture
def write_checkpoint(
    copy_golden: Callable[[str], Path], tmp_path: Path, tiny_weights: Weights
) -> Callable[[str], Path]:
    """Return a function that writes a golden or one of CONTAINERS, for a test that damages it."""

    def write(name: str) -> Path:
        if name in GOLDENS:
            return copy_golden(name)
        if name == "calico_borzoi":
            return write_calico(tmp_path / name, Tiny(), tiny_weights)
        if name == "saved":
            save_model(
                load_golden("enformer_pytorch", copy_golden("enformer_pytorch")), tmp_path / name
            )
            return tmp_path / name
        folder = copy_golden("borzoi_pytorch" if name == "borzoi_bin" else "enformer_pytorch")
        state = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        is_old = name == "enformer_older_bin"
        torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=not is_old)
        return folder

    return write


def files_of(folder: Path) -> list[Path]:
    """Return the files of a folder in the order of their names."""
    return sorted(file for file in folder.iterdir() if file.is_file())


def load_or_refuse(name: str, folder: Path) -> CoverageModel | None:
    """Return the model, or None if it is refused. Any other exception fails the test."""
    try:
        return load_golden(name, folder)
    except SeqcovError as error:
        message = str(error)
    assert "\n" not in message
    return None


@pytest.mark.parametrize("name", [*GOLDENS, *CONTAINERS])
def test_a_cut_file_is_refused_or_makes_no_difference(
    name: str, write_checkpoint: Callable[[str], Path]
) -> None:
    folder = write_checkpoint(name)
    expected = load_golden(name, folder)
    rng = np.random.default_rng(1)
    for file in files_of(folder):
        content = file.read_bytes()
        lengths = [0, 1, 8, len(content) - 1, *rng.integers(0, len(content), 8)]
        for length in lengths:
            file.write_bytes(content[:length])
            model = load_or_refuse(name, folder)
            assert model is None or are_equal(model, expected), (file.name, length)
        file.write_bytes(content)


def count_differences(first: CoverageModel, second: CoverageModel) -> int:
    """Return how many numbers differ between models of one shape."""
    weights, expected = first.state_dict(), second.state_dict()
    return sum(int((weights[name] != expected[name]).sum()) for name in weights)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GOLDENS, *CONTAINERS])
def test_a_flipped_bit_is_refused_or_leaves_a_finite_model(
    name: str, write_checkpoint: Callable[[str], Path]
) -> None:
    """Flip bits in every file of a checkpoint.

    Checksums (of TensorFlow's containers and of torch.save's zip) find every flip. Safetensors
    files have none, so one number may change. HDF5 and the older container of torch.save have none
    either, and their structure may then lead to other numbers of the file. A description with
    another digit may describe another network. Such a model is complete and finite, or refused.
    """
    folder = write_checkpoint(name)
    expected = load_golden(name, folder)
    rng = np.random.default_rng(2)
    for file in files_of(folder):
        content = bytearray(file.read_bytes())
        is_zip = content.startswith(b"PK")
        has_checksum = is_zip or file.suffix == ".index" or file.suffix.startswith(".data-")
        head = min(len(content), 3_000)  # mostly structure
        positions = [*rng.integers(0, head, 10), *rng.integers(0, len(content), 4)]
        positions += [*rng.integers(len(content) - min(len(content), 1_500), len(content), 6)]
        for position in map(int, positions):
            bit = 1 << int(rng.integers(8))
            content[position] ^= bit
            file.write_bytes(content)
            model = load_or_refuse(name, folder)
            if model is not None and has_checksum:
                assert are_equal(model, expected), (file.name, position, bit)
            elif model is not None:
                assert weight_shapes(model) == weight_shapes(outline(model.config, name))
                assert all(value.isfinite().all() for value in model.state_dict().values())
            if model is not None and file.suffix == ".safetensors":
                assert count_differences(model, expected) <= 1
            content[position] ^= bit
        file.write_bytes(content)


def rename_array(file: Path, rng: np.random.Generator) -> bool:
    """Rename one array of a file; return whether it is a weight."""
    if file.suffix == ".safetensors":
        state = load_file(file)
        state["other"] = state.pop(sorted(state)[int(rng.integers(len(state)))])
        save_file(state, file)
    elif file.suffix in (".torch", ".bin"):
        is_zip = file.read_bytes().startswith(b"PK")
        content = torch.load(file, weights_only=True)
        state = content.get("state_dict", content)
        names = sorted(state.keys() - {"lw0", "lw1"})  # Cherimoya's weights of losses
        state["other"] = state.pop(names[int(rng.integers(len(names)))])
        torch.save(content, file, _use_new_zipfile_serialization=is_zip)
    elif file.suffix == ".index":
        return rename_in_bundle(file, rng)
    else:
        with h5py.File(file, "r+") as handle:
            weights: list[str] = []
            handle.visit(weights.append)
            weights = [name for name in weights if name.endswith(("bias:0", "gamma:0"))]
            handle.move(weights[int(rng.integers(len(weights)))], "model_weights/other/other/x:0")
    return True


def rename_in_bundle(index: Path, rng: np.random.Generator) -> bool:
    """Rename a key in an index of one block, with its new checksum; return if it is a weight."""
    shapes = open_bundle(index).shapes
    table = bytearray(index.read_bytes())
    ends = [match.end() for match in re.finditer(b"VARIABLE_VALUE", table)]
    table[ends[int(rng.integers(len(ends)))] - 1] ^= 1
    size = next(  # of the first block: behind it are its compression, none, and its checksum
        end
        for end in range(max(ends), len(table))
        if masked_crc32c(index.read_bytes()[: end + 1])
        == int.from_bytes(table[end + 1 : end + 5], "little")
    )
    crc = masked_crc32c(bytes(table[: size + 1]))
    table[size + 1 : size + 5] = crc.to_bytes(4, "little")
    index.write_bytes(table)
    (name,) = shapes.keys() - open_bundle(index).shapes.keys()
    return sonnet.canonical(name) is not None


@pytest.mark.parametrize("name", [*GOLDENS, *CONTAINERS])
def test_a_renamed_weight_is_refused(name: str, write_checkpoint: Callable[[str], Path]) -> None:
    folder = write_checkpoint(name)
    rng = np.random.default_rng(3)
    (file,) = recognise(None, folder).weights
    content = file.read_bytes()
    for _ in range(6):
        is_weight = rename_array(file, rng)
        assert (load_or_refuse(name, folder) is None) == is_weight
        file.write_bytes(content)


def remove_arrays(path: Path, names: list[str]) -> None:
    """Remove arrays from a safetensors file; a name may be absent."""
    state = load_file(path)
    save_file({name: value for name, value in state.items() if name not in names}, path)


@pytest.mark.parametrize("with_description", [True, False])
@pytest.mark.parametrize(
    ("name", "names"),
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
def test_a_missing_array_is_named_as_in_the_file(
    with_description: bool, name: str, names: list[str], copy_golden: Callable[[str], Path]
) -> None:
    folder = copy_golden(name)
    if name == "bpnet_lite":
        state = read_state(folder / "model.torch")
        del state[names[0]]
        torch.save(state, folder / "model.torch")
    else:
        remove_arrays(folder / "model.safetensors", names)
    if not with_description:
        (folder / "config.json").unlink(missing_ok=True)
    refusal(None, folder, f": 1 missing: {re.escape(names[0])}$")
