"""Commands about results: check, serve."""

import argparse
from contextlib import suppress
from pathlib import Path

from seqcov_models.cli.options import Commands, add_command
from seqcov_models.errors import SeqcovError


def add_commands(commands: Commands) -> None:
    """Add the commands of this module.

    Args:
        commands: The parsers of all commands.
    """
    check = add_command(commands, "check", check_folder)
    check.add_argument(
        "folder", metavar="FOLDER", type=Path, help="the folder of a genome's results"
    )

    serve = add_command(commands, "serve", serve_folder)
    serve.add_argument(
        "folder", metavar="FOLDER", type=Path, help="the folder of a genome's results"
    )
    serve.add_argument("--port", type=int, help="port (default: 8000, or a free one)")
    serve.add_argument(
        "--address",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, which only this machine reaches);"
        " with 0.0.0.0 everybody in your network can read the folder",
    )


def check_folder(options: argparse.Namespace) -> None:
    """Read all results of a genome, and name files whose bytes changed.

    Args:
        options: The words of the command line: folder.

    Raises:
        SeqcovError: If a file is damaged or missing, or if the folder has no results.

    Example:
        seqcov check results/hg38
    """
    from seqcov_models.run.finished import check_results

    problems = dict(check_results(options.folder))
    if not problems:
        raise SeqcovError(
            f"{options.folder}: no bigWigs of seqcov are in this folder; name another"
        )
    damaged = list(filter(None, problems.values()))
    for problem in damaged:
        print(problem)
    if damaged:
        raise SeqcovError(
            f"{len(damaged):,} of {len(problems):,} files are damaged; delete them, and the command"
            " that made them makes them again"
        )
    print(f"{len(problems):,} files have the bytes that were written")


def serve_folder(options: argparse.Namespace) -> None:
    """Show results in a web browser: serve a folder on this machine.

    Args:
        options: The words of the command line: folder, port, address.

    Raises:
        SeqcovError: If the folder does not exist, or the address or port cannot be used.

    Example:
        seqcov serve results/hg38
    """
    from seqcov_models.browsers.serve import make_server

    with make_server(options.folder, options.address, options.port) as server:
        for page in server.pages() or [server.address]:
            print(f"Open {page} in a web browser; end with Ctrl-C", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
