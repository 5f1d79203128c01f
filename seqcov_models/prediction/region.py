"""One region in memory, exactly as the workflow would write it."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.genome.regions import parse_regions
from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.prediction.coverage import predict_segment
from seqcov_models.prediction.ensemble import Ensemble
from seqcov_models.sequence import Coverage
from seqcov_models.tiling import Tiling, tile, wanted_bins
from seqcov_models.tracks.table import Track

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class RegionPrediction:
    """Coverage of neighbouring bins of one contig.

    start, end: bp, 0-based half-open, of the first and last bin; bin: bp; values: (bins, tracks)
    ``float32``, NaN where there is no value; tracks: what the columns are.
    """

    contig: str
    start: int
    end: int
    bin: int
    values: Coverage
    tracks: Sequence[Track]

    def to_dataframe(self) -> "DataFrame":
        """A row a bin: contig, start, end, then a column a track, by identifier."""
        from pandas import DataFrame

        starts = np.arange(self.start, self.end, self.bin)
        ends = np.minimum(starts + self.bin, self.end)
        frame = DataFrame(self.values, columns=[track.identifier for track in self.tracks])
        frame.insert(0, "contig", self.contig)
        frame.insert(1, "start", starts)
        frame.insert(2, "end", ends)
        return frame


def predict_region(
    model: CoverageModel | Ensemble,
    fasta: str | Path,
    region: str,
    *,
    overlap: float = 0.0,
    blend: str = "crop",
    min_acgt: float = 0.0,
    batch_size: int = 1,
    precision: str = "float32",
) -> RegionPrediction:
    """Coverage of the bins that `region` touches (a contig, or contig:start-end as browsers write).

    The windows are those of the whole contig, so the values are what the workflow writes there;
    the other arguments are those of the config's `prediction`. An ensemble's standard deviations
    follow its tracks. Raises SeqcovError as the workflow does.
    """
    ensemble = model if isinstance(model, Ensemble) else Ensemble([model.eval()])
    tiling = Tiling.overlapping(ensemble.geometry, overlap, blend)
    opened = open_fasta(fasta, Path(tempfile.gettempdir()) / "seqcov")
    genome = Genome(opened)
    try:
        (interval,) = parse_regions([region], opened.contigs)
        contigs = {interval[0]: opened.contigs[interval[0]]}
        wanted = wanted_bins(contigs, tiling.geometry.bin, [interval], [])
        (segment,) = tile(contigs, tiling, wanted)
        parts = predict_segment(ensemble, tiling, genome, segment, batch_size, precision, min_acgt)
        values = np.concatenate([part for _, part, _ in parts])
    finally:
        genome.close()
    ((first, last),) = wanted[interval[0]].tolist()
    offset = segment.first * tiling.step
    tracks = ensemble.tracks * (2 if ensemble.spread else 1)
    return RegionPrediction(
        interval[0],
        first * tiling.geometry.bin,
        min(last * tiling.geometry.bin, contigs[interval[0]]),
        tiling.geometry.bin,
        values[first - offset : last - offset],
        tracks,
    )
