"""What lies at a path: which format, which config, which files. Needs no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..configs import CONFIGS, Config, read_json
from ..errors import SeqcovError
from ..tracks import Track, default_tracks, read_tracks
from .calico_params import architecture_of_params, borzoi_config

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
PARAMS = "params.json"
TARGETS = "targets.txt"

_CALICO: dict[str, Callable[[Path, str], Config]] = {"borzoi": borzoi_config}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's files and what they promise, before a weight is read."""

    format: str
    """'calico' (params.json and .h5) or 'seqcov' (config.json and model.safetensors)."""
    architecture: str
    config: Config
    weights: Path
    tracks: list[Track]
    files: tuple[Path, ...]
    """Everything the model is made of: weights, config, track table."""


def recognise(
    architecture: str, path: str | Path, species: str = "human", targets: str | Path | None = None
) -> Checkpoint:
    """Find out what `path` (a directory, or the weights file in it) holds.

    `targets` is the track table, by default the targets.txt beside the weights.
    Raises SeqcovError where nothing known is there, the architecture is another than asked for, or
    the table does not have a row for each of the head's tracks.
    """
    if architecture not in CONFIGS:
        raise SeqcovError(f"architecture {architecture!r}: choose one of {', '.join(CONFIGS)}")
    path = Path(path)
    if not path.exists():
        raise SeqcovError(f"weights {path}: no such file or directory")
    folder = path if path.is_dir() else path.parent
    if (folder / PARAMS).is_file():
        kind, found = "calico", architecture_of_params(folder / PARAMS)
        description = folder / PARAMS
    elif (folder / CONFIG).is_file():
        kind, description = "seqcov", folder / CONFIG
        found = str(read_json(description).get("architecture"))
    else:
        raise SeqcovError(
            f"weights {path}: neither {PARAMS} (calico, with an .h5) nor {CONFIG} (seqcov, with"
            f" {WEIGHTS}) in {folder}"
        )
    if found != architecture:
        raise SeqcovError(
            f"weights {path}: {description.name} describes {found!r}, asked for is {architecture!r}"
        )
    if kind == "calico":
        config = _CALICO[architecture](description, species)
        weights = path if path.is_file() else _only_h5(folder, species)
    else:
        config = CONFIGS[architecture].from_dict(read_json(description))
        weights = folder / WEIGHTS
        if not weights.is_file():
            raise SeqcovError(f"weights {folder}: {CONFIG} is there, {WEIGHTS} is not")
        if (of := getattr(config, "species", species)) != species:
            raise SeqcovError(f"weights {folder}: its head is for {of!r}, asked for is {species!r}")
    table = Path(targets) if targets else _table_beside(folder, species)
    labels: int = getattr(config, "num_labels")
    tracks = read_tracks(table) if table else default_tracks(labels)
    if len(tracks) != labels:
        raise SeqcovError(
            f"track table {table}: {len(tracks):,} rows, but the {species} head has {labels:,}"
            " tracks; a table that names some of the tracks belongs under `tracks: [file:…]`"
        )
    files = (weights, description) if table is None else (weights, description, table)
    return Checkpoint(kind, architecture, config, weights, tracks, files)


def _only_h5(folder: Path, species: str) -> Path:
    """The .h5 of a directory; of several, model0* is the human one and model1* the mouse's."""
    files = sorted(folder.glob("*.h5"))
    if len(files) > 1:
        prefix = {"human": "model0", "mouse": "model1"}.get(species, "model")
        files = [file for file in files if file.name.startswith(prefix)]
    if len(files) != 1:
        names = ", ".join(file.name for file in sorted(folder.glob("*.h5"))) or "none"
        raise SeqcovError(f"weights {folder}: which .h5? found {names}; name the file itself")
    return files[0]


def _table_beside(folder: Path, species: str) -> Path | None:
    for name in (f"targets_{species}.txt", TARGETS):
        if (folder / name).is_file():
            return folder / name
    return None
