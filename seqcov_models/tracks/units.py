"""Name the units of a network's output, and invert the transform of its training.

Calico trains on coverage that was summed or averaged over a bin, squashed, clipped and scaled. The
track table has the constants, one row per track. `Untransform` inverts all but the hard clip:
values at the clip stay there.

Sources: calico/basenji `basenji_data_read.py` (scale, clip); calico/baskerville `dataset.py`
(`untransform_preds1`, the transform of the published Borzoi folds, here 'old', and
`untransform_preds`, that of later models, here 'new'). By default both functions of baskerville
return scaled values; here the scale is always divided out, and the 3/4 power of `sum_exp75` is
undone too.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError
from seqcov_models.tracks.table import Track

if TYPE_CHECKING:  # a plan checks units too, and must not pay for importing torch
    from torch import Tensor, device

TRANSFORMS = ("scale", "old", "new")
"""Transforms of training: of Basenji2 and Enformer, of the published Borzois, of later Borzois."""
SCALES = ("model", "raw")
"""Scales of the output: the network's units, or coverage before the transform."""


def describe_unit(track: Track, bin_size: int, scale: str, transform: str) -> str:
    """Return the unit of a track's values, in words.

    Args:
        track: Track with its columns of the table.
        bin_size: Bases per bin.
        scale: One of `SCALES`.
        transform: One of `TRANSFORMS`, which the scale "raw" undoes.

    Example:
        >>> describe_unit(Track(0, 0, "x", columns={"sum_stat": "sum_sqrt"}), 32, "raw", "old")
        'sum over 32 bp, raw (old transform undone)'
    """
    statistic = track.columns.get("sum_stat", "").partition("_")[0] or "coverage"
    quantity = f"{statistic} over {bin_size} bp"
    if scale != "raw":
        return f"{quantity}, in the model's units"
    inverse = "scale undone" if transform == "scale" else f"{transform} transform undone"
    return f"{quantity}, raw ({inverse})"


STATISTICS = ("sum", "mean", "avg", "median", "max", "peak")
"""How calico's sum_stat combines the bases of a bin."""
SQUASHES = ("_sqrt", "_exp75")
"""Endings of sum_stat: the power that calico raised the statistic to."""


class Untransform:
    """The inverse of the transform that tracks were trained with.

    Args:
        tracks: Tracks in the order of the output's last axis, with the columns scale and, unless
            the transform is "scale", sum_stat and clip_soft.
        transform: One of `TRANSFORMS`.

    Raises:
        SeqcovError: If the transform is unknown, or if the table lacks a column or a value.

    Attributes:
        transform: The transform that a call undoes.

    Example:
        >>> tracks = [Track(0, 0, "x", columns={"scale": "0.5"})]
        >>> Untransform(tracks, "scale")(torch.tensor([[1.0], [3.0]])).tolist()
        [[2.0], [6.0]]
    """

    def __init__(self, tracks: Sequence[Track], transform: str) -> None:
        """Read the constants of each track."""
        if transform not in TRANSFORMS:
            raise SeqcovError(f"transform {transform!r}: choose one of {', '.join(TRANSFORMS)}")
        self.transform = transform
        self._constants: dict[str, npt.NDArray[np.float32] | npt.NDArray[np.bool_]] = {
            "scale": _numbers(tracks, "scale")
        }
        if transform != "scale":
            statistics = [_statistic(track) for track in tracks]
            self._constants |= {
                "clip": _numbers(tracks, "clip_soft", absent=np.inf),
                "root": np.array(["_sqrt" in name for name in statistics]),
                "power": np.array(["_exp75" in name for name in statistics]),
            }
        self._moved: tuple[device, dict[str, Tensor]] | None = None

    def __call__(self, y: "Tensor") -> "Tensor":
        """Return the sum or mean of coverage over a bin, before the transform.

        Args:
            y: Output of the network, shape (..., tracks).

        Returns:
            Tensor of the same shape, type and device.
        """
        import torch

        if self._moved is None or self._moved[0] != y.device:
            constants = {k: torch.from_numpy(v).to(y.device) for k, v in self._constants.items()}
            self._moved = y.device, constants
        c = self._moved[1]
        if self.transform == "scale":
            return y / c["scale"]
        if self.transform == "old":
            s = y / c["scale"]
            s = torch.where(s > c["clip"], c["clip"] + (s - c["clip"]) ** 2, s)
            return torch.where(c["root"], s.clamp(min=0) ** (4 / 3), s)
        s = torch.where(y > c["clip"], (y - c["clip"] + 1) ** 2 + c["clip"] - 1, y)
        s = torch.where(c["root"], (s + 1) ** 2 - 1, s)
        s = torch.where(c["power"], (s + 1) ** (4 / 3) - 1, s)
        return s / c["scale"]


def _cell(track: Track, column: str) -> str:
    """Return a track's text in a column; raise SeqcovError if the table lacks the column."""
    if column not in track.columns:
        raise SeqcovError(
            f"scale: raw needs the column {column!r}, which the track table lacks; add it, or set"
            " scale: model"
        )
    return track.columns[column]


def _statistic(track: Track) -> str:
    """Return a track's sum_stat; raise SeqcovError if it is not one of calico's."""
    text = _cell(track, "sum_stat")
    if not re.fullmatch(f"({'|'.join(STATISTICS)})({'|'.join(SQUASHES)})?", text):
        raise SeqcovError(
            f"track {track.identifier}: sum_stat {text!r} is unknown, so scale: raw cannot undo it;"
            f" write {', '.join(STATISTICS)}, and after it {' or '.join(SQUASHES)} if coverage was"
            " squashed"
        )
    return text


def _numbers(
    tracks: Sequence[Track], column: str, absent: float | None = None
) -> npt.NDArray[np.float32]:
    """Return the positive numbers of a column, `absent` for empty cells, shape (tracks,)."""
    values = []
    for track in tracks:
        text = _cell(track, column)
        try:
            value = float(text) if text or absent is None else absent
        except ValueError:
            raise SeqcovError(
                f"track {track.identifier}: {column} {text!r} is not a number; correct"
                " the track table"
            ) from None
        if not 0 < value < np.inf and text:
            raise SeqcovError(
                f"track {track.identifier}: {column} {text!r} must be above 0 and finite; correct"
                " the track table"
            )
        values.append(value)
    return np.array(values, np.float32)
