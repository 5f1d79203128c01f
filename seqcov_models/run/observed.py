"""Plan the comparison of predicted tracks with measured ones, which the config's models name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from seqcov_models.bigwig.layout import MAGIC
from seqcov_models.errors import SeqcovError
from seqcov_models.files import content_digest
from seqcov_models.genome.regions import (
    find_synonym,
    format_aliases,
    read_bed_lines,
    suggest_contigs,
)
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.digests import digest
from seqcov_models.run.entries import NAME, Model
from seqcov_models.run.paths import Paths
from seqcov_models.run.profile_plan import ProfilePlan
from seqcov_models.run.track_set import MASK
from seqcov_models.tiling import BinIntervals, merge_intervals
from seqcov_models.tracks.selection import select
from seqcov_models.tracks.table import Track

IDENTIFIER = "{identifier}"
"""What stands for a track's identifier in the path of a measured bigWig."""

MAX_FOLDS = 100
"""Maximum number of names in a BED of folds; more are names of single regions."""


@dataclass(frozen=True)
class ObservedTrack:
    """A predicted track and the measured bigWig that it is compared with.

    Attributes:
        model: Name of the model.
        name: Name of the predicted bigWig without its ending.
        identifier: Identifier of the track.
        predicted: The predicted bigWig.
        output: What the workflow makes: the predicted bigWig, or its folder.
        bin: bp per bin of the prediction.
        values_digest: A text that changes with any predicted value.
        path: The measured bigWig.
        sha256: Its digest.
        contigs: The measured file's name of each contig that both have.
        folds: A BED file of named regions; None if there is none.
        folds_sha256: Its digest.
    """

    model: str
    name: str
    identifier: str
    predicted: Path
    output: Path
    bin: int
    values_digest: str
    path: Path = Path()
    sha256: str = ""
    contigs: dict[str, str] = field(default_factory=dict)
    folds: Path | None = None
    folds_sha256: str = ""

    @property
    def digest(self) -> str:
        """A text that changes with anything that the comparison depends on, besides peaks."""
        contents = self.values_digest, self.sha256, self.folds_sha256
        return digest(self.bin, contents, self.contigs)

    def table_file(self, results: Path) -> str:
        """Return what the table of tracks in a folder of results calls the predicted bigWig.

        Args:
            results: The folder of results.
        """
        return self.predicted.relative_to(results).as_posix()


def plan_observed(
    plan: CoveragePlan | ProfilePlan,
    model: Model,
    aliases: Mapping[str, str],
    paths: Paths,
) -> list[ObservedTrack]:
    """Return the comparisons of a model with measured tracks, in the order of the config.

    Args:
        plan: The model's plan.
        model: The model with its settings.
        aliases: The FASTA's names of contigs by other names.
        paths: The paths of the run.

    Raises:
        SeqcovError: If a track is not known or named twice, a file is missing or is not a bigWig,
            or its contigs are not those of the FASTA.
    """
    settings = model.settings
    if not settings["observed"]:
        return []
    found: dict[str, ObservedTrack] = {}
    candidates = dict(_find_bigwigs(plan, paths))
    for selector, pattern in settings["observed"].items():
        chosen = _select(plan, candidates, selector)
        _check_pattern(selector, pattern, chosen)
        for track in chosen:
            path = Path(pattern.replace(NAME, model.label).replace(IDENTIFIER, track.identifier))
            if track.name in found:
                raise SeqcovError(
                    f"observed, {selector}: {track.identifier} already has the file"
                    f" {found[track.name].path}; select each track once"
                )
            found[track.name] = replace(track, path=path)
    contigs = plan.fasta.contigs
    folds = Path(settings["folds"]) if settings["folds"] else None
    if folds:
        read_folds(folds, contigs, aliases)
    return [
        replace(
            track,
            contigs=match_contigs(track.path, contigs, aliases),
            sha256=content_digest(track.path),
            folds=folds,
            folds_sha256=content_digest(folds) if folds else "",
        )
        for track in found.values()
    ]


def _find_bigwigs(
    plan: CoveragePlan | ProfilePlan, paths: Paths
) -> Iterator[tuple[str, ObservedTrack]]:
    """Yield each predicted bigWig by its track's identifier, of BPNets also sums of strands."""
    if isinstance(plan, CoveragePlan):
        for bigwig in plan.bigwigs:
            track_set = plan.groups[bigwig.group]
            if bigwig.group == MASK or track_set.item(bigwig.row)[1]:  # a standard deviation
                continue
            file = paths.bigwig(plan.name, bigwig.group, bigwig.track.file_name)
            values = digest(track_set.digest, bigwig.row, track_set.significant_bits)
            output, name = file.parent, bigwig.track.identifier
            yield (
                name,
                ObservedTrack(plan.name, file.stem, name, file, output, plan.geometry.bin, values),
            )
        return
    signs = {"plus": "+", "minus": "-", "": ""}
    for file_name, (task, _) in plan.tasks.items():
        for strand in plan.strands:
            file = paths.profile_bigwig(plan.name, file_name, strand)
            name = task + signs[strand]
            yield name, ObservedTrack(plan.name, file.stem, name, file, file, 1, plan.bigwig_digest)


def _select(
    plan: CoveragePlan | ProfilePlan, candidates: Mapping[str, ObservedTrack], selector: str
) -> list[ObservedTrack]:
    """Return the tracks that a key of `observed` selects.

    The identifier of a BPNet's task is the sum of its strands; no other selector selects sums.
    """
    if selector in candidates:
        return [candidates[selector]]
    try:
        tracks: list[Track] = select(plan.tracks, [selector])
    except SeqcovError as error:
        raise SeqcovError(f"observed: among the predicted tracks, {error}") from None
    return [candidates[track.identifier] for track in tracks]


def _check_pattern(selector: str, pattern: str, tracks: list[ObservedTrack]) -> None:
    """Raise SeqcovError if the path of a measured file does not suit the selected tracks."""
    if len(tracks) > 1 and IDENTIFIER not in pattern:
        raise SeqcovError(
            f"observed, {selector}: it selects {len(tracks)} tracks, but names one file; write"
            f" {IDENTIFIER} for the track's identifier in the path, or select one track"
        )
    for track in tracks:
        if "/" in track.identifier and IDENTIFIER in pattern:
            raise SeqcovError(
                f"observed, {selector}: the identifier {track.identifier!r} has a slash; name the"
                " file of this track without a pattern"
            )


def match_contigs(
    path: Path, contigs: Mapping[str, int], aliases: Mapping[str, str]
) -> dict[str, str]:
    """Return a measured bigWig's name of each contig of the FASTA that it has.

    Args:
        path: The bigWig.
        contigs: Lengths of the FASTA's contigs in bp.
        aliases: The FASTA's names of contigs by other names.

    Raises:
        SeqcovError: If it is missing or not a bigWig, has no contig of the FASTA, or another length
            of one.
    """
    lengths = _read_contigs(path)
    matches: dict[str, str] = {}
    for name, length in lengths.items():
        contig = aliases.get(name, name)
        if contig not in contigs:
            continue
        if length != contigs[contig]:
            raise SeqcovError(
                f"observed {path}: {name} has {length:,} bp, but {contig} of the FASTA has"
                f" {contigs[contig]:,}; is it of another assembly?"
            )
        matches[contig] = name
    if not matches:
        synonyms = {name: same for name in lengths if (same := find_synonym(name, contigs))}
        hint = suggest_contigs(next(iter(lengths)), contigs)
        if synonyms:
            hint = f"write into the config: genome: {{contig_aliases: {format_aliases(synonyms)}}}"
        raise SeqcovError(
            f"observed {path}: it has none of the contigs of the FASTA, but"
            f" {', '.join(list(lengths)[:5])}{', …' if len(lengths) > 5 else ''}; {hint}"
        )
    return matches


def _read_contigs(path: Path) -> dict[str, int]:
    """Return the lengths of a bigWig's contigs. Raises SeqcovError if it is not a bigWig."""
    import pyBigWig

    try:
        with path.open("rb") as file:
            begin = file.read(len(MAGIC))
            file.seek(max(0, file.seek(0, 2) - len(MAGIC)))
            end = file.read()
    except OSError as error:
        reason = error.strerror if path.exists() else "no such file"
        raise SeqcovError(f"observed {path}: {reason}; correct the path") from None
    if begin not in (MAGIC, MAGIC[::-1]):
        raise SeqcovError(f"observed {path}: not a bigWig; convert it, or name another file")
    if end != begin:
        raise SeqcovError(f"observed {path}: the bigWig is cut off or damaged; copy it again")
    try:
        with pyBigWig.open(str(path)) as bigwig:
            lengths: dict[str, int] = bigwig.chroms()
    except RuntimeError as error:
        raise SeqcovError(f"observed {path}: damaged bigWig ({error}); copy it again") from None
    if not lengths:
        raise SeqcovError(f"observed {path}: it does not name any contig; name another file")
    return lengths


def read_folds(
    path: Path, contigs: Mapping[str, int], aliases: Mapping[str, str]
) -> dict[str, dict[str, BinIntervals]]:
    """Read a BED file of named regions, such as calico's sequences_human.bed.

    Regions of other contigs are left out, since the FASTA may be a part of a genome.

    Args:
        path: BED file, plain or gzip, with the name of a fold in column 4.
        contigs: Lengths in bp by name.
        aliases: The FASTA's names of contigs by other names.

    Returns:
        Disjoint intervals, 0-based half-open, by name and contig.

    Raises:
        SeqcovError: If a line has no name or lies outside its contig, there are more than
            `MAX_FOLDS` names, or no contig is that of the FASTA.
    """
    spans: dict[str, dict[str, list[tuple[int, int]]]] = {}
    others: dict[str, None] = {}
    for location, cells in read_bed_lines(path):
        contig, start, end = aliases.get(cells[0], cells[0]), int(cells[1]), int(cells[2])
        if len(cells) < 4 or not cells[3]:
            raise SeqcovError(f"folds, {location}: column 4 is empty; write the fold's name there")
        if contig not in contigs:
            others[contig] = None
            continue
        if not 0 <= start < end <= contigs[contig]:
            raise SeqcovError(
                f"folds, {location}: {start:,}-{end:,} is not within {contig}, which has"
                f" {contigs[contig]:,} bp; is it of another assembly?"
            )
        spans.setdefault(cells[3], {}).setdefault(contig, []).append((start, end))
        if len(spans) > MAX_FOLDS:
            raise SeqcovError(
                f"folds, {location}: more than {MAX_FOLDS} names in column 4; write the name of a"
                " fold there, not of a region"
            )
    if not spans:
        hint = f"; {suggest_contigs(next(iter(others)), contigs)}" if others else ""
        raise SeqcovError(f"folds {path}: no region on a contig of the FASTA{hint}")
    return {
        name: {
            contig: merge_intervals(np.array(rows, np.int64)) for contig, rows in regions.items()
        }
        for name, regions in sorted(spans.items())
    }
