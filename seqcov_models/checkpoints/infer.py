"""What the arrays of a file tell about its network, for files that come without a description.

What no shape can tell (window, crop, activations) is left to the published values or to the caller.
"""

from collections.abc import Mapping
from typing import Any

from seqcov_models.checkpoints.keymap import KeyMap, Shape, Shapes
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.registry import NETWORKS


class _NetworkShapes(dict[str, Shape]):
    """The shapes of a network's weights by name; a missing one is a SeqcovError that names it."""

    def __init__(self, keys: KeyMap, shapes: Shapes, source: str) -> None:
        self.map, self.source = keys, source
        rows = {name: row for name, row in keys.items() if shapes.keys() >= set(row.arrays)}
        super().__init__({name: row.shape(shapes) for name, row in rows.items()})

    def __missing__(self, name: str) -> Shape:
        raise SeqcovError(
            f"{self.source} is not complete; download it again: 1 missing:"
            f" {self.map[name].arrays[0]}"
        )


def infer_fields(architecture: str, keys: KeyMap, shapes: Shapes, source: str) -> dict[str, Any]:
    """Return the fields of a network's config that the shapes in its file tell.

    Raises SeqcovError for a shape that is missing or is not that of such a network.
    """
    try:
        network_shapes = _NetworkShapes(keys, shapes, source)
        return NETWORKS[architecture].config_class.fields_from_shapes(network_shapes)
    except SeqcovError:
        raise
    except (ValueError, IndexError, ZeroDivisionError):  # axes are missing or too many
        raise SeqcovError(f"{source}: its shapes are not those of {architecture}") from None


def species_tracks(heads: Mapping[str, int], species: str, source: str) -> int:
    """Return the number of tracks of a head, among `heads` by species.

    Raises SeqcovError, with the heads that exist, if it is missing.
    """
    if species not in heads:
        names = ", ".join(f"{name} ({tracks:,} tracks)" for name, tracks in heads.items()) or "none"
        raise SeqcovError(f"{source}: no head for species {species!r}; heads in this file: {names}")
    return heads[species]


def check_species(architecture: str, tracks: int, species: str, source: str) -> None:
    """Refuse a head of the published size of another species.

    Raises SeqcovError for it: a file that does not name its species shows it by its size alone.
    """
    for published_species, size in NETWORKS[architecture].published_heads.items():
        if tracks == size and published_species != species:
            raise SeqcovError(
                f"{source}: the head has {tracks:,} tracks, as the published {published_species}"
                f" head; the species asked for is {species!r}"
            )
