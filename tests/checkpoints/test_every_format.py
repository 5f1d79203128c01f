"""Every published format is loaded and predicts what its project predicted.

The goldens of multimolecule, enformer-pytorch, borzoi-pytorch and bpnet-lite were written by these
(tests/goldens/make.py), those of Keras by Keras, of networks put together as their projects do
(tests/goldens/make_borzoi.py, too), and Sonnet's by Sonnet, of enformer-pytorch's weights
(tests/goldens/make_tensorflow.py).
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from goldens.common import windows
from seqcov_models import load_model, save_model
from seqcov_models.checkpoints.formats import all_formats
from seqcov_models.checkpoints.recognise import find_files
from support.checkpoints import GOLDENS, are_equal, check_prediction, load_golden, refusal

pytestmark = pytest.mark.usefixtures("no_hang")


@pytest.mark.parametrize("name", GOLDENS)
def test_a_checkpoint_predicts_what_its_project_predicted(
    name: str, goldens: Callable[[str], Path], tmp_path: Path
) -> None:
    model = load_golden(name, goldens(name))
    check_prediction(model, name)
    save_model(model, tmp_path)
    saved_model = load_model(GOLDENS[name][0], tmp_path)
    assert are_equal(model, saved_model)
    letters = windows(model.geometry.window, 1, seed=3)
    assert np.array_equal(model.predict(letters), saved_model.predict(letters))


@pytest.mark.parametrize("name", GOLDENS)
def test_loading_draws_no_random_numbers_and_leaves_no_tensor_empty(
    name: str, goldens: Callable[[str], Path]
) -> None:
    state = torch.get_rng_state()
    model = load_golden(name, goldens(name))
    assert torch.equal(torch.get_rng_state(), state)
    assert {value.device.type for value in (*model.parameters(), *model.buffers())} == {"cpu"}
    assert all(weight.requires_grad and weight.is_contiguous() for weight in model.parameters())
    counters = [v for n, v in model.named_buffers() if n.endswith("num_batches_tracked")]
    assert not any(map(bool, counters))


@pytest.mark.parametrize("name", GOLDENS)
def test_a_loaded_model_does_not_change_with_its_files(
    name: str, copy_golden: Callable[[str], Path]
) -> None:
    folder = copy_golden(name)
    model, copy = load_golden(name, folder), load_golden(name, folder)
    copy.load_state_dict({name: value.clone() for name, value in copy.state_dict().items()})
    for file in folder.iterdir():
        with file.open("r+b") as handle:
            handle.write(b"\xff" * file.stat().st_size)
    assert are_equal(model, copy)


@pytest.mark.parametrize("name", GOLDENS)
def test_exactly_one_format_matches(name: str, goldens: Callable[[str], Path]) -> None:
    files = find_files(goldens(name), "human")
    names = [form.name for form in all_formats().values() if form.matches(files)]
    assert names == [GOLDENS[name][1]]


@pytest.mark.parametrize("name", GOLDENS)
def test_another_architecture_is_refused_by_name(name: str, goldens: Callable[[str], Path]) -> None:
    architecture, _ = GOLDENS[name]
    wrong_architecture = "enformer" if architecture == "borzoi" else "borzoi"
    assert architecture in refusal(wrong_architecture, goldens(name), "asked for is")


@pytest.mark.parametrize("name", ["enformer_pytorch", "sonnet_enformer", "borzoi_pytorch"])
def test_a_species_without_a_head_is_refused_with_the_heads_of_the_file(
    name: str, goldens: Callable[[str], Path]
) -> None:
    assert "human" in refusal(GOLDENS[name][0], goldens(name), "fly", species="fly")


def test_recognise_imports_torch_only_for_files_of_torch_save(
    goldens: Callable[[str], Path],
) -> None:
    folders = [str(f) for f in map(goldens, GOLDENS) if not [*f.glob("*.torch")]]
    assert len(folders) == len(GOLDENS) - 5  # those of bpnet-lite and Cherimoya
    code = (
        "import sys\n"
        "from seqcov_models.checkpoints.recognise import recognise\n"
        "for folder in sys.argv[1:]: recognise(None, folder)\n"
        "assert 'torch' not in sys.modules and 'h5py' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, *folders], check=True, timeout=60)
