"""BPNet as bpnet-lite trains it: its state dict, by torch.save or as safetensors.

bpnet-lite itself saves the whole module: such a pickle is refused, because reading it means running
what it says. What a state dict does not tell has bpnet-lite's defaults: 1,000 positions come out,
of a window that is longer by the trimming at both sides. Names: `bpnetlite/bpnet.py`.
"""

from dataclasses import replace
from typing import Any

from seqcov_models.checkpoints.format import Files, Format
from seqcov_models.checkpoints.keymap import (
    TORCH,
    Array,
    Part,
    Row,
    Shapes,
    count_layers,
    repeated,
    rows_of,
)
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.bpnet.config import BPNetLiteConfig

ENDS = [
    Part("model.stem.conv", "iconv", "stem"),
    Part("profile", "fconv", "conv"),
    Part("counts", "linear", "dense"),
]
BLOCK = [Part("model.trunk.convs.{i}", "rconvs.{i}", "conv")]
KEPT = 1_000


def matches(files: Files) -> str | None:
    """Return 'bpnetlite' for the names of the first and last layers."""
    if files.description or files.container not in ("zip", "pickle", "safetensors"):
        return None
    known = {"iconv.weight", "fconv.weight", "linear.weight"} <= files.shapes().keys()
    return "bpnetlite" if known else None


def rows(config: Any, shapes: Shapes) -> list[Row]:
    """Return the key map of a BPNet."""
    mapped = rows_of([*ENDS, *repeated(BLOCK, config.num_dilated_layers)], TORCH)
    columns = config.hidden_size + (config.num_control_tracks > 0)

    def used_columns(weight: Array) -> Array:
        """Drop the column that older files have for controls although they have none."""
        return weight[:, :columns]

    return [
        replace(row, layout=used_columns) if row.ours == "counts.weight" else row for row in mapped
    ]


def config(files: Files, architecture: str, species: str) -> BPNetLiteConfig:
    """Return the config of a file from its shapes. Raises SeqcovError for impossible shapes."""
    found, source = files.shapes(), files.source
    stem, profile = found["iconv.weight"], found["fconv.weight"]
    layers = count_layers("rconvs.", found)
    kernel = (found.get("rconvs.0.weight") or (3,))[-1]
    if len(stem) != 3 or len(profile) != 3 or layers > 20:
        raise SeqcovError(f"{source}: its weights are not those of bpnet-lite's BPNet")
    trimming = 47 + sum(2**layer for layer in range(1, layers + 1))
    values: dict[str, Any] = {
        "sequence_length": KEPT + 2 * trimming,
        "target_length": KEPT,
        "num_strands": profile[0],
        "hidden_size": stem[0],
        "stem_kernel_size": stem[2],
        "num_dilated_layers": layers,
        "dilated_kernel_size": kernel,
        "profile_kernel_size": profile[2],
        "num_control_tracks": max(profile[1] - stem[0], 0),
    }
    try:
        return BPNetLiteConfig.from_dict(values)
    except SeqcovError as error:
        raise SeqcovError(f"{source}: {error}") from None


FORMAT = Format("bpnet-lite", "state dict of bpnet-lite", matches, config, rows)
