"""Predict one region in memory, with the values that the workflow would write."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seqcov_models.errors import SeqcovError
from seqcov_models.files import make_cache_folder
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.genome.regions import parse_regions
from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.profiles import ProfileModel
from seqcov_models.prediction.contig_profiles import (
    is_window_independent,
    predict_segment_profiles,
)
from seqcov_models.prediction.coverage import predict_segment
from seqcov_models.prediction.ensemble import Ensemble, ProfileEnsemble
from seqcov_models.sequence import Coverage
from seqcov_models.tiling import Tiling, select_bins, tile
from seqcov_models.tracks.table import Track

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class RegionPrediction:
    """Coverage of neighbouring bins of one contig.

    Attributes:
        contig: Name in the FASTA.
        start: Start of the first bin in bp, 0-based.
        end: End of the last bin in bp, exclusive; the contig's last bin may be shorter.
        bin: bp per bin.
        values: (bins, tracks) ``float32`` in the units of the tracks; NaN for a bin without a
            value.
        tracks: The columns of `values`. An ensemble with standard deviations lists the tracks
            twice: first for the means, then for the standard deviations.

    Example:
        >>> coverage = predict_region(model, "hg38.fa", "chr1:1,000,001-1,400,000")
        >>> coverage.values.max(0)  # the highest value of each track
    """

    contig: str
    start: int
    end: int
    bin: int
    values: Coverage
    tracks: Sequence[Track]

    def to_dataframe(self) -> "DataFrame":
        """Return the prediction as a table with one row per bin.

        Returns:
            The columns `contig`, `start` and `end` (bp, 0-based half-open, as in BED), then one
            column per track, named by its identifier.

        Example:
            >>> predict_region(model, "hg38.fa", "chr1:1,000,001-1,400,000").to_dataframe()
        """
        from pandas import DataFrame

        starts = np.arange(self.start, self.end, self.bin)
        ends = np.minimum(starts + self.bin, self.end)
        frame = DataFrame(self.values, columns=[track.identifier for track in self.tracks])
        frame.insert(0, "contig", self.contig)
        frame.insert(1, "start", starts)
        frame.insert(2, "end", ends)
        return frame


def predict_region(
    model: CoverageModel | Ensemble | ProfileEnsemble,
    fasta: str | Path,
    region: str,
    *,
    overlap: float = 0.0,
    blend: str = "crop",
    stride: int | None = None,
    min_acgt: float = 0.0,
    batch_size: int = 1,
    precision: str = "float32",
) -> RegionPrediction:
    """Predict the bins that a region touches.

    The windows are those of the whole contig, so the values are those that the workflow writes with
    the same settings. `overlap`, `blend`, `min_acgt` and `precision` are those of the config's
    `prediction`.

    Args:
        model: A network with its tracks, or an ensemble, as `load_model` returns them.
        fasta: The genome. A missing index is written beside it, or into ~/.cache/seqcov if the
            genome's folder is read-only. Plain gzip is unpacked there once.
        region: A contig, or ``contig:start-end`` as browsers write it: counted from 1, end
            included, commas allowed.
        overlap: Fraction of a core that neighbouring cores share, 0 … 0.9.
        blend: Value of a bin that several cores cover: ``crop``, ``mean`` or ``taper``.
        stride: Of a network of profiles, instead of both: windows begin every so many bp, and a
            base has the mean of the windows that cover it. By default a quarter of a profile.
        min_acgt: Least fraction of A, C, G and T in a window that counts, 0 … 1.
        batch_size: Windows per forward pass; values do not depend on it.
        precision: ``float32`` (exact), ``tf32`` (GPU only) or ``bfloat16``.

    Returns:
        The prediction, with values of shape (bins, tracks).

    Raises:
        SeqcovError: If the FASTA cannot be read, the region is not on it, overlap and blend
            contradict, the stride is longer than a profile, or the network's output is NaN or
            infinite.

    Example:
        >>> model = load_model("borzoi", "demo/borzoi")
        >>> coverage = predict_region(model, "demo/genome.fa", "chrA:100,001-120,000")
        >>> coverage.start, coverage.end, coverage.bin, coverage.values.shape
        (100000, 120000, 32, (625, 8))
    """
    if isinstance(model, ProfileModel):
        model = ProfileEnsemble([model])
    ensemble = Ensemble([model]) if isinstance(model, CoverageModel) else model
    if isinstance(ensemble, ProfileEnsemble):
        tiling = Tiling.from_stride(ensemble.geometry, stride)
    elif stride is not None:
        raise SeqcovError(f"stride: only networks of profiles have it; set overlap, not {stride}")
    else:
        tiling = Tiling.from_overlap(ensemble.geometry, overlap, blend)
    genome = Genome(open_fasta(fasta, make_cache_folder() / "genomes"))
    try:
        ((contig, start, end),) = parse_regions([region], genome.contigs)
        lengths = {contig: genome.contigs[contig]}
        selected = select_bins(lengths, tiling.geometry.bin, [(contig, start, end)], [])
        (segment,) = tile(lengths, tiling, selected)
        pieces = (
            predict_segment_profiles(
                ensemble, tiling, genome, segment, precision=precision, min_acgt=min_acgt
            )
            if is_window_independent(ensemble)
            else predict_segment(ensemble, tiling, genome, segment, batch_size, precision, min_acgt)
        )
        values = np.concatenate([piece for _, piece, _ in pieces])
    finally:
        genome.close()
    ((first, last),) = selected[contig].tolist()
    offset = segment.first_window * tiling.step
    return RegionPrediction(
        contig,
        first * tiling.geometry.bin,
        min(last * tiling.geometry.bin, lengths[contig]),
        tiling.geometry.bin,
        values[first - offset : last - offset],
        ensemble.tracks * (ensemble.columns // len(ensemble.tracks)),
    )
