"""The plan of a run: what each model predicts, in which chunks, into which files.

The plan is a document. `run.planner` makes it when the Snakefile is parsed. Jobs load it and read
nothing else about the run. Every model has a document of its own (`Paths.plan`): a `CoveragePlan`
or a `ProfilePlan`. `run.digests` decides which jobs run again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from seqcov_models.genome.annotation import Annotation
from seqcov_models.genome.fasta import Fasta
from seqcov_models.genome.regions import Interval
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.digests import digest
from seqcov_models.run.document import is_saved, pack, read_document, write_document
from seqcov_models.run.model_document import share_tracks
from seqcov_models.run.observed import ObservedTrack
from seqcov_models.run.paths import Paths
from seqcov_models.run.profile_plan import ProfilePlan
from seqcov_models.run.reuse import Workload
from seqcov_models.tracks.labels import TrackName


@dataclass(frozen=True)
class SharedPlan:
    """The document of what all models share.

    Attributes:
        config: The config with all defaults.
        fasta: The genome's sequence.
        view: The interval that browsers show first (contig, start, end), 0-based half-open.
        models: Names of the models of coverage.
        profiles: Names of the BPNets.
        labels: What browsers and tables call a model, by its name.
        entries: The key of the entry in the config that has several models, by a model's name.
        observed: The tracks that are compared with measured ones.
        annotation: The file of genes; None without one.
    """

    config: dict[str, Any]
    fasta: Fasta
    view: Interval
    models: list[str]
    profiles: list[str]
    labels: dict[str, str]
    entries: dict[str, str]
    observed: list[ObservedTrack] = field(default_factory=list)
    annotation: Annotation | None = None

    @classmethod
    def load(cls, path: str | Path) -> "SharedPlan":
        """Read the document. Raises SeqcovError if it is missing or damaged."""
        plan: SharedPlan = read_document(Path(path), SharedPlan)
        return plan


@dataclass(frozen=True)
class SharedJob:
    """A job that works on several models of an entry, or one such job per chunk.

    Attributes:
        rule: The rule that would work on one of them.
        models: Names of the models.
        chunks: Names of the chunks, if the rule has any.
    """

    rule: str
    models: list[str]
    chunks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SharedJobs:
    """The document of the jobs that several models share; it does not change any result.

    Attributes:
        jobs: The jobs.
    """

    jobs: list[SharedJob] = field(default_factory=list)


@dataclass(frozen=True)
class RunPlan:
    """All plans of a run.

    Attributes:
        config: The config with all defaults.
        fasta: The genome's sequence.
        view: The interval that browsers show first (contig, start, end), 0-based half-open.
        models: The plans of the models of coverage, by name.
        profiles: The plans of the BPNets, by name.
        labels: What browsers and tables call a model, by its name.
        entries: The key of the entry in the config that has several models, by a model's name.
        observed: The tracks that are compared with measured ones.
        works: What the models of coverage still have to do, by name; not part of the documents.
        shared_jobs: The jobs that several models share.
        annotation: The file of genes; None without one.
    """

    config: Mapping[str, Any]
    fasta: Fasta
    view: Interval
    models: dict[str, CoveragePlan]
    profiles: dict[str, ProfilePlan]
    labels: dict[str, str] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)
    observed: list[ObservedTrack] = field(default_factory=list)
    works: dict[str, Workload] = field(default_factory=dict)
    annotation: Annotation | None = None
    shared_jobs: list[SharedJob] = field(default_factory=list)

    @property
    def paths(self) -> Paths:
        """The names of the run's results."""
        return Paths.from_config(self.config)

    @property
    def genome(self) -> Mapping[str, Any]:
        """The section `genome` of the config."""
        genome: Mapping[str, Any] = self.config["genome"]
        return genome

    @property
    def browser_digest(self) -> str:
        """A text that changes with anything that browsers show besides the tracks."""
        name, assembly = self.genome["name"], self.genome["assembly"]
        contigs = list(self.fasta.contigs.items())
        browsers = self.config.get("browsers")
        parts = name, assembly, self.view, contigs, self.fasta.sha256, browsers
        return digest(*parts, self.genome["contig_aliases"], self.observed_digest())

    @property
    def annotation_digest(self) -> str:
        """A text that changes with the genes and the contigs that they are placed on."""
        aliases, annotation = self.genome["contig_aliases"], self.annotation
        contigs = list(self.fasta.contigs.items())
        return digest(annotation.sha256 if annotation else None, contigs, aliases)

    @property
    def gene_table_digest(self) -> str:
        """A text that changes with anything that the table of genes says besides the tracks."""
        transforms = {name: plan.options.transform for name, plan in self.models.items()}
        statistic = self.config["genes"]["statistic"]
        return digest(self.annotation_digest, self.table_digest, statistic, transforms)

    @property
    def provenance_digest(self) -> str:
        """A text that changes with the config and the inputs, which the provenance repeats."""
        peaks = [plan.peaks for plan in self.profiles.values()]
        plans = (*self.models.values(), *self.profiles.values())
        tables = [fold.table_digest for plan in plans for fold in plan.folds]
        observed = [track.sha256 for track in self.observed]
        return digest(self.config, self.fasta.sha256, peaks, tables, *observed)

    def find_observed(self, model: str, name: str) -> ObservedTrack:
        """Return the compared track of a model whose bigWig has this name without its ending."""
        return next(track for track in self.observed if (track.model, track.name) == (model, name))

    def observed_digest(self, model: str | None = None) -> str:
        """Return a text that changes with the measured bigWigs of a model; by default of all."""
        tracks = [track for track in self.observed if model in (None, track.model)]
        return digest([(track.model, track.name, track.path, track.sha256) for track in tracks])

    def comparison_digest(self, track: ObservedTrack) -> str:
        """Return a text that changes with anything that a comparison depends on."""
        return digest(track.digest, [plan.peaks_digest for plan in self.profiles.values()])

    @property
    def agreement_digest(self) -> str:
        """A text that changes with anything that the table of agreement says."""
        rows = [
            (track.model, track.name, track.identifier, track.path, self.comparison_digest(track))
            for track in self.observed
        ]
        return digest(rows)

    @property
    def table_digest(self) -> str:
        """A text that changes with anything that the table of tracks says besides statistics."""
        names = {name: [*plan.tasks] for name, plan in self.profiles.items()}
        labels = [plan.labels_digest for plan in self.models.values()]
        return digest(labels, names, TrackName._fields, self.entries, self.labels)

    @property
    def report_digest(self) -> str:
        """A text that changes with anything that the report says besides times and values."""
        shown = self.config["browsers"]["show"]
        values = [plan.values_digest for plan in self.models.values()]
        values += [plan.bigwig_digest for plan in self.profiles.values()]
        parts = self.table_digest, self.browser_digest, self.agreement_digest
        return digest(parts, self.annotation_digest, shown, values)

    def save(self, paths: Paths) -> None:
        """Write the documents of the run and of its models if their content has changed."""
        for path, values in self._documents(paths).items():
            write_document(path, values)
        if self.shared_jobs or paths.shared_jobs.exists():
            write_document(paths.shared_jobs, pack(SharedJobs(self.shared_jobs)))

    @property
    def finished_folders(self) -> set[Path]:
        """The folders of bigWigs of the models of coverage whose space is not freed early.

        These are the finished ones, and those from which values are copied until the end.
        """
        existing = {path for name in self.models for path in self.paths.group_folders(name)}
        replaced = {
            self.paths.tracks(name, group)
            for name, work in self.works.items()
            for groups in work.groups.values()
            for group in groups
        }
        return existing - replaced | self.source_folders()

    def source_folders(self, models: Iterable[str] | None = None) -> set[Path]:
        """Return the folders of earlier bigWigs from which values are copied.

        Args:
            models: Names of models of coverage; by default all.
        """
        return {
            self.paths.tracks(name, group)
            for name in (self.models if models is None else models)
            for source in self.models[name].sources
            for group in source.folders
        }

    def is_finished(self, paths: Paths) -> bool:
        """Return whether an earlier run with the same plan has written its results.

        A document is written only if its content changes, and a run ends with the provenance. So a
        run is finished if its documents equal this plan and are older than the provenance.
        """
        if not paths.provenance.is_file():
            return False
        end = paths.provenance.stat().st_mtime
        return all(
            is_saved(path, values) and path.stat().st_mtime <= end
            for path, values in self._documents(paths).items()
        )

    def _documents(self, paths: Paths) -> dict[Path, dict[str, Any]]:
        """Return the packed content of every document, by its path."""
        shared = SharedPlan(
            dict(self.config), self.fasta, self.view, [*self.models], [*self.profiles],
            self.labels, self.entries, self.observed, self.annotation,
        )  # fmt: skip
        plans = (*self.models.values(), *self.profiles.values())
        return {paths.run_plan: pack(shared)} | {
            paths.plan(plan.name): plan.contents() for plan in plans
        }

    @classmethod
    def load(cls, paths: Paths) -> Self:
        """Read the documents of a run. Raises SeqcovError if one is missing or damaged."""
        shared = SharedPlan.load(paths.run_plan)
        jobs = SharedJobs()
        if paths.shared_jobs.exists():
            jobs = read_document(paths.shared_jobs, SharedJobs)
        return cls(
            shared.config,
            shared.fasta,
            shared.view,
            {name: CoveragePlan.load(paths.plan(name)) for name in shared.models},
            {name: ProfilePlan.load(paths.plan(name)) for name in shared.profiles},
            shared.labels,
            shared.entries,
            shared.observed,
            shared_jobs=jobs.jobs,
            annotation=shared.annotation,
        )

    def leftovers(self, paths: Paths) -> tuple[list[Path], list[Path]]:
        """Return temporary files and results of earlier runs that no job of this run writes."""
        models = [*self.models, *self.profiles]
        chunks = paths.existing_chunks(models) - self._chunks(paths)
        results = paths.existing_results(models) - self._results(paths)
        return sorted(chunks), sorted(results)

    def _chunks(self, paths: Paths) -> set[Path]:
        """Return the temporary files of prediction that this run's jobs write."""
        files = set()
        for model in self.models.values():
            for track_set in model.needed_sets:
                files |= {paths.chunk(model.name, chunk) for chunk in track_set.chunks}
                for index, batch in enumerate(track_set.batch_names):
                    files |= {paths.packed(model.name, name, index) for name in track_set.ranges}
                    files.add(paths.joined(model.name, batch))
        for plan in self.profiles.values():
            names = [paths.chunk, paths.chunk_statistics]
            names += [paths.chunk_windows] if plan.write_windows else []
            files |= {name(plan.name, job) for name in names for job in plan.jobs}
        return files

    def _results(self, paths: Paths) -> set[Path]:
        """Return the folders and bigWigs that this run writes, as `Paths.existing_results` does."""
        results = {paths.model(name) for name in (*self.models, *self.profiles)}
        results.add(paths.hub_pages)
        results |= {paths.report_pictures} if self.config["report"] else set()
        results |= {paths.observed(track.model) for track in self.observed}
        results |= {paths.tracks(m.name, group) for m in self.models.values() for group in m.groups}
        return results | {
            paths.profile_bigwig(plan.name, task, strand)
            for plan in self.profiles.values()
            for task in plan.tasks
            for strand in plan.strands
        }


def load_run(path: str | Path) -> RunPlan:
    """Read all documents of a run. Raises SeqcovError if one is missing or damaged.

    path: the document that all models share.
    """
    return RunPlan.load(Paths.from_config(SharedPlan.load(path).config))


def load_plan(path: str | Path) -> CoveragePlan | ProfilePlan:
    """Read a model's document, of either kind. Raises SeqcovError if it is missing or damaged."""
    plan: CoveragePlan | ProfilePlan = share_tracks(
        read_document(Path(path), CoveragePlan | ProfilePlan)
    )
    return plan
