"""Write and read how predicted tracks agree with measured ones: a document each, and one table."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seqcov_models.files import write_atomically, write_text
from seqcov_models.genome.regions import read_bed
from seqcov_models.report.agreement import FOLD, PEAKS, Agreement, Regions, compare_tracks
from seqcov_models.run.observed import ObservedTrack, read_folds
from seqcov_models.run.track_table import write_table
from seqcov_models.tiling import merge_intervals


def write_agreement(
    path: Path,
    track: ObservedTrack,
    contigs: Mapping[str, int],
    aliases: Mapping[str, str],
    peaks: Sequence[Path],
) -> None:
    """Compare a track with a measured one, and write the agreement as JSON.

    Args:
        path: The file to write.
        track: The track.
        contigs: Lengths of the FASTA's contigs in bp.
        aliases: The FASTA's names of contigs by other names.
        peaks: Combined peaks of the run, as `peaks.read.write_peaks` writes them.

    Raises:
        SeqcovError: If a file cannot be read.
    """
    regions: dict[tuple[str, str], Regions] = {}
    if peaks:
        regions[PEAKS, ""] = _read_peaks(peaks, contigs)
    if track.folds:
        folds = read_folds(track.folds, contigs, aliases)
        regions |= {(FOLD, name): spans for name, spans in folds.items()}
    agreement = compare_tracks(track.predicted, track.path, track.bin, track.contigs, regions)
    write_text(path, json.dumps(agreement.contents()))


def _read_peaks(peaks: Sequence[Path], contigs: Mapping[str, int]) -> Regions:
    """Return the disjoint intervals of all peaks by contig."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for contig, start, end in (row for file in peaks for row in read_bed(file, contigs)):
        spans.setdefault(contig, []).append((start, end))
    return {contig: merge_intervals(np.array(rows)) for contig, rows in spans.items()}


def read_agreement(path: Path) -> Agreement:
    """Return what `write_agreement` wrote."""
    return Agreement(**json.loads(path.read_text(encoding="utf-8")))


def write_agreement_table(
    path: Path, tracks: Sequence[ObservedTrack], agreements: Sequence[Path]
) -> None:
    """Write one row per track and set of bins.

    Args:
        path: The table to write.
        tracks: The compared tracks.
        agreements: The file of each track that `write_agreement` wrote.
    """
    rows = [
        {
            "model": track.model,
            "track": track.identifier,
            **{
                key: f"{value:.6f}" if isinstance(value, float) else value
                for key, value in row.items()
            },
            "observed": track.path,
        }
        for track, agreement in zip(tracks, agreements, strict=True)
        for row in read_agreement(agreement).rows
    ]
    with write_atomically(path) as part:
        write_table(part, rows)
