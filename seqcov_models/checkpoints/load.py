"""Weights into networks. Files are untrusted: nothing is unpickled, everything is checked first."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..configs import BorzoiConfig, Config
from ..errors import SeqcovError
from ..networks.base import TokenPredictionModel
from ..networks.borzoi import BorzoiForTokenPrediction
from ..tracks import Track, select, write_tracks
from .calico import borzoi_state, describe
from .recognise import CONFIG, TARGETS, WEIGHTS, Checkpoint, recognise

_NETWORKS: dict[type[Config], Callable[..., TokenPredictionModel]] = {
    BorzoiConfig: BorzoiForTokenPrediction
}
_DERIVED = ("num_batches_tracked",)  # batch norm's counter of training steps; no inference uses it


def load_model(
    architecture: str,
    path: str | Path,
    *,
    species: str = "human",
    tracks: str | Sequence[str | int] = "all",
    targets: str | Path | None = None,
    device: str | torch.device = "cpu",
) -> TokenPredictionModel:
    """A network with its weights, in evaluation mode, its head cut down to `tracks`.

    path: a directory or a weights file of any supported format; tracks: selectors as in `select`;
    targets: the track table where it does not lie beside the weights.
    Raises SeqcovError for whatever does not fit, before anything is predicted.
    """
    checkpoint = recognise(architecture, path, species, targets)
    chosen = select(checkpoint.tracks, tracks)
    return load_checkpoint(checkpoint, chosen).to(device)


def load_checkpoint(checkpoint: Checkpoint, tracks: Sequence[Track]) -> TokenPredictionModel:
    """The network of a recognised checkpoint with its head cut down to `tracks`.

    Raises SeqcovError for weights that are damaged or do not fit.
    """
    model = build(checkpoint.config)
    load_state(model, read_state(checkpoint), str(checkpoint.weights))
    model.tracks = list(checkpoint.tracks)
    return model.eval().select_tracks([track.row for track in tracks])


def build(config: Config) -> TokenPredictionModel:
    """The network of `config` with weights as torch initialises them."""
    return _NETWORKS[type(config)](config)


def read_state(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """A checkpoint's weights under our names. Raises SeqcovError for a damaged file."""
    if checkpoint.format == "calico":
        assert isinstance(checkpoint.config, BorzoiConfig)
        return borzoi_state(checkpoint.weights, checkpoint.config)
    try:
        return load_file(checkpoint.weights)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise SeqcovError(f"{checkpoint.weights}: not a whole safetensors file: {error}") from None


def load_state(model: TokenPredictionModel, state: dict[str, Tensor], source: str) -> None:
    """Put `state` into `model`, all of it or nothing.

    Raises SeqcovError with every missing, unexpected or misshapen weight.
    """
    wanted = {k: v for k, v in model.state_dict().items() if not k.endswith(_DERIVED)}
    state = {k: v for k, v in state.items() if not k.endswith(_DERIVED)}
    missing, unexpected = sorted(wanted.keys() - state), sorted(state.keys() - wanted)
    if missing or unexpected:
        raise SeqcovError(f"{source} does not fit its config: {describe(missing, unexpected)}")
    for name, value in state.items():
        if name.endswith(("rel_content_bias", "rel_pos_bias")):
            value = state[name] = value.reshape(wanted[name].shape) if (
                value.numel() == wanted[name].numel()
            ) else value  # fmt: skip
    wrong = [
        f"{name} is {tuple(state[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted
        if state[name].shape != wanted[name].shape
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise SeqcovError(f"{source} does not fit its config: {'; '.join(wrong[:5])}{more}")
    if bad := [name for name in wanted if not torch.isfinite(state[name]).all()]:
        raise SeqcovError(f"{source}: {bad[0]} holds values that are not finite")
    model.load_state_dict(state, strict=False)


def save_model(model: TokenPredictionModel, folder: str | Path) -> None:
    """Write `model` in our own format: config.json, model.safetensors, targets.txt."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        k: v.detach().cpu().contiguous()
        for k, v in model.state_dict().items()
        if not k.endswith(_DERIVED)
    }
    save_file(state, folder / f"{WEIGHTS}.part")
    (folder / f"{WEIGHTS}.part").replace(folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(model.config.to_dict(), indent=2) + "\n", "utf-8")
    write_tracks(folder / TARGETS, model.tracks)


def model_card(checkpoint: Checkpoint, model: TokenPredictionModel) -> dict[str, Any]:
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


def sha256(path: Path) -> str:
    """The file's SHA-256 as hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
