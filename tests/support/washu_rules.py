"""The rules of a data hub of the WashU Epigenome Browser.

They are those of https://epgg.github.io/datahub/track_properties, and what the browser's version
59.2.3 needs besides (see `seqcov_models.browsers.washu`).
"""

import json
import re
from typing import Any

COLOUR = re.compile(r"rgb\(\d{1,3},\d{1,3},\d{1,3}\)")
FACETS = {"Sample", "Assay"}
"""The facets with which the table of tracks opens. It does not list a track that lacks them."""


def check_washu_hub(text: str) -> list[dict[str, Any]]:
    """Check the text of a hub with bigWigs; return its tracks."""
    assert text.isascii()
    tracks = json.loads(text, parse_constant=_refuse)
    assert isinstance(tracks, list)
    for track in tracks:
        _check_track(track)
    for key in ("name", "url"):
        assert len({track[key] for track in tracks}) == len(tracks), f"{key} tells tracks apart"
    return tracks


def _refuse(name: str) -> None:
    """Refuse what Python reads as JSON and web browsers do not."""
    raise AssertionError(f"{name} is not JSON")


def _check_track(track: dict[str, Any]) -> None:
    required = {"type", "name", "url", "showOnHubLoad", "metadata", "options"}
    assert required <= set(track) <= required | {"details", "label"}
    assert track["type"] == "bigwig"
    assert re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)*\.bw", track["url"], re.ASCII), "below the hub"
    assert not track["url"].lower().startswith("http"), "would be taken for an absolute address"
    assert isinstance(track["showOnHubLoad"], bool)
    for texts in (track["metadata"], track.get("details", {})):
        for key, value in texts.items():
            assert key, "facets have names"
            assert isinstance(value, str)
            assert value.isprintable()
    assert set(track["metadata"]) >= FACETS
    assert all(track["metadata"].values())
    assert "genome" not in track["metadata"], "it would show the track along another genome"
    assert track["name"].isprintable()
    assert track["name"]
    _check_options(track["options"])


def _check_options(options: dict[str, Any]) -> None:
    known = {"color", "color2", "aggregateMethod", "yScale", "yMin", "yMax", "ensemblStyle"}
    assert set(options) <= known, "a group would not be drawn"
    assert COLOUR.fullmatch(options["color"])
    assert COLOUR.fullmatch(options["color2"])
    assert options["aggregateMethod"] in {"MEAN", "SUM", "COUNT", "MAX", "MIN"}
    is_fixed = options.get("yScale", "auto") == "fixed"
    assert is_fixed == ("yMin" in options) == ("yMax" in options)
    assert not is_fixed or options["yMin"] < options["yMax"]
