"""Write what one job predicts: the chunk of a coverage network, or of a BPNet's peaks."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from seqcov_models.genome.fasta import Genome
from seqcov_models.networks.shared.compute import route
from seqcov_models.peaks.windows import PeakChunk, Windows, statistic_names
from seqcov_models.prediction.coverage import predict_segment
from seqcov_models.prediction.devices import Device
from seqcov_models.prediction.ensemble import Ensemble, ProfileEnsemble
from seqcov_models.prediction.load import load_ensemble, load_profile_ensemble
from seqcov_models.prediction.profiles import predict_profiles
from seqcov_models.prediction.timings import Seconds
from seqcov_models.progress import progress
from seqcov_models.run.chunk_files import chunk_writer, rows_writer, write_behind
from seqcov_models.run.model_cards import check_unchanged
from seqcov_models.run.plan import ModelPlan, ProfilePlan
from seqcov_models.tiling import BinIntervals, Segment, Tiling


def predict_coverage_chunk(
    plan: ModelPlan,
    chunk: str,
    cards: Path,
    path: Path,
    *,
    device: str = "auto",
    threads: int = 1,
    batch_size: int = 1,
) -> tuple[Seconds, str]:
    """Predict one chunk of a plan and write it to `path`.

    Args:
        cards: the model cards that the checkpoints must still match.
        device: auto, cpu or cuda.
        threads: CPU threads.
        batch_size: windows per forward pass.

    Returns:
        The time spent in each stage, and the device that was used.

    Raises:
        SeqcovError: a checkpoint has changed or cannot be loaded, there is no such device, or as
            `predict_chunk`.
    """
    check_unchanged(plan, cards)
    torch.set_num_threads(threads)
    leased, options = Device(device), plan.options
    ensemble = load_ensemble(
        plan.folds,
        plan.tracks,
        reverse_complement=options.reverse_complement,
        shifts=options.shifts,
        untransform=plan.untransform,
        standard_deviation=options.standard_deviation,
    )
    seconds = predict_chunk(
        ensemble.to(leased.name),
        plan.tiling,
        Genome(plan.fasta),
        plan.chunks[chunk],
        plan.wanted,
        path,
        dtype=options.chunk_dtype,
        batch_size=batch_size,
        precision=options.precision,
        min_acgt=options.min_acgt,
    )
    return seconds, leased.name


def predict_profile_chunk(
    plan: ProfilePlan,
    job: int,
    peaks: Path,
    cards: Path,
    files: Sequence[Path],
    *,
    device: str = "auto",
    threads: int = 1,
    batch_size: int = 32,
) -> tuple[Seconds, str]:
    """Predict the windows that one job of a plan has of its peaks, and write its files.

    Args:
        job: its number.
        peaks: the combined peaks.
        files: values, table and, if asked for, raw windows, as for `predict_peaks`.

    The other arguments, the result and the errors are those of `predict_coverage_chunk`.
    """
    check_unchanged(plan, cards)
    torch.set_num_threads(threads)
    leased, options = Device(device), plan.options
    ensemble = load_profile_ensemble(
        plan.folds, plan.tracks, reverse_complement=options.reverse_complement
    )
    windows, chunks = plan.chunks(peaks)
    seconds = predict_peaks(
        ensemble.to(leased.name),
        Genome(plan.fasta),
        windows,
        chunks[job],
        plan.wanted,
        *files,
        overlap=options.overlap,
        expm1=options.counts == "expm1",
        batch_size=batch_size,
        precision=options.precision,
        min_acgt=options.min_acgt,
    )
    return seconds, leased.name


def predict_chunk(
    ensemble: Ensemble,
    tiling: Tiling,
    genome: Genome,
    segments: Sequence[Segment],
    wanted: Mapping[str, BinIntervals],
    path: Path,
    *,
    dtype: str = "float32",
    batch_size: int = 1,
    precision: str = "float32",
    min_acgt: float = 0.0,
) -> Seconds:
    """Predict the windows of `segments` and write the chunk file `path` (see `run.chunk_files`).

    Its rows are the ensemble's tracks, then their standard deviations if the ensemble gives them,
    and last the fraction of unknown bases.

    Args:
        segments: the chunk's windows; their bins are the columns, in this order.
        wanted: bins to give a value, by contig; the others are NaN.
        path: the .npy to write; it appears when it is complete.
        dtype: float32 or float16, of the file.

    The other arguments are those of `prediction.coverage.predict_segment`.

    Returns:
        The time spent in each stage.

    Raises:
        SeqcovError: the network's output is NaN or infinite, or the sequence cannot be read.
    """
    seconds = Seconds()
    bins = sum(segment.bins for segment in segments)
    windows = sum(segment.windows for segment in segments)
    with (
        chunk_writer(path, ensemble.columns + 1, bins, dtype) as write_now,
        write_behind(write_now, route(ensemble.device).asynchronous) as write,
        progress(windows, "windows") as advance,
    ):
        offset = 0
        for segment in segments:
            unwanted = ~_wanted_mask(wanted[segment.contig], segment, tiling.step)
            for first, values, unknown in predict_segment(
                ensemble, tiling, genome, segment, batch_size, precision, min_acgt, seconds
            ):
                dropped = unwanted[first : first + len(values)]
                values[dropped] = np.nan
                unknown[dropped] = np.nan
                with seconds.measure("writing"):
                    write(offset + first, values, unknown[:, None])
                advance(1)
            offset += segment.bins
    return seconds


def _wanted_mask(wanted: BinIntervals, segment: Segment, step: int) -> npt.NDArray[np.bool_]:
    """Return which bins of a segment are wanted, (bins,)."""
    mask = np.zeros(segment.bins, np.bool_)
    for start, end in (wanted - segment.first_window * step).clip(0).tolist():
        mask[start:end] = True
    return mask


def predict_peaks(
    ensemble: ProfileEnsemble,
    genome: Genome,
    windows: Windows,
    chunk: PeakChunk,
    wanted: Mapping[str, BinIntervals],
    values: Path,
    table: Path,
    raw: Path | None = None,
    *,
    overlap: str = "nearest",
    expm1: bool = False,
    batch_size: int = 32,
    precision: str = "float32",
    min_acgt: float = 0.0,
) -> Seconds:
    """Predict the windows of a chunk of peaks and write its files.

    Args:
        values: what bigWigs are made of: the chunk file, one row per task and strand (see
            `run.chunk_files`).
        table: an .npy with one row per window and the columns of `statistic_names`.
        raw: an .npy of every window's own values, (windows, length, tasks, strands), whatever
            overlaps it; not written if None.

    The other arguments are those of `prediction.profiles.predict_profiles`.

    Returns:
        The time spent in each stage.

    Raises:
        SeqcovError: the network's output is NaN or infinite, the sequence cannot be read, or
            `overlap` is unknown.
    """
    seconds = Seconds()
    config, count = ensemble.config, len(chunk.windows)
    columns = len(statistic_names(config.tasks, config.num_strands, config.joint_strands))
    shape = (count, ensemble.geometry.core, len(config.tasks), config.num_strands)
    with (
        chunk_writer(values, config.num_labels, chunk.bases) as write_values,
        rows_writer(table, (count, columns), np.float64) as write_statistics,
        rows_writer(raw, shape, np.float32) if raw else nullcontext(None) as write_profiles,
        progress(len(chunk.covering_windows), "peaks") as advance,
    ):
        for batch in predict_profiles(
            ensemble, genome, windows, chunk, wanted, overlap=overlap, expm1=expm1,
            batch_size=batch_size, precision=precision, min_acgt=min_acgt, seconds=seconds,
        ):  # fmt: skip
            with seconds.measure("writing"):
                write_values(batch.column, batch.values)
                write_statistics(batch.row, batch.statistics)
                if write_profiles:
                    write_profiles(batch.row, batch.profiles)
            advance(batch.windows)
    return seconds
