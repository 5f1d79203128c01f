"""Runs of several chunks without a network: chunks with made-up values, and their results."""

from pathlib import Path

import numpy as np
import pytest

from seqcov_models.run import set_planner
from seqcov_models.run.chunk_files import chunk_writer
from seqcov_models.run.coverage_outputs import join_batch, write_coverage_bigwigs, write_mask
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.planner import plan_run
from seqcov_models.run.range_files import write_range
from seqcov_models.run.track_set import MASK
from support.plans import Config, changed

SMALL_BATCHES = 12_000
"""`set_planner.BATCH_BYTES` at which `plans.GENOME` makes batches of one or two tracks."""


def plan_chunks(
    config: Config, windows: int, monkeypatch: pytest.MonkeyPatch, ranges: int = 50
) -> CoveragePlan:
    """Return the plan of a run with so many windows per chunk and at most so many ranges."""
    monkeypatch.setattr(set_planner, "BATCH_BYTES", SMALL_BATCHES)
    monkeypatch.setattr(set_planner, "RANGES", ranges)
    return plan_run(changed(config, "prediction.windows_per_chunk", windows)).models["borzoi"]


def write_chunks(plan: CoveragePlan, folder: Path) -> dict[str, Path]:
    """Write chunks whose values depend on contig, bin and row alone, with some gaps."""
    folder.mkdir(exist_ok=True)
    rows = plan.sets[0].row_count
    files = {}
    for name, segments in plan.sets[0].chunks.items():
        columns = []
        for segment in segments:
            first = segment.first_window * plan.tiling.step
            bins = np.arange(first, first + segment.bins)[None]
            seed = list(plan.fasta.contigs).index(segment.contig)
            values = np.sin(bins * np.arange(1, rows + 1)[:, None] + seed).astype(np.float32)
            values[-1] = bins // 100 % 3 / 4  # the fraction of unknown bases
            values[:, (bins[0] % 97 < 5) & (bins[0] > 200)] = np.nan
            columns.append(values)
        files[name] = folder / f"{name}.npy"
        values = np.concatenate(columns, 1)
        with chunk_writer(files[name], *values.shape) as write:
            write(0, values.T)
    return files


def write_all(plan: CoveragePlan, folder: Path, threads: int = 1) -> dict[str, bytes]:
    """Write all results from chunks, by ranges if the plan has any; return their bytes."""
    chunks, (tracks,) = write_chunks(plan, folder), plan.sets
    packed: dict[str, list[Path]] = {}
    for name, members in tracks.ranges.items():
        packed[name] = [folder / f"{name}.{batch}.packed" for batch in range(len(tracks.batches))]
        write_range(plan, name, [chunks[member] for member in members], packed[name], threads)
    for file in chunks.values():
        if tracks.ranges:
            file.unlink()
    joined = {}
    for batch, name in enumerate(tracks.batch_names):
        joined[batch] = folder / f"{batch}.joined"
        join_batch(joined[batch], plan, name, [files[batch] for files in packed.values()])
    for group in plan.groups:
        batches = tracks.batch_indices(group)
        files = [joined[batch] for batch in batches] or list(chunks.values())
        if len(batches) == 1:
            files = [names[batches[0]] for names in packed.values()]
        write_coverage_bigwigs(folder / "tracks" / group, plan, group, files)
    write_mask(folder / "mask.bed", plan, folder / "tracks" / MASK)
    results = [folder / "mask.bed", *(folder / "tracks").rglob("*.*")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(results)
            if path.suffix in (".bw", ".bed")}  # fmt: skip
