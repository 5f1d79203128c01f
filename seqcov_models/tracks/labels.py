"""Name tracks for people: assay, target, biosample, strand, and a label that is unique in a run.

Track tables describe a track as "assay:biosample", "CHIP:target:biosample" or, for FANTOM's cell
lines, "CAGE:disease cell line:name". The tasks of a BPNet have only names.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seqcov_models.tracks.table import Track

DEVIATION = "(standard deviation)"
"""End of the description of a track that is the standard deviation of another one."""

PROFILE, MASK = "profile", "mask"
"""The assays of a BPNet whose name does not state one, and of the share of unknown bases."""

_PROFILE_DESCRIPTION = re.compile(r"(.*?) profile(?:, (plus|minus) strand)?")
_CHIP = ("CHIP", "CUT")  # ChIP-seq, CUT&RUN and CUT&Tag have a target before the biosample
_NOBODY = {"", ".", "-", "NONE"}
_STRANDS = {"plus": "+", "minus": "-", None: "."}
_TASKS_OF_CHROMBPNET = {
    "chrombpnet_nobias": "without bias",
    "chrombpnet": "with bias",
    "bias": "bias",
}
_TASKS_WITHOUT_NAME = re.compile(r"(signal|profile|task|track|output)?_?\d*", re.IGNORECASE)
_ASSAY_IN_NAME = re.compile(r"atac|dnase|cage|pro-?cap|pro-?seq|nexus", re.IGNORECASE)


class TrackName(NamedTuple):
    """What a track shows.

    Attributes:
        assay: Such as DNASE, CHIP, RNA or profile; empty if the track table does not say it.
        target: Protein or histone mark of a ChIP-seq; task of a BPNet; else empty.
        biosample: Tissue or cells; empty if unknown.
        strand: "+", "-", or "." for a track without strand.
    """

    assay: str
    target: str
    biosample: str
    strand: str


def name_track(track: Track, model: str, group: str = "", biosample: str = "") -> TrackName:
    """Return what a track shows.

    Args:
        track: The track: its identifier, description and strand pair are read.
        model: Name of the model, which may say the assay of a BPNet.
        group: The group of the track's bigWig: "tracks" if descriptions do not begin with assays,
            "profiles" for a BPNet's profiles at peaks, "mask" for the share of unknown bases.
        biosample: Biosample of the tracks of which nothing else says it; empty if unknown.

    Example:
        >>> name_track(Track(0, 0, "ENCFF1", "CHIP:H3K27ac:HepG2", pair=0), "borzoi")
        TrackName(assay='CHIP', target='H3K27ac', biosample='HepG2', strand='.')
    """
    description = track.description.removesuffix(DEVIATION).strip()
    if group == "mask":
        return TrackName(MASK, "", "", ".")
    if (task := _PROFILE_DESCRIPTION.fullmatch(description)) and ":" not in description:
        return _name_task(track, task[1], task[2], model, group, biosample)
    strand = find_strand(track)
    assay, colon, sample = description.partition(":")
    if not colon or re.fullmatch(r"tracks(_\d+)?", group) or not re.match(r"\s*[A-Za-z]", assay):
        return TrackName("", "", _clean(description) or biosample, strand)
    assay, target = assay.strip(), ""
    if assay.upper().startswith(_CHIP):
        target, colon, rest = sample.partition(":")
        target, sample = (target.strip(), rest) if colon else ("", sample)
    if assay.upper() == "CAGE":  # "hepatoblastoma cell line:HepG2"
        sample = re.sub(r"^.*\bcell line:(?=\s*\S)", "", sample)
    if target in _NOBODY:
        named = re.match(r"batch\d+_chrom\d+_[^_]+_([^_]+)_", sample)
        target = named[1] if named else ""
    parts = [part.strip() for part in sample.split(" / ")]  # "sample / source / disease" of GEO
    if len(parts) > 1 and parts[1] not in _NOBODY:
        sample = parts[1]
    return TrackName(assay, target, _clean(sample), strand)


def _name_task(
    track: Track, task: str, strand_word: str | None, model: str, group: str, biosample: str
) -> TrackName:
    """Return what a task of a BPNet shows, whose name may say more or less."""
    strand = _STRANDS[strand_word]
    if group != "profiles" and task == track.identifier:  # along a genome
        strand = find_strand(track)
        task = task if strand == "." else task[:-1]
    known = _ASSAY_IN_NAME.search(f"{task} {model}")
    assay = known[0].upper().replace("-", "") if known else PROFILE
    if task in _TASKS_OF_CHROMBPNET:
        return TrackName(assay, _TASKS_OF_CHROMBPNET[task], biosample or model, strand)
    if _TASKS_WITHOUT_NAME.fullmatch(task):
        return TrackName(assay, "", biosample or model, strand)
    return TrackName(assay, task, biosample, strand)


def find_strand(track: Track) -> str:
    """Return the strand of a track: "+", "-", or "." if it has none.

    The sign of the identifier says which. A track that is its own strand pair has none.
    """
    sign = track.identifier[-1:]
    is_own_pair = track.pair == track.row >= 0
    return sign if sign in ("+", "-") and not is_own_pair else "."


def label_tracks(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return a short label per row of the table of a run, unique without regard to case.

    Args:
        rows: Rows with the columns of `TrackName`, model, identifier and description.

    Returns:
        Labels that begin with what matters: "HepG2 DNASE ENCFF136DBS", "K562 CAGE + CNhs12334",
        "CTCF profile +". The model follows if labels would be equal without it.
    """
    labels = [_describe(row) for row in rows]
    counts = Counter(label.lower() for label in labels)
    labels = [
        f"{label} {row['model']}" if counts[label.lower()] > 1 else label
        for label, row in zip(labels, rows, strict=True)
    ]
    counts = Counter(label.lower() for label in labels)
    assigned = {label for label, count in counts.items() if count == 1}
    for number, label in enumerate(labels):
        suffix = 1
        while counts[label.lower()] > 1 and labels[number].lower() in assigned:
            suffix += 1
            labels[number] = f"{label} {suffix}"
        assigned.add(labels[number].lower())
    return labels


def _describe(row: Mapping[str, str]) -> str:
    """Return the label of a row, which may be that of another row, too."""
    if row["assay"] == MASK:
        return "N or contig end"
    words = [row["biosample"], row["target"] or row["assay"]]
    if row["target"] and (not row["biosample"] or row["target"] in _TASKS_OF_CHROMBPNET.values()):
        words.insert(1 if row["biosample"] else 2, row["assay"])
    words.append(row["strand"].strip("."))
    if is_deviation(row["description"]):
        words.append("SD")
    identifier = row["identifier"].rstrip("+-") if row["strand"] != "." else row["identifier"]
    if not any(word == identifier for word in words) and not _is_profile(row["description"]):
        words.append(identifier)
    return _single_line(" ".join(words))


def is_deviation(description: str) -> bool:
    """Return whether a track's description says that it is the standard deviation of another."""
    return description.endswith(DEVIATION)


def _is_profile(description: str) -> bool:
    """Return whether the identifier of a track repeats its task."""
    return bool(_PROFILE_DESCRIPTION.fullmatch(description)) and ":" not in description


def _single_line(text: str) -> str:
    """Return `text` on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _clean(text: str) -> str:
    """Return a biosample without the gaps and ends that tables leave: "CD8+ T Cells, , donor"."""
    text = re.sub(r"(,\s*)+,", ",", _single_line(text)).strip(" ,;:/")
    text = re.sub(r"(,? / \.|, biol_)$", "", text)
    text = re.sub(r"(?<=\S)( eGFP-| 3xFLAG)?( genetically modified)? using .*", "", text)  # tags
    return re.sub(r"\btissue tissue\b", "tissue", text)
