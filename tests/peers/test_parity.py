"""Our networks with other projects' weights predict what those projects predict.

If a peer differs from the original network, a test says which one is wrong, and by how much.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goldens.common import windows
from peers import zoo
from seqcov_models import load_model

TOLERANCE = 1e-5  # of the output's range

TINY: dict[str, Callable[[int], zoo.Peer]] = {
    "multimolecule basenji": zoo.mm_basenji,
    "multimolecule basenji, other poolings and dilations": lambda seed: zoo.mm_basenji(
        seed,
        **{
            **zoo.BASENJI,
            "stem_pool_size": 4,
            "crop_bins": 1,
            "blocks": {**zoo.BASENJI["blocks"], "num_blocks": 3, "dilation": 2},
        },
    ),
    "multimolecule enformer": zoo.mm_enformer,
    "multimolecule borzoi": zoo.mm_borzoi,
    "multimolecule borzoi mouse": lambda seed: zoo.mm_borzoi(
        seed, **{**zoo.BORZOI, "species": "mouse"}
    ),
    "multimolecule bpnet": zoo.mm_bpnet,
    "enformer-pytorch": zoo.ep_enformer,
    "enformer-pytorch safetensors": lambda seed: zoo.ep_enformer(seed, safetensors=True),
    "enformer-pytorch mouse": lambda seed: zoo.ep_enformer(seed, species="mouse"),
    "borzoi-pytorch": zoo.bp_borzoi,
    "borzoi-pytorch mouse": lambda seed: zoo.bp_borzoi(seed, "mouse"),
    "bpnet-lite": zoo.lite_bpnet,
    "multimolecule chrombpnet": zoo.mm_chrombpnet,
    "multimolecule procapnet": zoo.mm_procapnet,
    "bpnet-lite ChromBPNet": zoo.lite_chrombpnet,
    "cherimoya": zoo.cherimoya,
    "bpnet-lite with controls": lambda seed: zoo.lite_bpnet(seed, controls=2),
}

FULL: dict[str, Callable[[], zoo.Peer]] = {
    "multimolecule basenji": lambda: zoo.mm_basenji(hidden_act="gelu_new"),
    "enformer-pytorch": lambda: zoo.ep_enformer(dim=1536),
    "borzoi-pytorch": lambda: zoo.bp_borzoi(narrow=False, dim=1536),
    "multimolecule bpnet": lambda: zoo.mm_bpnet(hidden_size=64),
    "bpnet-lite": lambda: zoo.lite_bpnet(controls=2, layers=8, filters=64),
    "cherimoya": lambda: zoo.cherimoya(filters=128),
}


def difference(values: zoo.Coverage, expected: zoo.Coverage) -> float:
    """Return the largest difference as a fraction of the range of the expected values."""
    assert values.shape == expected.shape
    assert np.ptp(expected) > 0
    return float(np.abs(values - expected).max() / np.ptp(expected))


@pytest.fixture
def positions() -> Any:
    """Return a function that runs Enformers with gamma features as DeepMind normalises them."""
    import enformer_pytorch.modeling_enformer as enformer_pytorch
    import multimolecule.models.enformer.modeling_enformer as multimolecule

    return lambda: zoo.gamma_over_positions(enformer_pytorch, multimolecule)


def check_agreement(peer: zoo.Peer, folder: Path, positions: Any, count: int = 2) -> float:
    """Check that a peer and the network loaded from its files agree; return the difference."""
    peer.save(folder)
    model = load_model(peer.architecture, folder, species=peer.species)
    sequences = windows(peer.window, count)
    with positions():
        largest = difference(model.predict(sequences), peer.coverage(sequences))
    print(f"{peer.name}: {largest:.1e} of the range")
    assert largest <= TOLERANCE
    return largest


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", TINY)
def test_a_small_network_agrees(name: str, seed: int, tmp_path: Path, positions: Any) -> None:
    check_agreement(TINY[name](seed), tmp_path, positions)


@pytest.mark.parametrize("name", [name for name in TINY if name.startswith("multimolecule")])
def test_multimolecules_encoding_of_n_can_be_chosen(
    name: str, tmp_path: Path, positions: Any
) -> None:
    """multimolecule reads N through a fifth channel; the originals have zeros (BPNet: 0.25 each).

    Here that channel is random. In converted weights it is the mean of the four letters' channels.
    For Enformer, Borzoi and BPNet this is 0.25 of each letter. For Basenji2, whose activation
    precedes the stem, it is neither zeros nor 0.25.
    """
    peer = TINY[name](1)
    peer.save(tmp_path)
    assert peer.as_converted is not None
    sequences = windows(peer.window)
    model = load_model(
        peer.architecture, tmp_path, species=peer.species, n_encoding="multimolecule"
    )
    with positions():
        five_channels, four_channels = peer.as_converted(sequences), peer.coverage(sequences)
    assert difference(model.predict(sequences), five_channels) <= TOLERANCE
    assert difference(five_channels, four_channels) > 0.01


@pytest.mark.parametrize("name", ["multimolecule enformer", "enformer-pytorch"])
def test_other_enformers_normalise_gamma_features_over_the_wrong_axis(
    name: str, tmp_path: Path, positions: Any
) -> None:
    """DeepMind's code and ours divide gamma features by their maximum over the positions.

    enformer-pytorch and multimolecule divide each position by its maximum over the features. They
    differ from the original unless they use a stored table.
    """
    peer = TINY[name](1)
    peer.save(tmp_path)
    model = load_model("enformer", tmp_path)
    sequences = windows(peer.window)
    deviation = difference(model.predict(sequences), peer.coverage(sequences))
    print(f"{peer.name} as shipped: {deviation:.1e} of the range")
    assert deviation > 100 * TOLERANCE
    with positions():
        assert difference(model.predict(sequences), peer.coverage(sequences)) <= TOLERANCE


def test_a_stored_gamma_table_is_used(tmp_path: Path) -> None:
    """multimolecule's published Enformer carries the table that TensorFlow computed once."""
    peer = zoo.mm_enformer(
        **{**zoo.ENFORMER, "use_precomputed_gamma_basis": True, "sequence_length": 12_288}
    )
    peer.save(tmp_path)
    model = load_model("enformer", tmp_path)
    sequences = windows(peer.window)
    assert difference(model.predict(sequences), peer.coverage(sequences)) <= TOLERANCE


@pytest.mark.skipif("FLASH_ATTN" not in os.environ, reason="no sources of flash-attn: see zoo.py")
def test_flashzoi_agrees_with_flash_attention(tmp_path: Path, positions: Any) -> None:
    check_agreement(zoo.flashzoi(), tmp_path, positions)


@pytest.mark.parametrize("name", FULL)
def test_a_network_of_the_published_size_agrees(name: str, tmp_path: Path, positions: Any) -> None:
    check_agreement(FULL[name](), tmp_path, positions, count=1)
