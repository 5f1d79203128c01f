"""A network's widths and depths from the shapes of its weights, under our names.

For files that come without a description: a bare state dict, an .h5 without params.json. What no
shape can tell (window, crop, activations) is left to the published values or to the caller.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from seqcov_models.checkpoints.keymap import Row, Shape, Shapes, count_layers, summarise
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.registry import NETWORKS

_TOWERS = {
    "basenji2": ("model.stem.blocks.", ".conv.weight"),
    "enformer": ("model.stem.tower.", ".widen.conv.weight"),
    "borzoi": ("model.stem.tower.", ".conv.weight"),
}


def our_shapes(rows: Sequence[Row], found: Shapes, source: str) -> dict[str, Shape]:
    """Return the shapes of the network's weights, made from `found`, those of a file.

    Raises SeqcovError for shapes that are missing or cannot be laid out.
    """
    if missing := [name for row in rows for name in row.theirs if name not in found]:
        names = ", ".join(summarise(missing, found))
        raise SeqcovError(f"{source}: {len(missing)} missing: {names}")
    shapes = {}
    for row in rows:
        try:
            shapes[row.ours] = row.shape(found)
        except (ValueError, IndexError):
            shape = tuple(found[row.theirs[0]])
            raise SeqcovError(
                f"{source}: {row.theirs[0]} is {shape}, which does not fit {row.ours}"
            ) from None
    return shapes


def infer_fields(architecture: str, shapes: Shapes, source: str) -> dict[str, Any]:
    """Return the fields of `architecture`'s config that the shapes of its weights can tell.

    Raises SeqcovError if one does not have the axes that it should.
    """
    shape_of = _ExpectedAxes(shapes, source)
    before, after = _TOWERS[architecture]
    tower = [shape_of(f"{before}{stage}{after}") for stage in range(count_layers(before, shapes))]
    widths, kernels = [shape[0] for shape in tower], [shape[2] for shape in tower]
    if architecture == "basenji2":
        return _basenji(shape_of, widths, kernels)
    out, features, kernel = shape_of("model.stem.conv.weight")
    del features
    values: dict[str, Any] = {
        "stem_channels": out,
        "stem_kernel_size": kernel,
        "conv_tower_channels": tuple(widths),
        "num_hidden_layers": count_layers("model.trunk.blocks.", shapes),
    }
    if kernels:
        values["conv_tower_kernel_size"] = kernels[0]
    if values["num_hidden_layers"]:
        values |= _attention(shape_of)
    final = "model.trunk.final.conv.weight"
    values["head_hidden_size"] = shapes[final][0] if final in shapes else 0
    return values


def _attention(shape_of: "_ExpectedAxes") -> dict[str, Any]:
    block = "model.trunk.blocks.0"
    values: dict[str, Any] = {"intermediate_size": shape_of(f"{block}.ffn_in.weight")[0]}
    if f"{block}.attention.rel_content_bias" not in shape_of.shapes:
        return values
    _, heads, _, key = shape_of(f"{block}.attention.rel_content_bias", 4)
    values |= {
        "num_attention_heads": heads,
        "attention_head_size": key,
        "attention_value_size": shape_of(f"{block}.attention.to_v.weight")[0] // max(heads, 1),
        "num_rel_pos_features": shape_of(f"{block}.attention.to_rel_k.weight")[1],
    }
    return values


def _basenji(
    shape_of: "_ExpectedAxes", widths: Sequence[int], kernels: Sequence[int]
) -> dict[str, Any]:
    blocks: dict[str, Any] = {"num_blocks": count_layers("model.trunk.blocks.", shape_of.shapes)}
    if blocks["num_blocks"]:
        narrow = shape_of("model.trunk.blocks.0.narrow.conv.weight")
        blocks |= {"bottleneck_size": narrow[0], "kernel_size": narrow[2]}
    values: dict[str, Any] = {
        "stem_channels": widths[0],
        "stem_kernel_size": kernels[0],
        "conv_tower_channels": tuple(widths[1:]),
        "blocks": blocks,
        "head_hidden_size": shape_of("model.trunk.final.conv.weight")[0],
    }
    if len(kernels) > 1:
        values["conv_tower_kernel_size"] = kernels[1]
    return values


class _ExpectedAxes:
    """Shapes with the number of axes that they must have."""

    def __init__(self, shapes: Shapes, source: str) -> None:
        self.shapes, self.source = shapes, source

    def __call__(self, name: str, axes: int = 0) -> Shape:
        shape = tuple(self.shapes[name])
        if len(shape) != (axes or (3 if ".conv." in name else 2)):
            raise SeqcovError(f"{self.source}: {name} has {len(shape)} axes")
        return shape


def species_tracks(heads: Mapping[str, int], species: str, source: str) -> int:
    """Return the tracks of the head asked for, among `heads` by species.

    Raises SeqcovError, with the heads there are, if it is missing.
    """
    if species not in heads:
        names = ", ".join(f"{name} ({tracks:,} tracks)" for name, tracks in heads.items()) or "none"
        raise SeqcovError(f"{source}: no head for species {species!r}; heads here: {names}")
    return heads[species]


def check_species(architecture: str, tracks: int, species: str, source: str) -> None:
    """Refuse a head of the published size of another species.

    Raises SeqcovError for it: a file that does not name its species shows it by its size alone.
    """
    for other, size in NETWORKS[architecture].published_heads.items():
        if tracks == size and other != species:
            raise SeqcovError(
                f"{source}: a head of {tracks:,} tracks, the published {other} head; asked for is"
                f" {species!r}"
            )
