"""Every published format: what other projects saved is loaded, and predicts what they predicted.

The goldens of multimolecule, enformer-pytorch, borzoi-pytorch and bpnet-lite were written by these
(tests/goldens/make.py), those of Keras by Keras, of networks put together as their projects do, and
Sonnet's by Sonnet, of enformer-pytorch's weights (tests/goldens/make_tensorflow.py).
"""

import json
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from goldens.common import HERE, one_hot_array, windows
from seqcov_models import SeqcovError, load_model, save_model
from seqcov_models.checkpoints.containers import tensor_bundle
from seqcov_models.checkpoints.containers.tensor_bundle import open_bundle
from seqcov_models.checkpoints.formats import all_formats, sonnet
from seqcov_models.checkpoints.load import build, load_checkpoint, outline, weight_shapes
from seqcov_models.checkpoints.recognise import find_files, recognise
from seqcov_models.networks.bpnet.network import BPNetForProfilePrediction
from seqcov_models.networks.enformer.network import EnformerForTokenPrediction
from seqcov_models.networks.shared.base import CoverageModel
from support.calico import Tiny, Weights, write_calico

pytestmark = pytest.mark.usefixtures("no_hang")

AGREE = 1e-5  # of the output's range

GOLDENS = {
    "multimolecule_basenji": ("basenji2", "multimolecule"),
    "multimolecule_enformer": ("enformer", "multimolecule"),
    "multimolecule_enformer_table": ("enformer", "multimolecule"),
    "multimolecule_borzoi": ("borzoi", "multimolecule"),
    "multimolecule_bpnet": ("bpnet", "multimolecule"),
    "enformer_pytorch": ("enformer", "enformer-pytorch"),
    "sonnet_enformer": ("enformer", "sonnet"),
    "borzoi_pytorch": ("borzoi", "borzoi-pytorch"),
    "flashzoi": ("borzoi", "borzoi-pytorch"),
    "bpnet_lite": ("bpnetlite", "bpnet-lite"),
    "bpnet_lite_controls": ("bpnetlite", "bpnet-lite"),
    "keras_basenji_2020": ("basenji2", "calico"),
    "keras_basenji_2022": ("basenji2", "calico"),
    "keras_bpnet": ("bpnet", "bpnet-keras"),
}
"""Architecture and format of each."""
MADE = {
    "own": ("enformer", "seqcov"),
    "calico_borzoi": ("borzoi", "calico"),
    "enformer_bin": ("enformer", "enformer-pytorch"),
    "enformer_older_bin": ("enformer", "enformer-pytorch"),
    "borzoi_bin": ("borzoi", "borzoi-pytorch"),
}
"""Further forms of their weights, which `damageable` writes."""
CONVERTED = [name for name in GOLDENS if name.startswith("multimolecule")]


def load(name: str, folder: Path, **how: Any) -> CoverageModel:
    architecture, kind = {**GOLDENS, **MADE}[name]
    if name.startswith("sonnet"):  # whose files do not say what is cropped
        checkpoint = recognise(architecture, folder, **how)
        target = {"target_length": 40}
        config = type(checkpoint.config).from_dict({**checkpoint.config.to_dict(), **target})
        object.__setattr__(checkpoint, "config", config)
        return load_checkpoint(checkpoint, checkpoint.tracks)
    assert recognise(None, folder, **how).format == kind
    return load_model(architecture, folder, **how)


def same(one: CoverageModel, two: CoverageModel) -> bool:
    ours, theirs = one.state_dict(), two.state_dict()
    return (
        ours.keys() == theirs.keys()
        and all(torch.equal(ours[name], theirs[name]) for name in ours)
        and one.config == two.config
        and one.tracks == two.tracks
    )


def refused(architecture: str | None, path: Path | str, said: str | None = None, **how: Any) -> str:
    with pytest.raises(SeqcovError, match=said) as caught:
        load_checkpoint(checkpoint := recognise(architecture, path, **how), checkpoint.tracks)
    return str(caught.value)


# What they predict


def check_prediction(model: CoverageModel, golden: Any, which: str) -> None:
    expected, step = golden[which], int(golden["step"])
    found = model.predict(windows(int(golden["length"]), 1))[:, ::step]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= AGREE * np.ptp(expected)


@pytest.mark.parametrize("name", GOLDENS)
def test_a_checkpoint_predicts_what_its_own_project_predicted(
    name: str, goldens: Callable[[str], Path], tmp_path: Path
) -> None:
    model = load(name, goldens(name))
    golden = np.load(HERE / name / "golden.npz")
    check_prediction(model, golden, "coverage")
    save_model(model, tmp_path)
    again = load_model(GOLDENS[name][0], tmp_path)
    assert same(model, again)
    letters = windows(model.geometry.window, 1, seed=3)
    assert np.array_equal(model.predict(letters), again.predict(letters))


@pytest.mark.parametrize("name", CONVERTED)
def test_the_fifth_channel_is_kept_where_that_is_asked_for(
    name: str, goldens: Callable[[str], Path], tmp_path: Path
) -> None:
    model = load(name, goldens(name), n_encoding="multimolecule")
    golden = np.load(HERE / name / "golden.npz")
    check_prediction(model, golden, "as_converted")
    assert np.abs(golden["as_converted"] - golden["coverage"]).max() > 1e-3  # and it matters
    save_model(model, tmp_path)
    assert same(model, load_model(GOLDENS[name][0], tmp_path))


def test_a_fifth_channel_that_is_not_there_is_not_promised(goldens: Callable[[str], Path]) -> None:
    folder = goldens("enformer_pytorch")
    assert "multimolecule" in refused("enformer", folder, n_encoding="multimolecule")
    assert "choose" in refused("enformer", folder, n_encoding="nulls")


def test_the_trained_bpnet_lite_predicts_what_bpnet_lite_did(
    real_input: Callable[[str], Path],
) -> None:
    from seqcov_models.genome.fasta import Genome, open_fasta

    model = load_model("bpnetlite", real_input("models/bpnetlite_ctcf/ctcf.safetensors"))
    assert isinstance(model, BPNetForProfilePrediction)
    expected = np.load(real_input("reference_outputs/bpnetlite_ctcf_hg38_chr1_1Mb.npz"))
    fasta = real_input("genomes/hg38_chr1_1Mb.fa.gz")
    genome = Genome(open_fasta(fasta, fasta.parent))
    starts, length = expected["start"], int(expected["length"])
    codes = np.stack([genome.fetch(str(expected["chrom"]), s, s + length) for s in starts])
    with torch.inference_mode():
        output = model(torch.from_numpy(codes))
    profile = output.profile_logits[:, :, 0].transpose(1, 2).numpy()
    counts = output.count_logits[:, 0].numpy()
    for found, name in ((profile, "profile_logits"), (counts, "logcounts")):
        wanted = expected[f"example_final_{name}"]
        assert np.abs(found - wanted).max() < 1e-4


# The same weights in other forms


def test_sonnets_weights_are_those_of_enformer_pytorch(goldens: Callable[[str], Path]) -> None:
    one = load("sonnet_enformer", goldens("sonnet_enformer"))
    assert same(one, load("enformer_pytorch", goldens("enformer_pytorch")))


def both_names(folder: Path) -> dict[str, torch.Tensor]:
    """The state dict of enformer-pytorch as torch.save writes it: trunk weights under two names."""
    from seqcov_models.checkpoints.formats.enformer_pytorch import canonical

    state = {canonical(n): v for n, v in load_file(folder / "model.safetensors").items()}
    numbers = {"stem": 1, "conv_tower": 2, "transformer": 4, "final_pointwise": 6}
    doubles = {}
    for name, value in state.items():
        first, _, rest = name.partition(".")
        if first in numbers:
            doubles[f"_trunk.{numbers[first]}.{rest}"] = value
    return {**state, **doubles}


def test_a_state_dict_with_both_names_of_each_weight_is_the_same(
    fresh: Callable[[str], Path],
) -> None:
    folder = fresh("enformer_pytorch")
    expected = load("enformer_pytorch", folder)
    state = both_names(folder)
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert same(load("enformer_pytorch", folder), expected)
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    assert same(load("enformer_pytorch", folder), expected)
    state["stem.0.bias"] = state["stem.0.bias"] + 1
    torch.save(state, folder / "pytorch_model.bin")
    assert "stem.0.bias" in refused("enformer", folder, "differs")


def test_a_bare_state_dict_needs_no_description(fresh: Callable[[str], Path]) -> None:
    folder = fresh("enformer_pytorch")
    expected = load("enformer_pytorch", folder)
    torch.save({"state_dict": both_names(folder)}, folder / "enformer.pth")
    (folder / "config.json").unlink()
    model = load_model("enformer", folder / "enformer.pth")
    assert model.geometry.bins == 896  # as published
    assert all(
        torch.equal(value, expected.state_dict()[name])
        for name, value in model.state_dict().items()
    )


def test_both_heads_of_an_enformer_go_with_it(
    goldens: Callable[[str], Path], tmp_path: Path
) -> None:
    human = load("enformer_pytorch", goldens("enformer_pytorch"))
    mouse = load("enformer_pytorch", goldens("enformer_pytorch"), species="mouse")
    assert (len(human.tracks), len(mouse.tracks)) == (5, 3)
    save_model(human, tmp_path / "from_human")
    save_model(mouse, tmp_path / "from_mouse")
    for folder in tmp_path.iterdir():
        assert same(load_model("enformer", folder, species="human"), human)
        assert same(load_model("enformer", folder, species="mouse"), mouse)
        assert "human" in refused("enformer", folder, "mouse", species="fly")


def test_both_heads_of_an_enformer_keep_their_tables(
    fresh: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = fresh("enformer_pytorch")
    names = {"human": [f"H{row}" for row in range(5)], "mouse": [f"M{row}" for row in range(3)]}
    for species, identifiers in names.items():
        rows = "".join(f"{row}\t{name}\n" for row, name in enumerate(identifiers))
        (folder / f"targets_{species}.txt").write_text("\tidentifier\n" + rows)
    for species, other in (("human", "mouse"), ("mouse", "human")):
        model = load_model("enformer", folder, species=species)
        save_model(model, tmp_path / species)
        again = load_model("enformer", tmp_path / species, species=other)
        for one, which in ((model, species), (again, other)):
            assert isinstance(one, EnformerForTokenPrediction)
            assert [track.identifier for track in one.tracks] == names[which]
            one.select_species({"human": "mouse", "mouse": "human"}[which])
            assert [track.identifier for track in one.tracks] == names[one.config.species]


def test_one_strand_of_a_bpnet_can_be_saved(goldens: Callable[[str], Path], tmp_path: Path) -> None:
    """The file holds the whole task, since its strands may be joint."""
    one = load_model("bpnet", goldens("keras_bpnet"), tracks=[1])
    save_model(one, tmp_path)
    again = load_model("bpnet", tmp_path)
    assert [track.identifier for track in again.tracks] == ["Sox2+", "Sox2-"]
    letters = windows(one.geometry.window, 1)
    np.testing.assert_array_equal(one.predict(letters), again.predict(letters)[..., 1:])


def test_a_model_is_saved_over_an_earlier_one_and_nothing_else(
    goldens: Callable[[str], Path], tmp_path: Path
) -> None:
    enformer = load_model("enformer", goldens("enformer_pytorch"))
    bpnet = load_model("bpnetlite", goldens("bpnet_lite"))
    save_model(enformer, tmp_path / "out")
    save_model(bpnet, tmp_path / "out")
    assert same(load_model("bpnetlite", tmp_path / "out"), bpnet)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "config.json", "model.safetensors", "targets.txt"
    }  # fmt: skip
    modes = {file.stat().st_mode for file in (tmp_path / "out").iterdir()}
    assert len(modes) == 1, "who may read one may read all"
    (tmp_path / "out/params.json").write_text("{}")
    with pytest.raises(SeqcovError, match=r"holds params\.json"):
        save_model(bpnet, tmp_path / "out")


def test_parts_of_a_large_file_are_put_together(fresh: Callable[[str], Path]) -> None:
    folder = fresh("multimolecule_borzoi")
    expected = load("multimolecule_borzoi", folder)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    homes = {}
    for part, some in enumerate((names[::2], names[1::2]), 1):
        file = f"model-0000{part}-of-00002.safetensors"
        save_file({name: state[name] for name in some}, folder / file)
        homes |= dict.fromkeys(some, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": homes}))
    assert same(load("multimolecule_borzoi", folder), expected)
    index.write_text(json.dumps({"weight_map": {**homes, "x": "../elsewhere.safetensors"}}))
    assert "elsewhere" in refused("borzoi", folder)
    index.write_text(json.dumps({"weight_map": homes}))
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "00002-of-00002" in refused("borzoi", folder)


@pytest.mark.parametrize("name", ["keras_basenji_2020", "keras_basenji_2022"])
def test_an_h5_without_params_json_tells_its_own_sizes(
    name: str, fresh: Callable[[str], Path]
) -> None:
    folder = fresh(name)
    expected = load(name, folder)
    assert expected.config.hidden_act == {"2020": "quick_gelu", "2022": "gelu_new"}[name[-4:]]
    (folder / "params.json").unlink()
    model = load_model("basenji2", folder)
    ours, theirs = model.config.to_dict(), expected.config.to_dict()
    for values in (ours, theirs):  # of training, which only params.json tells
        del values["hidden_dropout"], values["blocks"]["dropout"]
    assert ours == theirs
    letters = windows(1024, 1)
    assert np.array_equal(model.predict(letters), expected.predict(letters))


def test_the_gelu_can_be_told_from_the_layers_names_or_by_the_caller(
    fresh: Callable[[str], Path],
) -> None:
    folder = fresh("keras_basenji_2020")
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


def test_other_dilations_than_the_configs_are_refused(fresh: Callable[[str], Path]) -> None:
    folder = fresh("keras_basenji_2020")
    params = json.loads((folder / "params.json").read_text())
    params["model"]["trunk"][2]["rate_mult"] = 2
    (folder / "params.json").write_text(json.dumps(params))
    assert "2, 1, 4, 1, 8" in refused("basenji2", folder, "dilations")


@pytest.mark.parametrize("pool_size", [4, None])
def test_poolings_that_differ_from_the_stems_are_refused(
    pool_size: int | None, fresh: Callable[[str], Path]
) -> None:
    folder = fresh("keras_basenji_2020")
    params = json.loads((folder / "params.json").read_text())
    tower = params["model"]["trunk"][1]
    del tower["pool_size"]
    tower.update({"pool_size": pool_size} if pool_size else {})
    (folder / "params.json").write_text(json.dumps(params))
    refused("basenji2", folder, f"conv_tower.pool_size: {pool_size or 1} .* only 2")


def test_a_borzoi_h5_alone_tells_its_sizes(tmp_path: Path, tiny_weights: Weights) -> None:
    folder = write_calico(tmp_path, Tiny(), tiny_weights)
    expected = load_model("borzoi", folder)
    (folder / "params.json").unlink()
    config = recognise("borzoi", folder / "model.h5").config.to_dict()
    unknown = {"sequence_length", "position_length", "crop_bins", "target_length"}
    unknown |= {"hidden_dropout", "intermediate_dropout"}
    ours = {name: value for name, value in config.items() if name not in unknown}
    theirs = expected.config.to_dict().items()
    assert ours == {name: value for name, value in theirs if name not in unknown}


def test_the_mini_borzoi_needs_no_params_json(
    real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copy(real_input("models/mini_borzoi/model.h5"), tmp_path)
    alone = recognise("borzoi", tmp_path).config
    described = recognise("borzoi", real_input("models/mini_borzoi")).config
    assert alone == type(described).from_dict({**described.to_dict(), "hidden_dropout": 0.1})


def test_tracks_of_bpnet_are_named_as_the_network_names_them(
    goldens: Callable[[str], Path],
) -> None:
    for name in ("keras_bpnet", "multimolecule_bpnet", "bpnet_lite"):
        checkpoint = recognise(None, goldens(name))
        assert build(checkpoint.config).tracks == checkpoint.tracks
    assert [track.identifier for track in recognise(None, goldens("keras_bpnet")).tracks] == [
        "Sox2+",
        "Sox2-",
        "Klf4+",
        "Klf4-",
    ]


def test_controls_that_are_zero_add_nothing(goldens: Callable[[str], Path]) -> None:
    model = load("bpnet_lite_controls", goldens("bpnet_lite_controls"))
    x = torch.from_numpy(one_hot_array(windows(model.geometry.window, 1), 0.0))
    with torch.inference_mode():
        without = model(inputs_embeds=x)
        zeros = model(inputs_embeds=x, controls=torch.zeros(1, 2, x.shape[1]))
    assert torch.allclose(without.profile_logits, zeros.profile_logits, atol=1e-6)
    assert torch.allclose(without.count_logits, zeros.count_logits, atol=1e-6)


def test_an_older_bpnet_lite_file_with_a_column_too_many_is_read(
    fresh: Callable[[str], Path],
) -> None:
    folder = fresh("bpnet_lite")
    expected = load("bpnet_lite", folder)
    state = torch.load(folder / "model.torch", weights_only=True)
    state["linear.weight"] = torch.cat([state["linear.weight"], torch.ones(1, 1)], 1)
    torch.save(state, folder / "model.torch")
    assert same(load("bpnet_lite", folder), expected)


@pytest.mark.parametrize("name", GOLDENS)
def test_exactly_one_format_matches(name: str, goldens: Callable[[str], Path]) -> None:
    files = find_files(goldens(name), "human")
    found = [known.name for known in all_formats().values() if known.matches(files)]
    assert found == [GOLDENS[name][1]]


# What is not right


def test_a_pickled_module_is_refused_with_a_way_out(
    real_input: Callable[[str], Path], tmp_path: Path
) -> None:
    said = refused("bpnetlite", real_input("models/bpnetlite_ctcf/ctcf.torch"))
    assert "bpnetlite.bpnet.BPNet" in said
    assert 'python -c "import torch; torch.save(torch.load(' in said
    torch.save(torch.nn.Linear(2, 3), tmp_path / "module.pt")
    command = re.search(r'python -c "(.*)"', refused(None, tmp_path / "module.pt"))
    assert command is not None
    older = tmp_path / "older" / "module.pt"
    older.parent.mkdir()
    torch.save(torch.nn.Linear(2, 3), older, _use_new_zipfile_serialization=False)
    refused(None, older, "a pickle that holds torch.nn.modules.linear.Linear")
    subprocess.run([sys.executable, "-c", command[1]], cwd=tmp_path, check=True, timeout=60)
    state = torch.load(tmp_path / "module.state.pt", weights_only=True)
    assert list(state) == ["weight", "bias"]


@pytest.mark.parametrize(
    ("held", "said"),
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
def test_other_things_in_a_file_of_torch_save_are_refused(
    held: Any, said: str, tmp_path: Path
) -> None:
    torch.save(held, tmp_path / "thing.pt")
    assert "thing.pt" in refused(None, tmp_path, said)


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.mkdir, (self.mark,))


@pytest.mark.parametrize("how", ["pickle", "torch", "old torch", "inside a state dict"])
@pytest.mark.parametrize("described", [True, False])
def test_nothing_is_unpickled(
    how: str, described: bool, fresh: Callable[[str], Path], tmp_path: Path
) -> None:
    folder, mark = fresh("enformer_pytorch"), tmp_path / "mark"
    file = folder / "pytorch_model.bin"
    held: Any = Payload(mark)
    if how == "inside a state dict":
        held = {**both_names(folder), "x": held}
    (folder / "model.safetensors").unlink()
    if not described:
        (folder / "config.json").unlink()
    if how == "pickle":
        file.write_bytes(pickle.dumps(held))
    else:
        torch.save(held, file, _use_new_zipfile_serialization=how != "old torch")
    for path in (folder, file):
        said = refused("enformer", path, "a pickle that holds")
        assert file.name in said
        assert "\n" not in said
        assert "safe_globals" not in said
        assert "save its weights alone" in said
        assert not mark.exists()


def change_config(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("enformer_pytorch", {"depth": 3}, "depth: 3, but the weights have 2"),
        ("enformer_pytorch", {"heads": 3}, "heads: 3"),
        ("enformer_pytorch", {"output_heads": {"human": 6, "mouse": 3}}, "output_heads"),
        ("enformer_pytorch", {"target_length": 41}, "41"),
        ("enformer_pytorch", {"target_length": "40"}, "target_length"),
        ("borzoi_pytorch", {"dim": 24}, "dim: 24"),
        ("borzoi_pytorch", {"flashed": True}, "flashed"),
        ("borzoi_pytorch", {"bins_to_return": 20_000}, "bins_to_return"),
        ("multimolecule_basenji", {"num_labels": 6}, r"head.weight is \(5, 13\), not \(6, 13\)"),
        ("multimolecule_basenji", {"stem_channels": 7}, r"stem.blocks.0.conv.weight is \(6, 4, 15"),
        ("multimolecule_basenji", {"vocab_size": 4}, "vocab_size: 4 is not 5"),
        ("multimolecule_basenji", {"conv_tower_channels": [7, 9]}, "5 unexpected: .*conv_tower.2."),
        ("multimolecule_basenji", {"model_type": "bert"}, "bert"),
        ("multimolecule_basenji", {"blocks": {"num_blocks": 10**9}}, "num_blocks: .* to 1,000"),
        ("multimolecule_borzoi", {"num_hidden_layers": 3}, r"missing: .*layers\.2\.\* \(16\)"),
        ("multimolecule_borzoi", {"species": "mouse"}, "mouse"),
        ("multimolecule_borzoi", {"hidden_size": None}, "1536"),
        ("multimolecule_borzoi", {"conv_tower_channels": "abc"}, "conv_tower_channels"),
        ("multimolecule_enformer", {"batch_norm_eps": float("inf")}, "batch_norm_eps"),
        ("multimolecule_enformer", {"use_precomputed_gamma_basis": True}, "gamma_position_basis"),
        ("multimolecule_enformer", {"num_downsamples": 10**9}, "num_downsamples: .* to 1,000"),
        ("multimolecule_enformer_table", {"use_precomputed_gamma_basis": False}, "unexpected"),
        ("multimolecule_basenji", {"stem_channels": 10**400}, "stem_channels"),
        ("multimolecule_basenji", {"blocks": {"dilation_rate": 10**400}}, "dilation_rate"),
        ("multimolecule_borzoi", {"num_labels": 300_000_000}, "num_labels"),
        ("multimolecule_borzoi", {"conv_tower_channels": [10**400]}, "conv_tower_channels"),
        ("multimolecule_borzoi", {"head_hidden_size": 0}, "head_hidden_size"),
        ("multimolecule_borzoi", {"batch_norm_eps": 10**400}, "batch_norm_eps"),
        ("multimolecule_enformer", {"hidden_size": 10**400}, "hidden_size"),
        ("multimolecule_enformer", {"hidden_dropout": -(10**400)}, "hidden_dropout"),
        ("multimolecule_enformer_table", {"num_hidden_layers": 0}, "unexpected"),
        ("multimolecule_bpnet", {"id2label": {"0": "a\tb", "1": "b", "2": "c"}}, "tasks"),
        ("multimolecule_bpnet", {"id2label": {"0": "\ud800", "1": "b", "2": "c"}}, "tasks"),
        ("multimolecule_bpnet", {"num_tasks": 4}, "profile.3.weight"),
        ("multimolecule_bpnet", {"id2label": [1]}, "id2label"),
    ],
)
def test_a_config_json_that_does_not_fit_is_refused(
    name: str, values: dict[str, Any], said: str, fresh: Callable[[str], Path]
) -> None:
    folder = fresh(name)
    change_config(folder, **values)
    refused(GOLDENS[name][0], folder, said)


def test_gamma_tables_that_differ_between_layers_are_refused(fresh: Callable[[str], Path]) -> None:
    folder = fresh("multimolecule_enformer_table")
    state = load_file(folder / "model.safetensors")
    state["model.encoder.layers.1.attention.gamma_position_basis"] += 1
    save_file(state, folder / "model.safetensors")
    refused("enformer", folder, "should be one")


@pytest.mark.parametrize("name", GOLDENS)
def test_another_architecture_is_refused_by_name(name: str, goldens: Callable[[str], Path]) -> None:
    other = "borzoi" if GOLDENS[name][0] != "borzoi" else "enformer"
    assert GOLDENS[name][0] in refused(other, goldens(name), "asked for is")


@pytest.mark.parametrize("name", ["enformer_pytorch", "sonnet_enformer", "borzoi_pytorch"])
def test_a_species_without_a_head_is_refused_with_those_there_are(
    name: str, goldens: Callable[[str], Path]
) -> None:
    assert "human" in refused(GOLDENS[name][0], goldens(name), "fly", species="fly")


def test_a_savedmodel_is_refused_with_the_other_ways(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\n")
    (tmp_path / "variables").mkdir()
    assert "EleutherAI/enformer-official-rough" in refused("enformer", tmp_path, "Sonnet")


def test_a_checkpoint_of_tensorflow_without_its_data_is_refused(
    fresh: Callable[[str], Path],
) -> None:
    folder = fresh("sonnet_enformer")
    (folder / "enformer.data-00000-of-00001").rename(folder / "enformer.data-00000-of-00002")
    assert "not all there" in refused("enformer", folder)


def test_the_recogniser_imports_torch_for_nothing_but_files_of_torch_save(
    goldens: Callable[[str], Path],
) -> None:
    found = [goldens(name) for name in GOLDENS]
    folders = [str(folder) for folder in found if not [*folder.glob("*.torch")]]
    assert len(folders) == len(GOLDENS) - 2  # those of bpnet-lite
    code = (
        "import sys\n"
        "from seqcov_models.checkpoints.recognise import recognise\n"
        "for folder in sys.argv[1:]: recognise(None, folder)\n"
        "assert 'torch' not in sys.modules and 'h5py' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, *folders], check=True, timeout=60)


# Damage: cut, renamed and flipped


@pytest.fixture
def damageable(
    fresh: Callable[[str], Path], tmp_path: Path, tiny_weights: Weights
) -> Callable[[str], Path]:
    """Give a function that writes one of GOLDENS or MADE for a test that damages it."""

    def find(name: str) -> Path:
        if name in GOLDENS:
            return fresh(name)
        if name == "calico_borzoi":
            return write_calico(tmp_path / name, Tiny(), tiny_weights)
        if name == "own":
            save_model(load("enformer_pytorch", fresh("enformer_pytorch")), tmp_path / name)
            return tmp_path / name
        folder = fresh("borzoi_pytorch" if name == "borzoi_bin" else "enformer_pytorch")
        state = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        older = name == "enformer_older_bin"
        torch.save(state, folder / BIN, _use_new_zipfile_serialization=not older)
        return folder

    return find


BIN = "pytorch_model.bin"


def files_of(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file())


def outcome(name: str, folder: Path) -> CoverageModel | None:
    """The model, or None where the checkpoint is refused. Any other exception fails the test."""
    try:
        return load(name, folder)
    except SeqcovError as error:
        said = str(error)
    assert "\n" not in said
    return None


@pytest.mark.parametrize("name", [*GOLDENS, *MADE])
def test_a_cut_file_is_refused_or_makes_no_difference(
    name: str, damageable: Callable[[str], Path]
) -> None:
    folder = damageable(name)
    whole = load(name, folder)
    rng = np.random.default_rng(1)
    for file in files_of(folder):
        content = file.read_bytes()
        lengths = [0, 1, 8, len(content) - 1, *rng.integers(0, len(content), 8)]
        for length in lengths:
            file.write_bytes(content[:length])
            model = outcome(name, folder)
            assert model is None or same(model, whole), (file.name, length)
        file.write_bytes(content)


def differing(one: CoverageModel, two: CoverageModel) -> int:
    """How many numbers differ between models of one shape."""
    theirs = two.state_dict()
    pairs = ((value, theirs[name]) for name, value in one.state_dict().items())
    return sum(int((ours != other).sum()) for ours, other in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GOLDENS, *MADE])
def test_a_flipped_bit_is_refused_or_leaves_a_whole_model(
    name: str, damageable: Callable[[str], Path]
) -> None:
    """Containers with checksums (TensorFlow's, the zip of torch.save) show every flip. Safetensors
    have none: one number may be another. Nor have HDF5 and the older container of torch.save, whose
    structure may then lead to other numbers of the file; and a description with another digit may
    describe another network. There a model is whole and finite, or refused."""
    folder = damageable(name)
    whole = load(name, folder)
    rng = np.random.default_rng(2)
    for file in files_of(folder):
        content = bytearray(file.read_bytes())
        zipped = content.startswith(b"PK")
        checked = zipped or file.suffix == ".index" or file.suffix.startswith(".data-")
        head = min(len(content), 3_000)  # where structure is, mostly
        places = [*rng.integers(0, head, 10), *rng.integers(0, len(content), 4)]
        places += [*rng.integers(len(content) - min(len(content), 1_500), len(content), 6)]
        for place in map(int, places):
            bit = 1 << int(rng.integers(8))
            content[place] ^= bit
            file.write_bytes(content)
            model = outcome(name, folder)
            if model is not None and checked:
                assert same(model, whole), (file.name, place, bit)
            elif model is not None:
                assert weight_shapes(model) == weight_shapes(outline(model.config, name))
                assert all(value.isfinite().all() for value in model.state_dict().values())
            if model is not None and file.suffix == ".safetensors":
                assert differing(model, whole) <= 1
            content[place] ^= bit
        file.write_bytes(content)


def renamed(file: Path, rng: np.random.Generator) -> bool:
    """Give one array of a file another name; False for an array that is no weight."""
    if file.suffix == ".safetensors":
        state = load_file(file)
        state["other"] = state.pop(sorted(state)[int(rng.integers(len(state)))])
        save_file(state, file)
    elif file.suffix in (".torch", ".bin"):
        zipped = file.read_bytes().startswith(b"PK")
        state = torch.load(file, weights_only=True)
        state["other"] = state.pop(sorted(state)[int(rng.integers(len(state)))])
        torch.save(state, file, _use_new_zipfile_serialization=zipped)
    elif file.suffix == ".index":
        return renamed_in_bundle(file, rng)
    else:
        with h5py.File(file, "r+") as handle:
            weights: list[str] = []
            handle.visit(weights.append)
            weights = [name for name in weights if name.endswith(("bias:0", "gamma:0"))]
            handle.move(weights[int(rng.integers(len(weights)))], "model_weights/other/other/x:0")
    return True


def renamed_in_bundle(index: Path, rng: np.random.Generator) -> bool:
    """As `renamed`, in a TensorFlow checkpoint of one block, with the checksum that it then has."""
    before = open_bundle(index).shapes
    table = bytearray(index.read_bytes())
    ends = [found.end() for found in re.finditer(b"VARIABLE_VALUE", table)]
    table[ends[int(rng.integers(len(ends)))] - 1] ^= 1
    size = next(  # of the first block: behind it are its compression, none, and its checksum
        at
        for at in range(max(ends), len(table))
        if tensor_bundle.masked_crc32c(index.read_bytes()[: at + 1])
        == int.from_bytes(table[at + 1 : at + 5], "little")
    )
    crc = tensor_bundle.masked_crc32c(bytes(table[: size + 1]))
    table[size + 1 : size + 5] = crc.to_bytes(4, "little")
    index.write_bytes(table)
    (gone,) = before.keys() - open_bundle(index).shapes.keys()
    return sonnet.canonical(gone) is not None


@pytest.mark.parametrize("name", [*GOLDENS, *MADE])
def test_a_renamed_weight_is_refused(name: str, damageable: Callable[[str], Path]) -> None:
    folder = damageable(name)
    rng = np.random.default_rng(3)
    kinds = (".h5", ".safetensors", ".torch", ".bin", ".index")
    (file,) = (f for f in files_of(folder) if f.suffix in kinds)
    content = file.read_bytes()
    for _ in range(6):
        of_weight = renamed(file, rng)
        assert (outcome(name, folder) is None) == of_weight
        file.write_bytes(content)
