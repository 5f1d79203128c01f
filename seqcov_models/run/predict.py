"""Predict one chunk and write it: windows along a genome, or a BPNet's windows at peaks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqcov_models.genome.fasta import Genome
from seqcov_models.networks.shared.compute import route
from seqcov_models.peaks.windows import PeakChunk, Windows, statistic_names
from seqcov_models.prediction.batch_size import choose_batch_size
from seqcov_models.prediction.contig_profiles import (
    is_window_independent,
    predict_segment_profiles,
)
from seqcov_models.prediction.coverage import predict_segment
from seqcov_models.prediction.devices import Device, keep_freed_memory
from seqcov_models.prediction.ensemble import Ensemble, ProfileEnsemble
from seqcov_models.prediction.load import load_ensemble, load_profile_ensemble
from seqcov_models.prediction.profiles import predict_profiles
from seqcov_models.prediction.timings import Seconds
from seqcov_models.progress import progress
from seqcov_models.run.chunk_files import chunk_writer, rows_writer
from seqcov_models.run.chunk_size import operations_per_window
from seqcov_models.run.coverage_chunk import EarlierBigwigs, Predict, write_coverage_chunk
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.inputs import check_inputs
from seqcov_models.run.job import log
from seqcov_models.run.paths import Paths
from seqcov_models.run.profile_plan import ProfilePlan
from seqcov_models.run.speeds import processor_name, record_speed
from seqcov_models.sequence import Coverage
from seqcov_models.tiling import BinIntervals, Segment, Tiling, find_run, tile


def predict_coverage_chunk(
    plan: CoveragePlan,
    chunk: str,
    path: Path,
    paths: Paths,
    *,
    device: str = "auto",
    threads: int = 1,
    batch_size: int | str = 1,
) -> tuple[Seconds, str]:
    """Predict one chunk of a model of coverage and write it.

    Args:
        plan: The model's plan.
        chunk: The name of a chunk.
        path: The chunk file to write.
        paths: The paths of the run's results, from which windows may be copied.
        device: "auto", "cpu" or "cuda".
        threads: CPU threads.
        batch_size: Windows per forward pass, or "auto" (see `choose_batch_size`).

    Returns:
        The time spent in each stage, and the device that was used.

    Raises:
        SeqcovError: If an input changes, if a checkpoint cannot be loaded, if the device does not
            exist, or for the reasons of `predict_chunk`.
    """
    check = check_inputs(plan)
    check()
    torch.set_num_threads(threads)
    options, track_set = plan.options, plan.find_set(chunk)
    earlier = EarlierBigwigs(plan, track_set, paths) if plan.find_sources(track_set) else None
    lease = Device(device)
    tracks = plan.set_tracks(track_set)
    ensemble: Ensemble | ProfileEnsemble
    if plan.predicts_profiles:
        ensemble = load_profile_ensemble(
            plan.folds,
            tracks,
            reverse_complement=options.reverse_complement,
            expm1=options.scale == "expm1",
        )
    else:
        ensemble = load_ensemble(
            plan.folds,
            tracks,
            reverse_complement=options.reverse_complement,
            shifts=options.shifts,
            untransform=plan.untransform(tracks),
            standard_deviation=track_set.standard_deviation,
        )
    keep_freed_memory()
    ensemble.to(lease.name)
    if is_window_independent(ensemble):
        batch_size = 1  # of the windows that the pass does not have
    elif batch_size == "auto":
        batch_size = choose_batch_size(ensemble, options.precision)
        log.info("%d windows per forward pass", batch_size)
    seconds = predict_chunk(
        ensemble,
        plan.tiling,
        Genome(plan.fasta),
        track_set.chunks[chunk],
        plan.selected_bins,
        path,
        dtype=options.chunk_dtype,
        batch_size=int(batch_size),
        precision=options.precision,
        min_acgt=options.min_acgt,
        identity=plan.chunk_identity(chunk),
        check=check,
        earlier=earlier,
    )
    if not earlier:
        config = plan.folds[0].config.with_tracks(len(tracks))
        operations = operations_per_window(config, plan.tiling)
        _record_speed(plan, lease, threads, operations, seconds)
    return seconds, lease.name


def predict_profile_chunk(
    plan: ProfilePlan,
    job: int,
    peaks: Path,
    files: Sequence[Path],
    *,
    device: str = "auto",
    threads: int = 1,
    batch_size: int = 32,
) -> tuple[Seconds, str]:
    """Predict the windows of one job at a BPNet's peaks and write its files.

    Args:
        plan: The model's plan.
        job: Number of the job, one of `plan.jobs`.
        peaks: The combined peaks, which `peaks.read.write_peaks` wrote.
        files: The files to write: values, statistics and, if the config asks for it, the profiles
            of all windows; see `predict_peaks`.
        device: "auto", "cpu" or "cuda".
        threads: CPU threads.
        batch_size: Windows per forward pass.

    Returns:
        The time spent in each stage, and the device that was used.

    Raises:
        SeqcovError: If an input changes, if a checkpoint cannot be loaded, if the device does not
            exist, or for the reasons of `predict_peaks`.
    """
    check = check_inputs(plan)
    check()
    torch.set_num_threads(threads)
    lease, options = Device(device), plan.options
    ensemble = load_profile_ensemble(
        plan.folds, plan.tracks, reverse_complement=options.reverse_complement
    )
    identity = plan.chunk_identities(peaks)[job]
    windows, chunks = plan.chunks(peaks)
    keep_freed_memory()
    seconds = predict_peaks(
        ensemble.to(lease.name),
        Genome(plan.fasta),
        windows,
        chunks[job],
        plan.selected_bases,
        *files,
        overlap=options.overlap,
        expm1=options.counts == "expm1",
        batch_size=batch_size,
        precision=options.precision,
        min_acgt=options.min_acgt,
        identity=identity,
        check=check,
    )
    _record_speed(plan, lease, threads, plan.config.operations, seconds)
    return seconds, lease.name


def _record_speed(
    plan: CoveragePlan | ProfilePlan,
    lease: Device,
    threads: int,
    operations: float,
    seconds: Seconds,
) -> None:
    """Remember how fast a job was, for the cost of later runs.

    operations: multiplications and additions of one prediction of a window.
    """
    is_cpu = lease.name == "cpu"
    device = processor_name() if is_cpu else torch.cuda.get_device_name(lease.name)
    record_speed(
        plan.folds[0].config, plan.options.precision, device, threads if is_cpu else 0,
        seconds.windows * plan.member_count * operations, seconds.elapsed,
    )  # fmt: skip


def predict_chunk(
    ensemble: Ensemble | ProfileEnsemble,
    tiling: Tiling,
    genome: Genome,
    segments: Sequence[Segment],
    selected: Mapping[str, BinIntervals],
    path: Path,
    *,
    dtype: str = "float32",
    batch_size: int = 1,
    precision: str = "float32",
    min_acgt: float = 0.0,
    identity: str | None = None,
    check: Callable[[], None] = lambda: None,
    earlier: EarlierBigwigs | None = None,
) -> Seconds:
    """Predict the windows of `segments` and write the chunk file.

    A job that is killed can be continued: windows that it has written are not predicted again.

    Its rows are the ensemble's tracks, then their standard deviations if the ensemble computes
    them, and last the fraction of unknown bases. See `run.chunk_files`.

    Args:
        ensemble: The model.
        tiling: How windows lie along a contig.
        genome: The sequence.
        segments: The chunk's windows. Their bins are the columns of the file, in this order.
        selected: Bins to give a value, by contig; the others are NaN.
        path: The .npy to write. It appears when it is complete.
        dtype: "float32" or "float16", of the file.
        batch_size: Windows per forward pass.
        precision: "float32", "tf32" or "bfloat16".
        min_acgt: Fraction of a window (0 to 1) that must be A, C, G or T for it to count.
        identity: A text that differs if any predicted value may differ. If it is given, a later
            call with the same text continues this one after its last window.
        check: Function that raises an error if the sequence has changed. It is called after every
            window is read and before it is written.
        earlier: Earlier bigWigs from which windows are copied.

    Returns:
        The time spent in each stage.

    Raises:
        SeqcovError: If the network's output is NaN or infinite, if the sequence cannot be read, or
            if an earlier bigWig is damaged.
    """
    predict: Predict = (
        _along_contigs(ensemble, tiling, genome, segments, selected)
        if is_window_independent(ensemble)
        else partial(predict_segment, ensemble, tiling, genome, batch_size=batch_size)
    )
    return write_coverage_chunk(
        path,
        ensemble.columns + 1,
        segments,
        selected,
        tiling.step,
        earlier.complete(predict) if earlier else predict,
        dtype=dtype,
        asynchronous=route(ensemble.device).asynchronous,
        identity=identity,
        check=check,
        precision=precision,
        min_acgt=min_acgt,
    )


def _along_contigs(
    ensemble: ProfileEnsemble,
    tiling: Tiling,
    genome: Genome,
    segments: Sequence[Segment],
    selected: Mapping[str, BinIntervals],
) -> Callable[..., Iterator[tuple[int, Coverage, Coverage]]]:
    """Return `predict_segment_profiles` for segments of a chunk, which finds their runs itself."""
    runs = {
        contig: tile(genome.contigs, tiling, {contig: selected[contig]})
        for contig in dict.fromkeys(segment.contig for segment in segments)
    }

    def predict(segment: Segment, **options: Any) -> Iterator[tuple[int, Coverage, Coverage]]:
        run = find_run(runs[segment.contig], segment)
        return predict_segment_profiles(ensemble, tiling, genome, segment, run, **options)

    return predict


def predict_peaks(
    ensemble: ProfileEnsemble,
    genome: Genome,
    windows: Windows,
    chunk: PeakChunk,
    selected: Mapping[str, BinIntervals],
    values: Path,
    statistics: Path,
    profiles: Path | None = None,
    *,
    overlap: str = "nearest",
    expm1: bool = False,
    batch_size: int = 32,
    precision: str = "float32",
    min_acgt: float = 0.0,
    identity: str | None = None,
    check: Callable[[], None] = lambda: None,
) -> Seconds:
    """Predict the windows of a chunk of peaks and write its files.

    A job that is killed can be continued: batches that it has written are not predicted again.

    Args:
        ensemble: The model.
        genome: The sequence.
        windows: The windows of all jobs.
        chunk: The windows and bases of this job.
        selected: Bases to give a value, by contig; the others are NaN.
        values: The chunk file to write, from which bigWigs are made: one row per task and strand.
        statistics: The .npy to write with one row per window and the columns of `statistic_names`.
        profiles: The .npy to write with the profile of every window, (windows, length, tasks,
            strands), also where windows overlap; None for none.
        overlap: The value of a base in several windows: "nearest", "mean" or "max".
        expm1: Whether reads are exp(log count) - 1 instead of exp(log count).
        batch_size: Windows per forward pass.
        precision: "float32", "tf32" or "bfloat16".
        min_acgt: Fraction of a window (0 to 1) that must be A, C, G or T for it to count.
        identity: A text that differs if any predicted value may differ. If it is given, a later
            call with the same text continues this one after its last batch.
        check: Function that raises an error if the sequence has changed. It is called after every
            batch is read and before it is written.

    Returns:
        The time spent in each stage.

    Raises:
        SeqcovError: If the network's output is NaN or infinite, the sequence cannot be read, or
            `overlap` is unknown.
    """
    seconds = Seconds()
    config, count = ensemble.config, len(chunk.windows)
    columns = len(statistic_names(config.tasks, config.num_strands, config.joint_strands))
    shape = (count, ensemble.geometry.core, len(config.tasks), config.num_strands)
    with (
        chunk_writer(values, config.num_labels, chunk.bases, identity=identity) as write_values,
        rows_writer(statistics, (count, columns), np.float64, identity) as write_statistics,
        (
            rows_writer(profiles, shape, np.float32, identity) if profiles else nullcontext()
        ) as write_profiles,
    ):
        writers = [write_statistics, write_profiles] if write_profiles else [write_statistics]
        rows, total = min(writer.finished for writer in writers), len(chunk.covering_windows)
        first = chunk.count_finished(write_values.finished, rows) // batch_size * batch_size
        if first:
            log.info("continuing after %d of %d windows", first, total)
        with progress(total - first, "peaks") as advance, seconds.measure("elapsed"):
            for batch in predict_profiles(
                ensemble, genome, windows, chunk, selected, overlap=overlap, expm1=expm1,
                batch_size=batch_size, precision=precision, min_acgt=min_acgt, first=first,
                seconds=seconds,
            ):  # fmt: skip
                check()
                with seconds.measure("writing"):
                    write_values(batch.column, batch.values)
                    write_statistics(batch.row, batch.statistics)
                    if write_profiles:
                        write_profiles(batch.row, batch.profiles)
                advance(batch.windows)
        check()
    seconds.windows = total - first
    return seconds
