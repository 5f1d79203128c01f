"""Write the table of all bigWigs of a run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqcov_models.files import write_atomically
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.paths import TRACK_TABLE, Paths
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.profile_plan import ProfilePlan
from seqcov_models.run.track_table import read_table, table_row, write_table


def write_run_table(path: Path, run: RunPlan) -> None:
    """Write one row per bigWig: the labels that the config and track tables give, and statistics.

    Args:
        path: The table to write. The paths in its column `file` are relative to its folder.
        run: The plans of all models, whose bigWigs are finished.
    """
    rows = [row for plan in run.models.values() for row in _coverage_rows(plan, run.paths)]
    rows += [row for plan in run.profiles.values() for row in _profile_rows(plan, run.paths)]
    with write_atomically(path) as part:
        write_table(part, rows)


def _coverage_rows(plan: CoveragePlan, paths: Paths) -> Iterator[dict[str, Any]]:
    """Yield the rows of a model of coverage."""
    tables = {
        group: {
            row["file"]: row for row in read_table(paths.tracks(plan.name, group) / TRACK_TABLE)
        }
        for group in plan.groups
    }
    for bigwig in plan.bigwigs:
        file = paths.bigwig(plan.name, bigwig.group, bigwig.track.file_name)
        row = table_row(
            plan.name, bigwig.group, bigwig.track, plan.geometry.bin, plan.unit(bigwig.track),
            tables[bigwig.group][file.name],
        )  # fmt: skip
        yield row | {"file": file.relative_to(paths.folder).as_posix()}


def _profile_rows(plan: ProfilePlan, paths: Paths) -> Iterator[dict[str, Any]]:
    """Yield the rows of a BPNet."""
    for task in plan.tasks:
        table = paths.task_table(plan.name, task)
        for row in read_table(table):
            file = (table.parent / row["file"]).relative_to(paths.folder)
            yield {"crc32c": "", **row, "file": file.as_posix()}
