"""Write peaks as bigBed, with scores that browsers show as shades."""

import csv
import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path

from seqcov_models.files import write_atomically
from seqcov_models.genome.regions import read_bed_lines

BIG_NARROW_PEAK = """table bigNarrowPeak
"BED6+4 Peaks of signal enrichment"
(
    string chrom; "Reference sequence chromosome or scaffold"
    uint chromStart; "Start position in chromosome"
    uint chromEnd; "End position in chromosome"
    string name; "Name given to a region"
    uint score; "Indicates how dark the peak will be displayed (0-1000)"
    char[1] strand; "+ or - or . for unknown"
    float signalValue; "Measurement of average enrichment for the region"
    float pValue; "Statistical significance of signal value (-log10), -1 if unknown"
    float qValue; "Statistical significance with multiple-test correction (-log10), or -1"
    int peak; "Point-source called for this peak; 0-based offset from chromStart"
)
"""
"""The fields of UCSC's format, https://genome.ucsc.edu/goldenPath/help/bigNarrowPeak.html."""


def write_peaks_bigbed(path: Path, peaks: Path, table: Path, contigs: Mapping[str, int]) -> None:
    """Write combined peaks as bigNarrowPeak.

    A peak's signal is the number of reads that the network predicts there, of the task and strand
    with the most. Its score grows with this number, from 200 for none to 1,000 for the largest.

    Args:
        path: The file to write.
        peaks: The combined peaks, as narrowPeak.
        table: The table of the predictions, with a row per peak in the same order.
        contigs: Contig lengths in bp, by name.
    """
    import pybigtools

    reads = list(_read_maxima(table))
    largest = max(reads, default=0.0) or 1.0
    rows = sorted(
        (
            contig,
            max(0, int(start)),
            min(int(end), contigs[contig]),
            name[:255],
            signal,
            strand,
            int(offset) + min(0, int(start)),
        )
        for (contig, start, end, name, _, strand, _, _, _, offset, *_), signal in zip(
            (cells for _, cells in read_bed_lines(peaks)), reads, strict=True
        )
    )
    with write_atomically(path) as part:
        named = part.with_name(f"{part.name}.bb")  # pybigtools refuses other names
        file = pybigtools.open(str(named), "w")
        lines = (
            (
                contig,
                start,
                end,
                f"{name}\t{_score(signal, largest)}\t{strand}\t{signal:.6g}\t-1\t-1\t{offset}",
            )
            for contig, start, end, name, signal, strand, offset in rows
        )
        file.write(dict(contigs), lines, autosql=BIG_NARROW_PEAK)
        named.replace(part)


def _score(signal: float, largest: float) -> int:
    """Return a signal as a score from 200 to 1,000: browsers draw lower scores nearly white."""
    return min(1000, max(200, round(200 + 800 * signal / largest)))


def _read_maxima(table: Path) -> Iterator[float]:
    """Yield per peak the predicted reads of the task and strand with the most."""
    with gzip.open(table, "rt", encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        for row in reader:
            yield max(float(row[name] or 0) for name in row if name.endswith(".counts"))
