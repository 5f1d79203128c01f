"""Load checkpoints as networks and ensembles that predict selected tracks."""

from collections.abc import Sequence
from pathlib import Path
from typing import overload

import torch

from seqcov_models.checkpoints.folds import check_members, recognise_folds
from seqcov_models.checkpoints.load import find_device, load_checkpoint
from seqcov_models.checkpoints.recognise import Checkpoint
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.profiles import ProfileModel
from seqcov_models.prediction.ensemble import Ensemble, ProfileEnsemble
from seqcov_models.tracks.selection import select
from seqcov_models.tracks.table import Track
from seqcov_models.tracks.units import SCALES, Untransform

COUNTS = ("exp", "expm1")
"""How reads follow from a predicted log count."""


@overload
def load_model(
    architecture: str | None,
    weights: str | Path,
    *,
    species: str = ...,
    tracks: str | Sequence[str | int] = ...,
    targets: str | Path | None = ...,
    device: str | torch.device = ...,
    n_encoding: str | None = ...,
    hidden_act: str | None = ...,
) -> CoverageModel: ...
@overload
def load_model(
    architecture: str | None,
    weights: str | Path | Sequence[str | Path],
    *,
    species: str = ...,
    tracks: str | Sequence[str | int] = ...,
    targets: str | Path | None = ...,
    reverse_complement: bool = ...,
    shifts: Sequence[int] = ...,
    scale: str = ...,
    transform: str | None = ...,
    standard_deviation: bool = ...,
    counts: str = ...,
    device: str | torch.device = ...,
    n_encoding: str | None = ...,
    hidden_act: str | None = ...,
) -> CoverageModel | Ensemble | ProfileEnsemble: ...
def load_model(
    architecture: str | None,
    weights: str | Path | Sequence[str | Path],
    *,
    species: str = "human",
    tracks: str | Sequence[str | int] = "all",
    targets: str | Path | None = None,
    reverse_complement: bool = False,
    shifts: Sequence[int] = (0,),
    scale: str = "model",
    transform: str | None = None,
    standard_deviation: bool = False,
    counts: str = "exp",
    device: str | torch.device = "cpu",
    n_encoding: str | None = None,
    hidden_act: str | None = None,
) -> CoverageModel | Ensemble | ProfileEnsemble:
    """Load a model with its weights, in evaluation mode, its head reduced to selected tracks.

    The parameters are keys of the config and mean the same. `shifts`, `scale`, `transform` and
    `standard_deviation` belong to networks that predict bins, `counts` to networks of profiles.

    Args:
        architecture: 'basenji2', 'enformer', 'borzoi', 'bpnet', 'bpnetlite', 'chrombpnet' or
            'cherimoya'; None for the network that the weights say.
        weights: A folder or weights file of any supported format, a pattern such as
            ``fold_*/model.h5``, ``hf://owner/name[@revision][/path]``, an address, or
            ``ARCHIVE.tar::MEMBER``.
            Several, or a pattern with several matches, are folds, which are averaged.
        species: The species whose head predicts.
        tracks: Selectors as in `select`; 'all' selects the entire head.
        targets: The track table, if it is not in the folder of the weights.
        reverse_complement: Whether to average the predictions of both strands. Strand partners of
            the tracks are loaded, too.
        shifts: bp by which windows are shifted to the right; their predictions are averaged.
        scale: 'model', or 'raw' for coverage before the transform of the training.
        transform: The transform that 'raw' undoes, if other than the network's: 'old', 'new' or
            'scale'.
        standard_deviation: Whether to predict the standard deviation over all folds, shifts and
            strands, too.
        counts: How reads follow from a predicted log count: 'exp' or 'expm1'.
        device: The device that predicts: 'cpu', 'cuda', 'cuda:1'.
        n_encoding: How an unknown base is encoded, if other than in the original network: 'zeros',
            'uniform' or 'multimolecule'.
        hidden_act: The activation, if other than the file says.

    Returns:
        The network. With several folds, or with any parameter from `reverse_complement` to
        `counts`, it is an ensemble, which predicts as the network does but cannot be trained or
        saved. The `tracks` of both are the selected ones, in the order of the table.

    Raises:
        SeqcovError: If a file is damaged, missing or does not fit, a parameter has no meaning for
            this network, or the device does not exist.

    Example:
        >>> model = load_model("borzoi", "weights/", tracks=["assay:CAGE"])
        >>> model.predict("ACGT" * 131_072).shape  # (windows, bins, tracks)
        (1, 6144, 638)
    """
    target = find_device(device)
    folds = recognise_folds(
        architecture, weights, species, targets, n_encoding=n_encoding, hidden_act=hidden_act
    )
    selected = select(folds[0].tracks, tracks)
    network = NETWORKS[folds[0].architecture]
    of_bins = {
        "shifts": tuple(shifts) != (0,),
        "scale": scale != "model",
        "transform": transform is not None,
        "standard_deviation": standard_deviation,
    }
    of_profiles = {"counts": counts != "exp"}
    used, unused = (of_bins, of_profiles) if network.output == "bins" else (of_profiles, of_bins)
    if wrong := [name for name, is_chosen in unused.items() if is_chosen]:
        raise SeqcovError(f"{wrong[0]}: {network.name} predicts {network.output}; leave it out")
    for name, value, choices in (("scale", scale, SCALES), ("counts", counts, COUNTS)):
        if value not in choices:
            raise SeqcovError(f"{name} {value!r}: choose one of {', '.join(choices)}")
    if len(folds) == 1 and not reverse_complement and not any(used.values()):
        return load_checkpoint(folds[0], selected).to(target)
    check_members(
        len(folds),
        selected,
        folds[0].config.geometry,
        reverse_complement=reverse_complement,
        shifts=shifts,
        standard_deviation=standard_deviation,
    )
    if network.output == "profiles":
        return load_profile_ensemble(
            folds, selected, reverse_complement=reverse_complement, expm1=counts == "expm1"
        ).to(target)
    inverse = transform or network.default_transform(len(folds[0].tracks))
    return load_ensemble(
        folds,
        selected,
        reverse_complement=reverse_complement,
        shifts=shifts,
        untransform=Untransform(selected, inverse) if scale == "raw" else None,
        standard_deviation=standard_deviation,
    ).to(target)


def load_ensemble(
    folds: Sequence[Checkpoint],
    tracks: Sequence[Track],
    *,
    reverse_complement: bool = False,
    shifts: Sequence[int] = (0,),
    untransform: Untransform | None = None,
    standard_deviation: bool = False,
) -> Ensemble:
    """Load checkpoints as an ensemble that predicts `tracks`.

    Only the rows of the heads that are needed are loaded: those of `tracks`, and of their strand
    partners with `reverse_complement`.

    Args:
        folds: Checkpoints with the same tracks, as `recognise` returns them.
        tracks: Tracks to predict, in this order.
        reverse_complement: Whether to predict the other strand, too, and average both.
        shifts: bp by which the sequence is moved to the right before it is read.
        untransform: Transforms the network's output back to coverage.
        standard_deviation: Whether to give the standard deviation over all members, too.

    Returns:
        The ensemble, on the CPU.

    Raises:
        SeqcovError: If a checkpoint cannot be read or does not fit, or a track has no strand
            partner.

    Example:
        >>> fold = recognise("borzoi", "weights/borzoi_fold0")
        >>> ensemble = load_ensemble([fold], fold.tracks[:3], reverse_complement=True)
        >>> ensemble.predict(codes).shape  # codes (1, 524288)
        (1, 6144, 3)
    """
    rows = {track.row for track in tracks}
    if reverse_complement:
        rows |= {track.pair for track in tracks}
    head = [track for track in folds[0].tracks if track.row in rows]
    return Ensemble(
        [load_checkpoint(fold, head) for fold in folds],
        tracks,
        reverse_complement=reverse_complement,
        shifts=shifts,
        untransform=untransform,
        standard_deviation=standard_deviation,
    )


def load_profile_ensemble(
    folds: Sequence[Checkpoint],
    tracks: Sequence[Track],
    *,
    reverse_complement: bool = False,
    expm1: bool = False,
) -> ProfileEnsemble:
    """Load checkpoints as an ensemble that predicts profiles.

    Args:
        folds: Checkpoints with the same tasks, as `recognise` returns them.
        tracks: Tracks to predict. The heads compute both strands of their tasks.
        reverse_complement: Whether to predict both strands of each window and average them.
        expm1: Whether reads are exp(log counts) − 1 instead of exp(log counts).

    Returns:
        The ensemble, on the CPU.

    Raises:
        SeqcovError: If a checkpoint cannot be read or does not fit.
    """
    models = [load_checkpoint(fold, tracks) for fold in folds]
    networks = [model for model in models if isinstance(model, ProfileModel)]
    assert len(networks) == len(models), "a network without profiles"
    return ProfileEnsemble(networks, reverse_complement, expm1)
