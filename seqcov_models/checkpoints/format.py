"""The record by which each publishing project's format is known, and the files it describes."""

import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.containers import detect_container, open_files
from seqcov_models.checkpoints.keymap import KeyMap, Shape, Shapes
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.shared.config import Config, read_json
from seqcov_models.networks.shared.fields import MAX_INT, is_integer

CanonicalName = Callable[[str], str | None]


def without_module(name: str) -> str | None:
    """Drop the prefixes that DataParallel and torch.compile put before each name."""
    return name.removeprefix("module.").removeprefix("_orig_mod.").removeprefix("module.")


@contextmanager
def name_source(source: str | Path | None) -> Iterator[None]:
    """Put the name of a file before the message of a SeqcovError that the block raises."""
    try:
        yield
    except SeqcovError as error:
        raise SeqcovError(f"{source}: {error}") from None


@dataclass(frozen=True)
class Files:
    """The files at the path of a checkpoint: the weights, and descriptions in their folder."""

    weights: tuple[Path, ...]
    """The file with the weights, or the shards that hold them together."""
    config: Path | None = None
    """Hugging Face's config.json, if that describes these weights."""
    params: Path | None = None
    """Calico's params.json, if that describes these weights."""
    training: Path | None = None
    """A config.yaml beside weights without other description: the settings of their training."""

    @property
    def source(self) -> str:
        """The weights file as messages name it."""
        return str(self.weights[0])

    @property
    def description(self) -> Path | None:
        """The file that describes the weights."""
        return self.config or self.params

    @cached_property
    def container(self) -> str | None:
        """The type of the weights file, as `detect_container` names it."""
        return detect_container(self.weights[0])

    @property
    def is_state_dict(self) -> bool:
        """Whether the weights file is of a PyTorch project."""
        return self.container in ("zip", "pickle", "safetensors")

    @cached_property
    def described(self) -> Mapping[str, Any]:
        """The values of config.json that are not null; empty without a file."""
        values = read_json(self.config) if self.config else {}
        return {name: value for name, value in values.items() if value is not None}

    def shapes(self, canonical: CanonicalName = without_module) -> dict[str, Shape]:
        """Return the shapes of all arrays by canonical name, read from headers alone.

        Raises SeqcovError for damaged or foreign files.
        """
        return open_files(self.weights, canonical).shapes

    def integer(self, name: str, default: int, minimum: int = 1, maximum: int = MAX_INT) -> int:
        """Return a whole number of config.json. Raises SeqcovError for any other value."""
        value = self.described.get(name, default)
        if not is_integer(value, minimum, maximum):
            raise self.error(name, f"a whole number from {minimum} to {maximum:,}")
        return int(value)

    def error(self, name: str, expectation: str) -> SeqcovError:
        """Return the error for a value of config.json that is not as in `expectation`."""
        value = reprlib.repr(self.described.get(name))
        return SeqcovError(f"{self.config}: {name}: {value} is not {expectation}")

    def check_agreement(self, **fields: tuple[str, object]) -> None:
        """Refuse a config.json that differs from the weights it comes with.

        Each field is what the weights have in words and as a value; an absent one agrees.
        Raises SeqcovError for the first that does not.
        """
        for name, (meaning, value) in fields.items():
            setting = self.described.get(name, value)
            if setting != value:
                raise SeqcovError(
                    f"{self.config}: {name}: {setting!r}, but the weights have {value!r} {meaning}"
                )


@dataclass(frozen=True)
class Format:
    """How one project saves its networks. Each module of `formats/` exports one as FORMAT.

    Attributes:
        name: As `describe`, provenance and messages name it: 'borzoi-pytorch'.
        description: One line that `describe` prints.
        matches: Returns the architecture (a name in the registry) if the files are of this format,
            else None. Only one format may match, in whatever order they are asked: test what is
            peculiar. Raises SeqcovError for files of this format that cannot be read.
        config: Returns the config of files, an architecture and a species. Raises SeqcovError if
            the description is wrong, differs from the weights, or there is no such head.
        keys: Returns the key map of a config. The shapes are the file's, by canonical name. Raises
            SeqcovError for layers that are missing.
        canonical: Returns the one name of an array that may have several names; None for an array
            that is not a weight.
        ignores: Returns whether an array (by canonical name) is not needed for a config.
        renamed_heads: Returns the network's names of heads (values) that the file holds under
            other names (keys).
        strand_pairs: Returns the row of each track's other strand, if the files say it.
        other_architectures: Networks that its files can be read as, too, if the caller asks for it.
        combine: Returns the files that are one model together, among several files of a folder;
            none if it does not know. Raises SeqcovError for files that cannot be read.
        species_files: The names (patterns as of `fnmatch`) of a species' weights, by species, if
            the project publishes folders with one file per species.
        has_n_channel: Whether the stems in its files read a fifth channel for N, which is dropped
            unless it is asked for.

    Example:
        `formats/bpnet_lite.py` is a complete format in 70 lines.
    """

    name: str
    description: str
    matches: Callable[[Files], str | None]
    config: Callable[[Files, str, str], Config]
    keys: Callable[[Config, Shapes], KeyMap]
    canonical: CanonicalName = without_module
    ignores: Callable[[str, Config, Shapes], bool] = lambda name, config, shapes: False
    renamed_heads: Callable[[Files, Config], dict[str, str]] = lambda files, config: {}
    strand_pairs: Callable[[Files, int], list[int] | None] = lambda files, tracks: None
    other_architectures: tuple[str, ...] = ()
    combine: Callable[[list[Path]], tuple[Path, ...]] = lambda files: ()
    species_files: Mapping[str, str] = field(default_factory=dict)
    has_n_channel: bool = False
