"""Checkpoints of every format that are damaged, incomplete, or not what is asked for."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from goldens.common import unpack
from seqcov_models import save_model
from seqcov_models.checkpoints.load import load_checkpoint
from seqcov_models.checkpoints.recognise import recognise
from support import foreign_files
from support.bad_inputs import Case, command
from support.calico import Tiny, draw_keras_weights, write_calico
from support.checkpoints import GOLDENS, edit_json, load_golden
from support.plans import Config

Edit = Callable[[Path], object]


def load(architecture: str | None, path: str | Path, **options: Any) -> None:
    """Do what the workflow does with a checkpoint before anything is predicted."""
    checkpoint = recognise(architecture, path, **options)
    load_checkpoint(checkpoint, checkpoint.tracks)


def loading(what: str, path: str, architecture: str | None = None, **options: Any) -> Case:
    """Return the case of a wrong path or option."""
    return what, lambda _: load(architecture, path, **options)


def golden(what: str, name: str, edit: Edit, **options: Any) -> Case:
    """Return the case of a published format whose files are edited."""

    def refused(_: Config) -> None:
        edit(unpack(name, Path(name)))
        load(GOLDENS[name][0], name, **options)

    return f"{GOLDENS[name][1]}: {what}", refused


def calico(what: str, edit: Edit, architecture: str = "borzoi", **options: Any) -> Case:
    """Return the case of a folder of calico whose files are edited."""

    def refused(_: Config) -> None:
        edit(write_calico(Path("model"), Tiny(), draw_keras_weights(Tiny())))
        load(architecture, "model", **options)

    return f"calico: {what}", refused


def saved(what: str, edit: Edit) -> Case:
    """Return the case of a folder of this package whose files are edited."""

    def refused(_: Config) -> None:
        unpack("enformer_pytorch", Path("source"))
        save_model(load_golden("enformer_pytorch", Path("source")), Path("saved"))
        edit(Path("saved"))
        load("enformer", "saved")

    return f"seqcov: {what}", refused


def state(what: str, content: Callable[[], Any]) -> Case:
    """Return the case of a file of torch.save that holds something else than weights."""

    def refused(_: Config) -> None:
        torch.save(content(), "thing.pt")
        load(None, "thing.pt")

    return f"torch.save: {what}", refused


def cut(name: str, count: int = 100) -> Edit:
    """Return the function that cuts a file by some bytes."""

    def edit(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:-count])

    return edit


def delete(name: str) -> Edit:
    """Return the function that deletes a file."""
    return lambda folder: (folder / name).unlink()


def write(name: str, content: str) -> Edit:
    """Return the function that writes a file."""
    return lambda folder: (folder / name).write_text(content)


def edit_fields(name: str, **values: Any) -> Edit:
    """Return the function that changes values of a JSON file."""
    return lambda folder: edit_json(folder / name, **values)


def rename_array(old: str, new: str) -> Edit:
    """Return the function that renames an array of a safetensors file."""

    def edit(folder: Path) -> None:
        arrays = load_file(folder / "model.safetensors")
        arrays[new] = arrays.pop(old)
        save_file(arrays, folder / "model.safetensors")

    return edit


def spoil_number(folder: Path) -> None:
    arrays = load_file(folder / "model.safetensors")
    name = sorted(arrays)[0]
    arrays[name].view(-1)[0] = float("nan")
    save_file(arrays, folder / "model.safetensors")


def narrow_kernel(folder: Path) -> None:
    with h5py.File(folder / "model.h5", "r+") as handle:
        name = "model_weights/conv1d_1/conv1d_1/kernel:0"
        kernel = handle[name][:, :, :3]
        del handle[name]
        handle[name] = kernel


def add_layers(folder: Path) -> None:
    params = json.loads((folder / "params.json").read_text())
    params["model"]["trunk"][1]["repeat"] += 1
    (folder / "params.json").write_text(json.dumps(params))


def replace_by_folder(folder: Path) -> None:
    (folder / "model.h5").unlink()
    (folder / "model.h5").mkdir()


def add_saved_model(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\n")


def foreign(what: str, write: Callable[[Path], Path]) -> Case:
    """Return the case of a file of another project that `support.foreign_files` writes."""

    def refused(_: Config) -> None:
        Path("foreign").mkdir()
        load("chrombpnet", write(Path("foreign")))

    return what, refused


def add_fold(folder: Path) -> None:
    for file in list(folder.iterdir()):
        (folder / "fold_0").mkdir(exist_ok=True)
        file.rename(folder / "fold_0" / file.name)


def remove_layer(folder: Path) -> None:
    (folder / "chrombpnet.h5").unlink()
    (folder / "bias_model_scaled.h5").unlink()
    with h5py.File(folder / "chrombpnet_nobias.h5", "r+") as handle:
        del handle["model_weights/wo_bias_bpnet_3conv"]


def add_training(**settings: Any) -> Edit:
    """Return the function that replaces config.json by the settings of a training."""

    def edit(folder: Path) -> None:
        (folder / "config.json").unlink()
        arrays = load_file(folder / "model.safetensors")
        for name in ("weight", "bias"):
            arrays[f"mouse_head.{name}"] = arrays[f"human_head.{name}"] * 2
        save_file(arrays, folder / "model.safetensors")
        model = {"seq_len": 131_072, "pred_len": 49_152, "species": "human", **settings}
        (folder / "config.yaml").write_text(json.dumps({"model": model}))

    return edit


def set_transformer(**values: Any) -> Edit:
    """Return the function that changes the transformer of params.json."""

    def edit(folder: Path) -> None:
        params = json.loads((folder / "params.json").read_text())
        params["model"]["trunk"][2].update(values)
        (folder / "params.json").write_text(json.dumps(params))

    return edit


def add_adapter(folder: Path) -> None:
    """Add what baskerville's transfer learning adds to the .h5 for Houlsby's adapters."""
    with h5py.File(folder / "model.h5", "r+") as handle:
        handle["model_weights/adapter_houlsby/adapter_houlsby/dense/kernel:0"] = np.ones((12, 8))


def write_torch_params(folder: Path) -> None:
    """Write a params.json as calico/baskerville `releases/borzoi_prime` has it."""
    names = ["ConvDNA", "ConvTower", "TransformerTower", "UnetTower", "Crop"]
    head = {"name": "Final", "in_channels": 1536, "num_targets": 5431}
    model = {"seq_length": 524_288, "act_func": "gelu", "untransform": "borzoi", "head_human": head}
    trunk = [{"name": name} for name in names]
    (folder / "params.json").write_text(json.dumps({"model": {**model, "trunk": trunk}}))


def open_pipe(_: Config) -> None:
    os.mkfifo("model.h5")
    load(None, "model.h5")


def open_pickle(_: Config) -> None:
    Path("model.pt").write_bytes(pickle.dumps({"a": 1}))
    load(None, "model.pt")


CASES: list[Case] = [
    loading("the path does not exist", "nowhere"),
    loading("an address of Hugging Face with too many parts", "hf://a/b/c/../d"),
    loading("an address of Hugging Face with too few parts", "hf://enformer"),
    loading("an unknown architecture", "bpnet", "bpnett"),
    loading("another network than the config names", "bpnet", "enformer"),
    loading("an unknown encoding of N", "bpnet", "bpnet", n_encoding="nulls"),
    ("a pipe instead of a file", open_pipe),
    ("a pickle that torch did not write", open_pickle),
    command("`convert` into a folder with files", None, "convert", "bpnet", "tiny"),
    command("`describe` with another architecture", None, "describe", "bpnet", "--architecture",
            "borzoi"),
    calico("the weights are missing", delete("model.h5")),
    calico("the weights are cut", cut("model.h5", 1_000)),
    calico("the weights are text", write("model.h5", "not HDF5")),
    calico("the weights are a folder", replace_by_folder),
    calico("params.json is not JSON", write("params.json", "{")),
    calico("params.json is a list", write("params.json", "[]")),
    calico("params.json describes more layers", add_layers),
    calico("an array is narrower than params.json says", narrow_kernel),
    calico("several files of weights",
           lambda folder: shutil.copy(folder / "model.h5", folder / "other.h5")),
    calico("no head for the species", lambda folder: folder, species="mouse"),
    calico("another architecture is asked for", lambda folder: folder, "basenji2"),
    calico("the track table that `targets` names is missing", lambda folder: folder,
           targets="absent.txt"),
    calico("adapters of transfer learning", add_adapter),
    calico("params.json of baskerville for PyTorch", write_torch_params),
    calico("a SavedModel instead of weights", add_saved_model),
    saved("the weights are missing", delete("model.safetensors")),
    saved("the weights are cut", cut("model.safetensors")),
    saved("the weights are empty", write("model.safetensors", "")),
    saved("config.json is not JSON", write("config.json", "{")),
    saved("config.json has an unknown field", edit_fields("config.json", stem_chanels=3)),
    saved("config.json has a word for a number", edit_fields("config.json", stem_channels="wide")),
    saved("config.json has another width", edit_fields("config.json", stem_channels=10)),
    saved("config.json has a window that cannot be pooled",
          edit_fields("config.json", sequence_length=12_289)),
    saved("config.json names an unknown network", edit_fields("config.json", architecture="puma")),
    saved("a weight is not a number", spoil_number),
    golden("the weights are cut", "multimolecule_borzoi", cut("model.safetensors")),
    golden("config.json is missing", "multimolecule_bpnet", delete("config.json")),
    golden("the head is for the other species", "multimolecule_borzoi", lambda folder: folder,
           species="mouse"),
    golden("a weight is renamed", "enformer_pytorch",
           rename_array("_heads.human.0.weight", "other")),
    golden("no head for the species", "enformer_pytorch", lambda folder: folder, species="fly"),
    golden("the weights are cut", "borzoi_pytorch", cut("model.safetensors")),
    golden("a weight is renamed", "borzoi_pytorch",
           rename_array("res_tower.2.conv_layer.weight", "other")),
    golden("the state dict is cut", "bpnet_lite", cut("model.torch")),
    golden("the weights are cut", "keras_bpnet", cut("bpnet.model.h5")),
    golden("the weights of Basenji2 are cut", "keras_basenji_2022", cut("model_human.h5")),
    golden("the weights are cut", "keras_chrombpnet", cut("chrombpnet.h5")),
    golden("a dilated layer is missing", "keras_chrombpnet", remove_layer),
    golden("two files without bias in a folder", "keras_chrombpnet",
           lambda folder: shutil.copy(folder / "chrombpnet_nobias.h5", folder / "older.h5")),
    golden("a folder of folds", "keras_chrombpnet", add_fold),
    golden("the weights are cut", "keras_bpnet_encode", cut("BP000001.1_model.h5")),
    golden("the weights are cut", "cherimoya", cut("cherimoya.fold_0.torch")),
    golden("the head that was not trained", "borzoi_pytorch", add_training(species="mouse")),
    golden("a prediction that is not in the middle", "borzoi_pytorch",
           add_training(pred_len=49_120)),
    golden("bins of another size in config.yaml", "borzoi_pytorch", add_training(bin_size=16)),
    calico("convolutions for queries and keys", set_transformer(qkv_width=3)),
    calico("a transformer without dense layers", set_transformer(dense_expansion=0)),
    foreign("bpnet-lite: a pickle of the module", foreign_files.pickled_module),
    foreign("Lightning: a checkpoint with code", foreign_files.lightning_with_code),
    foreign("gReLU: a Borzoi", foreign_files.grelu_borzoi),
    foreign("ChromBPNet: a SavedModel", foreign_files.saved_model),
    foreign("ChromBPNet: a SavedModel in a tar", foreign_files.saved_model_tar),
    foreign("ChromBPNet: an archive of folds", foreign_files.archive_of_folds),
    foreign("ChromBPNet: a zip of models", foreign_files.zip_of_models),
    foreign("Keras 3: a .keras archive", foreign_files.keras_3),
    foreign("Keras 3: a file of weights alone", foreign_files.keras_3_weights),
    state("weights within a dict", lambda: {"model": {"a": torch.ones(2)}, "epoch": 1}),
    state("a list", lambda: [torch.ones(2)]),
    state("one array", lambda: torch.ones(2)),
    state("an empty dict", dict),
    state("arrays of no known network", lambda: {"weight": torch.ones(2)}),
    state("a module", lambda: torch.nn.Linear(2, 3)),
    state("a file path among the weights",
          lambda: {"state_dict": {"a": torch.ones(2)}, "x": Path("x")}),
]  # fmt: skip
