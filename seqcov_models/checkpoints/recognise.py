"""Recognise what lies at a path: which format, which config, which files.

A format is recognised by what the files hold, never by their names alone. A description next to the
weights (params.json, config.json) says which network they are for, and the weights must fit it;
without one, the shapes of the weights say what they can. Only files of torch.save import torch.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from seqcov_models.checkpoints.containers import detect_container
from seqcov_models.checkpoints.containers.safetensors_file import shards_in_index
from seqcov_models.checkpoints.containers.tensor_bundle import data_files
from seqcov_models.checkpoints.format import Files, Format, name_source
from seqcov_models.checkpoints.formats import all_formats
from seqcov_models.checkpoints.sources import find_source
from seqcov_models.errors import SeqcovError
from seqcov_models.files import content_digest
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.networks.shared.config import Config
from seqcov_models.sequence import N_ENCODINGS
from seqcov_models.tracks.table import Track, read_tracks, set_strand_pairs

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
PARAMS = "params.json"
TRAINING = "config.yaml"
TARGETS = "targets.txt"
SUFFIXES = (".h5", ".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".torch", ".index")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was recognised, before a weight is read.

    `recognise` makes it; `load_checkpoint` builds the network from it.

    Attributes:
        format: A name in `formats.all_formats()`.
        architecture: A name in the registry of networks.
        config: The network's config, with the selected head.
        weights: The file that holds the weights, or its shards.
        tracks: The tracks of the head, in its order.
        files: Everything the model is made of: weights, description, track table.
        other_tracks: Tracks of the file's other heads by species, if they have a table.
        renamed_heads: The network's name of each head that the file holds under another name.
        table: The track table, one of `files`; None without one.
        digests: SHA-256 of each of `files`; empty unless `with_digests` has read them.
    """

    format: str
    architecture: str
    config: Config
    weights: tuple[Path, ...]
    tracks: list[Track]
    files: tuple[Path, ...]
    other_tracks: dict[str, list[Track]] = field(default_factory=dict)
    renamed_heads: dict[str, str] = field(default_factory=dict)
    table: Path | None = None
    digests: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The weights file as messages name it."""
        return str(self.weights[0])

    @property
    def network_files(self) -> list[Path]:
        """Each file but the track table, which changes no weight."""
        return [file for file in self.files if file != self.table]

    @property
    def network_digests(self) -> list[str]:
        """SHA-256 of each of `network_files`."""
        pairs = zip(self.files, self.digests, strict=True)
        return [digest for file, digest in pairs if file != self.table]

    @property
    def table_digest(self) -> str:
        """SHA-256 of the track table; "" without one."""
        pairs = zip(self.files, self.digests, strict=True)
        return next((digest for file, digest in pairs if file == self.table), "")

    def with_digests(self) -> Self:
        """Return the checkpoint with the digest of each file; a file is read once."""
        return dataclasses.replace(self, digests=tuple(map(content_digest, self.files)))


def recognise(
    architecture: str | None,
    path: str | Path,
    species: str = "human",
    targets: str | Path | None = None,
    *,
    n_encoding: str | None = None,
    hidden_act: str | None = None,
) -> Checkpoint:
    """Recognise a checkpoint by its names, shapes and descriptions, without reading numbers.

    Args:
        architecture: The network that is expected; None for any.
        path: A folder, a weights file, or another name of weights (see `checkpoints.sources`).
        species: The species whose head is selected.
        targets: The track table; by default targets_<species>.txt or targets.txt in the folder.
        n_encoding: How an unknown base is encoded, if other than in the original network: 'zeros',
            'uniform', or 'multimolecule' (the fifth channel that its stems have).
        hidden_act: The activation, if other than the file says.

    Returns:
        The checkpoint: format, config, tracks and files.

    Raises:
        SeqcovError: If no known checkpoint is at the path, it is of another architecture, it has no
            head of the species, or the table does not have one row per track.

    Example:
        >>> recognise("borzoi", "weights/borzoi/").config.geometry.bin
        32
    """
    if architecture is not None and architecture not in NETWORKS:
        raise SeqcovError(f"architecture {architecture!r}: choose one of {', '.join(NETWORKS)}")
    if n_encoding is not None and n_encoding not in N_ENCODINGS:
        raise SeqcovError(f"n_encoding {n_encoding!r}: choose one of {', '.join(N_ENCODINGS)}")
    path = find_source(path)
    files = find_files(path, species)
    format_, network = _match_format(files)
    if architecture in format_.other_architectures:
        network = architecture
    if architecture is not None and network != architecture:
        file = (files.description or files.weights[0]).name
        raise SeqcovError(
            f"weights {path}: {file} describes {network!r}, asked for is {architecture!r}; correct"
            " the architecture or the path"
        )
    config = format_.config(files, network, species)
    config = _with_choices(config, format_, files, n_encoding, hidden_act)
    head_names = format_.renamed_heads(files, config)
    folder = files.weights[0].parent
    table = Path(targets) if targets else _find_table(folder, species, bool(head_names))
    other_tracks = {
        name: _read_table(other_table, count, name)
        for name, count in config.heads.items()
        if name != species
        and (
            other_table := _find_table(
                folder, name, head_names.get("head") != f"other_heads.{name}"
            )
        )
    }
    data = data_files(files.weights[0]) if files.container == "bundle" else []
    descriptions = [file for file in (files.description, files.training, table) if file is not None]
    return Checkpoint(
        format_.name,
        network,
        config,
        files.weights,
        _tracks(config, format_, files, table, species),
        (*files.weights, *data, *descriptions),
        other_tracks,
        head_names,
        table,
    )


def _match_format(files: Files) -> tuple[Format, str]:
    """Return the format of files and the architecture. Raises SeqcovError if none matches."""
    for format_ in all_formats().values():
        if (architecture := format_.matches(files)) is not None:
            return format_, architecture
    if files.config:
        model = files.described.get("model_type")
        raise SeqcovError(
            f"{files.config}: model_type {model!r} is not of a known format:"
            f" {', '.join(all_formats())}"
        )
    names = list(files.shapes())
    if any(name.startswith(("model.encoder.", "model.stem.")) for name in names):
        raise SeqcovError(
            f"{files.source}: these weights need the {CONFIG} that they came with in their folder;"
            " put it there"
        )
    if any(name.startswith("model.embedding.") for name in names):
        raise SeqcovError(
            f"{files.source}: a network of gReLU, which cannot be read; use the weights that it was"
            " made from: Borzoi's and Enformer's are published in the formats that README.md lists"
        )
    if any("/vars/" in name for name in names):
        raise SeqcovError(
            f"{files.source}: weights of Keras 3 without the names of their layers; save the whole"
            " model once, where Keras is installed: model.save('model.h5')"
        )
    raise SeqcovError(
        f"{files.source}: arrays of no known network ({', '.join(names[:3])}, …); known are"
        f" {', '.join(NETWORKS)}"
    )


# Which files


def find_files(path: Path, species: str) -> Files:
    """Return the weights and their description at a path: a folder, or a file in it.

    Of several files in a folder, a format may know that of a species by its name.
    Raises SeqcovError if there are no weights, or it is not clear which file holds them.
    """
    if not path.exists():
        raise SeqcovError(f"weights {path}: no such file or folder; correct the path")
    if path.name in (CONFIG, PARAMS):
        path = path.parent
    folder = path if path.is_dir() else path.parent
    params, config = (
        file if file.is_file() else None for file in (folder / PARAMS, folder / CONFIG)
    )
    if path.is_dir():
        if params:
            return Files((_single_file([*path.glob("*.h5")], path, species),), params=params)
        if config:
            return Files(_hugging_face_files(path), config)
        candidates = [file for suffix in SUFFIXES for file in path.glob(f"*{suffix}")]
        return _with_training(Files(_choose_files(candidates, path, species)))
    container = detect_container(path)
    if params and (container == "hdf5" or path.suffix == ".h5"):
        return Files((path,), params=params)
    return _with_training(Files((path,), None if container in ("hdf5", "bundle") else config))


def _with_training(files: Files) -> Files:
    """Return `files` with the config.yaml beside a state dict that has no other description."""
    training = files.weights[0].parent / TRAINING
    if files.description or not files.is_state_dict or not training.is_file():
        return files
    return dataclasses.replace(files, training=training)


def _hugging_face_files(folder: Path) -> tuple[Path, ...]:
    """Return the weights of a folder in Hugging Face's layout, safetensors before torch's."""
    for name in (WEIGHTS, "pytorch_model.bin"):
        if (folder / name).is_file():
            return (folder / name,)
        if (index := folder / f"{name}.index.json").is_file():
            return tuple(shards_in_index(index))
    raise SeqcovError(f"weights {folder}: {WEIGHTS} is missing beside {CONFIG}; put it there")


def _choose_files(files: list[Path], folder: Path, species: str) -> tuple[Path, ...]:
    """Return the weights among the files of a folder: one file, or those of one model together.

    Raises SeqcovError if it is not clear.
    """
    files = sorted(file for file in files if file.is_file())
    if len(files) > 1:
        for format_ in all_formats().values():
            if combined := format_.combine(files):
                return combined
    return (_single_file(files, folder, species),)


def _single_file(files: list[Path], folder: Path, species: str) -> Path:
    """Return the weights among the files of a folder. Raises SeqcovError if it is not clear."""
    files = sorted(file for file in files if file.is_file())
    if len(files) > 1:
        patterns = [
            format_.species_files[species]
            for format_ in all_formats().values()
            if species in format_.species_files
        ]
        matches = [file for file in files if any(map(file.match, patterns))]
        files = matches if len(matches) == 1 else files
    if len(files) == 1:
        return files[0]
    if files:
        names = ", ".join(file.name for file in files)
        raise SeqcovError(f"weights {folder}: several files of weights ({names}); name one of them")
    if (folder / "saved_model.pb").exists():
        raise SeqcovError(
            f"weights {folder}: a TensorFlow SavedModel cannot be read. Name the .h5 beside it, as"
            " ChromBPNet has one. Enformer's weights are also published as a Sonnet checkpoint, as"
            " EleutherAI/enformer-official-rough and as multimolecule/enformer; use one of these"
        )
    if folds := sorted(path.name for path in folder.glob("fold_*") if path.is_dir()):
        raise SeqcovError(
            f"weights {folder}: holds no weights itself, but the folders {', '.join(folds)}; list"
            f" those whose predictions should be averaged: [{folder / folds[0]}, …]"
        )
    raise SeqcovError(
        f"weights {folder}: no file of weights; expected {PARAMS} with an .h5, {CONFIG} with"
        f" {WEIGHTS}, or a file that ends in {', '.join(SUFFIXES)}"
    )


# Which network


def _with_choices(
    config: Config, format_: Format, files: Files, n_encoding: str | None, hidden_act: str | None
) -> Config:
    """Return `config` as the caller chose. Raises SeqcovError for what the weights do not allow."""
    if n_encoding is not None and n_encoding != config.n_encoding:
        channels = len(N_ENCODINGS[n_encoding])
        if channels > (5 if format_.has_n_channel else config.vocab_size):
            raise SeqcovError(
                f"n_encoding {n_encoding!r}: the stem in {files.source} reads {config.vocab_size}"
                " channels; only multimolecule's weights come with a fifth"
            )
        config = dataclasses.replace(config, n_encoding=n_encoding, vocab_size=channels)
    return config if hidden_act is None else dataclasses.replace(config, hidden_act=hidden_act)


# Which tracks


def _tracks(
    config: Config, format_: Format, files: Files, table: Path | None, species: str
) -> list[Track]:
    """Return the tracks of a table or the network, with the strand pairs that the files say."""
    labels = config.num_labels
    tracks = _read_table(table, labels, species) if table else config.default_tracks()
    stranded = NETWORKS[config.ARCHITECTURE].stranded
    if not stranded or "strand_pair" in tracks[0].columns:
        return tracks
    with name_source(files.source):
        return set_strand_pairs(tracks, format_.strand_pairs(files, labels))


def _read_table(table: Path, labels: int, species: str) -> list[Track]:
    """Read the tracks of a head. Raises SeqcovError if it does not have as many as the table."""
    if len(tracks := read_tracks(table)) != labels:
        raise SeqcovError(
            f"track table {table}: {len(tracks):,} rows, but the {species} head has {labels:,}"
            " tracks; the table of another head belongs under `targets:`, one that names some of"
            " the tracks under `tracks: [file:…]`"
        )
    return tracks


def _find_table(folder: Path, species: str, other_head: bool) -> Path | None:
    """Return targets_<species>.txt, else targets.txt, which belongs to the saved head alone."""
    tables = [folder / f"targets_{species}.txt"] + ([] if other_head else [folder / TARGETS])
    return next((table for table in tables if table.is_file()), None)
