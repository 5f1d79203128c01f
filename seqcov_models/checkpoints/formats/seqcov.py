"""This package's own format: config.json with an `architecture`, model.safetensors, targets.txt.

Names of arrays are those of the network. An Enformer's other heads are in the same file: if one of
them is asked for, its arrays become `head` and those of the saved head `other_heads`.
"""

from seqcov_models.checkpoints.format import Files, Format, name_source
from seqcov_models.checkpoints.keymap import KeyMap, Row, Shapes, drop_n
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.networks.shared.config import Config, read_json


def matches(files: Files) -> str | None:
    """Return the architecture that config.json names. Raises SeqcovError for an unknown one."""
    if "architecture" not in files.described:
        return None
    architecture = str(files.described["architecture"])
    if architecture not in NETWORKS:
        raise SeqcovError(
            f"{files.config}: architecture {architecture!r} is not one of {', '.join(NETWORKS)}"
        )
    return architecture


def config(files: Files, architecture: str, species: str) -> Config:
    """Return the config with the head of `species`. Raises SeqcovError if there is none."""
    return _with_species(files, architecture, species)[0]


def renamed_heads(files: Files, config: Config) -> dict[str, str]:
    """Return the network's names of heads by the file's, if another than the saved is selected."""
    species = getattr(config, "species", "")
    renamed = _with_species(files, config.ARCHITECTURE, species)[1]
    return {name_in_file: name for name, name_in_file in renamed.items()}


def _with_species(files: Files, architecture: str, species: str) -> tuple[Config, dict[str, str]]:
    assert files.config is not None
    with name_source(files.config):
        config = NETWORKS[architecture].config_class.from_dict(read_json(files.config))
        return config.with_species(species)


def keys(config: Config, shapes: Shapes) -> KeyMap:
    """Return each array as the weight of its name; a stem loses the fifth channel if it must."""
    rows = {name: Row((name,)) for name in shapes}
    return rows if config.vocab_size == 5 else drop_n(rows, config.STEM_WEIGHT, shapes)


FORMAT = Format("seqcov", "this package's", matches, config, keys, renamed_heads=renamed_heads)
