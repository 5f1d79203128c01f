"""Checkpoints on the command line: `python -m seqcov_models describe` and `convert`."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.registry import CONFIGS
from seqcov_models.sequence import N_ENCODINGS

if TYPE_CHECKING:
    from seqcov_models.checkpoints.recognise import Checkpoint


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. The exit status: 0, or 1 after one line on standard error."""
    given = _parser().parse_args(arguments)
    try:
        given.run(given)
    except SeqcovError as error:
        print(f"error: {error}", file=sys.stderr)
    except BrokenPipeError:  # the reader of our output had enough
        sys.stderr.close()
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
    else:
        return 0
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqcov_models",
        description="Look at checkpoints of sequence-to-coverage models, or convert them.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    describe = commands.add_parser("describe", help="say what a checkpoint is")
    describe.set_defaults(run=_describe)
    convert = commands.add_parser("convert", help="write a checkpoint in this package's format")
    convert.set_defaults(run=_convert)
    for command in (describe, convert):
        command.add_argument("path", help="folder, weights file, or hf://owner/name[@revision]")
        command.add_argument(
            "--architecture", choices=list(CONFIGS), help="what it must be (default: what it is)"
        )
        command.add_argument(
            "--species", help="which head (default: human, or mouse where there is no human one)"
        )
        command.add_argument("--targets", help="track table, where it does not lie beside")
        command.add_argument(
            "--n-encoding", choices=list(N_ENCODINGS), help="what N is (default: as trained)"
        )
        command.add_argument(
            "--hidden-act",
            choices=("gelu_new", "quick_gelu", "gelu"),
            help="which GELU (default: what the file says)",
        )
    convert.add_argument("out", type=Path, help="folder to write: a new one")
    return parser


def _recognised(given: argparse.Namespace) -> "Checkpoint":
    """The checkpoint that the arguments name; of an unnamed species, the first that it has."""
    from seqcov_models.checkpoints.recognise import recognise

    refusals = []
    for species in (given.species,) if given.species else ("human", "mouse"):
        try:
            return recognise(
                given.architecture,
                given.path,
                species,
                given.targets,
                n_encoding=given.n_encoding,
                hidden_act=given.hidden_act,
            )
        except SeqcovError as error:
            refusals.append(error)
    raise refusals[0]


def _describe(given: argparse.Namespace) -> None:
    checkpoint = _recognised(given)
    from seqcov_models.checkpoints.load import check_shapes
    from seqcov_models.checkpoints.readers import READERS
    from seqcov_models.files import sha256

    config, geometry = checkpoint.config, checkpoint.config.geometry
    about = READERS[checkpoint.format].about if checkpoint.format in READERS else "this package's"
    assays = Counter(track.assay for track in checkpoint.tracks)
    named = [f"{assay}: {count:,}" for assay, count in assays.items() if assay]
    named = named or [track.identifier for track in checkpoint.tracks]
    species = getattr(config, "species", None)
    others = getattr(config, "other_heads", {})
    lines = {
        "architecture": checkpoint.architecture,
        "format": f"{checkpoint.format} ({about})",
        "species": species and ", ".join([species, *(f"also {name}" for name in others)]),
        "window": f"{geometry.window:,} bp",
        "core": f"{geometry.core:,} bp, {geometry.bins:,} bins of {geometry.bin:,} bp,"
        f" {geometry.crop:,} cropped at each side",
        "tracks": f"{len(checkpoint.tracks):,} ({', '.join(named[:8])}{', …' * (len(named) > 8)})",
        "parameters": f"{check_shapes(checkpoint):,}",
        "activation": config.hidden_act,
        "unknown bases": config.n_encoding,
    }
    for name, value in lines.items():
        if value:
            print(f"{name + ':':<15}{value}")
    for file in checkpoint.files:
        print(f"{'sha256:':<15}{sha256(file)}  {file.name}")


def _convert(given: argparse.Namespace) -> None:
    if given.out.exists() and not (given.out.is_dir() and not any(given.out.iterdir())):
        raise SeqcovError(f"{given.out}: is there already; name a new folder")
    checkpoint = _recognised(given)
    from seqcov_models.checkpoints.load import load_checkpoint, save_model

    save_model(load_checkpoint(checkpoint, checkpoint.tracks), given.out)
    size = sum(file.stat().st_size for file in given.out.iterdir())
    print(
        f"{given.out}: {checkpoint.architecture}, {len(checkpoint.tracks):,} tracks, {size:,} bytes"
    )
