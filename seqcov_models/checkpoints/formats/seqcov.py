"""This package's own format: config.json with an `architecture`, model.safetensors, targets.txt.

Names of arrays are those of the network. An Enformer's other heads are in the same file: where one
of them is asked for, its arrays become `head` and those of the saved head `other_heads`.
"""

from seqcov_models.checkpoints.format import Files, Format
from seqcov_models.checkpoints.keymap import Row, Shapes, as_stored, four_letters
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.networks.shared.config import Config

STEMS = ("model.stem.conv.weight", "model.stem.blocks.0.conv.weight")


def matches(files: Files) -> str | None:
    """Return the architecture that config.json names. Raises SeqcovError for an unknown one."""
    if files.config is None or "architecture" not in files.described.values:
        return None
    architecture = str(files.described.values["architecture"])
    if architecture not in NETWORKS:
        raise SeqcovError(
            f"{files.config}: architecture {architecture!r} is not one of {', '.join(NETWORKS)}"
        )
    return architecture


def config(files: Files, architecture: str, species: str) -> Config:
    """Return the config with the head of `species`. Raises SeqcovError if there is none."""
    return _with_species(files, architecture, species)[0]


def renamed_heads(files: Files, config: Config) -> dict[str, str]:
    """Return the file's names of heads with the network's, if another than the saved is chosen."""
    species = getattr(config, "species", "")
    moved = _with_species(files, config.ARCHITECTURE, species)[1]
    return {stored: name for name, stored in moved.items()}


def _with_species(files: Files, architecture: str, species: str) -> tuple[Config, dict[str, str]]:
    try:
        stored = NETWORKS[architecture].config_class.from_dict(files.described.values)
        return stored.with_species(species)
    except SeqcovError as error:
        raise SeqcovError(f"{files.config}: {error}") from None


def rows(config: Config, shapes: Shapes) -> list[Row]:
    """Return each array as the weight of its name; a stem loses the fifth channel if it must."""

    def drops_n(name: str) -> bool:
        return name in STEMS and config.vocab_size == 4 and shapes[name][1:2] == (5,)

    return [Row(name, (name,), four_letters if drops_n(name) else as_stored) for name in shapes]


FORMAT = Format("seqcov", "this package's", matches, config, rows, renamed_heads=renamed_heads)
