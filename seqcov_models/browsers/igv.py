"""Write a session of IGV desktop."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from seqcov_models.browsers.hub import (
    IN_IGV,
    Row,
    _colour,
    _extreme,
    _first,
    _groups,
    _line,
    _path,
    _spelt,
)
from seqcov_models.genome.regions import Interval


def igv_session(
    fasta: str, rows: Sequence[Row], view: Interval, folder: Path, peaks: Sequence[str] = ()
) -> str:
    """A session of IGV desktop with the first tracks of each assay, scaled by model and group.

    fasta, peaks: paths from `folder`, the session's. IGV takes files of one name in two folders for
    one, as two BPNets with one task have them, unless their paths are absolute: then these are.
    Raises SeqcovError for a file name that is not safe.
    """
    chosen = _first(rows, IN_IGV, IN_IGV)
    names = Counter(PurePosixPath(row["file"]).name for row in chosen)
    scales = {key: str(at) for at, key in enumerate(_groups(chosen), 1)}
    models = {row["model"] for row in chosen}
    session = ET.Element(
        "Session",
        {"genome": fasta, "locus": _spelt(view), "version": "8"},
        nextAutoscaleGroup=str(len(scales) + 1),
    )
    resources = ET.SubElement(session, "Resources")
    panel = ET.SubElement(session, "Panel", name="DataPanel", width="1200", height="800")
    for row in chosen:
        words = [row["model"] if len(models) > 1 else "", row["identifier"], row["description"]]
        path = _path(row)
        if names[PurePosixPath(path).name] > 1:
            path = (folder.resolve() / path).as_posix()
        ET.SubElement(resources, "Resource", path=path, type="bw")
        ET.SubElement(
            panel,
            "Track",
            clazz="org.broad.igv.track.DataSourceTrack",
            id=path,
            name=_line(" ".join(words)),
            color=_colour(row),
            height="40",
            autoScale="true",  # without it IGV guesses a range that cuts peaks
            autoscaleGroup=scales[row["model"], row["group"]],
            renderer="BAR_CHART",
            windowFunction=_extreme(row)[:3],
            visible="true",
        )
    if peaks:
        panel = ET.SubElement(session, "Panel", name="FeaturePanel", width="1200", height="60")
    for path in peaks:
        path = path if len(peaks) == 1 else (folder.resolve() / path).as_posix()
        ET.SubElement(resources, "Resource", path=path, type="narrowPeak")
        name = f"{PurePosixPath(path).parent.name} peaks"
        kind = "org.broad.igv.track.FeatureTrack"
        ET.SubElement(panel, "Track", clazz=kind, id=path, name=name, visible="true")
    ET.indent(session)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(session, "unicode")}\n'
