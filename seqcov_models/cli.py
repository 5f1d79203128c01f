"""The command line: `seqcov COMMAND`, or `python -m seqcov_models COMMAND`."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from seqcov_models import __version__
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.registry import NETWORKS
from seqcov_models.sequence import N_ENCODINGS
from seqcov_models.tracks.selection import select
from seqcov_models.tracks.units import SCALES, TRANSFORMS

T = TypeVar("T")

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
        description="Predict coverage along genomes with Basenji2, Enformer, Borzoi, BPNet and"
        " ChromBPNet. A genome is predicted by the workflow: snakemake --configfile CONFIG.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    describe = _add_command(
        commands, "describe", "print the network, window, bins, tracks and hashes of a checkpoint",
        "seqcov describe weights/ --species mouse", _describe,
    )  # fmt: skip
    _add_checkpoint(describe)
    convert = _add_command(
        commands, "convert", "write a checkpoint in this package's format",
        "seqcov convert model0_best.h5 converted/", _convert,
    )  # fmt: skip
    _add_checkpoint(convert)
    convert.add_argument("out", type=Path, help="new folder to write")

    tracks = _add_command(
        commands, "tracks", "search the track table of a checkpoint",
        "seqcov tracks weights/ assay:DNASE 'liver|HepG2'", _list_tracks,
    )  # fmt: skip
    _add_checkpoint(tracks)
    tracks.add_argument(
        "selectors", nargs="*", metavar="SELECTOR",
        help="as in the config: index, identifier, assay:CAGE, file:PATH or a regular expression on"
        " descriptions; only tracks that match all of them are listed",
    )  # fmt: skip

    predict = _add_command(
        commands, "predict", "predict regions of a genome, without the workflow",
        "seqcov predict weights/ hg38.fa chr1:1,000,001-1,400,000 --tracks assay:CAGE --out out/",
        _predict,
    )  # fmt: skip
    _add_checkpoint(predict)
    predict.add_argument("fasta", help="the genome, as FASTA")
    predict.add_argument(
        "regions", nargs="+", metavar="REGION",
        help="contig, contig:start-end as in browsers, or a BED file",
    )  # fmt: skip
    predict.add_argument(
        "--out", type=Path, required=True, help="folder for one bigWig per track, or a file .npz"
    )
    _add_prediction(predict)

    estimate = _add_command(
        commands, "estimate",
        "check a config, and print what a run of it costs: windows, hours, bytes",
        "seqcov estimate hg38.yaml", _estimate,
    )  # fmt: skip
    estimate.add_argument("config", type=Path, help="the config that `snakemake --configfile` gets")

    check = _add_command(
        commands, "check", "read all results of a genome, and name files whose bytes have changed",
        "seqcov check results/hg38", _check,
    )  # fmt: skip
    check.add_argument("folder", type=Path, help="the folder of a genome's results")

    init = _add_command(
        commands, "init", "write a commented config for a genome and a checkpoint",
        "seqcov init hg38/ /data/hg38.fa.gz /data/borzoi/f0 --assembly hg38", _init,
    )  # fmt: skip
    init.add_argument("folder", type=Path, help="new folder for config.yaml")
    init.add_argument("fasta", type=Path, help="the genome, as FASTA")
    _add_checkpoint(init)
    init.add_argument("--name", help="name of the genome (default: that of the FASTA)")
    init.add_argument("--assembly", help="UCSC's name of the assembly, if it has one: hg38")
    init.add_argument("--peaks", type=Path, help="BED or narrowPeak file, for a BPNet at peaks")

    serve = _add_command(
        commands, "serve", "show results in a web browser: serve a folder on this machine",
        "seqcov serve results/hg38", _serve,
    )  # fmt: skip
    serve.add_argument("folder", type=Path, help="the folder of a genome's results")
    serve.add_argument("--port", type=int, help="port (default: 8000, or a free one)")
    serve.add_argument(
        "--address",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, which only this machine reaches);"
        " with 0.0.0.0 everybody in your network can read the folder",
    )
    return parser


def _add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    example: str,
    run: Callable[[argparse.Namespace], None],
) -> argparse.ArgumentParser:
    """Add a command that `run` executes; return its parser."""
    command = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=f"example: {example}"
    )
    command.set_defaults(run=run)
    return command


def _add_checkpoint(command: argparse.ArgumentParser) -> None:
    """Add the arguments that say which checkpoint is meant."""
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


def _add_prediction(command: argparse.ArgumentParser) -> None:
    """Add the options of a prediction, which are keys of the config."""
    command.add_argument(
        "--tracks", nargs="+", default=["all"], metavar="SELECTOR", help="as in the config"
    )
    command.add_argument("--reverse-complement", action="store_true", help="average both strands")
    command.add_argument(
        "--shifts", nargs="+", type=int, default=[0], metavar="BP", help="average windows shifted"
    )
    command.add_argument("--scale", choices=SCALES, default="model")
    command.add_argument("--transform", choices=TRANSFORMS, help="what --scale raw undoes")
    command.add_argument(
        "--standard-deviation", action="store_true", help="also over folds, shifts and strands"
    )
    command.add_argument("--counts", choices=("exp", "expm1"), default="exp", help="reads of BPNet")
    command.add_argument("--overlap", type=float, default=0.0, help="of cores, 0 to 0.9")
    command.add_argument("--blend", choices=("crop", "mean", "taper"), default="crop")
    command.add_argument("--stride", type=int, metavar="BP", help="between windows of a BPNet")
    command.add_argument("--min-acgt", type=float, default=0.0, help="least share of a window")
    command.add_argument("--precision", choices=("float32", "tf32", "bfloat16"), default="float32")
    command.add_argument("--batch-size", type=int, default=1, help="windows per forward pass")
    command.add_argument("--device", help="cpu, cuda, cuda:1 (default: cuda if there is one)")


def _recognise(options: argparse.Namespace) -> "Checkpoint":
    """Return the checkpoint of the options."""
    from seqcov_models.checkpoints.recognise import recognise

    return _find_species(
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


def _find_species(options: argparse.Namespace, load: Callable[[str], T]) -> T:
    """Return what `load` returns for the species of the options, or for human, or else mouse."""
    refusals = []
    for species in (options.species,) if options.species else ("human", "mouse"):
        try:
            return load(species)
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


def _list_tracks(options: argparse.Namespace) -> None:
    """Print the tracks of a checkpoint that match all selectors, and their indices for a config.

    Args:
        options: The words of the command line: as for `describe`, and selectors.

    Raises:
        SeqcovError: If the checkpoint is not valid, or a selector does not match any track.

    Example:
        seqcov tracks weights/ assay:DNASE 'liver|HepG2'
    """
    tracks = _recognise(options).tracks
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


def _predict(options: argparse.Namespace) -> None:
    """Predict regions of a genome, and write one bigWig per track or one file .npz.

    Args:
        options: The words of the command line: as for `describe`, fasta, regions, out, and the
            options of `load_model` and `predict_region`.

    Raises:
        SeqcovError: If an input or an option is not valid, or the output cannot be written.

    Example:
        seqcov predict weights/ hg38.fa chr1:1,000,001-1,400,000 --tracks assay:CAGE --out out/
    """
    import torch

    from seqcov_models.prediction.load import load_model
    from seqcov_models.prediction.region import predict_region, save_regions, write_bigwigs

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = _find_species(
        options,
        lambda species: load_model(
            options.architecture,
            options.path,
            species=species,
            tracks=options.tracks,
            targets=options.targets,
            reverse_complement=options.reverse_complement,
            shifts=options.shifts,
            scale=options.scale,
            transform=options.transform,
            standard_deviation=options.standard_deviation,
            counts=options.counts,
            device=device,
            n_encoding=options.n_encoding,
            hidden_act=options.hidden_act,
        ),
    )
    predictions = predict_region(
        model,
        options.fasta,
        options.regions,
        overlap=options.overlap,
        blend=options.blend,
        stride=options.stride,
        min_acgt=options.min_acgt,
        batch_size=options.batch_size,
        precision=options.precision,
    )
    if options.out.suffix == ".npz":
        save_regions(predictions, options.out)
        files = [options.out]
    else:
        files = write_bigwigs(predictions, options.out)
    for file in files:
        print(file)


def _init(options: argparse.Namespace) -> None:
    """Write a commented config for a genome and a checkpoint, and print what to do with it.

    Args:
        options: The words of the command line: folder, fasta, name, assembly, peaks, and as for
            `describe`.

    Raises:
        SeqcovError: If the genome or the checkpoint is not valid, or the config exists.

    Example:
        seqcov init hg38/ /data/hg38.fa.gz /data/borzoi/f0 --assembly hg38
    """
    from seqcov_models.run.new_config import write_config

    checkpoint = _recognise(options)
    config = write_config(
        options.folder, options.fasta, options.path, checkpoint,
        name=options.name, assembly=options.assembly, peaks=options.peaks,
        species=options.species, targets=options.targets,
    )  # fmt: skip
    print(f"{config}: {checkpoint.architecture}, {len(checkpoint.tracks):,} tracks")
    print(f"What it costs:  seqcov estimate {config}")
    print(f"Run it:         snakemake --cores all --configfile {config}")
    print("                in the folder of seqcov, or with --snakefile SEQCOV/Snakefile")


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


def _check(options: argparse.Namespace) -> None:
    """Read all bigWigs and peaks of a folder of results, and name those that are damaged.

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
