"""Write the files that genome browsers open, from the table of tracks."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqcov_models import __version__
from seqcov_models.browsers.display import TrackRow, first_rows, rows_of_signals
from seqcov_models.browsers.hub import HubOptions, build_hub
from seqcov_models.browsers.igv import build_igv_session
from seqcov_models.browsers.jbrowse import build_jbrowse_config
from seqcov_models.browsers.locus import find_loci
from seqcov_models.browsers.page import MAX_LOCI
from seqcov_models.browsers.peaks import write_peaks_bigbed
from seqcov_models.browsers.washu import build_washu_hub
from seqcov_models.files import write_atomically, write_text
from seqcov_models.genome.fasta import Fasta
from seqcov_models.genome.regions import Interval
from seqcov_models.genome.two_bit import write_two_bit

IGV_GENOMES = ["hg38", "hg19", "mm10", "danRer11", "dm6", "ce11", "sacCer3"]
"""Assemblies, by UCSC's names, that IGV desktop 2.16 finds with their genes in every published
version of its list (genomes.tsv)."""


@dataclass(frozen=True)
class BrowserGenome:
    """What browsers show tracks along.

    Attributes:
        fasta: The genome's sequence.
        name: The genome's name, as in the config.
        assembly: UCSC's name of the assembly; None if UCSC does not know it.
        view: The interval shown first (contig, start, end), 0-based half-open.
        genes: Genes as BED; None without an annotation.
        genes_bigbed: The same genes as bigBed.
        aliases: The table of other names of contigs; None without one.
        igv_genome: The description of the genome for IGV desktop, which names that table.
    """

    fasta: Fasta
    name: str
    assembly: str | None
    view: Interval
    genes: Path | None = None
    genes_bigbed: Path | None = None
    aliases: Path | None = None
    igv_genome: Path | None = None


def find_view(
    rows: Sequence[TrackRow], folder: Path, contigs: Mapping[str, int], show: Sequence[str | int]
) -> Interval | None:
    """Return the most interesting interval of the tracks shown first; None if there is none.

    Args:
        rows: The table of tracks in `folder`.
        folder: The folder of the results.
        contigs: Contig lengths in bp, by name.
        show: Selectors of the tracks shown first; empty for a varied choice.
    """
    shown = rows_of_signals(first_rows(rows, show))
    loci = find_loci(shown, folder, contigs, MAX_LOCI) if shown else []
    return loci[0] if loci else None


def write_hub(
    genome: BrowserGenome,
    rows: Sequence[TrackRow],
    browsers: Mapping[str, Any],
    peaks: Mapping[str, tuple[Path, Path, Path]],
    *,
    hub: Path,
    pages: Path,
    two_bit: Path | None,
    networks: Mapping[str, str],
) -> None:
    """Write a UCSC hub, its descriptions, and its peaks as bigBed.

    Args:
        genome: The genome.
        rows: The table of tracks, whose files are relative to the folder of `hub`.
        browsers: The config's section `browsers`.
        peaks: By model, the combined peaks, the table of their predictions, the bigBed to write.
        hub: The hub to write.
        pages: The folder for descriptions and tables.
        two_bit: The sequence for the hub; None if UCSC knows the assembly.
        networks: The name of the network of each entry of the config, for the descriptions.

    Raises:
        SeqcovError: If a file of the table is not safe to name, or the FASTA cannot be read.
    """
    if two_bit:
        with write_atomically(two_bit) as partial_file:
            write_two_bit(partial_file, genome.fasta)
    for combined, table, bigbed in peaks.values():
        write_peaks_bigbed(bigbed, combined, table, genome.fasta.contigs)
    options = HubOptions(
        assembly=genome.assembly,
        view=genome.view,
        show=browsers["show"],
        email=browsers["email"],
        peaks={model: os.path.relpath(files[2], hub.parent) for model, files in peaks.items()},
        genes=os.path.relpath(genome.genes_bigbed, hub.parent) if genome.genes_bigbed else None,
        aliases=os.path.relpath(genome.aliases, hub.parent) if genome.aliases else None,
        folder=pages.name,
        provenance=f"Predicted with seqcov {__version__}: "
        + "; ".join(f"{entry} with the network {network}" for entry, network in networks.items())
        + ".",
    )
    pages.mkdir(parents=True, exist_ok=True)
    for path, text in build_hub(genome.name, rows, options).items():
        write_text(hub.parent / path if path else hub, text)


def write_igv_session(
    path: Path,
    genome: BrowserGenome,
    rows: Sequence[TrackRow],
    browsers: Mapping[str, Any],
    peaks: Mapping[str, Path],
) -> None:
    """Write a session of IGV desktop, in which all paths are relative.

    Args:
        path: The session to write.
        genome: The genome.
        rows: The table of tracks, whose files are relative to the folder of the session.
        browsers: The config's section `browsers`.
        peaks: bigBed files by model.
    """
    features = {"genes": genome.genes} if genome.genes else {}
    features |= {f"{model} peaks": file for model, file in peaks.items()}
    names = {os.path.relpath(file, path.parent): name for name, file in features.items()}
    # IGV has genes of these assemblies, which it fetches once
    has_genes = genome.assembly in IGV_GENOMES and not genome.genes
    sequence = genome.assembly if has_genes else relative_fasta(genome.fasta, path.parent)
    if genome.igv_genome and not has_genes:
        sequence = os.path.relpath(genome.igv_genome, path.parent)
    text = build_igv_session(sequence or "", rows, genome.view, names, browsers["show"])
    write_text(path, text)


def write_jbrowse_config(
    path: Path,
    genome: BrowserGenome,
    rows: Sequence[TrackRow],
    browsers: Mapping[str, Any],
    peaks: Mapping[str, Path],
) -> None:
    """Write a configuration of JBrowse 2, in which all addresses are relative.

    Args:
        path: The configuration to write.
        genome: The genome.
        rows: The table of tracks, whose files are relative to the folder of the configuration.
        browsers: The config's section `browsers`.
        peaks: bigBed files by model.
    """
    features = {"genes": genome.genes_bigbed} if genome.genes_bigbed else {}
    features |= {f"{model} peaks": file for model, file in peaks.items()}
    text = build_jbrowse_config(
        genome.name,
        relative_fasta(genome.fasta, path.parent),
        rows,
        genome.view,
        {name: os.path.relpath(file, path.parent) for name, file in features.items()},
        browsers["show"],
        os.path.relpath(genome.aliases, path.parent) if genome.aliases else None,
    )
    write_text(path, text)


def write_washu_hub(
    path: Path, genome: BrowserGenome, rows: Sequence[TrackRow], browsers: Mapping[str, Any]
) -> None:
    """Write a data hub of the WashU Epigenome Browser, in which all addresses are relative.

    Args:
        path: The hub to write.
        genome: The genome.
        rows: The table of tracks, whose files are relative to the folder of the hub.
        browsers: The config's section `browsers`.
    """
    text = build_washu_hub(rows, genome.fasta.contigs, browsers["show"])
    write_text(path, text)


def write_aliases(path: Path, aliases: Mapping[str, str]) -> None:
    """Write the other names of contigs as the page, JBrowse and UCSC read them.

    Args:
        path: The table to write: a row per contig, its name in the FASTA first.
        aliases: The FASTA's names of contigs by other names.
    """
    names: dict[str, list[str]] = {}
    for alias, contig in aliases.items():
        names.setdefault(contig, [contig]).append(alias)
    width = max(map(len, names.values()))
    header = ["# name", *(f"alias{number}" for number in range(1, width))]
    rows = (cells + [""] * (width - len(cells)) for cells in names.values())
    write_text(path, "".join("\t".join(row) + "\n" for row in (header, *rows)))


def write_igv_genome(genome: BrowserGenome) -> None:
    """Write the description of the genome for IGV desktop, with the other names of contigs."""
    if not genome.igv_genome or not genome.aliases:
        return
    folder = genome.igv_genome.parent
    fasta = relative_fasta(genome.fasta, folder)
    description = {"id": genome.name, "name": genome.name, "fastaURL": fasta}
    description["indexURL"] = f"{fasta}.fai"
    if fasta.endswith((".gz", ".bgz")):
        description["gziIndexURL"] = f"{fasta}.gzi"
    description["aliasURL"] = os.path.relpath(genome.aliases, folder)
    write_text(genome.igv_genome, json.dumps(description, indent=1))


def relative_fasta(fasta: Fasta, folder: Path) -> str:
    """Return the path of the FASTA, relative to a folder. Links of folders are followed."""
    return os.path.relpath(fasta.path.parent.resolve() / fasta.path.name, folder.resolve())
