"""Write the table of all bigWigs of a run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqcov_models.files import write_atomically
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.paths import TRACK_TABLE
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.profile_plan import ProfilePlan
from seqcov_models.run.track_table import read_table, table_row, write_table
from seqcov_models.tracks.labels import label_tracks, name_track
from seqcov_models.tracks.table import Track


def write_run_table(path: Path, run: RunPlan) -> None:
    """Write one row per bigWig: the labels that the config and track tables give, and statistics.

    Args:
        path: The table to write. The paths in its column `file` are relative to its folder.
        run: The plans of all models, whose bigWigs are finished.
    """
    rows = [row for plan in run.models.values() for row in _coverage_rows(plan, run)]
    rows += [row for plan in run.profiles.values() for row in _profile_rows(plan, run)]
    labels = label_tracks(rows)
    rows = [row | {"label": label} for row, label in zip(rows, labels, strict=True)]
    with write_atomically(path) as part:
        write_table(part, rows)


def _coverage_rows(plan: CoveragePlan, run: RunPlan) -> Iterator[dict[str, Any]]:
    """Yield the rows of a model of coverage."""
    paths, (entry, biosample) = run.paths, _find_names(plan.name, run)
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
        name = name_track(bigwig.track, entry, bigwig.group, biosample)
        yield row | {"file": file.relative_to(paths.folder).as_posix()} | name._asdict()


def _profile_rows(plan: ProfilePlan, run: RunPlan) -> Iterator[dict[str, Any]]:
    """Yield the rows of a BPNet."""
    paths, (entry, biosample) = run.paths, _find_names(plan.name, run)
    for task in plan.tasks:
        table = paths.task_table(plan.name, task)
        for row in read_table(table):
            file = (table.parent / row["file"]).relative_to(paths.folder)
            track = Track(-1, -1, row["identifier"], row["description"])
            name = name_track(track, entry, row["group"], biosample)
            yield {"crc32c": "", **row, "file": file.as_posix()} | name._asdict()


def _find_names(model: str, run: RunPlan) -> tuple[str, str]:
    """Return the name of a model's entry in the config and, among several models, the biosample."""
    return (run.entries[model], run.labels[model]) if model in run.entries else (model, "")
