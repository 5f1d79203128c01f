"""BPNet as bpnet-lite trains it: its state dict, by torch.save or as safetensors.

bpnet-lite itself saves the whole module: such a pickle is refused, because reading it means running
what it says. What a state dict does not tell has bpnet-lite's defaults: 1,000 positions come out,
of a window that is longer by the trimming at both sides. Names: `bpnetlite/bpnet.py`.
"""

from typing import Any

from seqcov_models.checkpoints.keymap import (
    TORCH,
    Array,
    Part,
    Row,
    Shapes,
    count,
    repeated,
    rows_of,
)
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.bpnet.config import BPNetLiteConfig
from seqcov_models.networks.shared.config import Config

ENDS = [
    Part("model.stem.conv", "iconv", "stem"),
    Part("profile", "fconv", "conv"),
    Part("counts", "linear", "dense"),
]
BLOCK = [Part("model.trunk.convs.{i}", "rconvs.{i}", "conv")]
KEPT = 1_000


def recognised(names: Shapes | frozenset[str]) -> bool:
    """Whether weights of these names are of this format."""
    return {"iconv.weight", "fconv.weight", "linear.weight"} <= set(names)


def rows(config: Config, found: Shapes) -> list[Row]:
    """The key map of a file."""
    assert isinstance(config, BPNetLiteConfig)
    made = rows_of([*ENDS, *repeated(BLOCK, config.num_dilated_layers)], TORCH)
    columns = config.hidden_size + (config.num_control_tracks > 0)

    def known(weight: Array) -> Array:
        """Without the column that older files have for controls although they have none."""
        return weight[:, :columns]

    return [Row(r.ours, r.theirs, known) if r.ours == "counts.weight" else r for r in made]


def config_of(found: Shapes, source: str) -> BPNetLiteConfig:
    """The config of a file with these shapes. Raises SeqcovError for shapes that make no sense."""
    stem, profile = found["iconv.weight"], found["fconv.weight"]
    layers = count("rconvs.", found)
    kernel = (found.get("rconvs.0.weight") or (3,))[-1]
    if len(stem) != 3 or len(profile) != 3 or layers > 20:
        raise SeqcovError(f"{source}: its weights are not those of bpnet-lite's BPNet")
    trimming = 47 + sum(2**at for at in range(1, layers + 1))
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
