"""Build a configuration of JBrowse 2."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from seqcov_models.browsers.display import (
    TrackRow,
    first_rows,
    fixed_range,
    format_locus,
    is_below_zero,
    is_observed,
    relative_file,
    single_line,
    track_colour,
)
from seqcov_models.genome.regions import Interval

MAX_HEAT_MAP = 400
"""Maximum number of tracks of a heat map: JBrowse reads 400 bigWigs in ten seconds."""
MAX_OPEN, MAX_CHOSEN = 8, 20
"""Maximum number of tracks opened first, and of those that the user chose: JBrowse takes 0.2 s for
each, however many tracks the config has."""
ROW_HEIGHT = 50

Json = dict[str, Any]


def build_jbrowse_config(
    name: str,
    fasta: str,
    rows: Sequence[TrackRow],
    view: Interval,
    features: Mapping[str, str] | None = None,
    show: Sequence[str | int] = (),
    aliases: str | None = None,
) -> str:
    """Build the JSON of a config: every track in a category, and a heat map per model and assay.

    Args:
        name: Name of the genome.
        fasta: Path of the FASTA (uncompressed or bgzip, with its index), relative to the config.
        rows: Rows of the table of tracks, beside which the config lies.
        view: The interval shown first (contig, start, end), 0-based half-open.
        features: Paths of bigBed files of genes and peaks by name, relative to the config.
        show: Selectors of the tracks opened first; empty for a varied choice.
        aliases: Path of the table of other names of contigs, relative to the config.

    Returns:
        The JSON. Only opened tracks are read.

    Raises:
        SeqcovError: If the path of a track file could lead outside the table's folder.
    """
    tracks = [_bigwig_track(name, row) for row in rows]
    heat_maps: dict[tuple[str, str], list[TrackRow]] = {}
    for row in rows:
        if not fixed_range(row) and not is_observed(row):
            heat_maps.setdefault((row["model"], row["assay"] or "tracks"), []).append(row)
    for (model, assay), members in heat_maps.items():
        for first in range(0, len(members), MAX_HEAT_MAP):
            part = members[first : first + MAX_HEAT_MAP]
            number = f" {first // MAX_HEAT_MAP + 1}" if len(members) > MAX_HEAT_MAP else ""
            if len(part) > 1:
                tracks.append(_heat_map(name, model, f"{assay}{number}", part))
    limit = MAX_CHOSEN if show else MAX_OPEN
    opened = [_identifier(row) for row in first_rows(rows, show, limit)]
    for title, file in (features or {}).items():
        track = _feature_track(name, title, file)
        tracks.append(track)
        opened.append(track["trackId"])
    locus = format_locus(view).replace("-", "..") if "-" not in view[0] else format_locus(view)
    init = {"assembly": name, "loc": locus, "tracks": opened}
    view_state = {"id": "view", "type": "LinearGenomeView", "trackLabels": "offset", "init": init}
    config = {
        "assemblies": [_assembly(name, fasta, aliases)],
        "tracks": tracks,
        "defaultSession": {
            "name": f"Predicted coverage along {name}",
            "views": [view_state],
        },
    }
    return json.dumps(config, ensure_ascii=True, indent=0, separators=(",", ":")) + "\n"


def _location(path: str) -> Json:
    return {"uri": path, "locationType": "UriLocation"}


def _assembly(name: str, fasta: str, aliases: str | None) -> Json:
    """Return the genome, with the index of its FASTA and other names of its contigs."""
    adapter: Json = {
        "type": "IndexedFastaAdapter",
        "fastaLocation": _location(fasta),
        "faiLocation": _location(f"{fasta}.fai"),
    }
    if fasta.endswith((".gz", ".bgz")):
        adapter |= {"type": "BgzipFastaAdapter", "gziLocation": _location(f"{fasta}.gzi")}
    sequence = {"type": "ReferenceSequenceTrack", "trackId": f"{name}-sequence"}
    assembly: Json = {"name": name, "sequence": sequence | {"adapter": adapter}}
    if aliases:
        table = {"type": "RefNameAliasAdapter", "location": _location(aliases)}
        assembly["refNameAliases"] = {"adapter": table}
    return assembly


def _identifier(row: TrackRow) -> str:
    """Return the trackId of a row, which its file has for itself."""
    return relative_file(row)


def _bigwig_track(name: str, row: TrackRow) -> Json:
    """Return the track of one bigWig. name: of the genome."""
    display: Json = {
        "type": "LinearWiggleDisplay",
        "displayId": f"{_identifier(row)}-wiggle",
        "height": ROW_HEIGHT,
        "color": f"rgb({track_colour(row)})",
        "summaryScoreMode": "max",
    }
    if row["strand"] == "-" and not is_below_zero(row):
        display["inverted"] = True
    if limits := fixed_range(row):
        display |= {"minScore": limits[0], "maxScore": limits[1]}
    elif not is_below_zero(row):
        display["minScore"] = 0
    return {
        "type": "QuantitativeTrack",
        "trackId": _identifier(row),
        "name": single_line(row["label"]),
        "description": single_line(f"{row['description']} ({row['unit']})"),
        "assemblyNames": [name],
        "category": [single_line(word) for word in _category(row)],
        "adapter": {"type": "BigWigAdapter", "bigWigLocation": _location(relative_file(row))},
        "displays": [display],
    }


def _category(row: TrackRow) -> list[str]:
    """Return where the list of tracks has a row: model, assay and target."""
    return [word for word in (row["model"], row["assay"] or "tracks", row["target"]) if word]


def _heat_map(name: str, model: str, assay: str, rows: Sequence[TrackRow]) -> Json:
    """Return one track that shows many bigWigs as rows of a heat map."""
    identifier = f"{model}-{assay}-heat-map"
    return {
        "type": "MultiQuantitativeTrack",
        "trackId": identifier,
        "name": f"{single_line(assay)}, {len(rows)} tracks as a heat map",
        "assemblyNames": [name],
        "category": [model, "Heat maps"],
        "adapter": {
            "type": "MultiWiggleAdapter",
            "subadapters": [
                {
                    "type": "BigWigAdapter",
                    "source": single_line(row["label"]),
                    "color": f"rgb({track_colour(row)})",
                    "bigWigLocation": _location(relative_file(row)),
                }
                for row in rows
            ],
        },
        "displays": [
            {
                "type": "MultiLinearWiggleDisplay",
                "displayId": f"{identifier}-display",
                "defaultRendering": "multirowdensity",
                "height": max(60, min(800, 8 * len(rows))),
            }
        ],
    }


def _feature_track(name: str, title: str, file: str) -> Json:
    """Return a track of genes or peaks. name: of the genome."""
    return {
        "type": "FeatureTrack",
        "trackId": file,
        "name": title,
        "assemblyNames": [name],
        "category": ["Genes and peaks"],
        "adapter": {"type": "BigBedAdapter", "bigBedLocation": _location(file)},
    }
