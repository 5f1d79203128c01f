"""Measured coverage as laboratories have it in bigWigs."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyBigWig


def write_measured(
    path: Path,
    lengths: dict[str, int],
    values: dict[str, npt.NDArray[np.float32]],
    bin_size: int,
    prefix: str = "",
) -> None:
    """Write values as a measured bigWig has them: without zeros, and chrA is called A.

    prefix: what names of contigs begin with instead of chr.
    """
    names = {name: prefix + name.removeprefix("chr") for name in lengths}
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([(names[name], length) for name, length in lengths.items()])
        for name, length in lengths.items():
            if not len(bins := np.flatnonzero(values[name])):
                continue
            ends = np.minimum((bins + 1) * bin_size, length)
            file.addEntries(
                [names[name]] * len(bins), (bins * bin_size).tolist(), ends=ends.tolist(),
                values=values[name][bins].astype(float).tolist(),
            )  # fmt: skip
