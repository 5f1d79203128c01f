"""Write and read the document of a model's plan, of either kind."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from seqcov_models.checkpoints.recognise import Checkpoint
from seqcov_models.networks.shared.config import ProfileConfig
from seqcov_models.run.document import pack, read_document
from seqcov_models.tiling import NO_INTERVALS, BinIntervals

BIGWIG_BYTES = 4.14
"""Bytes per value in a bigWig, measured (benchmarks/README.md)."""


class ModelDocument:
    """The writing and reading that the documents of both kinds of models share."""

    name: str
    folds: list[Checkpoint]

    def contents(self) -> dict[str, Any]:
        """Return the content of the document, in which folds with equal track tables share one."""
        values: dict[str, Any] = pack(self)
        column = values["folds"]["columns"].index("tracks")
        for fold, packed in zip(self.folds[1:], values["folds"]["rows"][1:], strict=True):
            if fold.tracks == self.folds[0].tracks:
                packed[column] = []
        return values

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the document of a model of this kind.

        Raises:
            SeqcovError: If it is missing, damaged or from another version.
        """
        plan: Self = share_tracks(read_document(Path(path), cls))
        return plan


def count_positions(intervals: Mapping[str, BinIntervals]) -> int:
    """Return the number of positions in all intervals."""
    rows = np.concatenate([NO_INTERVALS, *intervals.values()])
    return int((rows[:, 1] - rows[:, 0]).sum())


def share_tracks(plan: Any) -> Any:
    """Return `plan` with the first fold's tracks in the folds whose tracks were not repeated."""
    first = plan.folds[0].tracks
    folds = [fold if fold.tracks else replace(fold, tracks=first) for fold in plan.folds]
    return replace(plan, folds=folds)


def describe_reads(config: ProfileConfig, counts: str) -> str:
    """Return in words how the reads of a BPNet's window follow from its output.

    Args:
        config: The network's config.
        counts: "exp" or "expm1".
    """
    if added := config.added_reads:
        return f"exp of the predicted log counts, minus {added}"
    return f"{counts} of the predicted log counts"
