"""What lies at a path: which format, which config, which files. Needs no torch.

Formats are told apart by what the files hold, never by their names alone. Where a description lies
beside the weights (params.json, config.json) it says which network they are for, and the weights
must fit it; where there is none, the weights' shapes say what they can.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from seqcov_models.checkpoints import hub
from seqcov_models.checkpoints.arrays import kind_of
from seqcov_models.checkpoints.containers.hdf5 import layer_configs, open_h5, strand_pairs_of
from seqcov_models.checkpoints.containers.safetensors_file import parts_of
from seqcov_models.checkpoints.containers.tensor_bundle import data_files
from seqcov_models.checkpoints.described import Described
from seqcov_models.checkpoints.formats import (
    borzoi_pytorch,
    bpnet_keras,
    bpnet_lite,
    calico,
    enformer_pytorch,
    multimolecule,
    sonnet,
)
from seqcov_models.checkpoints.formats.calico_params import architecture_of_params, params_config
from seqcov_models.checkpoints.infer import check_species
from seqcov_models.checkpoints.keymap import Shape
from seqcov_models.checkpoints.readers import canonical_shapes
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.bpnet.config import BPNetConfig
from seqcov_models.networks.enformer.config import EnformerConfig
from seqcov_models.networks.registry import CONFIGS
from seqcov_models.networks.shared.config import Config, read_json
from seqcov_models.sequence import N_ENCODINGS
from seqcov_models.tracks.table import (
    Track,
    default_tracks,
    read_tracks,
    strand_tracks,
    with_strand_pairs,
)

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
PARAMS = "params.json"
TARGETS = "targets.txt"
HUGGING_FACE = (
    WEIGHTS,
    f"{WEIGHTS}.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
SUFFIXES = (".h5", ".safetensors", ".pth", ".pt", ".bin", ".torch", ".index")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's files and what they promise, before a weight is read."""

    format: str
    """'seqcov' (our own), or one of `readers.READERS`."""
    architecture: str
    config: Config
    weights: Path
    tracks: list[Track]
    files: tuple[Path, ...]
    """Everything the model is made of: weights, description, track table."""
    parts: tuple[Path, ...] = ()
    """The files that hold the weights, where those are several."""
    other_tracks: dict[str, list[Track]] = field(default_factory=dict)
    """Of the file's other heads, by species, where a table of them lies beside."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Where another of the file's heads is chosen: the file's name of each head of ours."""


@dataclass(frozen=True)
class _Found:
    """A format and its files, before anything is known of the network but its name."""

    format: str
    architecture: str
    weights: tuple[Path, ...]
    description: Path | None = None

    @property
    def said_by(self) -> str:
        return (self.description or self.weights[0]).name


def recognise(
    architecture: str | None,
    path: str | Path,
    species: str = "human",
    targets: str | Path | None = None,
    *,
    n_encoding: str | None = None,
    hidden_act: str | None = None,
) -> Checkpoint:
    """Find out what `path` holds: a directory, a weights file in it, or hf://owner/name[@revision].

    architecture: what is expected, None for whatever it is; targets: the track table, by default
    the targets.txt beside the weights; n_encoding: what N is, where it is to be other than in the
    original network ('multimolecule' keeps the fifth channel that its stems have); hidden_act: the
    activation, where it is to be other than the file says.
    Raises SeqcovError where nothing known is there, the architecture is another than asked for, or
    the table does not have a row for each of the head's tracks.
    """
    if architecture is not None and architecture not in CONFIGS:
        raise SeqcovError(f"architecture {architecture!r}: choose one of {', '.join(CONFIGS)}")
    if n_encoding is not None and n_encoding not in N_ENCODINGS:
        raise SeqcovError(f"n_encoding {n_encoding!r}: choose one of {', '.join(N_ENCODINGS)}")
    path = hub.fetched(path) if hub.is_hub(path) else Path(path)
    if not path.exists():
        raise SeqcovError(f"weights {path}: no such file or directory")
    if path.name in (CONFIG, PARAMS):
        path = path.parent
    found = _in_folder(path, species) if path.is_dir() else _file(path)
    if architecture is not None and found.architecture != architecture:
        raise SeqcovError(
            f"weights {path}: {found.said_by} describes {found.architecture!r}, asked for is"
            f" {architecture!r}"
        )
    config, renamed = _config(found, species, n_encoding)
    config = _changed(config, found, n_encoding, hidden_act)
    folder = found.weights[0].parent
    table = Path(targets) if targets else _table_beside(folder, species, bool(renamed))
    tracks = _tracks(config, table, species)
    if isinstance(config, BorzoiConfig) and "strand_pair" not in tracks[0].columns:
        tracks = _paired(tracks, found)
    others = {
        name: _table(table, count, name)
        for name, count in getattr(config, "other_heads", {}).items()
        if (table := _table_beside(folder, name, f"other_heads.{name}" not in renamed))
    }
    data = data_files(found.weights[0]) if found.format == "sonnet" else []
    beside = [file for file in (found.description, table) if file is not None]
    return Checkpoint(
        found.format,
        found.architecture,
        config,
        found.weights[0],
        tracks,
        (*found.weights, *data, *beside),
        found.weights if len(found.weights) > 1 else (),
        others,
        renamed,
    )


# Which files, which format


def _in_folder(folder: Path, species: str) -> _Found:
    if (folder / PARAMS).is_file():
        of = architecture_of_params(folder / PARAMS)
        weights = _only([*folder.glob("*.h5")], folder, species)
        return _Found("calico", of, (weights,), folder / PARAMS)
    if (folder / CONFIG).is_file():
        return _by_config(folder / CONFIG, None)
    weights = _only([f for s in SUFFIXES for f in folder.glob(f"*{s}")], folder, species)
    return _by_content(weights)


def _file(path: Path) -> _Found:
    kind = kind_of(path)
    params, config = path.parent / PARAMS, path.parent / CONFIG
    if params.is_file() and (kind == "hdf5" or path.suffix == ".h5"):
        return _Found("calico", architecture_of_params(params), (path,), params)
    if config.is_file() and kind not in ("hdf5", "bundle"):
        return _by_config(config, path)
    return _by_content(path)


def _by_config(config: Path, weights: Path | None) -> _Found:
    values = read_json(config)
    kind, model = str(values.get("architecture")), str(values.get("model_type"))
    if "architecture" in values:
        if kind not in CONFIGS:
            raise SeqcovError(f"{config}: describes {kind!r}, none of {', '.join(CONFIGS)}")
        return _Found("seqcov", kind, (weights or _there(config.parent / WEIGHTS),), config)
    files = (weights,) if weights else _hugging_face(config.parent)
    if "dim" in values and model == "enformer":
        return _Found("enformer-pytorch", "enformer", files, config)
    if "dim" in values and model in ("borzoi", "None"):
        return _Found("borzoi-pytorch", "borzoi", files, config)
    if model in multimolecule.ARCHITECTURES:
        return _Found("multimolecule", multimolecule.ARCHITECTURES[model], files, config)
    raise SeqcovError(
        f"{config}: of model_type {model!r}, which is no description by multimolecule,"
        " enformer-pytorch, borzoi-pytorch or this package"
    )


def _hugging_face(folder: Path) -> tuple[Path, ...]:
    """The weights of a folder in Hugging Face's layout: safetensors first, whole before parts."""
    for name in HUGGING_FACE:
        if (folder / name).is_file():
            return tuple(parts_of(folder / name)) if name.endswith(".json") else (folder / name,)
    raise SeqcovError(f"weights {folder}: {CONFIG} is there, {WEIGHTS} is not")


def _there(path: Path) -> Path:
    if not path.is_file():
        raise SeqcovError(f"weights {path.parent}: {CONFIG} is there, {path.name} is not")
    return path


def _only(files: list[Path], folder: Path, species: str) -> Path:
    """The weights of a folder; of several .h5, model0* is the human one and model1* the mouse's."""
    folders = [file.name for file in files if file.is_dir()]
    files = sorted(file for file in files if file.is_file())
    if len(files) > 1:
        prefix = {"human": "model0", "mouse": "model1"}.get(species, "model")
        named = [file for file in files if file.name.startswith(prefix) and file.suffix == ".h5"]
        files = named if len(named) == 1 else files
    if len(files) == 1:
        return files[0]
    if files:
        names = ", ".join(file.name for file in files)
        raise SeqcovError(f"weights {folder}: which file? found {names}; name the file itself")
    if (folder / "saved_model.pb").exists():
        raise SeqcovError(
            f"weights {folder}: a TensorFlow SavedModel, which is not read; Enformer's weights are"
            " also published as a Sonnet checkpoint, as EleutherAI/enformer-official-rough and as"
            " multimolecule/enformer, all of which are"
        )
    if folders:
        raise SeqcovError(f"weights {folder}: {folders[0]} is a folder, not a file of weights")
    raise SeqcovError(
        f"weights {folder}: no weights there; expected {PARAMS} with an .h5, {CONFIG} with"
        f" {WEIGHTS}, or a file that ends in {', '.join(SUFFIXES)}"
    )


def _by_content(path: Path) -> _Found:
    """The format of a file without a description, by the names of its arrays."""
    kind = kind_of(path)
    if kind == "hdf5":
        names = open_h5(path).shapes
        if bpnet_keras.recognised(names):
            return _Found("bpnet-keras", "bpnet", (path,))
        if of := calico.architecture_of_h5(list(names)):
            return _Found("calico", of, (path,))
        raise SeqcovError(f"{path}: Keras weights of no known network")
    if kind == "bundle":
        if sonnet.recognised(canonical_shapes(path, sonnet.canonical)):
            return _Found("sonnet", "enformer", (path,))
        raise SeqcovError(f"{path}: a TensorFlow checkpoint, but not DeepMind's Enformer")
    names = canonical_shapes(path, enformer_pytorch.canonical)
    for name, of, recognised in _STATE_DICTS:
        if recognised(names):
            return _Found(name, of, (path,))
    if any(name.startswith(("model.encoder.", "model.stem.")) for name in names):
        raise SeqcovError(
            f"{path}: these weights need the {CONFIG} that they came with beside them"
        )
    first = ", ".join(list(names)[:3])
    raise SeqcovError(f"{path}: weights of no known network ({first}, …)")


_STATE_DICTS: tuple[tuple[str, str, Callable[[dict[str, Shape]], bool]], ...] = (
    ("enformer-pytorch", "enformer", enformer_pytorch.recognised),
    ("borzoi-pytorch", "borzoi", borzoi_pytorch.recognised),
    ("bpnet-lite", "bpnetlite", bpnet_lite.recognised),
)


# Which network


def _config(found: _Found, species: str, n_encoding: str | None) -> tuple[Config, dict[str, str]]:
    """The config with the head of `species`, and which heads the file has under other names."""
    weights, source = found.weights[0], str(found.weights[0])
    beside = found.description
    match found.format:
        case "calico":
            if beside is None:
                return calico.h5_config(found.architecture, weights, species), {}
            config = params_config(found.architecture, beside, species)
            if isinstance(config, BasenjiConfig):
                config = calico.with_h5_activation(config, weights)
            return config, {}
        case "seqcov":
            assert beside is not None
            return _own(found, beside, species)
        case "multimolecule":
            assert beside is not None
            config = multimolecule.config_of(beside, species, n_encoding)
            if isinstance(config, BasenjiConfig):  # whose description does not say which species
                check_species("basenji2", config.num_labels, species, source)
            return config, {}
        case "bpnet-keras":
            return bpnet_keras.config_of(weights), {}
        case "sonnet":
            return sonnet.config_of(
                canonical_shapes(weights, sonnet.canonical), species, source
            ), {}
    shapes: dict[str, Shape] = {}
    for file in found.weights:
        shapes |= canonical_shapes(file, enformer_pytorch.canonical)
    if found.format == "bpnet-lite":
        return bpnet_lite.config_of(shapes, source), {}
    of = {"enformer-pytorch": enformer_pytorch, "borzoi-pytorch": borzoi_pytorch}[found.format]
    described = Described(read_json(beside), beside) if beside else None
    config_of: Callable[..., Config] = of.config_of
    return config_of(shapes, species, source, described), {}


def _own(found: _Found, beside: Path, species: str) -> tuple[Config, dict[str, str]]:
    values = read_json(beside)
    try:
        config = CONFIGS[found.architecture].from_dict(values)
    except SeqcovError as error:
        raise SeqcovError(f"{beside}: {error}") from None
    stored = getattr(config, "species", species)
    if stored == species:
        return config, {}
    if isinstance(config, EnformerConfig) and species in config.other_heads:
        return config.with_species(species), {
            "head": f"other_heads.{species}",
            f"other_heads.{stored}": "head",
        }
    there = ", ".join([stored, *getattr(config, "other_heads", {})])
    raise SeqcovError(f"{beside}: its head is for {there}, asked for is {species!r}")


def _changed(
    config: Config, found: _Found, n_encoding: str | None, hidden_act: str | None
) -> Config:
    """`config` with the caller's wishes. Raises SeqcovError for what the weights do not allow."""
    if n_encoding is not None and n_encoding != config.n_encoding:
        channels = len(N_ENCODINGS[n_encoding])
        if channels > config.vocab_size:
            raise SeqcovError(
                f"n_encoding {n_encoding!r}: the stem in {found.weights[0]} reads"
                f" {config.vocab_size} channels; only multimolecule's weights come with a fifth"
            )
        config = dataclasses.replace(config, n_encoding=n_encoding, vocab_size=channels)
    if hidden_act is not None:
        config = dataclasses.replace(config, hidden_act=hidden_act)
    return config


# Which tracks


def _tracks(config: Config, table: Path | None, species: str) -> list[Track]:
    """The tracks of a table; without one BPNet's strands by their tasks, else numbers."""
    labels: int = getattr(config, "num_labels")
    if table:
        return _table(table, labels, species)
    if isinstance(config, BPNetConfig):
        return strand_tracks(config.tasks, config.num_strands)
    return default_tracks(labels)


def _table(table: Path, labels: int, species: str) -> list[Track]:
    if len(tracks := read_tracks(table)) != labels:
        raise SeqcovError(
            f"track table {table}: {len(tracks):,} rows, but the {species} head has {labels:,}"
            " tracks; the table of another head belongs under `targets:`, one that names some of"
            " the tracks under `tracks: [file:…]`"
        )
    return tracks


def _paired(tracks: list[Track], found: _Found) -> list[Track]:
    """A Borzoi's tracks, of whose strands no table tells, as its .h5 pairs them where it does."""
    source = found.weights[0]
    tells = found.format == "calico" and kind_of(source) == "hdf5"
    pairs = strand_pairs_of(layer_configs(source), len(tracks)) if tells else None
    try:
        return with_strand_pairs(tracks, pairs)
    except SeqcovError as error:
        raise SeqcovError(f"{source}: {error}") from None


def _table_beside(folder: Path, species: str, other: bool) -> Path | None:
    """targets_<species>.txt, else targets.txt, which is not of an `other` of the file's heads."""
    for name in [f"targets_{species}.txt"] + ([] if other else [TARGETS]):
        if (folder / name).is_file():
            return folder / name
    return None
