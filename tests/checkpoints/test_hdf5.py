"""Keras' .h5 files: both generations of names, wrong weights, links, compression."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from seqcov_models import load_model
from seqcov_models.networks.shared.base import TokenPredictionModel
from support.checkpoints import are_equal, check_refusal, refusal

pytestmark = pytest.mark.usefixtures("no_hang")


HEAD = "model_weights/dense_8/dense_8"  # 2 blocks and 2 upsamples use dense … dense_7


def change_weights(path: Path, change: Callable[[h5py.Group], None]) -> None:
    """Change the group of weights in a file."""
    with h5py.File(path, "r+") as file:
        change(file["model_weights"])


def use_released_names(group: h5py.Group) -> None:
    """Rename layers and biases as in the released Borzoi files."""
    for layer in list(group):
        if layer.startswith("batch_normalization"):
            group.move(f"{layer}/{layer}", f"{layer}/sync_{layer}")
            group.move(layer, f"sync_{layer}")
        if layer.startswith("multihead_attention"):
            for bias in ("r_w_bias:0", "r_r_bias:0"):
                group.move(f"{layer}/{layer}/{bias}", f"{layer}/{bias}")


def flatten_biases(group: h5py.Group) -> None:
    """Store the biases of attention as (heads, key), under their released names."""
    use_released_names(group)
    for layer in ("multihead_attention", "multihead_attention_1"):
        for bias in ("r_w_bias:0", "r_r_bias:0"):
            values = group[layer][bias][()]
            del group[layer][bias]
            group[layer][bias] = values.reshape(values.shape[1], values.shape[3])


def drop_root(group: h5py.Group) -> None:
    """Move the layers to the root, as in a file of weights alone."""
    for layer in list(group):
        group.file.move(f"model_weights/{layer}", layer)
    del group.file["model_weights"]


def add_empty_layers(group: h5py.Group) -> None:
    """Add groups of layers that have no weights."""
    for layer in ("dropout", "add_1", "tf.nn.gelu", "top_level_model_weights"):
        group.create_group(layer)


@pytest.mark.parametrize(
    "change", [use_released_names, flatten_biases, drop_root, add_empty_layers]
)
def test_a_keras_file_of_another_generation_gives_the_same_model(
    change: Callable[[h5py.Group], None], tiny_folder: Path, tiny_model: TokenPredictionModel
) -> None:
    change_weights(tiny_folder / "model.h5", change)
    assert are_equal(load_model("borzoi", tiny_folder), tiny_model)


def test_the_mini_file_under_released_names_gives_the_same_outputs(
    real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    source = real_input("models/mini_borzoi")
    for name in ("model.h5", "params.json", "targets.txt"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    change_weights(tmp_path / "model.h5", use_released_names)
    model, expected = load_model("borzoi", tmp_path), load_model("borzoi", source)
    assert are_equal(model, expected)
    letters = ["ACGGTATTCA" * 13_107 + "GT"]
    assert np.array_equal(model.predict(letters), expected.predict(letters))


@pytest.mark.slow
def test_a_keras_file_cut_anywhere_is_refused(tiny_folder: Path) -> None:
    path = tiny_folder / "model.h5"
    content = path.read_bytes()
    lengths = [*range(0, 2_100, 150), *range(2_100, len(content), len(content) // 40)]
    for length in [*lengths, *(len(content) - size for size in (1, 2, 3, 8, 50, 500))]:
        path.write_bytes(content[:length])
        assert "model.h5" in refusal("borzoi", tiny_folder)


def replace_dataset(group: h5py.Group, name: str, value: Any) -> None:
    """Replace a dataset by another value."""
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
    "a weight twice": (
        lambda g: g.create_dataset("sync_batch_normalization/gamma:0", data=np.ones(6, "f4")),
        "batch_normalization",
    ),
    "a weight at two depths": (
        lambda g: g.create_dataset("batch_normalization/gamma:0", data=np.ones(6, "f4")),
        "batch_normalization",
    ),
    "a kernel of another width": (
        lambda g: replace_dataset(g, KERNEL, np.zeros((5, 4, 9), "f4")),
        r"\(9, 4, 5\)|\(5, 4, 9\)",
    ),
    "a kernel transposed": (
        lambda g: replace_dataset(g, KERNEL, np.zeros((6, 4, 5), "f4")),
        r"\(5, 4, 6\)|\(6, 4, 5\)",
    ),
    "a flat kernel": (
        lambda g: replace_dataset(g, KERNEL, np.zeros(120, "f4")),
        "conv1d/kernel|120",
    ),
    "a kernel with an axis more": (
        lambda g: replace_dataset(g, KERNEL, np.zeros((2, 5, 4, 6), "f4")),
        "conv1d/kernel|5, 4, 6",
    ),
    "a scalar": (lambda g: replace_dataset(g, KERNEL, np.float32(1)), "conv1d/kernel|stem"),
    "NaN": (lambda g: g[KERNEL].__setitem__((0, 0, 0), np.nan), "finite"),
    "infinity": (lambda g: g[BIAS].__setitem__(0, -np.inf), "finite"),
    "too large for float32": (
        lambda g: replace_dataset(g, BIAS, np.full(7, 1e300)),
        "finite|float32|overflow",
    ),
    "a negative variance": (
        lambda g: g[GAMMA.replace("gamma", "moving_variance")].__setitem__(0, -1.0),
        "variance",
    ),
    "integers": (lambda g: replace_dataset(g, BIAS, np.zeros(7, "i4")), "int32"),
    "complex numbers": (lambda g: replace_dataset(g, BIAS, np.zeros(7, "c8")), "complex"),
    "text": (lambda g: replace_dataset(g, BIAS, np.array([b"x"] * 7)), "bias"),
    "objects": (
        lambda g: (g.__delitem__(BIAS), g.create_dataset(BIAS, (7,), dtype=h5py.string_dtype())),
        "bias",
    ),
    "nothing": (lambda g: replace_dataset(g, BIAS, h5py.Empty("f4")), "no head"),
    "a dataset for the group": (lambda g: replace_dataset(g.file, "model_weights", [1.0]), "Keras"),
    "an empty file": (lambda g: g.file.__delitem__("model_weights"), "Keras"),
    "a far larger array": (
        lambda g: (g.__delitem__(BIAS), g.create_dataset(BIAS, (10**13,), "f4", chunks=(8,))),
        "bias|HDF5",
    ),
}


@pytest.mark.parametrize("change_name", BAD_WEIGHTS)
def test_a_keras_file_with_wrong_weights_is_refused(change_name: str, tiny_folder: Path) -> None:
    change, pattern = BAD_WEIGHTS[change_name]
    change_weights(tiny_folder / "model.h5", change)
    assert "model.h5" in refusal("borzoi", tiny_folder, pattern)


def link_to_another_file(kind: str, file: h5py.File, target: Path) -> None:
    """Link weights of `file` to `target`, a complete checkpoint that fits."""
    if kind == "all weights":
        del file["model_weights"]
        file["model_weights"] = h5py.ExternalLink(str(target), "/model_weights")
    elif kind == "a soft link to all weights":
        del file["model_weights"]
        file["elsewhere"] = h5py.ExternalLink(str(target), "/model_weights")
        file["model_weights"] = h5py.SoftLink("/elsewhere")
    elif kind == "a layer":
        del file["model_weights/dense_8"]
        file["model_weights/dense_8"] = h5py.ExternalLink(str(target), "/model_weights/dense_8")
    elif kind == "a weight":
        del file[f"{HEAD}/bias:0"]
        file[f"{HEAD}/bias:0"] = h5py.ExternalLink(str(target), f"/{HEAD}/bias:0")
    elif kind == "a virtual dataset":
        del file[f"{HEAD}/bias:0"]
        layout = h5py.VirtualLayout((7,), "f4")
        layout[:] = h5py.VirtualSource(str(target), f"/{HEAD}/bias:0", (7,))
        file.create_virtual_dataset(f"{HEAD}/bias:0", layout)
    else:
        del file[f"{HEAD}/bias:0"]
        raw = target.with_suffix(".raw")
        raw.write_bytes(np.ones(7, "f4").tobytes())
        file.create_dataset(f"{HEAD}/bias:0", (7,), "f4", external=[(str(raw), 0, 28)])


LINKS = ["all weights", "a soft link to all weights", "a layer", "a weight", "a virtual dataset"]


@pytest.mark.parametrize("kind", [*LINKS, "raw bytes"])
def test_a_keras_file_never_reads_another_file(
    kind: str, tiny_folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "secret.h5"
    shutil.copy(tiny_folder / "model.h5", target)
    with h5py.File(tiny_folder / "model.h5", "r+") as file:
        link_to_another_file(kind, file, target)
    assert "model.h5" in refusal("borzoi", tiny_folder)


@pytest.mark.parametrize("letters", [b"GCOL\x01", b"HEAP\0"])
def test_weights_may_contain_the_signatures_of_hdf5(
    letters: bytes, copy_golden: Callable[[str], Path]
) -> None:
    path = copy_golden("keras_basenji_2020") / "model_human.h5"
    with h5py.File(path, "r+") as file:
        bias = file["model_weights"]["dense"]["dense"]["bias:0"]
        values = np.zeros(bias.shape, "f4")
        values.view(np.uint8)[: len(letters)] = np.frombuffer(letters, np.uint8)
        bias[...] = values
    bias_of_model = load_model("basenji2", path.parent).head.bias
    assert np.array_equal(bias_of_model.detach().numpy(), values)


def test_compressed_arrays_are_read(copy_golden: Callable[[str], Path]) -> None:
    path = copy_golden("keras_basenji_2020") / "model_human.h5"
    expected = load_model("basenji2", path.parent).state_dict()
    with h5py.File(path, "r+") as file:
        layer = file["model_weights"]["conv1d"]["conv1d"]
        kernel = layer["kernel:0"][()]
        del layer["kernel:0"]
        layer.create_dataset("kernel:0", data=kernel, compression="gzip", shuffle=True)
    weights = load_model("basenji2", path.parent).state_dict()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())


def test_a_compressed_array_of_an_absurd_size_is_refused(
    copy_golden: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_golden("keras_basenji_2020")
    with h5py.File(folder / "model_human.h5", "r+") as file:
        group = file["model_weights"]
        item = group.create_dataset(
            "x/bias:0", (10**12,), "f4", chunks=(10**4,), compression="gzip"
        )
        item[:10] = 1
    check_refusal(folder, "more numbers than fit", capsys)
