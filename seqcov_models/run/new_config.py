"""Write a commented config for a genome and a checkpoint."""

import json
import re
from pathlib import Path

from seqcov_models.checkpoints.recognise import Checkpoint
from seqcov_models.checkpoints.sources import ADDRESSES
from seqcov_models.errors import SeqcovError
from seqcov_models.files import make_cache_folder, write_atomically
from seqcov_models.genome.fasta import open_fasta
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.run.settings import complete_config, read_config

_GENOME = """\
# Check what a run costs:  seqcov estimate {path}
# Run it:                  snakemake --cores all --configfile {path}
# Every key, with its default: seqcov_models/run/config.schema.yaml

output: results                 # folder of all results, in the working directory

genome:
  name: {name} # of the folder below results
  fasta: {fasta} # {contigs} contigs, {bases} bp
  {assembly_mark}assembly: {assembly} # UCSC's name of the assembly, if it has one
  # regions: [{contig}, "{contig}:1-1,000,000", loci.bed]   # only these
  # exclude: [blacklist.bed]

models:
  {model}:
    architecture: {architecture}
    weights: {weights} # several in a list are folds, which are averaged
"""
_BINS = """\
    species: {species}
{targets}    tracks: all # {tracks} tracks; or some: [assay:CAGE, 12, "liver|HepG2"]
    reverse_complement: false # true averages both strands: better, twice the time
    scale: model # raw: coverage before the transform of the training
"""
_PEAKS = """\
    peaks: {peaks}
    reverse_complement: false # true averages both strands: better, twice the time
"""
_STRIDE = """\
    # peaks: summits.narrowPeak # profiles at these peaks; without it, along the genome
    stride: {stride} # bp between the windows whose mean is the value of a base
    reverse_complement: false # true averages both strands: better, twice the time
"""
_PREDICTION = """
prediction:
  precision: float32 # bfloat16 is faster, with an error of about 1 %
  device: auto # a free GPU, else the CPU
"""


def write_config(
    folder: Path,
    fasta: Path,
    weights: str,
    checkpoint: Checkpoint,
    *,
    name: str | None = None,
    assembly: str | None = None,
    peaks: Path | None = None,
    species: str | None = None,
    targets: str | None = None,
) -> Path:
    """Write config.yaml into a new folder.

    Args:
        folder: The folder, which is created.
        fasta: The genome.
        weights: The name of the weights.
        checkpoint: What these weights are.
        name: Name of the genome; by default that of the FASTA.
        assembly: UCSC's name of the assembly.
        peaks: Peaks for a network of profiles.
        species: Species of the head.
        targets: Track table, if it is not beside the weights.

    Returns:
        The config. Paths in it are absolute.

    Raises:
        SeqcovError: If the config exists, the FASTA cannot be read, the name is not valid, or the
            network does not predict peaks.
    """
    path = folder / "config.yaml"
    if path.exists():
        raise SeqcovError(f"{path} already exists; name a new folder")
    network = NETWORKS[checkpoint.architecture]
    if peaks and network.output == "bins":
        raise SeqcovError(f"--peaks: {network.name} predicts bins along the genome; leave it out")
    contigs = open_fasta(fasta, make_cache_folder() / "genomes").contigs
    stem = re.sub(r"(\.(fa|fasta|fna|gz|bgz))+$", "", fasta.name, flags=re.IGNORECASE)
    text = _GENOME.format(
        path=path,
        name=json.dumps(name or re.sub(r"[^A-Za-z0-9_.-]+", "_", stem).strip("_.-")[:60]),
        fasta=_quote(fasta.resolve()),
        contigs=f"{len(contigs):,}",
        bases=f"{sum(contigs.values()):,}",
        assembly_mark="" if assembly else "# ",
        assembly=json.dumps(assembly or "hg38"),
        contig=next(iter(contigs)),
        model=checkpoint.architecture,
        architecture=checkpoint.architecture,
        weights=_quote(weights if weights.startswith(ADDRESSES) else Path(weights).resolve()),
    )
    if network.output == "bins":
        table = f"    targets: {_quote(Path(targets).resolve())}\n" if targets else ""
        heads = checkpoint.config.heads
        text += _BINS.format(
            species=species or ("mouse" if list(heads) == ["mouse"] else "human"),
            targets=table,
            tracks=f"{len(checkpoint.tracks):,}",
        )
    elif peaks:
        text += _PEAKS.format(peaks=_quote(peaks.resolve()))
    else:
        text += _STRIDE.format(stride=checkpoint.config.geometry.core // 4)
    folder.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as part:
        part.write_text(text + _PREDICTION, encoding="utf-8")
        complete_config(read_config(part))
    return path


def _quote(value: str | Path) -> str:
    """Return text as YAML spells it: in quotes if it holds more than what paths usually do."""
    text = str(value)
    return text if re.fullmatch(r"[\w./:@+-]+", text) and ": " not in text else json.dumps(text)
