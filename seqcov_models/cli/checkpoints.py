"""Commands about checkpoints: describe, convert, tracks."""

import argparse
import json
from collections import Counter
from pathlib import Path

from seqcov_models.cli.options import Commands, add_checkpoint, add_command, recognise_checkpoint
from seqcov_models.errors import SeqcovError
from seqcov_models.tracks.selection import select


def add_commands(commands: Commands) -> None:
    """Add the commands of this module.

    Args:
        commands: The parsers of all commands.
    """
    describe = add_command(commands, "describe", describe_checkpoint)
    add_checkpoint(describe)

    convert = add_command(commands, "convert", convert_checkpoint)
    add_checkpoint(convert)
    convert.add_argument("out", metavar="FOLDER", type=Path, help="new folder to write")

    tracks = add_command(commands, "tracks", list_tracks)
    add_checkpoint(tracks)
    tracks.add_argument(
        "selectors", nargs="*", metavar="SELECTOR",
        help="as in the config: index, identifier, assay:CAGE, file:PATH or a regular expression on"
        " descriptions; only tracks that match all of them are listed",
    )  # fmt: skip


def describe_checkpoint(options: argparse.Namespace) -> None:
    """Print network, window, bins, tracks and hashes of a checkpoint.

    Args:
        options: The words of the command line: path, architecture, species, targets, n_encoding,
            hidden_act.

    Raises:
        SeqcovError: If the checkpoint is missing, damaged, or contradicts the options.

    Example:
        seqcov describe weights/ --species mouse
    """
    checkpoint = recognise_checkpoint(options)
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


def convert_checkpoint(options: argparse.Namespace) -> None:
    """Write a checkpoint as config.json and model.safetensors.

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
    checkpoint = recognise_checkpoint(options)
    from seqcov_models.checkpoints.load import load_checkpoint, save_model

    save_model(load_checkpoint(checkpoint, checkpoint.tracks), options.out)
    size = sum(file.stat().st_size for file in options.out.iterdir())
    tracks = f"{len(checkpoint.tracks):,} tracks"
    print(f"{options.out}: {checkpoint.architecture}, {tracks}, {size:,} bytes")


def list_tracks(options: argparse.Namespace) -> None:
    """Search the track table of a checkpoint; print indices for a config.

    Args:
        options: The words of the command line: as for `describe`, and selectors.

    Raises:
        SeqcovError: If the checkpoint is not valid, or a selector does not match any track.

    Example:
        seqcov tracks weights/ assay:DNASE 'liver|HepG2'
    """
    tracks = recognise_checkpoint(options).tracks
    chosen = {track.row for track in tracks}
    for selector in options.selectors:
        chosen &= {track.row for track in select(tracks, selector)}
    found = [track for track in tracks if track.row in chosen]
    print("index\tidentifier\tdescription")
    for track in found:
        index = track.index if track.index >= 0 else ""
        print(f"{index}\t{track.identifier}\t{track.description}")
    if not found:
        raise SeqcovError(
            f"each selector matches tracks, but none matches all: {', '.join(options.selectors)}"
        )
    if options.selectors:
        names = [str(t.index) if t.index >= 0 else json.dumps(t.identifier) for t in found]
        print(f"# {len(found):,} of {len(tracks):,} tracks; for a config or --tracks:")
        print(f"# tracks: [{', '.join(names)}]")
