"""Build a session of IGV desktop."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from seqcov_models.browsers.display import (
    TrackRow,
    first_rows,
    format_locus,
    relative_file,
    scale_group,
    single_line,
    track_colour,
    window_function,
)
from seqcov_models.genome.regions import Interval


def build_igv_session(
    fasta: str,
    rows: Sequence[TrackRow],
    view: Interval,
    folder: Path,
    peaks: Sequence[str] = (),
    show: Sequence[str | int] = (),
) -> str:
    """Build the XML of an IGV session with the first tracks of each assay.

    IGV takes files of the same name in two folders for one file, unless their paths are absolute.
    Two BPNets with the same task have such files, so these get absolute paths.

    Args:
        fasta: Path of the genome, relative to `folder`.
        rows: Rows of the table of tracks in `folder`.
        view: The interval shown first (contig, start, end), 0-based half-open.
        folder: Folder that the session will lie in.
        peaks: Paths of narrowPeak files, relative to `folder`.
        show: Selectors of the tracks to show; empty for a varied choice.

    Returns:
        The XML. Tracks of one model and group share one vertical scale.

    Raises:
        SeqcovError: If the path of a track file could lead outside the table's folder.
    """
    visible = first_rows(rows, show)
    file_names = Counter(PurePosixPath(row["file"]).name for row in visible)
    groups = dict.fromkeys(scale_group(row) for row in visible)
    scales = {group: str(number) for number, group in enumerate(groups, 1)}
    session = ET.Element(
        "Session",
        {"genome": fasta, "locus": format_locus(view), "version": "8"},
        nextAutoscaleGroup=str(len(scales) + 1),
    )
    resources = ET.SubElement(session, "Resources")
    panel = ET.SubElement(session, "Panel", name="DataPanel", width="1200", height="800")
    for row in visible:
        path = relative_file(row)
        if file_names[PurePosixPath(path).name] > 1:
            path = (folder.resolve() / path).as_posix()
        ET.SubElement(resources, "Resource", path=path, type="bw")
        ET.SubElement(
            panel,
            "Track",
            clazz="org.broad.igv.track.DataSourceTrack",
            id=path,
            name=single_line(row["label"]),
            color=track_colour(row),
            height="40",
            autoScale="true",  # without it IGV guesses a range that cuts peaks
            autoscaleGroup=scales[scale_group(row)],
            renderer="BAR_CHART",
            windowFunction=window_function(row)[:3],
            visible="true",
        )
    if peaks:
        panel = ET.SubElement(session, "Panel", name="FeaturePanel", width="1200", height="60")
    for path in peaks:
        path = path if len(peaks) == 1 else (folder.resolve() / path).as_posix()
        ET.SubElement(resources, "Resource", path=path, type="narrowPeak")
        name = f"{PurePosixPath(path).parent.name} peaks"
        feature_track = "org.broad.igv.track.FeatureTrack"
        ET.SubElement(panel, "Track", clazz=feature_track, id=path, name=name, visible="true")
    ET.indent(session)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(session, "unicode")}\n'
