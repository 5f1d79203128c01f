"""Weights into networks. Files are untrusted: nothing is unpickled, everything is checked first."""

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from seqcov_models.checkpoints.arrays import Arrays
from seqcov_models.checkpoints.keymap import Array, Row, Shape, Shapes, check, four_letters
from seqcov_models.checkpoints.readers import READERS, open_weights
from seqcov_models.checkpoints.recognise import CONFIG, TARGETS, WEIGHTS, Checkpoint, recognise
from seqcov_models.errors import SeqcovError
from seqcov_models.files import sha256, written_whole
from seqcov_models.networks.basenji.config import BasenjiConfig
from seqcov_models.networks.basenji.network import BasenjiForTokenPrediction
from seqcov_models.networks.borzoi.config import BorzoiConfig
from seqcov_models.networks.borzoi.network import BorzoiForTokenPrediction
from seqcov_models.networks.bpnet.config import BPNetConfig, BPNetLiteConfig
from seqcov_models.networks.bpnet.network import BPNetForProfilePrediction
from seqcov_models.networks.enformer.config import EnformerConfig
from seqcov_models.networks.enformer.network import EnformerForTokenPrediction
from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.config import Config
from seqcov_models.tracks.selection import select
from seqcov_models.tracks.table import Track, strand_tracks, write_tracks

_NETWORKS: dict[type[Config], Callable[..., CoverageModel]] = {
    BasenjiConfig: BasenjiForTokenPrediction,
    EnformerConfig: EnformerForTokenPrediction,
    BorzoiConfig: BorzoiForTokenPrediction,
    BPNetConfig: BPNetForProfilePrediction,
    BPNetLiteConfig: BPNetForProfilePrediction,
}
_DERIVED = "num_batches_tracked"  # batch norm's counter of training steps; no inference uses it


def load_model(
    architecture: str,
    path: str | Path,
    *,
    species: str = "human",
    tracks: str | Sequence[str | int] = "all",
    targets: str | Path | None = None,
    device: str | torch.device = "cpu",
    n_encoding: str | None = None,
    hidden_act: str | None = None,
) -> CoverageModel:
    """A network with its weights, in evaluation mode, its head cut down to `tracks`.

    path: a directory or a weights file of any supported format, or hf://owner/name[@revision];
    tracks: selectors as in `select`; targets: the track table where it does not lie beside the
    weights; n_encoding, hidden_act: as in `recognise`.
    Raises SeqcovError for whatever does not fit, before anything is predicted.
    """
    target = device_of(device)
    checkpoint = recognise(
        architecture, path, species, targets, n_encoding=n_encoding, hidden_act=hidden_act
    )
    chosen = select(checkpoint.tracks, tracks)
    return load_checkpoint(checkpoint, chosen).to(target)


def device_of(name: str | torch.device) -> torch.device:
    """torch's device of this name. Raises SeqcovError where there is none here."""
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError):
        gpus = torch.cuda.device_count()
        choices = "cpu" + (f", cuda, or cuda:0 to cuda:{gpus - 1}" if gpus else "")
        said = f"device {str(name)!r}: torch sees {gpus} GPUs here; choose {choices}"
        raise SeqcovError(said) from None


def load_checkpoint(checkpoint: Checkpoint, tracks: Sequence[Track]) -> CoverageModel:
    """The network of a recognised checkpoint with its head cut down to `tracks`.

    Raises SeqcovError for weights that are damaged or do not fit.
    """
    state = read_state(checkpoint)
    model = build(checkpoint.config)
    model.load_state_dict(
        {name: torch.from_numpy(np.ascontiguousarray(state.pop(name))) for name in list(state)},
        strict=False,
    )
    model.tracks = list(checkpoint.tracks)
    if isinstance(model, EnformerForTokenPrediction):
        model.other_tracks |= checkpoint.other_tracks
    return model.eval().select_tracks([track.row for track in tracks])


def build(config: Config) -> CoverageModel:
    """The network of `config` with weights as torch initialises them."""
    return _NETWORKS[type(config)](config)


def outline(config: Config, source: str) -> CoverageModel:
    """The network of `config` with shapes and no numbers: it takes no memory.

    Raises SeqcovError for sizes beyond what any machine can address.
    """
    try:
        with torch.device("meta"):
            return build(config)
    except (RuntimeError, OverflowError, MemoryError, TypeError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise SeqcovError(f"{source}: no such network can be built: {first}") from None


def weight_shapes(model: nn.Module) -> dict[str, Shape]:
    """The shapes of the weights a checkpoint must hold for `model`."""
    state = model.state_dict()
    return {name: tuple(v.shape) for name, v in state.items() if not name.endswith(_DERIVED)}


def check_shapes(checkpoint: Checkpoint) -> int:
    """How many parameters the network has, its file's names and shapes checked against it.

    Raises SeqcovError as `read_state` does, but for what only the numbers show.
    """
    model = outline(checkpoint.config, str(checkpoint.weights))
    _matched(checkpoint, weight_shapes(model))
    return sum(weight.numel() for weight in model.parameters())


def read_state(checkpoint: Checkpoint) -> dict[str, Array]:
    """A checkpoint's weights under our names, every one of them checked.

    Names and shapes are checked before numbers are read, so that a file that does not fit costs
    neither time nor memory. Raises SeqcovError for a damaged file or one that does not fit.
    """
    source = str(checkpoint.weights)
    arrays, rows = _matched(checkpoint, weight_shapes(outline(checkpoint.config, source)))
    held = arrays.read([name for row in rows for name in row.theirs])
    try:
        state = {row.ours: row.build(held) for row in rows}
    except SeqcovError as error:
        raise SeqcovError(f"{source}: {error}") from None
    for name, value in state.items():
        if name.endswith("running_var") and value.min(initial=0) < 0:
            raise SeqcovError(f"{source}: {name} holds a negative variance")
    return state


def _matched(checkpoint: Checkpoint, wanted: Mapping[str, Shape]) -> tuple[Arrays, list[Row]]:
    """A checkpoint's arrays and the map that makes weights of the `wanted` shapes of them.

    Raises SeqcovError where they do not fit.
    """
    source = str(checkpoint.weights)
    files = checkpoint.parts or (checkpoint.weights,)
    beside = next((f.name for f in checkpoint.files if f.suffix == ".json"), "")
    reader = READERS.get(checkpoint.format)
    if reader is None:  # our own format
        arrays = open_weights(files)
        found = arrays.shapes
        rows = [Row(name, (_stored(name, checkpoint.renamed),)) for name in wanted]
        rows = [_of_four_letters(row, found, wanted) for row in rows]
    else:
        arrays = open_weights(files, reader.canonical)
        found = {
            name: shape
            for name, shape in arrays.shapes.items()
            if not reader.ignored(name, checkpoint.config, arrays.shapes)
        }
        try:
            rows = reader.rows(checkpoint.config, found)
        except SeqcovError as error:
            raise SeqcovError(f"{source}: {error}") from None
    check(rows, found, wanted, f"{source} does not fit its {beside}" if beside else source)
    return arrays, rows


def _of_four_letters(row: Row, found: Shapes, wanted: Shapes) -> Row:
    """`row`, without the fifth channel of the file's stem where ours reads four."""
    stem = row.ours in ("model.stem.conv.weight", "model.stem.blocks.0.conv.weight")
    drops = stem and wanted[row.ours][1] == 4 and found.get(row.theirs[0], ())[1:2] == (5,)
    return replace(row, layout=four_letters) if drops else row


def _stored(name: str, renamed: Mapping[str, str]) -> str:
    """The name under which a file of ours holds one of our weights."""
    prefix, _, leaf = name.rpartition(".")
    return f"{renamed[prefix]}.{leaf}" if prefix in renamed else name


def save_model(model: CoverageModel, folder: str | Path) -> None:
    """Write `model` in our own format: config.json, model.safetensors, targets.txt.

    The folder appears whole, in the place of what was saved there before. Raises SeqcovError where
    it holds anything else, or cannot be written.
    """
    folder = Path(folder).resolve()
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.name not in (CONFIG, WEIGHTS) and not re.fullmatch(
            r"targets(_\w+)?\.txt", file.name
        ):
            raise SeqcovError(f"{folder}: {file.name} is in the way; name a folder for the model")
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
        if not name.endswith(_DERIVED)
    }
    tables = {TARGETS: model.tracks}
    if isinstance(model, EnformerForTokenPrediction):
        tables |= {f"targets_{name}.txt": tracks for name, tracks in model.other_tracks.items()}
    elif isinstance(model, BPNetForProfilePrediction):  # which keeps whole tasks
        tables[TARGETS] = strand_tracks(model.config.tasks, model.config.num_strands)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with written_whole(folder) as part:
            part.mkdir()
            (part / CONFIG).write_text(json.dumps(model.config.to_dict(), indent=2) + "\n", "utf-8")
            for name, tracks in tables.items():
                write_tracks(part / name, tracks)
            save_file(state, part / WEIGHTS)
            shutil.copymode(part / CONFIG, part / WEIGHTS)  # safetensors lets nobody else read
    except SafetensorError as error:
        raise SeqcovError(f"{folder}: cannot be written: {error}") from None


def model_card(checkpoint: Checkpoint, model: CoverageModel) -> dict[str, Any]:
    """What a model is, in plain values: for provenance, and to be found unchanged later."""
    geometry = checkpoint.config.geometry
    return {
        "format": checkpoint.format,
        "window": geometry.window,
        "core": geometry.core,
        "bin": geometry.bin,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "tracks": [track.row for track in model.tracks],
        "sha256": {path.name: sha256(path) for path in checkpoint.files},
        "config": checkpoint.config.to_dict(),
    }


def verify(checkpoint: Checkpoint, card: Mapping[str, Any]) -> None:
    """Raise SeqcovError where a file of the checkpoint is no longer what `model_card` hashed."""
    for path in checkpoint.files:
        if sha256(path) != card["sha256"].get(path.name):
            raise SeqcovError(f"{path} has changed since this run was planned; start the run again")
