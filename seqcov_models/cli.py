"""The command line: `seqcov describe`, `convert`, `estimate` and `serve`.

`python -m seqcov_models` is the same.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.sequence import N_ENCODINGS

if TYPE_CHECKING:
    from seqcov_models.checkpoints.recognise import Checkpoint


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
    except SeqcovError as error:
        print(f"error: {error}", file=sys.stderr)
    except BrokenPipeError:  # the reader of the output has closed it
        sys.stderr.close()
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
    else:
        return 0
    return 1


def _build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="seqcov",
        description="Look at checkpoints of sequence-to-coverage models, convert them, estimate"
        " what a run costs, or look at its results.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    describe = commands.add_parser(
        "describe",
        help="print the network, window, bins, tracks and hashes of a checkpoint",
        epilog="example: seqcov describe weights/ --species mouse",
    )
    describe.set_defaults(run=_describe)
    convert = commands.add_parser(
        "convert",
        help="write a checkpoint in this package's format",
        epilog="example: seqcov convert model0_best.h5 converted/",
    )
    convert.set_defaults(run=_convert)
    for command in (describe, convert):
        command.add_argument("path", help="folder, weights file, or hf://owner/name[@revision]")
        command.add_argument(
            "--architecture", choices=list(NETWORKS), help="refuse any other network"
        )
        command.add_argument("--species", help="species of the head (default: human, else mouse)")
        command.add_argument("--targets", help="track table (default: the one beside the weights)")
        command.add_argument(
            "--n-encoding", choices=list(N_ENCODINGS), help="encoding of N (default: as trained)"
        )
        command.add_argument(
            "--hidden-act",
            choices=("gelu_new", "quick_gelu", "gelu"),
            help="kind of GELU (default: as the checkpoint names it)",
        )
    convert.add_argument("out", type=Path, help="new folder to write")
    estimate = commands.add_parser(
        "estimate",
        help="check a config, and print what a run of it costs: windows, hours, bytes",
        epilog="example: seqcov estimate hg38.yaml",
    )
    estimate.set_defaults(run=_estimate)
    estimate.add_argument("config", type=Path, help="the config that `snakemake --configfile` gets")
    serve = commands.add_parser(
        "serve",
        help="show results in a web browser: serve a folder on this machine",
        epilog="example: seqcov serve results/hg38",
    )
    serve.set_defaults(run=_serve)
    serve.add_argument("folder", type=Path, help="a folder of results, with index.html")
    serve.add_argument("--port", type=int, help="port (default: 8000, or a free one)")
    serve.add_argument(
        "--address",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, which only this machine reaches);"
        " with 0.0.0.0 everybody in your network can read the folder",
    )
    return parser


def _recognise(options: argparse.Namespace) -> "Checkpoint":
    """Return the checkpoint of the options; without a species, its human or else its mouse head."""
    from seqcov_models.checkpoints.recognise import recognise

    refusals = []
    for species in (options.species,) if options.species else ("human", "mouse"):
        try:
            return recognise(
                options.architecture,
                options.path,
                species,
                options.targets,
                n_encoding=options.n_encoding,
                hidden_act=options.hidden_act,
            )
        except SeqcovError as error:
            refusals.append(error)
    raise refusals[0]


def _describe(options: argparse.Namespace) -> None:
    """Print the properties of a checkpoint, one per line, and the SHA-256 of its files.

    Args:
        options: The words of the command line: path, architecture, species, targets, n_encoding,
            hidden_act.

    Raises:
        SeqcovError: If the checkpoint is missing, damaged, or contradicts the options.

    Example:
        seqcov describe weights/ --species mouse
    """
    checkpoint = _recognise(options)
    from seqcov_models.checkpoints.formats import all_formats
    from seqcov_models.checkpoints.load import check_checkpoint
    from seqcov_models.files import sha256

    config, geometry = checkpoint.config, checkpoint.config.geometry
    assays = Counter(track.assay for track in checkpoint.tracks)
    names = [f"{assay}: {count:,}" for assay, count in assays.items() if assay]
    names = names or [track.identifier for track in checkpoint.tracks]
    species = ", also ".join(config.heads)
    lines = {
        "architecture": checkpoint.architecture,
        "format": f"{checkpoint.format} ({all_formats()[checkpoint.format].description})",
        "species": species,
        "window": f"{geometry.window:,} bp",
        "core": f"{geometry.core:,} bp, {geometry.bins:,} bins of {geometry.bin:,} bp,"
        f" {geometry.crop:,} cropped at each side",
        "tracks": f"{len(checkpoint.tracks):,} ({', '.join(names[:8])}{', …' * (len(names) > 8)})",
        "parameters": f"{check_checkpoint(checkpoint):,}",
        "activation": config.hidden_act,
        "unknown bases": config.n_encoding,
    }
    for name, value in lines.items():
        if value:
            print(f"{name + ':':<15}{value}")
    for file in checkpoint.files:
        print(f"{'sha256:':<15}{sha256(file)}  {file.name}")


def _convert(options: argparse.Namespace) -> None:
    """Write a checkpoint as a folder in this package's format: config, weights, track table.

    Args:
        options: The words of the command line: as for `describe`, and out, the new folder.

    Raises:
        SeqcovError: If the checkpoint is missing, damaged, or contradicts the options, or if the
            folder exists and is not empty.

    Example:
        seqcov convert model0_best.h5 converted/
    """
    if options.out.exists() and not (options.out.is_dir() and not any(options.out.iterdir())):
        raise SeqcovError(f"{options.out} already exists; name a new folder")
    checkpoint = _recognise(options)
    from seqcov_models.checkpoints.load import load_checkpoint, save_model

    save_model(load_checkpoint(checkpoint, checkpoint.tracks), options.out)
    size = sum(file.stat().st_size for file in options.out.iterdir())
    tracks = f"{len(checkpoint.tracks):,} tracks"
    print(f"{options.out}: {checkpoint.architecture}, {tracks}, {size:,} bytes")


def _estimate(options: argparse.Namespace) -> None:
    """Check a config as the workflow does before any job, and print what a run of it costs.

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
    from seqcov_models.run.settings import complete_config, read_config

    run = plan_run(complete_config(read_config(options.config)))
    peaks = count_peaks(run.profiles)
    print(describe(run, peaks))
    check_space(run, peaks)


def _serve(options: argparse.Namespace) -> None:
    """Serve a folder of results until Ctrl-C, and print the addresses of its pages.

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
