"""Write the goldens: tiny checkpoints as other projects save them, and their predictions.

With the peers' environment (envs/requirements-peers.txt), in the repository's root:

    PYTHONPATH=.:tests .venv-peers/bin/python -m goldens.make

Enformers are run with gamma features that are normalised over positions (see `zoo`). A golden's
folder holds the compressed checkpoint and golden.npz: `coverage`, the peer's prediction for
`common.windows` in every `step`-th bin; and `as_converted`, the prediction with the peer's encoding
of N, if that differs. `make_tensorflow.py` writes the goldens of Keras and Sonnet,
`make_chrombpnet.py` that of ChromBPNet. Flashzoi's needs
the sources of flash-attn (see `zoo`).
"""

import shutil
import sys
from collections.abc import Callable

from goldens.common import GOLDENS_FOLDER, windows, write
from peers import zoo

PEERS: dict[str, Callable[[], zoo.Peer]] = {
    "multimolecule_basenji": zoo.mm_basenji,
    "multimolecule_enformer": zoo.mm_enformer,
    "multimolecule_enformer_table": lambda: zoo.mm_enformer(
        **{**zoo.ENFORMER, "use_precomputed_gamma_basis": True, "sequence_length": 12_288}
    ),
    "multimolecule_borzoi": zoo.mm_borzoi,
    "multimolecule_bpnet": zoo.mm_bpnet,
    "enformer_pytorch": lambda: zoo.ep_enformer(safetensors=True),
    "borzoi_pytorch": zoo.bp_borzoi,
    "flashzoi": zoo.small_flashzoi,
    "bpnet_lite": zoo.lite_bpnet,
    "multimolecule_chrombpnet": zoo.mm_chrombpnet,
    "multimolecule_procapnet": zoo.mm_procapnet,
    "cherimoya": zoo.cherimoya,
    "cherimoya_stranded": lambda: zoo.cherimoya(2, groups=(2, 2), controls=2, residual_scale=0.4),
    "bpnet_lite_chrombpnet": zoo.lite_chrombpnet,
    "bpnet_lite_controls": lambda: zoo.lite_bpnet(2, controls=2, layers=2),
}


def main() -> None:
    """Write every golden, or those named on the command line."""
    import enformer_pytorch.modeling_enformer as enformer_pytorch
    import multimolecule.models.enformer.modeling_enformer as multimolecule

    for name in sys.argv[1:] or PEERS:
        peer = PEERS[name]()
        folder = GOLDENS_FOLDER / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        peer.save(folder)
        sequences = windows(peer.window, 1)
        with zoo.gamma_over_positions(enformer_pytorch, multimolecule):
            outputs = {"coverage": peer.coverage(sequences)}
            if peer.as_converted is not None:
                outputs["as_converted"] = peer.as_converted(sequences)
        write(folder, peer.window, **outputs)


if __name__ == "__main__":
    main()
