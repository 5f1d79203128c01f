"""Check what the section `browsers` of a config asks for, before anything is predicted."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.regions import Interval, parse_regions
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.profile_plan import ProfilePlan
from seqcov_models.tracks.selection import select
from seqcov_models.tracks.table import Track


def parse_locus(
    section: Mapping[str, Any], contigs: Mapping[str, int], aliases: Mapping[str, str]
) -> Interval | None:
    """Return the interval that browsers show first; None if the config leaves it to seqcov.

    Args:
        section: The config's section `browsers`.
        contigs: Length in bp by contig.
        aliases: The FASTA's name of a contig by the name in the config.

    Raises:
        SeqcovError: If the locus is not a contig or contig:start-end within the genome.
    """
    if not section["locus"]:
        return None
    try:
        intervals = parse_regions([section["locus"]], contigs, aliases)
    except SeqcovError as error:
        raise SeqcovError(f"browsers.locus: {error}") from None
    if len(intervals) != 1:
        raise SeqcovError(
            f"browsers.locus: {section['locus']} has {len(intervals)} intervals; write one as"
            " contig:start-end"
        )
    return intervals[0]


def check_shown(
    section: Mapping[str, Any],
    models: Mapping[str, CoveragePlan],
    profiles: Mapping[str, ProfilePlan],
) -> None:
    """Check that every selector of `browsers.show` matches a track of the run.

    Args:
        section: The config's section `browsers`.
        models: The plans of the models of coverage.
        profiles: The plans of the BPNets.

    Raises:
        SeqcovError: If a selector does not match any track.
    """
    if not section["show"]:
        return
    tracks = [bigwig.track for plan in models.values() for bigwig in plan.bigwigs]
    tracks += [track for plan in profiles.values() for track in _profile_tracks(plan)]
    try:
        select([replace(track, row=row) for row, track in enumerate(tracks)], section["show"])
    except SeqcovError as error:
        raise SeqcovError(f"browsers.show: {error}") from None


def _profile_tracks(plan: ProfilePlan) -> Iterator[Track]:
    """Yield a track per bigWig of a BPNet, as the table of the run names it."""
    signs = {"plus": "+", "minus": "-", "": ""}
    for task, row in plan.tasks.values():
        for offset, strand in enumerate(plan.strands):
            name = f"{task} profile, {strand} strand" if strand else f"{task} profile"
            index = row + offset if strand or len(plan.strands) == 1 else -1
            yield Track(0, index, f"{task}{signs[strand]}", name)
