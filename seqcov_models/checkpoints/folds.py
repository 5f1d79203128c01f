"""Recognise the folds of one model, and check that their predictions can be averaged."""

from collections.abc import Sequence
from pathlib import Path

from seqcov_models.checkpoints.recognise import Checkpoint, recognise
from seqcov_models.checkpoints.sources import find_sources
from seqcov_models.errors import SeqcovError
from seqcov_models.tiling import Geometry
from seqcov_models.tracks.table import Track


def recognise_folds(
    architecture: str | None,
    weights: str | Path | Sequence[str | Path],
    species: str = "human",
    targets: str | Path | None = None,
    *,
    n_encoding: str | None = None,
    hidden_act: str | None = None,
) -> list[Checkpoint]:
    """Return the checkpoints of one model.

    Args:
        architecture: The network, as for `recognise`.
        weights: One name of weights or several, each as for `find_sources`.
        species: The species whose head predicts.
        targets: The track table, if it is not in the folder of the weights.
        n_encoding: As for `recognise`.
        hidden_act: As for `recognise`.

    Raises:
        SeqcovError: If a checkpoint is missing or damaged, or if the predictions cannot be averaged
            because networks or tracks differ.
    """
    names = [weights] if isinstance(weights, str | Path) else weights
    paths = [path for name in names for path in find_sources(name)]
    folds = [
        recognise(
            architecture, path, species, targets, n_encoding=n_encoding, hidden_act=hidden_act
        )
        for path in paths
    ]
    first_path: dict[tuple[Path, ...], Path] = {}
    for path, fold in zip(paths, folds, strict=True):
        files = tuple(file.resolve() for file in fold.weights)
        if files in first_path:
            raise SeqcovError(
                f"weights {path}: this is the fold {first_path[files]} again; list each fold once"
            )
        first_path[files] = path
        if len(fold.tracks) != len(folds[0].tracks):
            raise SeqcovError(
                f"weights {path}: {len(fold.tracks):,} tracks, but the first fold has"
                f" {len(folds[0].tracks):,}; folds must predict the same tracks"
            )
        if fold.config != folds[0].config:
            raise SeqcovError(
                f"weights {path}: the network differs from the first fold's; folds must be copies"
                " of one network"
            )
        if [t.identifier for t in fold.tracks] != [t.identifier for t in folds[0].tracks]:
            raise SeqcovError(
                f"weights {path}: the identifiers in the track table differ from the first fold's;"
                " folds must predict the same tracks"
            )
    return folds


def check_members(
    folds: int,
    tracks: Sequence[Track],
    geometry: Geometry,
    *,
    reverse_complement: bool,
    shifts: Sequence[int],
    standard_deviation: bool,
) -> None:
    """Raise SeqcovError if folds, strands and shifts cannot be averaged.

    Args:
        folds: Number of folds.
        tracks: The tracks to predict.
        geometry: The network's window and core.
        reverse_complement: Whether both strands are predicted.
        shifts: bp by which the sequence is moved to the right before it is read.
        standard_deviation: Whether the standard deviation over all members is wanted.
    """
    for shift in shifts:
        if abs(shift) > geometry.context:
            raise SeqcovError(
                f"shifts: {shift:,} bp is more than the {geometry.context:,} bp that the network"
                " crops from either end of a window; choose a smaller shift"
            )
    members = folds * len(shifts) * (1 + reverse_complement)
    if standard_deviation and members == 1:
        raise SeqcovError(
            "standard_deviation: it needs more than one prediction per window; set several weights"
            " (folds), several shifts, or reverse_complement: true"
        )
    if not reverse_complement:
        return
    for track in tracks:
        if track.pair >= 0:
            continue
        if "strand_pair" in track.columns:
            raise SeqcovError(
                f"reverse_complement: the track table has no row for the other strand of"
                f" {track.identifier}; add that row, or choose other tracks"
            )
        raise SeqcovError(
            "reverse_complement: no track table says which tracks are strand pairs; name one with"
            " the column strand_pair in `targets:` (an unstranded track is paired with itself)"
        )
