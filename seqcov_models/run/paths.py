"""Spell every path of a run's results once.

Snakemake's rules pass wildcards as names: `paths.chunk("{model}", "{chunk}")`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

TRACK_TABLE = "tracks.tsv"
"""The table of all tracks of a run. In a folder of bigWigs, the table of its tracks."""

IDENTITY = "identity.json"
"""In a folder of bigWigs, the file that says what they were made from."""

SEAL = ".seal.json"
"""End of the name of the hidden file that knows the bytes of a file; see `seal_of`."""

PAGE = "index.html"
"""The page with the tracks, for a web browser."""

FACETS = ".tsv"
"""End of the names of the hub's tables."""

TWO_BIT = "genome.2bit"
"""The sequence beside a hub, for an assembly that UCSC does not know."""


@dataclass(frozen=True)
class Paths:
    """The paths of the results of one genome.

    Attributes:
        folder: The folder that contains all of them.
    """

    folder: Path

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the paths of the run that a validated config describes."""
        return cls(Path(config["output"], config["genome"]["name"]))

    @classmethod
    def from_plan(cls, plan: Path) -> Self:
        """Return the paths of the run that has the document of a model at `plan`."""
        return cls(plan.parent.parent)

    # The run

    @property
    def run_plan(self) -> Path:
        """The document of the plan that all models share."""
        return self.folder / "plan.json"

    @property
    def shared_jobs(self) -> Path:
        """The document of the jobs that several models share."""
        return self.folder / "jobs.json"

    @property
    def track_table(self) -> Path:
        """The table of all bigWigs."""
        return self.folder / TRACK_TABLE

    @property
    def hub(self) -> Path:
        """The UCSC track hub."""
        return self.folder / "hub.txt"

    @property
    def hub_pages(self) -> Path:
        """The folder of the descriptions and tables of the hub."""
        return self.folder / "hub"

    @property
    def two_bit(self) -> Path:
        """The sequence, for a hub of an assembly that UCSC does not know."""
        return self.folder / TWO_BIT

    @property
    def page(self) -> Path:
        """The page with the tracks, for a web browser."""
        return self.folder / PAGE

    @property
    def page_script(self) -> Path:
        """The copy of igv.js that the page uses."""
        return self.folder / "igv.min.js"

    @property
    def sizes(self) -> Path:
        """The lengths of the contigs, for the page."""
        return self.folder / "genome.sizes"

    @property
    def aliases(self) -> Path:
        """The other names of contigs that the config knows, for browsers."""
        return self.folder / "genome.aliases"

    @property
    def igv_genome(self) -> Path:
        """The genome for IGV desktop, which then knows the other names of contigs."""
        return self.folder / "genome.json"

    @property
    def igv_session(self) -> Path:
        """The session of IGV desktop."""
        return self.folder / "igv_session.xml"

    @property
    def jbrowse_config(self) -> Path:
        """The configuration of JBrowse 2."""
        return self.folder / "jbrowse_config.json"

    @property
    def washu_hub(self) -> Path:
        """The data hub of the WashU Epigenome Browser, of an assembly that it may know."""
        return self.folder / "washu_hub.json"

    @property
    def genes(self) -> Path:
        """The genes of the annotation: BED12, and a column with identifiers."""
        return self.folder / "genes.bed"

    @property
    def genes_bigbed(self) -> Path:
        """The genes of the annotation, for browsers."""
        return self.folder / "genes.bb"

    @property
    def gene_table(self) -> Path:
        """The table of genes and tracks."""
        return self.folder / "genes.tsv.gz"

    @property
    def provenance(self) -> Path:
        """The config, versions and hashes that the results were made from."""
        return self.folder / "provenance.json"

    @property
    def agreement_table(self) -> Path:
        """The correlations of predicted and measured tracks."""
        return self.folder / "agreement.tsv"

    @property
    def report(self) -> Path:
        """The report: one HTML file that opens by double click."""
        return self.folder / "report.html"

    @property
    def report_pictures(self) -> Path:
        """The folder of the pictures of the report."""
        return self.folder / "report_pictures"

    # A model

    def model(self, model: str) -> Path:
        """The folder of a model."""
        return self.folder / model

    def plan(self, model: str) -> Path:
        """The document of a model's plan."""
        return self.model(model) / "plan.json"

    def card(self, model: str) -> Path:
        """The model cards of a model's checkpoints, written when they were checked."""
        return self.model(model) / "model.json"

    def chunks(self, model: str) -> Path:
        """The folder of a model's temporary files."""
        return self.model(model) / "chunks"

    def chunk(self, model: str, chunk: str | int) -> Path:
        """The predictions of one job (see `run.chunk_files`)."""
        return self.chunks(model) / f"{chunk}.npy"

    def agreement(self, model: str, track: str) -> Path:
        """How a track agrees with a measured one. track: its bigWig's name without .bw."""
        return self.model(model) / "agreement" / f"{track}.agreement.json"

    def observed(self, model: str) -> Path:
        """The folder of the measured bigWigs of a model, as links or copies."""
        return self.model(model) / "observed"

    def observed_bigwig(self, model: str, track: str) -> Path:
        """The measured bigWig of a track. track: its predicted bigWig's name without .bw."""
        return self.observed(model) / f"{track}.observed.bw"

    # A model of coverage

    def packed(self, model: str, range_name: str, batch: str | int) -> Path:
        """The compressed values of a range and a batch of tracks (see `run.range_files`)."""
        return self.chunks(model) / f"{range_name}.{batch}.packed"

    def joined(self, model: str, batch: str | int) -> Path:
        """The temporary folder of a batch's bigWigs."""
        return self.chunks(model) / f"{batch}.joined"

    def tracks(self, model: str, group: str) -> Path:
        """The folder of the bigWigs of one group of tracks."""
        return self.model(model) / "tracks" / group

    def bigwig(self, model: str, group: str, track: str) -> Path:
        """The bigWig of a track. track: the track's `file_name`."""
        return self.tracks(model, group) / bigwig_name(model, track)

    def mask(self, model: str) -> Path:
        """Regions whose input window contained N or ran past the contig end."""
        return self.model(model) / "mask.bed"

    # A model of profiles

    def peaks(self, model: str) -> Path:
        """The combined peaks of all sets of a model."""
        return self.model(model) / f"{model}.peaks.narrowPeak"

    def peaks_bigbed(self, model: str) -> Path:
        """The combined peaks for the UCSC hub, with scores."""
        return self.model(model) / f"{model}.peaks.bb"

    def chunk_statistics(self, model: str, chunk: str | int) -> Path:
        """The statistics of a job's windows."""
        return self.chunks(model) / f"{chunk}.table.npy"

    def chunk_windows(self, model: str, chunk: str | int) -> Path:
        """The separate profiles of a job's windows."""
        return self.chunks(model) / f"{chunk}.windows.npy"

    def profile_bigwig(self, model: str, task: str, strand: str = "") -> Path:
        """The bigWig of a task. strand: "plus", "minus", or "" for the sum of the strands.

        Its name has the model's: IGV takes files of one name in two folders for one file.
        """
        return self.model(model) / bigwig_name(model, f"{task}.{strand}" if strand else task)

    def task_table(self, model: str, task: str) -> Path:
        """The table of a task's bigWigs."""
        return self.model(model) / f"{task}.tsv"

    def peak_table(self, model: str) -> Path:
        """The table of the predictions per peak."""
        return self.model(model) / "peaks.tsv.gz"

    def profile_windows(self, model: str) -> Path:
        """The separate profiles of all windows."""
        return self.model(model) / "profiles.h5"

    # Existing files

    def temporary_files(self, model: str) -> dict[str, str]:
        """Return the names of a model's temporary files, also unfinished ones.

        Returns:
            By name, the chunk, range or batch that the name begins with.
        """
        folder = self.chunks(model)
        names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        return {name: name.lstrip(".").partition(".")[0] for name in names}

    def existing_chunks(self, models: Iterable[str]) -> set[Path]:
        """Return the temporary files and folders of `models`, from this and earlier runs."""
        return {
            file
            for model in models
            for suffix in ("npy", "packed", "joined")
            for file in self.chunks(model).glob(f"[!.]*.{suffix}")
        }

    def unfinished_files(self) -> set[Path]:
        """Return the files and folders that killed jobs left; see `files.temporary_path`."""
        parts = self.folder.rglob(".*.part")
        return {file for file in parts if file.name.split(".")[-2].isdecimal()}

    def group_folders(self, model: str) -> list[Path]:
        """Return the folders of bigWigs of a model of coverage, from this and earlier runs."""
        return list(self.model(model).glob("tracks/[!.]*"))

    def existing_results(self, models: Iterable[str]) -> set[Path]:
        """Return results of this and earlier runs: folders of models and groups, profile bigWigs.

        models: the models whose groups, bigWigs and measured bigWigs are listed.
        """
        results = {path for path in self.folder.glob("[!.]*") if path.is_dir()}
        for model in models:
            results |= {*self.group_folders(model), *self.model(model).glob("[!.]*.bw")}
            results |= {folder for folder in [self.observed(model)] if folder.exists()}
        return results

    def bigwigs(self) -> list[Path]:
        """Return all finished bigWigs."""
        return [file for name in ("*/tracks/*/*.bw", "*/*.bw") for file in self.folder.glob(name)]

    def written_bytes(self, without: Collection[Path] = ()) -> int:
        """Return the size in bytes of all existing chunks, compressed ranges and bigWigs.

        without: folders of bigWigs that are not counted.
        """
        temporary = ("*/chunks/*.npy", "*/chunks/*.packed", "*/chunks/*.joined/*.bw")
        files = [*self.bigwigs(), *(file for name in temporary for file in self.folder.glob(name))]
        states = [file.stat() for file in files if file.parent not in without]
        sizes = {(state.st_dev, state.st_ino): state.st_size for state in states}
        return sum(sizes.values())  # a bigWig with two names is counted once


def seal_of(file: Path) -> Path:
    """Return the hidden file beside a file that knows its bytes."""
    return file.with_name(f".{file.name}{SEAL}")


def list_sealed_files(folder: Path) -> list[Path]:
    """Return the files of a folder and its folders that have a seal; they may be missing."""
    seals = sorted(folder.rglob(f".*{SEAL}"))
    return [seal.with_name(seal.name[1:].removesuffix(SEAL)) for seal in seals]


def list_tables(folder: Path) -> list[Path]:
    """Return the tables of bigWigs in a folder and its folders, and those of other programs."""
    return sorted(folder.rglob("*.tsv"))


def bigwig_name(model: str, track: str) -> str:
    """Return the name of a track's bigWig within its folder."""
    return f"{model}.{track}.bw"


def list_bigwigs(folder: Path) -> list[Path]:
    """Return the bigWigs in a folder, by name."""
    return sorted(folder.glob("*.bw"))
