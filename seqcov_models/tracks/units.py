"""Name the units of a network's output, and invert the transform of its training.

Calico trains on coverage that was summed or averaged over a bin, squashed, clipped and scaled; a
track table says how, one row per track. `Untransform` inverts it, as far as it can be inverted:
what was clipped stays clipped.

Sources: calico/basenji `basenji_data_read.py` (scale, clip); calico/baskerville `dataset.py`
(`untransform_preds1`, the transform of the published Borzoi folds, here 'old', and
`untransform_preds`, that of later models, here 'new'). Both of theirs leave or put the scale back
by default; here it is always divided out, and the 3/4 power of `sum_exp75` is undone too.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError
from seqcov_models.tracks.table import Track

if TYPE_CHECKING:  # a plan checks units too, and must not pay for importing torch
    from torch import Tensor, device

TRANSFORMS = ("scale", "old", "new")
SCALES = ("model", "raw")


def describe_unit(track: Track, bin_size: int, scale: str, transform: str) -> str:
    """Return the unit of a track's values; scale is 'model', or 'raw' which undoes `transform`."""
    statistic = track.columns.get("sum_stat", "").partition("_")[0] or "coverage"
    over = f"{statistic} over {bin_size} bp"
    undone = {"scale": "scale undone"}.get(transform, f"{transform} transform undone")
    return f"{over}, raw ({undone})" if scale == "raw" else f"{over}, in the model's units"


class Untransform:
    """The inverse of the transform that `tracks` were trained with, on their model's output."""

    def __init__(self, tracks: Sequence[Track], transform: str) -> None:
        """Raise SeqcovError if the table lacks a column or a value that the inverse needs."""
        if transform not in TRANSFORMS:
            raise SeqcovError(f"transform {transform!r}: choose one of {', '.join(TRANSFORMS)}")
        self.transform = transform
        self._constants: dict[str, npt.NDArray[np.float32] | npt.NDArray[np.bool_]] = {
            "scale": _numbers(tracks, "scale")
        }
        if transform != "scale":
            statistics = [_cell(track, "sum_stat") for track in tracks]
            self._constants |= {
                "clip": _numbers(tracks, "clip_soft", absent=np.inf),
                "root": np.array(["_sqrt" in name for name in statistics]),
                "power": np.array(["_exp75" in name for name in statistics]),
            }
        self._on: tuple[device, dict[str, Tensor]] | None = None

    def __call__(self, y: "Tensor") -> "Tensor":
        """Return the raw statistic of coverage for model output (..., tracks), same shape."""
        import torch

        if self._on is None or self._on[0] != y.device:
            held = {k: torch.from_numpy(v).to(y.device) for k, v in self._constants.items()}
            self._on = y.device, held
        c = self._on[1]
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
        raise SeqcovError(f"scale: raw needs the column {column!r}, which the track table lacks")
    return track.columns[column]


def _numbers(
    tracks: Sequence[Track], column: str, absent: float | None = None
) -> npt.NDArray[np.float32]:
    values = []
    for track in tracks:
        text = _cell(track, column)
        try:
            value = float(text) if text or absent is None else absent
        except ValueError:
            raise SeqcovError(
                f"track {track.identifier}: {column} {text!r} is not a number"
            ) from None
        if not value > 0:
            raise SeqcovError(f"track {track.identifier}: {column} {text!r} must be above 0")
        values.append(value)
    return np.array(values, np.float32)
