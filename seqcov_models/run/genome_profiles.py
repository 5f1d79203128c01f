"""Plan the profiles of a BPNet along the genome: a model of coverage with bins of one base."""

from collections.abc import Mapping
from typing import Any

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.tiling import Geometry, Tiling

GENOME = "genome"
"""What a config says instead of peaks. It may also leave out the key."""
UNUSED: Mapping[str, Any] = {
    "targets": None, "shifts": [0], "scale": "model", "transform": None,
    "standard_deviation": False,
}  # fmt: skip
"""Keys of models of coverage that BPNets do not have, with their defaults."""


def is_at_peaks(entry: Mapping[str, Any]) -> bool:
    """Return whether a model's section of the config asks for profiles at peaks.

    Args:
        entry: The section.
    """
    return bool(entry.get("peaks") not in (None, GENOME))


def check_entry(entry: Mapping[str, Any]) -> None:
    """Check that a model along the genome only has the keys of its network.

    Args:
        entry: The model's section of the config, with all defaults.

    Raises:
        SeqcovError: If a key has no effect.
    """
    name = entry["architecture"]
    if NETWORKS[name].output == "bins":
        unused = [key for key in ("peaks", "stride") if entry.get(key) is not None]
    else:
        unused = [key for key, default in UNUSED.items() if entry[key] != default]
    if unused:
        output = {"bins": "tracks", "profiles": "profiles"}[NETWORKS[name].output]
        raise SeqcovError(
            f"unknown key {unused[0]!r}: {name} predicts {output} along the genome; remove the key"
        )


def complete_entry(entry: Mapping[str, Any], counts: str) -> Mapping[str, Any]:
    """Return a section with the `scale` of its network: of a BPNet how reads follow from counts.

    Args:
        entry: The model's section of the config.
        counts: "exp" or "expm1".
    """
    if NETWORKS[entry["architecture"]].output == "bins":
        return entry
    return {**entry, "scale": counts}


def lay_windows(entry: Mapping[str, Any], geometry: Geometry, prediction: Any) -> Tiling:
    """Return how windows lie along a contig: BPNet's at a stride, others' as cores overlap.

    Args:
        entry: The model's section of the config.
        geometry: The network's window and core.
        prediction: The config's section `prediction`.

    Raises:
        SeqcovError: If the overlap or the stride is not valid.
    """
    if NETWORKS[entry["architecture"]].output == "bins":
        return Tiling.from_overlap(geometry, prediction["overlap"], prediction["blend"])
    return Tiling.from_stride(geometry, entry["stride"])
