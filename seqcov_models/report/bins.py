"""Read predicted and measured coverage side by side, bin by bin."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from seqcov_models.errors import SeqcovError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

BLOCK = 1 << 22
"""bp to read at once."""


class PairReader:
    """A predicted and a measured bigWig, read bin by bin.

    The measured value of a bin is the mean over its bases. A base without an entry counts as 0:
    bigWigs of coverage leave out zeros.

    Args:
        predicted: The predicted bigWig.
        observed: The measured bigWig.
        bin_size: bp per bin of the prediction.

    Attributes:
        contigs: Lengths of the predicted contigs in bp.
    """

    def __init__(self, predicted: Path, observed: Path, bin_size: int) -> None:
        self._paths, self.bin_size = (predicted, observed), bin_size

    def __enter__(self) -> Self:
        import pyBigWig

        self._files = [_guard(path, pyBigWig.open, str(path)) for path in self._paths]
        self.contigs: dict[str, int] = self._files[0].chroms()
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files:
            file.close()

    def read(self, contig: str, observed_name: str) -> Iterator[tuple[Ints, Floats, Floats]]:
        """Yield the bins of a contig that have a predicted value, block by block.

        Args:
            contig: The contig.
            observed_name: Its name in the measured bigWig.

        Yields:
            Of each bin: its number on the contig, the predicted and the measured value.

        Raises:
            SeqcovError: If a file cannot be read.
        """
        length, size = self.contigs[contig], self.bin_size
        block = max(1, BLOCK // size) * size
        for start in range(0, length, block):
            end = min(start + block, length)
            predicted = self._read_bases(0, contig, start, end)[::size]
            bins = np.flatnonzero(~np.isnan(predicted))
            if len(bins):
                bases = self._read_bases(1, observed_name, start, end)
                yield start // size + bins, predicted[bins], average_bins(bases, size)[bins]

    def _read_bases(self, number: int, contig: str, start: int, end: int) -> Floats:
        """Return the value of every base, NaN for bases without an entry."""
        read = self._files[number].values
        bases = _guard(self._paths[number], read, contig, start, end, numpy=True)
        return np.asarray(bases, np.float32)


def _guard(path: Path, call: Any, *arguments: Any, **settings: Any) -> Any:
    """Return what `call` returns; raise SeqcovError if pyBigWig cannot read a file."""
    try:
        return call(*arguments, **settings)
    except RuntimeError as error:
        raise SeqcovError(f"{path}: damaged bigWig ({error}); copy or make it again") from None


def average_bins(bases: Floats, bin_size: int) -> Floats:
    """Return the mean over the bases of each bin; the last bin may be shorter.

    Args:
        bases: Value of every base, shape (bases,). NaN counts as 0.
        bin_size: bp per bin.
    """
    bases = np.nan_to_num(bases, nan=0.0)
    if bin_size == 1:
        return bases
    starts = np.arange(0, len(bases), bin_size)
    sums = np.add.reduceat(bases, starts, dtype=np.float64)
    means: Floats = (sums / np.minimum(bin_size, len(bases) - starts)).astype(np.float32)
    return means
