"""What several commands share: how a command is added, and which checkpoint is meant."""

import argparse
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.sequence import N_ENCODINGS

if TYPE_CHECKING:
    from seqcov_models.checkpoints.recognise import Checkpoint

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""The parsers of all commands, as argparse collects them."""
T = TypeVar("T")


def add_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    """Add a command; return its parser.

    Args:
        commands: The parsers of all commands.
        name: The word on the command line.
        run: What executes it. The first line of its docstring is the help, and the last line the
            example.
    """
    lines = (inspect.getdoc(run) or "").splitlines() or [""]
    text = lines[0].rstrip(".")
    command = commands.add_parser(
        name,
        help=text[:1].lower() + text[1:],
        description=lines[0],
        epilog=f"example: {lines[-1].strip()}",
    )
    command.set_defaults(run=run)
    return command


def add_checkpoint(command: argparse.ArgumentParser) -> None:
    """Add the arguments that say which checkpoint is meant.

    Args:
        command: The parser of a command.
    """
    command.add_argument(
        "path", metavar="WEIGHTS",
        help="folder, weights file, hf://owner/name[@revision][/path], https:// or gs:// address,"
        " or ARCHIVE.tar::MEMBER",
    )  # fmt: skip
    command.add_argument(
        "--architecture", choices=list(NETWORKS), metavar="NAME",
        help=f"refuse any other network than {', '.join(NETWORKS)}",
    )  # fmt: skip
    command.add_argument(
        "--species", metavar="NAME", help="species of the head (default: human, else mouse)"
    )
    command.add_argument(
        "--targets", metavar="FILE", help="track table (default: the one beside the weights)"
    )
    command.add_argument(
        "--n-encoding",
        choices=list(N_ENCODINGS),
        metavar="NAME",
        help=f"encoding of N: {', '.join(N_ENCODINGS)} (default: as trained)",
    )
    command.add_argument(
        "--hidden-act", choices=("gelu_new", "quick_gelu", "gelu"), metavar="NAME",
        help="gelu_new, quick_gelu or gelu (default: as the checkpoint says)",
    )  # fmt: skip


def recognise_checkpoint(options: argparse.Namespace) -> "Checkpoint":
    """Return the checkpoint of the options.

    Args:
        options: What `add_checkpoint` has parsed.

    Raises:
        SeqcovError: If the checkpoint is missing, damaged, or contradicts the options.
    """
    from seqcov_models.checkpoints.recognise import recognise  # takes half of the time of --help

    return load_species(
        options,
        lambda species: recognise(
            options.architecture,
            options.path,
            species,
            options.targets,
            n_encoding=options.n_encoding,
            hidden_act=options.hidden_act,
        ),
    )


def load_species(options: argparse.Namespace, load: Callable[[str], T]) -> T:
    """Return what `load` returns for the species of the options, or for human, or else mouse.

    Args:
        options: What `add_checkpoint` has parsed.
        load: Returns something for a species, or raises.

    Raises:
        SeqcovError: What `load` raises for the first species, if it raises for all.
    """
    refusals = []
    for species in (options.species,) if options.species else ("human", "mouse"):
        try:
            return load(species)
        except SeqcovError as error:
            refusals.append(error)
    raise refusals[0]
