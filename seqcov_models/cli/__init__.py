"""The command line: `seqcov COMMAND`, or `python -m seqcov_models COMMAND`."""

import argparse
import sys
from collections.abc import Sequence

from seqcov_models import __version__
from seqcov_models.cli import checkpoints, prediction, results, runs
from seqcov_models.errors import SeqcovError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of `seqcov`, which is also `python -m seqcov_models`.

    Args:
        arguments: Words of the command line; by default those of this process.

    Returns:
        The exit status: 0, or 1 after one line on standard error.

    Example:
        >>> main(["describe", "weights/"])
    """
    options = _build_parser().parse_args(arguments)
    try:
        options.run(options)
    except BrokenPipeError:  # the reader of the output has closed it
        sys.stderr.close()
    except (SeqcovError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
    else:
        return 0
    return 1


def _build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="seqcov",
        description="Predict coverage along genomes with Basenji2, Enformer, Borzoi, BPNet and"
        " ChromBPNet. A genome is predicted by the workflow: snakemake --configfile CONFIG.",
        epilog="seqcov COMMAND --help shows the options of a command, and an example.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (checkpoints, prediction, runs, results):
        group.add_commands(commands)
    return parser
