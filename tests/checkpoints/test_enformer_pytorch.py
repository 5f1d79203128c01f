"""The format of enformer-pytorch: two names per weight, two heads per file; and Sonnet's."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from seqcov_models import load_model, save_model
from seqcov_models.networks.enformer.network import EnformerForTokenPrediction
from support.checkpoints import (
    are_equal,
    check_refusal,
    load_golden,
    read_saved_state,
    refusal,
)

pytestmark = pytest.mark.usefixtures("no_hang")


def test_sonnets_weights_are_those_of_enformer_pytorch(goldens: Callable[[str], Path]) -> None:
    model = load_golden("sonnet_enformer", goldens("sonnet_enformer"))
    assert are_equal(model, load_golden("enformer_pytorch", goldens("enformer_pytorch")))


def test_a_state_dict_with_two_names_per_weight_gives_an_equal_model(
    copy_golden: Callable[[str], Path],
) -> None:
    folder = copy_golden("enformer_pytorch")
    expected = load_golden("enformer_pytorch", folder)
    state = read_saved_state(folder)
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert are_equal(load_golden("enformer_pytorch", folder), expected)
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    assert are_equal(load_golden("enformer_pytorch", folder), expected)
    state["stem.0.bias"] = state["stem.0.bias"] + 1
    torch.save(state, folder / "pytorch_model.bin")
    assert "stem.0.bias" in refusal("enformer", folder, "differs")


def test_a_bare_state_dict_needs_no_description(copy_golden: Callable[[str], Path]) -> None:
    folder = copy_golden("enformer_pytorch")
    expected = load_golden("enformer_pytorch", folder)
    torch.save({"state_dict": read_saved_state(folder)}, folder / "enformer.pth")
    (folder / "config.json").unlink()
    model = load_model("enformer", folder / "enformer.pth")
    assert model.geometry.bins == 896  # as published
    assert all(
        torch.equal(value, expected.state_dict()[name])
        for name, value in model.state_dict().items()
    )


def test_both_heads_of_an_enformer_are_saved(
    goldens: Callable[[str], Path], tmp_path: Path
) -> None:
    human_model = load_golden("enformer_pytorch", goldens("enformer_pytorch"))
    mouse_model = load_golden("enformer_pytorch", goldens("enformer_pytorch"), species="mouse")
    assert (len(human_model.tracks), len(mouse_model.tracks)) == (5, 3)
    save_model(human_model, tmp_path / "from_human")
    save_model(mouse_model, tmp_path / "from_mouse")
    for folder in tmp_path.iterdir():
        assert are_equal(load_model("enformer", folder, species="human"), human_model)
        assert are_equal(load_model("enformer", folder, species="mouse"), mouse_model)
        assert "human" in refusal("enformer", folder, "mouse", species="fly")


def test_both_heads_of_an_enformer_are_saved_with_their_tables(
    copy_golden: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copy_golden("enformer_pytorch")
    names = {"human": [f"H{row}" for row in range(5)], "mouse": [f"M{row}" for row in range(3)]}
    for species, identifiers in names.items():
        rows = "".join(f"{row}\t{name}\n" for row, name in enumerate(identifiers))
        (folder / f"targets_{species}.txt").write_text("\tidentifier\n" + rows)
    for species, other_species in (("human", "mouse"), ("mouse", "human")):
        model = load_model("enformer", folder, species=species)
        save_model(model, tmp_path / species)
        saved_model = load_model("enformer", tmp_path / species, species=other_species)
        for enformer, first, second in (
            (model, species, other_species),
            (saved_model, other_species, species),
        ):
            assert isinstance(enformer, EnformerForTokenPrediction)
            assert [track.identifier for track in enformer.tracks] == names[first]
            enformer.select_species(second)
            assert [track.identifier for track in enformer.tracks] == names[second]


@pytest.mark.parametrize("species", ["pop", "", "training"])
def test_a_head_of_an_impossible_name_is_refused(
    species: str, copy_golden: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_golden("enformer_pytorch")
    (folder / "config.json").unlink()
    state = load_file(folder / "model.safetensors")
    for leaf in ("weight", "bias"):
        state[f"_heads.{species}.0.{leaf}"] = state[f"_heads.human.0.{leaf}"].clone()
    save_file(state, folder / "model.safetensors")
    check_refusal(folder, "other_heads", capsys)
