"""Name every file of a run's results, once.

Snakemake's rules ask with wildcards in the place of names (`paths.chunk("{model}", "{chunk}")`),
everything else with the names themselves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

TRACK_TABLE = "tracks.tsv"
"""The table of all tracks of a run; in a folder of bigWigs, the table of these."""

TWO_BIT = "genome.2bit"
"""The sequence beside a hub, for an assembly that UCSC does not know."""


@dataclass(frozen=True)
class Paths:
    """The files below `folder`, in which the results of one genome lie."""

    folder: Path

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the paths of the run that a validated config describes."""
        return cls(Path(config["output"], config["genome"]["name"]))

    # The run

    @property
    def run_plan(self) -> Path:
        """The part of the plan that all models share."""
        return self.folder / "plan.json"

    @property
    def track_table(self) -> Path:
        return self.folder / TRACK_TABLE

    @property
    def hub(self) -> Path:
        return self.folder / "hub.txt"

    @property
    def two_bit(self) -> Path:
        return self.folder / TWO_BIT

    @property
    def igv_session(self) -> Path:
        return self.folder / "igv_session.xml"

    @property
    def provenance(self) -> Path:
        return self.folder / "provenance.json"

    # A model

    def model(self, model: str) -> Path:
        """The folder of a model."""
        return self.folder / model

    def plan(self, model: str) -> Path:
        """What is planned for a model."""
        return self.model(model) / "plan.json"

    def card(self, model: str) -> Path:
        """What was found in a model's checkpoints when they were checked."""
        return self.model(model) / "model.json"

    def chunks(self, model: str) -> Path:
        """The folder of the temporary files of prediction."""
        return self.model(model) / "chunks"

    def chunk(self, model: str, chunk: str | int) -> Path:
        """The predictions of one job, an array (see `run.chunk_files`)."""
        return self.chunks(model) / f"{chunk}.npy"

    # A model of coverage

    def tracks(self, model: str, group: str) -> Path:
        """The folder of a group's bigWigs, which one job writes."""
        return self.model(model) / "tracks" / group

    def bigwig(self, model: str, group: str, track: str) -> Path:
        """A track's bigWig. track: its `file_name`."""
        return self.tracks(model, group) / bigwig_name(model, track)

    def mask(self, model: str) -> Path:
        """Regions whose input window contained N or ran past the contig end."""
        return self.model(model) / "mask.bed"

    # A model of profiles

    def peaks(self, model: str) -> Path:
        """The peaks of all of a model's sets, in order."""
        return self.model(model) / "peaks.narrowPeak"

    def chunk_statistics(self, model: str, chunk: str | int) -> Path:
        """One row of statistics per window of a job."""
        return self.chunks(model) / f"{chunk}.table.npy"

    def chunk_windows(self, model: str, chunk: str | int) -> Path:
        """The profiles of a job's windows, each by itself."""
        return self.chunks(model) / f"{chunk}.windows.npy"

    def profile_bigwig(self, model: str, task: str, strand: str = "") -> Path:
        """A task's bigWig. strand: plus, minus, or nothing for the sum of the strands."""
        return self.model(model) / (f"{task}.{strand}.bw" if strand else f"{task}.bw")

    def task_table(self, model: str, task: str) -> Path:
        """The table of a task's bigWigs."""
        return self.model(model) / f"{task}.tsv"

    def peak_table(self, model: str) -> Path:
        """What was predicted for each peak."""
        return self.model(model) / "peaks.tsv.gz"

    def profile_windows(self, model: str) -> Path:
        """The profiles of all windows, each by itself."""
        return self.model(model) / "profiles.h5"

    # What exists

    def existing_chunks(self, models: Iterable[str]) -> set[Path]:
        """Return the temporary files of prediction of `models`, whichever run left them."""
        return {file for model in models for file in self.chunks(model).glob("[!.]*.npy")}

    def existing_results(self, models: Iterable[str]) -> set[Path]:
        """Return the folders of all models, and the groups and profiles' bigWigs of `models`."""
        found = {path for path in self.folder.glob("[!.]*") if path.is_dir()}
        for model in models:
            found |= {*self.model(model).glob("tracks/[!.]*"), *self.model(model).glob("[!.]*.bw")}
        return found

    def written_bytes(self) -> int:
        """Return the size of the chunks and bigWigs that exist."""
        patterns = ("*/chunks/*.npy", "*/tracks/*/*.bw", "*/*.bw")
        files = (file for pattern in patterns for file in self.folder.glob(pattern))
        return sum(file.stat().st_size for file in files)


def bigwig_name(model: str, track: str) -> str:
    """Return the name of a track's bigWig within its group's folder."""
    return f"{model}.{track}.bw"
