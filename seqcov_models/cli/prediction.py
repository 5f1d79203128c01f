"""The command that predicts regions without the workflow: predict."""

import argparse
from pathlib import Path

from seqcov_models.cli.options import Commands, add_checkpoint, add_command, load_species
from seqcov_models.tracks.units import SCALES, TRANSFORMS


def add_commands(commands: Commands) -> None:
    """Add the commands of this module.

    Args:
        commands: The parsers of all commands.
    """
    predict = add_command(commands, "predict", predict_regions)
    add_checkpoint(predict)
    predict.add_argument("fasta", metavar="FASTA", help="the genome, as FASTA")
    predict.add_argument(
        "regions", nargs="+", metavar="REGION",
        help="contig, contig:start-end as in browsers, or a BED file",
    )  # fmt: skip
    predict.add_argument(
        "--out", type=Path, required=True, help="folder for one bigWig per track, or a file .npz"
    )
    _add_options(predict)


def _add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of a prediction, which are keys of the config."""
    command.add_argument(
        "--tracks", nargs="+", default=["all"], metavar="SELECTOR", help="as in the config"
    )
    command.add_argument("--reverse-complement", action="store_true", help="average both strands")
    command.add_argument(
        "--shifts",
        nargs="+",
        type=int,
        default=[0],
        metavar="BP",
        help="average windows that are shifted by these bp",
    )
    command.add_argument(
        "--scale", choices=SCALES, default="model",
        help="units: the network's, or coverage with the training's transform undone",
    )  # fmt: skip
    command.add_argument(
        "--transform", choices=TRANSFORMS, help="what --scale raw undoes (default: by the head)"
    )
    command.add_argument(
        "--standard-deviation",
        action="store_true",
        help="write it over folds, shifts and strands, too",
    )
    command.add_argument(
        "--counts", choices=("exp", "expm1"), default="exp", help="reads of a BPNet"
    )
    command.add_argument("--overlap", type=float, default=0.0, help="share of a core, 0 to 0.9")
    command.add_argument(
        "--blend", choices=("crop", "mean", "taper"), default="crop", help="weights in an overlap"
    )
    command.add_argument("--stride", type=int, metavar="BP", help="between the windows of a BPNet")
    command.add_argument(
        "--min-acgt", type=float, default=0.0, help="least share of known bases in a window"
    )
    command.add_argument(
        "--precision", choices=("float32", "tf32", "bfloat16"), default="float32",
        help="float32 is exact (default)",
    )  # fmt: skip
    command.add_argument("--batch-size", type=int, default=1, help="windows per forward pass")
    command.add_argument("--device", help="cpu, cuda, cuda:1 (default: cuda if there is one)")


def predict_regions(options: argparse.Namespace) -> None:
    """Predict regions of a genome to bigWigs or .npz, without the workflow.

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
    model = load_species(
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
