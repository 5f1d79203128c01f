"""Commands before a run of the workflow: init, estimate."""

import argparse
from pathlib import Path

from seqcov_models.cli.options import Commands, add_checkpoint, add_command, recognise_checkpoint
from seqcov_models.errors import SeqcovError


def add_commands(commands: Commands) -> None:
    """Add the commands of this module.

    Args:
        commands: The parsers of all commands.
    """
    init = add_command(commands, "init", write_new_config)
    init.add_argument("folder", metavar="FOLDER", type=Path, help="new folder for config.yaml")
    init.add_argument("fasta", metavar="FASTA", type=Path, help="the genome, as FASTA")
    add_checkpoint(init)
    init.add_argument("--name", help="name of the genome (default: that of the FASTA)")
    init.add_argument("--assembly", help="UCSC's name of the assembly, if it has one: hg38")
    init.add_argument("--peaks", type=Path, help="BED or narrowPeak file, for a BPNet at peaks")

    estimate = add_command(commands, "estimate", estimate_run)
    estimate.add_argument(
        "config", metavar="CONFIG", type=Path, help="what `snakemake --configfile` gets"
    )


def write_new_config(options: argparse.Namespace) -> None:
    """Write a commented config for a genome and a checkpoint.

    Args:
        options: The words of the command line: folder, fasta, name, assembly, peaks, and as for
            `describe`.

    Raises:
        SeqcovError: If the genome or the checkpoint is not valid, or the config exists.

    Example:
        seqcov init hg38/ /data/hg38.fa.gz /data/borzoi/f0 --assembly hg38
    """
    from seqcov_models.run.new_config import write_config

    checkpoint = recognise_checkpoint(options)
    config = write_config(
        options.folder, options.fasta, options.path, checkpoint,
        name=options.name, assembly=options.assembly, peaks=options.peaks,
        species=options.species, targets=options.targets,
    )  # fmt: skip
    print(f"{config}: {checkpoint.architecture}, {len(checkpoint.tracks):,} tracks")
    print(f"What it costs:  seqcov estimate {config}")
    print(f"Run it:         snakemake --cores all --configfile {config}")
    print("                in the folder of seqcov, or with --snakefile SEQCOV/Snakefile")


def estimate_run(options: argparse.Namespace) -> None:
    """Check a config, and print what its run costs: windows, hours, bytes.

    Args:
        options: The words of the command line: config.

    Raises:
        SeqcovError: If the config contains a mistake, or if the disk does not have space.

    Example:
        seqcov estimate hg38.yaml
    """
    from seqcov_models.run.costs import check_space
    from seqcov_models.run.estimate import describe
    from seqcov_models.run.peak_sets import count_peaks
    from seqcov_models.run.planner import plan_run
    from seqcov_models.run.settings import complete_config, find_displaced_path, read_config

    config = read_config(options.config)
    try:
        run = plan_run(complete_config(config))
    except SeqcovError as error:
        folder = options.config.resolve().parent
        if path := find_displaced_path(config, folder):
            raise SeqcovError(
                f"{error}. Relative paths begin in the current folder, but {path} is in {folder};"
                " run the command there"
            ) from None
        raise
    peaks = count_peaks(run.profiles)
    print(describe(run, peaks))
    check_space(run, peaks)
