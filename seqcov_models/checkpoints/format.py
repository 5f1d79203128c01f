"""The record by which each publishing project's format is known, and the files it is told by."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from seqcov_models.checkpoints.containers import container_of, open_files
from seqcov_models.checkpoints.described import Described
from seqcov_models.checkpoints.keymap import Row, Shape, Shapes
from seqcov_models.networks.shared.config import Config, read_json

CanonicalName = Callable[[str], str | None]


def without_module(name: str) -> str | None:
    """Drop the prefix that DataParallel puts before each name."""
    return name.removeprefix("module.")


@dataclass(frozen=True)
class Files:
    """What lies at the path of a checkpoint: the weights, and descriptions in their folder."""

    weights: tuple[Path, ...]
    """The file with the weights, or the shards that hold them together."""
    config: Path | None = None
    """Hugging Face's config.json, if that describes these weights."""
    params: Path | None = None
    """Calico's params.json, if that describes these weights."""

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
        """What the weights file is by its content, as `container_of` says it."""
        return container_of(self.weights[0])

    @cached_property
    def described(self) -> Described:
        """The values of config.json; without one, none."""
        return Described(read_json(self.config), self.config) if self.config else Described({}, "")

    def shapes(self, canonical: CanonicalName = without_module) -> dict[str, Shape]:
        """Return the shapes of all arrays by canonical name, read from headers alone.

        Raises SeqcovError for damaged or foreign files.
        """
        return open_files(self.weights, canonical).shapes


def _ignore_nothing(name: str, config: Config, shapes: Shapes) -> bool:
    return False


def _no_renamed_heads(files: Files, config: Config) -> dict[str, str]:
    return {}


def _no_strand_pairs(files: Files, tracks: int) -> list[int] | None:
    return None


@dataclass(frozen=True)
class Format:
    """How one project saves its networks. Each module of `formats/` exports one as FORMAT.

    Example: the whole of a format for BPNets whose layers have PyTorch's names, with a stem `iconv`
    and the like, is `formats/bpnet_lite.py`.
    """

    name: str
    """As `inspect`, provenance and messages say it: 'borzoi-pytorch'."""
    description: str
    """One line that `describe` prints."""
    matches: Callable[[Files], str | None]
    """Return the architecture (a name in the registry) if the files are of this format, else None.

    Only one format may match, whatever the order in which they are asked: test what is peculiar.
    Raises SeqcovError for files that are of this format but cannot be read.
    """
    config: Callable[[Files, str, str], Config]
    """Return the config of files, an architecture and a species.

    Raises SeqcovError if the description is wrong, differs from the weights, or there is no head.
    """
    rows: Callable[[Config, Shapes], list[Row]]
    """Return the key map: for each weight of the network, its arrays in the file and their layout.

    The shapes are the file's, by canonical name. Raises SeqcovError for layers that are missing.
    """
    canonical: CanonicalName = without_module
    """Return the one name of an array that may have several; None for what is not a weight."""
    ignores: Callable[[str, Config, Shapes], bool] = _ignore_nothing
    """Return whether an array (by canonical name) is not needed for a network of this config."""
    renamed_heads: Callable[[Files, Config], dict[str, str]] = field(default=_no_renamed_heads)
    """Return which of the network's heads (values) the file holds under other names (keys)."""
    strand_pairs: Callable[[Files, int], list[int] | None] = field(default=_no_strand_pairs)
    """Return each track's row of the other strand, if the files say it."""
    has_n_channel: bool = False
    """Whether the stems in its files read a fifth channel for N that the config leaves out."""
