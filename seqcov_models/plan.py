"""The plan of a run: everything about it that is known before a weight is read.

Made from a validated config (`workflow/schemas/config.schema.yaml`) each time the Snakefile is
parsed: contig lengths, regions, the networks' geometry and the track tables are enough, so it costs
a fraction of a second and imports no torch.
"""

import csv
import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .checkpoints.recognise import Checkpoint, recognise
from .chunks import DTYPES
from .configs import Geometry
from .errors import SeqcovError
from .files import written_whole
from .genome import Fasta, open_fasta, parse_regions
from .tracks import Track, select, url_safe
from .windows import Bins, Segment, cut, tile, wanted_bins

BIGWIG_BYTES = 5.1
"""Bytes a value takes in a bigWig, measured on coverage-like values."""


@dataclass(frozen=True)
class ModelPlan:
    """What one model of a run predicts, in which chunks, and which files come of it."""

    name: str
    checkpoint: Checkpoint
    tracks: list[Track]
    wanted: dict[str, Bins]
    chunks: dict[str, list[Segment]]
    groups: dict[str, list[Track]]
    """Tracks by the folder that one job writes."""

    @property
    def geometry(self) -> Geometry:
        return self.checkpoint.config.geometry

    @property
    def windows(self) -> int:
        return sum(segment.count for chunk in self.chunks.values() for segment in chunk)

    @property
    def bins(self) -> int:
        """Bins that get a value at most (gaps of the sequence are found later)."""
        return int(sum((bins[:, 1] - bins[:, 0]).sum() for bins in self.wanted.values()))

    def rows_of(self, group: str) -> list[tuple[int, Track]]:
        """A group's tracks with their rows in the chunks."""
        place = {track.row: at for at, track in enumerate(self.tracks)}
        return [(place[track.row], track) for track in self.groups[group]]

    @property
    def digest(self) -> str:
        """Changes when any window, wanted bin or track of the plan does."""
        parts = [self.chunks, [track.row for track in self.tracks], self.geometry]
        text = repr(parts) + repr({contig: bins.tolist() for contig, bins in self.wanted.items()})
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class RunPlan:
    """A whole run."""

    config: Mapping[str, Any]
    fasta: Fasta
    models: dict[str, ModelPlan]

    @cached_property
    def folder(self) -> Path:
        """Where this genome's results go."""
        return Path(self.config["output"], self.config["genome"]["name"])

    def summary(self) -> str:
        """The run in a few lines: windows, chunks, tracks, bytes."""
        lines = [
            f"genome {self.config['genome']['name']}: {len(self.fasta.contigs):,} contigs,"
            f" {sum(self.fasta.contigs.values()):,} bp"
        ]
        for model in self.models.values():
            chunk_bytes, track_bytes = self.bytes_of(model)
            lines.append(
                f"model {model.name}: {model.windows:,} windows of {model.geometry.window:,} bp in"
                f" {len(model.chunks):,} chunks; {len(model.tracks):,} of"
                f" {len(model.checkpoint.tracks):,} tracks, {model.bins:,} bins of"
                f" {model.geometry.bin} bp; chunks {_size(chunk_bytes)} (temporary), bigWigs about"
                f" {_size(track_bytes)}"
            )
        return "\n".join(lines)

    def bytes_of(self, model: ModelPlan) -> tuple[int, int]:
        """Bytes of a model's chunks and, roughly, of its bigWigs."""
        columns = sum(segment.bins for chunk in model.chunks.values() for segment in chunk)
        width = DTYPES[self.config["prediction"]["chunk_dtype"]].itemsize
        tracks = len(model.tracks)
        return columns * tracks * width, int(model.bins * tracks * BIGWIG_BYTES)


def plan_run(config: Mapping[str, Any]) -> RunPlan:
    """The plan of a config that fits the schema.

    Raises SeqcovError for every mistake that can be known now: files, contigs, regions, weights of
    another architecture, selections that match nothing, an output folder that cannot be written,
    a disk too small.
    """
    output = Path(config["output"])
    _check_writable(output)
    genome, prediction = config["genome"], config["prediction"]
    fasta = open_fasta(genome["fasta"], output / genome["name"])
    include = parse_regions(genome["regions"], fasta.contigs) if genome["regions"] else None
    exclude = parse_regions(genome["exclude"], fasta.contigs)
    models = {}
    for name, entry in config["models"].items():
        try:
            checkpoint = checkpoint_of(entry)
            tracks = select(checkpoint.tracks, entry["tracks"])
        except SeqcovError as error:
            raise SeqcovError(f"models.{name}: {error}") from None
        geometry = checkpoint.config.geometry
        wanted = wanted_bins(fasta.contigs, geometry.bin, include, exclude)
        if not wanted:
            raise SeqcovError("genome.exclude leaves nothing of genome.regions to predict")
        chunks = cut(
            tile(fasta.contigs, geometry, wanted), geometry, prediction["windows_per_chunk"]
        )
        digits = len(str(len(chunks) - 1))
        models[name] = ModelPlan(
            name, checkpoint, tracks, wanted,
            {f"{at:0{digits}}": chunk for at, chunk in enumerate(chunks)},
            group(tracks, config["bigwig"]["tracks_per_job"]),
        )  # fmt: skip
    run = RunPlan(config, fasta, models)
    _check_space(run)
    return run


def checkpoint_of(entry: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint that an entry of the config's `models` names."""
    return recognise(entry["architecture"], entry["weights"], entry["species"], entry["targets"])


def group(tracks: Sequence[Track], most: int) -> dict[str, list[Track]]:
    """Tracks by assay, an assay of more than `most` in numbered parts: one folder, one job each."""
    by_assay: dict[str, list[Track]] = {}
    for track in tracks:
        by_assay.setdefault(url_safe(track.assay) if track.assay else "tracks", []).append(track)
    if len(by_assay) > 1 and len(tracks) / len(by_assay) < 2:
        by_assay = {"tracks": list(tracks)}  # what stands before the colon is no assay here
    groups = {}
    for assay, members in by_assay.items():
        parts = -(-len(members) // most)
        digits = len(str(parts))
        for part in range(parts):
            name = assay if parts == 1 else f"{assay}_{part + 1:0{digits}}"
            groups[name] = members[part * most : (part + 1) * most]
    return groups


PLAN_COLUMNS = ("chunk", "contig", "first_window", "windows", "bins")


def write_plan(model: ModelPlan, contigs: Mapping[str, int], table: Path, wanted: Path) -> None:
    """Write the chunks as a table, a row a segment, and the wanted bins as BED."""
    with written_whole(table) as part, part.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        writer.writerow(PLAN_COLUMNS)
        for chunk, segments in model.chunks.items():
            for s in segments:
                writer.writerow([chunk, s.contig, s.first, s.count, s.bins])
    size = model.geometry.bin
    with written_whole(wanted) as part, part.open("w", encoding="utf-8") as out:
        for contig, bins in model.wanted.items():
            for start, end in bins.tolist():
                out.write(f"{contig}\t{start * size}\t{min(end * size, contigs[contig])}\n")


def read_plan(table: Path) -> dict[str, list[Segment]]:
    """The chunks of a table that `write_plan` wrote."""
    chunks: dict[str, list[Segment]] = {}
    with table.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t"):
            chunks.setdefault(row["chunk"], []).append(
                Segment(
                    row["contig"], int(row["first_window"]), int(row["windows"]), int(row["bins"])
                )
            )
    return chunks


def read_wanted(bed: Path, bin_size: int) -> dict[str, Bins]:
    """The wanted bins of a BED file that `write_plan` wrote."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for line in bed.read_text(encoding="utf-8").splitlines():
        contig, start, end = line.split("\t")
        spans.setdefault(contig, []).append((int(start) // bin_size, -(-int(end) // bin_size)))
    return {contig: np.array(pairs, np.int64) for contig, pairs in spans.items()}


def _check_writable(folder: Path) -> None:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise SeqcovError(f"output {folder}: {there} is a file, not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SeqcovError(f"output {folder}: no permission to write in {there}")


def _check_space(run: RunPlan) -> None:
    there = run.folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    needed = sum(sum(run.bytes_of(model)) for model in run.models.values())
    for made in ("*/chunks/*.npy", "*/tracks/*/*.bw"):  # by an earlier, unfinished run
        needed -= sum(file.stat().st_size for file in run.folder.glob(made))
    if needed > free:
        raise SeqcovError(
            f"output {run.folder}: about {_size(needed)} are needed, {_size(free)} are free; choose"
            " fewer tracks or regions, or chunk_dtype: float16"
        )


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
