"""Write the files that genome browsers open, from the table of tracks."""

import os
from collections.abc import Sequence
from pathlib import Path

from seqcov_models.browsers.display import TrackRow
from seqcov_models.browsers.hub import build_hub
from seqcov_models.browsers.igv import build_igv_session
from seqcov_models.files import write_atomically
from seqcov_models.genome.fasta import Fasta
from seqcov_models.genome.regions import Interval
from seqcov_models.genome.two_bit import write_two_bit


def write_browser_files(
    fasta: Fasta,
    name: str,
    assembly: str | None,
    view: Interval,
    rows: Sequence[TrackRow],
    peaks: Sequence[Path],
    *,
    hub: Path,
    igv_session: Path,
    two_bit: Path | None,
    show: Sequence[str | int] = (),
    email: str = "nobody@example.org",
) -> None:
    """Write a UCSC hub and a session of IGV desktop.

    Args:
        fasta: The genome's sequence.
        name: The genome's name, as in the config.
        assembly: UCSC's name of the assembly; None if UCSC does not know it.
        view: The interval shown first (contig, start, end), 0-based half-open.
        rows: The table of tracks, whose files are relative to the folder of `hub`.
        peaks: narrowPeak files to show.
        hub: The hub to write.
        igv_session: The session to write.
        two_bit: The sequence for the hub; None if UCSC knows the assembly.
        show: Selectors of the tracks shown first; empty for a varied choice.
        email: Address of the person to ask about the hub.

    Raises:
        SeqcovError: If a file of the table is not safe to name, or the FASTA cannot be read.
    """
    if two_bit:
        with write_atomically(two_bit) as partial_file:
            write_two_bit(partial_file, fasta)
    with write_atomically(hub) as partial_file:
        partial_file.write_text(build_hub(name, assembly, rows, view, show, email), "utf-8")
    folder = igv_session.parent
    peak_files = [os.path.relpath(file, folder) for file in peaks]
    sequence = os.path.relpath(fasta.path.parent.resolve() / fasta.path.name, folder.resolve())
    with write_atomically(igv_session) as partial_file:
        partial_file.write_text(
            build_igv_session(sequence, rows, view, folder, peak_files, show), "utf-8"
        )
