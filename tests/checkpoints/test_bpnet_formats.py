"""The formats of BPNet: Keras' by its authors, and bpnet-lite's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from goldens.common import GOLDENS_FOLDER, one_hot_array, windows
from seqcov_models import load_model, save_model
from seqcov_models.checkpoints.load import build
from seqcov_models.checkpoints.recognise import recognise
from seqcov_models.networks.bpnet.network import BPNetForProfilePrediction
from seqcov_models.sequence import encode
from support.checkpoints import are_equal, load_golden, read_state, refusal

pytestmark = pytest.mark.usefixtures("no_hang")


def test_the_trained_bpnet_lite_predicts_what_bpnet_lite_predicted(
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
    for logits, name in ((profile, "profile_logits"), (counts, "logcounts")):
        reference = expected[f"example_final_{name}"]
        assert np.abs(logits - reference).max() < 1e-4


def test_one_strand_of_a_bpnet_can_be_saved(goldens: Callable[[str], Path], tmp_path: Path) -> None:
    """The file holds both strands of the task, because they may be joint."""
    model = load_model("bpnet", goldens("keras_bpnet"), tracks=[1])
    save_model(model, tmp_path)
    saved_model = load_model("bpnet", tmp_path)
    assert [track.identifier for track in saved_model.tracks] == ["Sox2+", "Sox2-"]
    letters = windows(model.geometry.window, 1)
    np.testing.assert_array_equal(model.predict(letters), saved_model.predict(letters)[..., 1:])


def test_tracks_of_a_checkpoint_are_named_as_those_of_its_network(
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
    model = load_golden("bpnet_lite_controls", goldens("bpnet_lite_controls"))
    x = torch.from_numpy(one_hot_array(windows(model.geometry.window, 1), 0.0))
    with torch.inference_mode():
        output = model(inputs_embeds=x)
        zeros = model(inputs_embeds=x, controls=torch.zeros(1, 2, x.shape[1]))
    assert torch.allclose(output.profile_logits, zeros.profile_logits, atol=1e-6)
    assert torch.allclose(output.count_logits, zeros.count_logits, atol=1e-6)


def test_heads_without_a_bias_are_read(copy_golden: Callable[[str], Path]) -> None:
    """bpnet-lite writes them with profile_output_bias=False and count_output_bias=False."""
    folder = copy_golden("bpnet_lite")
    state = read_state(folder / "model.torch")
    state["fconv.bias"].zero_()
    state["linear.bias"].zero_()
    torch.save(state, folder / "model.torch")
    expected = load_model("bpnetlite", folder)
    torch.save(
        {name: value for name, value in state.items() if name not in ("fconv.bias", "linear.bias")},
        folder / "model.torch",
    )
    assert are_equal(load_model("bpnetlite", folder), expected)


def test_an_older_bpnet_lite_file_with_a_column_too_many_is_read(
    copy_golden: Callable[[str], Path],
) -> None:
    folder = copy_golden("bpnet_lite")
    expected = load_golden("bpnet_lite", folder)
    state = torch.load(folder / "model.torch", weights_only=True)
    state["linear.weight"] = torch.cat([state["linear.weight"], torch.ones(1, 1)], 1)
    torch.save(state, folder / "model.torch")
    assert are_equal(load_golden("bpnet_lite", folder), expected)


# BPNets of ChIP-seq by ENCODE and JASPAR


def predict_golden(folder: Path) -> tuple[Any, Any]:
    """Return the network in the folder and its output for the golden's sequence."""
    model = load_model("bpnet", folder)
    codes = np.stack([encode(row) for row in windows(2_114, 1)])
    with torch.inference_mode():
        return model, model(torch.from_numpy(codes))


def test_an_encode_bpnet_agrees_with_keras_without_controls(
    goldens: Callable[[str], Path],
) -> None:
    golden = np.load(GOLDENS_FOLDER / "keras_bpnet_encode/golden.npz")
    model, output = predict_golden(goldens("keras_bpnet_encode"))
    logits = output.profile_logits[0, :: int(golden["step"]), 0].numpy()
    assert np.abs(logits - golden["logits"][0]).max() < 1e-4
    assert abs(output.count_logits.item() - golden["counts"].item()) < 1e-5
    reads = model.predict(windows(2_114, 1)).sum()
    assert reads == pytest.approx(np.exp(golden["counts"].item()) - 2, rel=1e-5)


def test_missing_controls_add_log_2_to_the_counts_of_an_encode_bpnet(
    copy_golden: Callable[[str], Path],
) -> None:
    """logsumexp of two zeros; its weight is in the second row of the last layer."""
    folder = copy_golden("keras_bpnet_encode")
    _, output = predict_golden(folder)
    with h5py.File(folder / "BP000001.1_model.h5", "r+") as file:
        kernel = file["model_weights/logcounts_predictions/logcounts_predictions/kernel:0"]
        weight = float(kernel[1, 0])
        kernel[1, 0] = 0
    _, without = predict_golden(folder)
    assert abs(weight) > 0.1
    difference = output.count_logits - without.count_logits
    assert difference.item() == pytest.approx(np.log(2) * weight, rel=1e-4)


def test_controls_of_an_encode_bpnet_are_read_as_two_more(goldens: Callable[[str], Path]) -> None:
    model, output = predict_golden(goldens("keras_bpnet_encode"))
    codes = torch.from_numpy(np.stack([encode(row) for row in windows(2_114, 1)]))
    with torch.inference_mode():
        zeros = model(codes, controls=torch.zeros(1, 2, 2_114))
    assert torch.allclose(output.profile_logits, zeros.profile_logits, atol=1e-6)
    assert torch.allclose(output.count_logits, zeros.count_logits, atol=1e-6)


def test_an_encode_bpnet_without_controls_is_read(copy_golden: Callable[[str], Path]) -> None:
    """Its last layers are the first of the others: bpnet-refactor `arch.py`."""
    folder = copy_golden("keras_bpnet_encode")
    with h5py.File(folder / "BP000001.1_model.h5", "r+") as file:
        weights = file["model_weights"]
        del weights["profile_predictions"], weights["logcounts_predictions"]
        heads = weights["main_counts_head/main_counts_head"]
        weights["logcounts_predictions/logcounts_predictions/kernel:0"] = heads["kernel:0"][()]
        weights["logcounts_predictions/logcounts_predictions/bias:0"] = heads["bias:0"][()]
        profile = weights["main_profile_head/main_profile_head/kernel:0"][()]
        del weights["main_counts_head"]
    model, _ = predict_golden(folder)
    assert model.config.num_control_tracks == 0
    assert torch.equal(model.profile.weight, torch.from_numpy(profile.T))


def test_a_wide_last_layer_of_an_encode_bpnet_is_refused(
    copy_golden: Callable[[str], Path],
) -> None:
    folder = copy_golden("keras_bpnet_encode")
    with h5py.File(folder / "BP000001.1_model.h5", "r+") as file:
        layer = file["model_weights/profile_predictions/profile_predictions"]
        del layer["kernel:0"]
        layer["kernel:0"] = np.ones((3, 4, 2), np.float32)
    refusal("bpnet", folder, "only a width of 1")


def test_a_file_of_weights_alone_is_read(copy_golden: Callable[[str], Path]) -> None:
    """Without the group `model_weights`, as some of JASPAR's are."""
    for architecture, name, file in (
        ("bpnet", "keras_bpnet_encode", "BP000001.1_model.h5"),
        ("chrombpnet", "keras_chrombpnet", "chrombpnet_nobias.h5"),
    ):
        path = copy_golden(name) / file
        expected = load_model(architecture, path)
        with h5py.File(path, "r+") as handle:
            for layer in list(handle["model_weights"]):
                handle.move(f"model_weights/{layer}", layer)
            del handle["model_weights"], handle.attrs["model_config"]
        assert are_equal(load_model(architecture, path), expected)
