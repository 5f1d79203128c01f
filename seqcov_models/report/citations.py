"""What to cite for a run: the papers of the networks, and of Snakemake."""

from collections.abc import Iterable

from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.shared.config import Config

Citation = tuple[str, str]
"""A reference, and its address."""

_BPNET = (
    "Avsec Ž, Weilert M, Shrikumar A, et al. Base-resolution models of transcription-factor binding"
    " reveal soft motif syntax. Nature Genetics 53, 354–366 (2021).",
    "https://doi.org/10.1038/s41588-021-00782-6",
)

CITATIONS: dict[str, list[Citation]] = {
    "basenji2": [
        (
            "Kelley DR. Cross-species regulatory sequence activity prediction. PLoS Computational"
            " Biology 16(7), e1008050 (2020).",
            "https://doi.org/10.1371/journal.pcbi.1008050",
        )
    ],
    "enformer": [
        (
            "Avsec Ž, Agarwal V, Visentin D, et al. Effective gene expression prediction from"
            " sequence by integrating long-range interactions. Nature Methods 18, 1196–1203"
            " (2021).",
            "https://doi.org/10.1038/s41592-021-01252-x",
        )
    ],
    "borzoi": [
        (
            "Linder J, Srivastava D, Yuan H, Agarwal V, Kelley DR. Predicting RNA-seq coverage from"
            " DNA sequence as a unifying model of gene regulation. Nature Genetics 57, 949–961"
            " (2025).",
            "https://doi.org/10.1038/s41588-024-02053-6",
        )
    ],
    "bpnet": [_BPNET],
    "bpnetlite": [
        _BPNET,
        ("Schreiber J. bpnet-lite (software).", "https://github.com/jmschrei/bpnet-lite"),
    ],
    "chrombpnet": [
        (
            "Pampari A, Shcherbina A, Kvon EZ, et al. ChromBPNet: bias factorized, base-resolution"
            " deep learning models of chromatin accessibility reveal cis-regulatory sequence"
            " syntax, transcription factor footprints and regulatory variants. bioRxiv (2024).",
            "https://doi.org/10.1101/2024.12.25.630221",
        )
    ],
    "cherimoya": [
        ("Schreiber J. Cherimoya (software).", "https://github.com/jmschrei/cherimoya"),
    ],
}
"""The references of each network, by its name in the config."""

FLASHZOI: Citation = (
    "Hingerl JC, Karollus A, Gagneur J. Flashzoi: an enhanced Borzoi for accelerated genomic"
    " analysis. Bioinformatics 41(9), btaf467 (2025).",
    "https://doi.org/10.1093/bioinformatics/btaf467",
)
SNAKEMAKE: Citation = (
    "Mölder F, Jablonski KP, Letcher B, et al. Sustainable data analysis with Snakemake."
    " F1000Research 10, 33 (2021).",
    "https://doi.org/10.12688/f1000research.29032.2",
)


def list_citations(configs: Iterable[Config]) -> list[Citation]:
    """Return the references of networks, each once, and that of Snakemake.

    Args:
        configs: The configs of the networks of a run.
    """
    found: dict[Citation, None] = {}
    for config in configs:
        found |= dict.fromkeys(CITATIONS[config.ARCHITECTURE])
        if isinstance(config, BorzoiConfig) and config.attention_type == "rotary":
            found[FLASHZOI] = None
    return [*found, SNAKEMAKE]
