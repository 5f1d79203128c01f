"""Load weights into networks, and save them.

Files are not trusted: none of their code runs, and names, shapes and numbers are checked first.
"""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from seqcov_models.checkpoints.arrays import Arrays
from seqcov_models.checkpoints.containers import open_files
from seqcov_models.checkpoints.format import name_source
from seqcov_models.checkpoints.formats import all_formats
from seqcov_models.checkpoints.keymap import Array, Row, Shape, Shapes, check_fit
from seqcov_models.checkpoints.recognise import CONFIG, WEIGHTS, Checkpoint
from seqcov_models.errors import SeqcovError
from seqcov_models.files import content_digest, write_atomically
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.config import Config
from seqcov_models.tracks.table import Track, write_tracks

_DERIVED = "num_batches_tracked"  # batch norm's counter of training steps; no inference uses it


def find_device(name: str | torch.device) -> torch.device:
    """Return torch's device of this name. Raises SeqcovError if this machine has none."""
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError):
        gpus = torch.cuda.device_count()
        choices = "cpu" + (f", cuda, or cuda:0 to cuda:{gpus - 1}" if gpus else "")
        raise SeqcovError(
            f"device {str(name)!r}: torch sees {gpus} GPUs here; choose {choices}"
        ) from None


def load_checkpoint(checkpoint: Checkpoint, tracks: Sequence[Track]) -> CoverageModel:
    """Load a recognised checkpoint as a network in evaluation mode.

    Args:
        checkpoint: What `recognise` returned.
        tracks: Tracks of the checkpoint; the head is reduced to them.

    Returns:
        The network, on the CPU.

    Raises:
        SeqcovError: If the weights are damaged or do not fit the config.
    """
    model, state = outline(checkpoint.config, checkpoint.source), read_state(checkpoint)
    # Copied, because the arrays may be views of a mapped file, which can change while it is used.
    tensors = {name: torch.from_numpy(np.array(state.pop(name), order="C")) for name in list(state)}
    counters = {
        name: torch.zeros(value.shape, dtype=value.dtype)
        for name, value in model.named_buffers()
        if name.endswith(_DERIVED)
    }
    model.load_state_dict(tensors | counters, assign=True)
    model.assign_tracks(checkpoint.tracks, checkpoint.other_tracks)
    return model.eval().select_tracks([track.row for track in tracks])


def build(config: Config) -> CoverageModel:
    """Return the network of `config` with weights as torch initialises them."""
    return NETWORKS[config.ARCHITECTURE].load_class()(config)


def outline(config: Config, source: str) -> CoverageModel:
    """Return the network of `config` with shapes and no numbers: it takes no memory.

    Raises SeqcovError for sizes beyond what any machine can address.
    """
    try:
        with torch.device("meta"):
            return build(config)
    except (RuntimeError, OverflowError, MemoryError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise SeqcovError(f"{source}: no such network can be built: {reason}") from None


def weight_shapes(model: nn.Module) -> dict[str, Shape]:
    """Return the shapes of the weights that a checkpoint must hold for `model`."""
    state = model.state_dict()
    return {
        name: tuple(value.shape) for name, value in state.items() if not name.endswith(_DERIVED)
    }


def check_checkpoint(checkpoint: Checkpoint) -> int:
    """Check names and shapes in a checkpoint against its network, without reading numbers.

    Args:
        checkpoint: What `recognise` returned.

    Returns:
        The number of the network's parameters.

    Raises:
        SeqcovError: If an array is missing, unexpected or of another shape.

    Example:
        >>> check_checkpoint(recognise("enformer", "weights/enformer/"))
        251221292
    """
    model = outline(checkpoint.config, checkpoint.source)
    _match(checkpoint, weight_shapes(model))
    return sum(weight.numel() for weight in model.parameters())


def read_state(checkpoint: Checkpoint) -> dict[str, Array]:
    """Read a checkpoint's weights by the network's names, and check every one of them.

    Names and shapes are checked before numbers are read, so that a file that does not fit costs
    neither time nor memory. Raises SeqcovError for a damaged file or one that does not fit.
    """
    expected = weight_shapes(outline(checkpoint.config, checkpoint.source))
    arrays, rows = _match(checkpoint, expected)
    values = {name: arrays.read(name) for row in rows.values() for name in row.arrays}
    with name_source(checkpoint.source):
        state = {name: row.build(values).reshape(expected[name]) for name, row in rows.items()}
    for name, value in state.items():
        if name.endswith("running_var") and value.min(initial=0) < 0:
            raise SeqcovError(f"{checkpoint.source}: {name} holds a negative variance")
    return state


def _match(checkpoint: Checkpoint, expected: Shapes) -> tuple[Arrays, dict[str, Row]]:
    """Return a checkpoint's arrays, and where each weight of the `expected` shapes comes from.

    Raises SeqcovError if they do not fit.
    """
    source, config = checkpoint.source, checkpoint.config
    format_ = all_formats()[checkpoint.format]

    def canonical(name: str) -> str | None:
        new = format_.canonical(name)
        layer, _, variable = (new or "").rpartition(".")
        head = checkpoint.renamed_heads.get(layer)
        return f"{head}.{variable}" if head else new

    arrays = open_files(checkpoint.weights, canonical)
    shapes = {
        name: shape
        for name, shape in arrays.shapes.items()
        if not format_.ignores(name, config, arrays.shapes)
    }
    with name_source(source):
        keys = format_.keys(config, shapes)
    descriptions = [file.name for file in checkpoint.files if file.suffix == ".json"]
    mismatch = f"{source} is not complete; download it again"
    if any(re.match(r"(.*/)?(adapter_houlsby|lora|ia3|locon|squeeze_excite)", n) for n in shapes):
        mismatch = (
            f"{source} has adapters of transfer learning, which are not supported; name the file of"
            " the merged weights, model_best.mergeW.h5, which baskerville writes for LoRA, IA3 and"
            " locon"
        )
    elif descriptions:
        mismatch = f"{source} does not fit its {descriptions[0]}; use the files of one model"
    check_fit(keys, shapes, expected, mismatch)
    return arrays, {name: keys[name] for name in expected}


def save_model(model: CoverageModel, folder: str | Path) -> None:
    """Write a model in this package's format: config.json, model.safetensors, targets.txt.

    The folder appears in one step; it replaces a model that was saved there before.

    Args:
        model: Any network of this package; only its selected tracks are written.
        folder: A folder that is new, empty, or holds a saved model.

    Raises:
        SeqcovError: If the folder holds anything else, or cannot be written.

    Example:
        >>> save_model(load_model("borzoi", "calico/"), "borzoi/")
    """
    folder = Path(folder).resolve()
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.name not in (CONFIG, WEIGHTS) and not re.fullmatch(
            r"targets(_\w+)?\.txt", file.name
        ):
            raise SeqcovError(
                f"{folder}: holds {file.name}, which is not of a saved model; name another folder"
            )
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
        if not name.endswith(_DERIVED)
    }
    tables = {f"{stem}.txt": tracks for stem, tracks in model.track_tables().items()}
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with write_atomically(folder) as partial_folder:
            partial_folder.mkdir()
            (partial_folder / CONFIG).write_text(
                json.dumps(model.config.to_dict(), indent=2) + "\n", "utf-8"
            )
            for name, tracks in tables.items():
                write_tracks(partial_folder / name, tracks)
            save_file(state, partial_folder / WEIGHTS)
            shutil.copymode(
                partial_folder / CONFIG, partial_folder / WEIGHTS
            )  # safetensors lets nobody else read
    except SafetensorError as error:
        raise SeqcovError(f"{folder}: cannot be written: {error}") from None


def model_card(checkpoint: Checkpoint, model: CoverageModel) -> dict[str, Any]:
    """Return a model's format, geometry, config and the hashes of its network as JSON values."""
    geometry = checkpoint.config.geometry
    return {
        "format": checkpoint.format,
        "window": geometry.window,
        "core": geometry.core,
        "bin": geometry.bin,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "sha256": {path.name: content_digest(path) for path in checkpoint.network_files},
        "config": checkpoint.config.to_dict(),
    }
