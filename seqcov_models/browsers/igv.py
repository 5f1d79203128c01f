"""Build a session of IGV desktop."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from seqcov_models.browsers.display import (
    TrackRow,
    first_rows,
    fixed_range,
    format_locus,
    is_below_zero,
    relative_file,
    scale_group,
    single_line,
    track_colour,
    value_range,
    window_function,
)
from seqcov_models.genome.regions import Interval

PEAK_COLOUR = "60,60,60"

HIDDEN_ATTRIBUTES = ("AUTOSCALE GROUP", "DATA FILE", "DATA TYPE", "NAME")
"""Columns of IGV between names and data, which say nothing here."""


def build_igv_session(
    genome: str,
    rows: Sequence[TrackRow],
    view: Interval,
    features: Mapping[str, str] | None = None,
    show: Sequence[str | int] = (),
) -> str:
    """Build the XML of an IGV session with the first tracks.

    All paths are relative to the session, so the folder can be moved. IGV takes files of one name
    in two folders for one file; the names of a run's files differ.

    Args:
        genome: Path of the FASTA, relative to the session.
        rows: Rows of the table of tracks, beside which the session lies.
        view: The interval shown first (contig, start, end), 0-based half-open.
        features: Names of peaks or genes by the paths of their files, relative to the session.
        show: Selectors of the tracks to show; empty for a varied choice.

    Returns:
        The XML. Tracks of one model, assay and target share one vertical scale.

    Raises:
        SeqcovError: If the path of a track file could lead outside the table's folder.
    """
    visible = first_rows(rows, show)
    groups = dict.fromkeys(scale_group(row) for row in visible)
    scales = {group: str(number) for number, group in enumerate(groups, 1)}
    session = ET.Element(
        "Session",
        {"genome": genome, "locus": format_locus(view), "version": "8"},
        nextAutoscaleGroup=str(len(scales) + 1),
    )
    resources = ET.SubElement(session, "Resources")
    height = max(20, min(40, 800 // max(1, len(visible))))
    panel = ET.SubElement(
        session, "Panel", name="DataPanel", width="1200", height=str(height * len(visible))
    )
    names = _shorten([single_line(row["label"]) for row in visible], visible)
    for row, name in zip(visible, names, strict=True):
        path = relative_file(row)
        ET.SubElement(resources, "Resource", path=path, type="bw")
        _add_track(panel, row, name, height, scales[scale_group(row)])
    if features:
        panel = ET.SubElement(session, "Panel", name="FeaturePanel", width="1200", height="80")
    for path, name in (features or {}).items():
        # "narrowPeak" would be read as information on samples
        ET.SubElement(resources, "Resource", path=path, type=PurePosixPath(path).suffix[1:].lower())
        ET.SubElement(
            panel,
            "Track",
            clazz="org.broad.igv.track.FeatureTrack",
            id=path,
            name=single_line(name),
            color=PEAK_COLOUR,
            displayMode="COLLAPSED",
            visible="true",
        )
    if features:
        ET.SubElement(session, "PanelLayout", dividerFractions="0.85")
    hidden = ET.SubElement(session, "HiddenAttributes")
    for name in HIDDEN_ATTRIBUTES:
        ET.SubElement(hidden, "Attribute", name=name)
    ET.indent(session)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(session, "unicode")}\n'


def _shorten(labels: Sequence[str], rows: Sequence[TrackRow]) -> list[str]:
    """Return labels without identifiers if they are unique then: IGV has room for 25 characters."""
    short = [
        label.removesuffix(f" {row['identifier'].rstrip('+-')}")
        for label, row in zip(labels, rows, strict=True)
    ]
    counts = Counter(short)
    return [a if counts[a] == 1 else b for a, b in zip(short, labels, strict=True)]


def _add_track(panel: ET.Element, row: TrackRow, name: str, height: int, scale: str) -> None:
    """Add a bigWig to a panel. scale: the number of its scale group."""
    low, high = fixed_range(row) or value_range([row])
    track = ET.SubElement(
        panel,
        "Track",
        clazz="org.broad.igv.track.DataSourceTrack",
        id=relative_file(row),
        name=name,
        color=track_colour(row),
        altColor=track_colour(row),
        height=str(height),
        renderer="BAR_CHART",
        windowFunction=window_function(row)[:3],
        fontSize="10",
        visible="true",
    )
    if fixed_range(row):
        track.set("autoScale", "false")
    else:
        track.set("autoScale", "true")  # without it IGV guesses a range that cuts peaks
        track.set("autoscaleGroup", scale)
    ET.SubElement(
        track,
        "DataRange",
        minimum=f"{low:g}",
        maximum=f"{high or 1:g}",
        baseline="0",
        drawBaseline="true",
        flipAxis="true" if row["strand"] == "-" and not is_below_zero(row) else "false",
        type="LINEAR",
    )
