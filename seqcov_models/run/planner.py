"""Make the plan of a run from its config, before any weight is read.

Only the Snakefile calls this, in Snakemake's main process. Contig lengths, regions, the headers of
the checkpoints and the track tables are enough, so planning imports no torch.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from seqcov_models.errors import SeqcovError
from seqcov_models.files import content_digest
from seqcov_models.genome.annotation import Annotation, check_annotation
from seqcov_models.genome.fasta import Fasta, open_fasta
from seqcov_models.genome.letters import check_letters
from seqcov_models.genome.regions import Interval, check_aliases, parse_regions
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.run.browser_settings import check_shown, parse_locus
from seqcov_models.run.changes import describe_work
from seqcov_models.run.costs import check_writable
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.coverage_planner import plan_coverage, recognise_entry
from seqcov_models.run.entries import Model, list_models
from seqcov_models.run.genome_profiles import check_entry, is_at_peaks
from seqcov_models.run.limits import check_dates, check_genome
from seqcov_models.run.observed import ObservedTrack, plan_observed
from seqcov_models.run.paths import Paths
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.profile_plan import PeakFile, ProfileOptions, ProfilePlan, TrackPeaks
from seqcov_models.run.reuse import Workload, add_sets, read_plan
from seqcov_models.run.set_planner import SetOptions
from seqcov_models.run.settings import find_path_mistakes
from seqcov_models.tiling import BinIntervals, select_bins
from seqcov_models.tracks.selection import select

INITIAL_VIEW = 100_000
"""Maximum width in bp of what a browser shows first: a few hundred bins or more on a screen."""


@dataclass(frozen=True)
class _Genome:
    """The genome, and the regions of a run or of a model.

    include: None for the whole genome.
    """

    fasta: Fasta
    include: list[Interval] | None
    exclude: list[Interval]
    aliases: Mapping[str, str]

    def narrow(self, regions: Sequence[str]) -> "_Genome":
        """Return the genome with only what a model's `regions` name of it, if they name any."""
        if not regions:
            return self
        contigs = self.fasta.contigs
        include = _parse_include("regions", regions, contigs, self.aliases)
        if self.include is not None:
            outside = select_bins(contigs, 1, include, self.include)
            inside = select_bins(contigs, 1, include, _list_intervals(outside))
            if not inside:
                raise SeqcovError("regions: none of them lies in genome.regions; name others")
            include = _list_intervals(inside)
        return replace(self, include=include)

    @cached_property
    def select_bins(self) -> Callable[[int], dict[str, BinIntervals]]:
        """A function that returns the bins to predict by contig, once per bin size."""
        return cache(self._select_bins)

    def _select_bins(self, bin_size: int) -> dict[str, BinIntervals]:
        """Return the bins to predict, by contig. Raises SeqcovError if there is none."""
        bins = select_bins(self.fasta.contigs, bin_size, self.include, self.exclude)
        if not bins:
            raise SeqcovError("genome.exclude leaves nothing of the regions; exclude less")
        return bins


def _list_intervals(bases: Mapping[str, BinIntervals]) -> list[Interval]:
    """Return intervals of bases by contig as one list."""
    return [(contig, *row) for contig, rows in bases.items() for row in rows.tolist()]


def plan_run(config: Mapping[str, Any]) -> RunPlan:
    """Return the plan of a run. Only a missing index of the FASTA is written.

    Args:
        config: A config that fits the schema, with all defaults.

    Returns:
        The plan of every model, which `RunPlan.save` writes.

    Raises:
        SeqcovError: If the config contains a mistake that is visible before weights are read: a
            missing file, an unknown contig, a region outside its contig, weights of another
            architecture, a selection that matches nothing, or an output folder that cannot be
            written.
    """
    if mistakes := list(find_path_mistakes(config)):
        raise SeqcovError("\n".join(mistakes))
    if config["prediction"]["precision"] == "tf32" and config["prediction"]["device"] == "cpu":
        raise SeqcovError(
            "prediction.precision: tf32 needs a GPU, but device is cpu; use float32 (exact) or"
            " bfloat16"
        )
    paths = Paths.from_config(config)
    wanted = list_models(config["models"])
    for folder in (paths.folder.parent, *map(paths.model, wanted)):
        check_writable(folder)
    genome = _open_genome(config["genome"], paths.folder)
    size = config["prediction"]["windows_per_chunk"]
    options = SetOptions(
        None if size == "auto" else size,
        config["bigwig"]["tracks_per_job"],
        config["bigwig"]["significant_bits"],
    )
    genomes: dict[str, _Genome] = {}
    models: dict[str, CoveragePlan] = {}
    works: dict[str, Workload] = {}
    profiles: dict[str, ProfilePlan] = {}
    observed: list[ObservedTrack] = []
    profiles_last = sorted(wanted.values(), key=lambda model: is_at_peaks(model.settings))
    for model in profiles_last:  # their peaks may come from another model's track
        name, entry = model.name, model.settings
        try:
            _check_architecture(entry)
            if model.entry not in genomes:
                genomes[model.entry] = genome.narrow(entry["regions"])
            part = genomes[model.entry]
            if is_at_peaks(entry):
                profiles[name] = _plan_profiles(name, entry, config, part, models)
            else:
                plan = plan_coverage(name, entry, config, genome.fasta, part.select_bins)
                earlier = read_plan(paths.plan(name))
                plan, work = add_sets(plan, earlier, paths, options)
                reason = describe_work(plan, work, earlier)
                models[name], works[name] = plan, replace(work, reason=reason)
            planned = (models | profiles)[name]
            observed += plan_observed(planned, model, config["genome"]["contig_aliases"], paths)
        except SeqcovError as error:
            raise SeqcovError(f"{model.location}: {error}") from None
    _check_copies(wanted.values(), {**models, **profiles})
    check_shown(config["browsers"], models, profiles)
    part = next((genomes[m.entry] for m in wanted.values() if m.settings["regions"]), genome)
    locus = parse_locus(config["browsers"], genome.fasta.contigs, genome.aliases)
    labels = {name: model.label for name, model in wanted.items()}
    entries = {name: model.entry for name, model in wanted.items() if model.entry != name}
    view = locus or _initial_view(part)
    run = RunPlan(
        config, genome.fasta, view, models, profiles, labels, entries, observed, works,
        _check_annotation(config["genome"], genome),
    )  # fmt: skip
    check_dates(run)
    return run


def _check_copies(wanted: Iterable[Model], plans: Mapping[str, CoveragePlan | ProfilePlan]) -> None:
    """Raise SeqcovError if two models of one entry have the same weights."""
    first: dict[tuple[str, str], Model] = {}
    for model in wanted:
        other = first.setdefault((model.entry, plans[model.name].card_digest), model)
        if other is not model:
            raise SeqcovError(
                f"{model.location}: the weights are those of {other.label} again; name other"
                " weights, or leave one of the two out"
            )


def _check_architecture(entry: Mapping[str, Any]) -> None:
    """Raise SeqcovError if the network is not known, or predicts something else than is asked."""
    name = entry["architecture"]
    if name not in NETWORKS:
        raise SeqcovError(f"architecture: {name!r} is not one of: {', '.join(NETWORKS)}")
    if not is_at_peaks(entry):
        check_entry(entry)
    elif NETWORKS[name].output == "bins":
        raise SeqcovError(
            f"unknown key 'peaks': {name} predicts tracks along the genome; remove the key, or"
            " choose bpnet"
        )


def _open_genome(section: Mapping[str, Any], folder: Path) -> _Genome:
    """Open the FASTA, and read the regions of the config's section `genome`."""
    fasta = open_fasta(section["fasta"], folder)
    check_genome(fasta, section["assembly"])
    aliases = section["contig_aliases"]
    check_aliases(aliases, fasta.contigs)
    regions = section["regions"]
    include = _parse_include("genome.regions", regions, fasta.contigs, aliases) if regions else None
    exclude = parse_regions(section["exclude"], fasta.contigs, aliases)
    return _Genome(check_letters(fasta), include, exclude, aliases)


def _parse_include(
    key: str, regions: Sequence[str], contigs: Mapping[str, int], aliases: Mapping[str, str]
) -> list[Interval]:
    """Return the intervals of a list of regions. Raises SeqcovError if there is none."""
    if intervals := parse_regions(regions, contigs, aliases):
        return intervals
    raise SeqcovError(
        f"{key}: there are no intervals in {', '.join(regions)}; add some, or leave out {key} to"
        " predict the whole genome"
    )


def _check_annotation(section: Mapping[str, Any], genome: _Genome) -> Annotation | None:
    """Return the file of genes of the config's section `genome`, if it names one."""
    if section["annotation"] is None:
        return None
    path = Path(section["annotation"])
    return check_annotation(path, genome.fasta.contigs, genome.aliases)


def _initial_view(genome: _Genome) -> Interval:
    """Choose what a browser shows first: a third of the way into the longest predicted stretch.

    The middle of a chromosome would often be a centromere.
    """
    selected = genome.select_bins(1)
    stretches = np.concatenate([*selected.values()])
    longest = int(np.argmax(stretches[:, 1] - stretches[:, 0]))
    lasts = np.cumsum([len(intervals) for intervals in selected.values()])
    contig = list(selected)[np.searchsorted(lasts, longest, side="right")]
    start, end = stretches[longest].tolist()
    start += max(0, end - start - INITIAL_VIEW) // 3
    return contig, start, min(end, start + INITIAL_VIEW)


def _plan_profiles(
    name: str,
    entry: Mapping[str, Any],
    config: Mapping[str, Any],
    genome: _Genome,
    models: Mapping[str, CoveragePlan],
) -> ProfilePlan:
    """Return the plan of the BPNet that the section `entry` describes."""
    prediction, options = config["prediction"], config["profiles"]
    plan = ProfilePlan(
        name=name,
        fasta=genome.fasta,
        folds=recognise_entry(entry),
        options=ProfileOptions(
            reverse_complement=entry["reverse_complement"],
            precision=prediction["precision"],
            min_acgt=prediction["min_acgt"],
            overlap=options["overlap"],
            counts=options["counts"],
            strand=options["strand"],
            jobs=options["jobs"],
        ),
        peaks=_peak_sets(name, entry["peaks"], models),
        contig_aliases=dict(config["genome"]["contig_aliases"]),
        selected_bases=genome.select_bins(1),
        write_windows=options["windows"],
        negative_minus=options["negative_minus"],
    )
    paths = Paths.from_config(config)
    files = Counter(
        paths.profile_bigwig(name, task, strand) for task in plan.tasks for strand in plan.strands
    )
    if duplicates := [file.name for file, count in files.items() if count > 1]:
        tasks = ", ".join(plan.config.tasks)
        raise SeqcovError(
            f"tasks {tasks}: two of them would be written to {duplicates[0]}; rename one in the"
            " checkpoint's config"
        )
    return plan


def _peak_sets(
    name: str, peaks: str | Mapping[str, Any], models: Mapping[str, CoveragePlan]
) -> dict[str, PeakFile | TrackPeaks]:
    """Return the source of every set of peaks. A single file is a set with the file's name."""
    if isinstance(peaks, str):
        peaks = {Path(peaks).name.split(".")[0] or name: peaks}
    sets: dict[str, PeakFile | TrackPeaks] = {}
    for label, source in peaks.items():
        if not isinstance(source, str):
            sets[label] = _track_peaks(label, source, models)
        elif Path(source).is_file():
            sets[label] = PeakFile(Path(source), content_digest(Path(source)))
        else:
            raise SeqcovError(f"peaks {label}: {source}: no such file; correct the path")
    return sets


def _track_peaks(
    label: str, source: Mapping[str, Any], models: Mapping[str, CoveragePlan]
) -> TrackPeaks:
    """Return the track that `source` names. Raises SeqcovError unless exactly one matches."""
    model = models.get(source["model"])
    if model is None:
        known = ", ".join(models) or "none"
        raise SeqcovError(
            f"peaks {label}: {source['model']!r} is not a model that predicts tracks; such models"
            f" of this config: {known}"
        )
    try:
        matches = select(model.tracks, [source["track"]])
    except SeqcovError as error:
        raise SeqcovError(f"peaks {label}: among the tracks of {model.name}, {error}") from None
    if len(matches) > 1:
        names = ", ".join(track.identifier for track in matches[:5])
        raise SeqcovError(
            f"peaks {label}: track {source['track']!r} matches {len(matches)} tracks of"
            f" {model.name} ({names}{', …' if len(matches) > 5 else ''}); choose one of them"
        )
    (track,) = matches
    group, file_name = model.find_bigwig(track)
    return TrackPeaks(
        model.name, group, file_name, model.geometry.bin,
        source.get("threshold"), source.get("number"),
    )  # fmt: skip
