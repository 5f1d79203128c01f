"""Say what a run costs before it starts: windows, hours of a device, bytes on the disk."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seqcov_models.errors import SeqcovError
from seqcov_models.files import count_bytes
from seqcov_models.run.changes import describe_profile_work
from seqcov_models.run.chunk_size import operations_per_window
from seqcov_models.run.costs import format_bytes, nearest_existing
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.paths import Paths
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.profile_plan import ProfilePlan
from seqcov_models.run.speeds import Speed, assumed_gpu, find_speed, has_gpu
from seqcov_models.run.track_set import count_windows

Peaks = Mapping[str, tuple[int, int]]
"""Numbers of predicted and of omitted peaks by BPNet; see `run.peak_sets.count_peaks`."""
SHORT = 60
"""Seconds of a device below which its time is not said precisely."""
LABELS = 5
"""Maximum number of names of models that a line lists."""


@dataclass(frozen=True)
class Cost:
    """What a model still costs.

    Attributes:
        windows: Windows that are still to be predicted.
        operations: Multiplications and additions for them.
        speed: How fast the device computes the network.
        temporary: Approximate bytes of temporary files at any time; 0 if none are written.
        bigwigs: Approximate bytes of all bigWigs.
        earlier: Bytes of earlier bigWigs that are copied from, and are replaced at the end.
    """

    windows: int
    operations: float
    speed: Speed
    temporary: int
    bigwigs: int
    earlier: int = 0

    @property
    def seconds(self) -> float:
        """Seconds of the GPU, or of one CPU thread."""
        return self.operations / self.speed.operations_per_second


def describe(run: RunPlan, peaks: Peaks) -> str:
    """Return a summary of the run: a line for the genome, some per model, and the total cost.

    Args:
        run: The plan.
        peaks: Numbers of peaks by BPNet.
    """
    lines = [
        f"genome {run.genome['name']}: {len(run.fasta.contigs):,} contigs,"
        f" {sum(run.fasta.contigs.values()):,} bp"
    ]
    costs = estimate(run, peaks)
    precision = run.config["prediction"]["precision"]
    entries: dict[str, list[str]] = {}
    for name in costs:
        entries.setdefault(run.entries.get(name, name), []).append(name)
    for entry, names in entries.items():
        lines.append(f"model {entry}: {_describe_models(run, names, peaks)}")
        reasons: dict[str, list[str]] = {}
        for name in names:
            reasons.setdefault(_describe_work(run, name, costs[name].windows), []).append(name)
        for reason, concerned in reasons.items():
            models = f"{_list_labels(run, concerned)}: " if names != [entry] else ""
            lines.append(f"plan of {entry}: {models}{reason}")
        cost = _add_costs([costs[name] for name in names])
        if len(entries) > 1:
            lines.append(f"cost of {entry}: {_describe_cost(cost, precision, len(names) > 1)}")
    folder = run.paths.folder
    free = format_bytes(shutil.disk_usage(nearest_existing(folder)).free)
    lines.append(
        f"cost of the run: {_describe_total(run, costs, entries)}; {free} are free in {folder}"
    )
    return "\n".join(lines)


def _describe_total(
    run: RunPlan, costs: Mapping[str, Cost], entries: Mapping[str, Sequence[str]]
) -> str:
    """Return the time and the bytes of all models in words."""
    written = run.paths.written_bytes(run.source_folders())
    if len(entries) == 1:
        total = _add_costs(list(costs.values()))
        return _describe_cost(total, run.config["prediction"]["precision"], len(costs) > 1, written)
    parts = (
        [f"{windows:,} windows"]
        if (windows := sum(cost.windows for cost in costs.values()))
        else []
    )
    for unit, is_gpu in (("GPU", True), ("CPU", False)):
        chosen = [cost for cost in costs.values() if cost.windows and cost.speed.is_gpu == is_gpu]
        parts += [format_time(sum(cost.seconds for cost in chosen), unit)] if chosen else []
    return f"{', '.join(parts)}{'; ' * bool(parts)}{_describe_bytes(costs, written)}"


def _describe_models(run: RunPlan, names: Sequence[str], peaks: Peaks) -> str:
    """Return what the models of an entry predict, which is nearly the same for all of them."""
    name = names[0]
    if name in run.models:
        text = _describe_coverage(run, run.models[name])
    else:
        text = _describe_profiles(run.profiles[name], *peaks[name])
    return f"{_list_labels(run, names)} with {text}" if name in run.entries else text


def _describe_work(run: RunPlan, name: str, windows: int) -> str:
    """Return what is predicted of a model, and why."""
    if name in run.models:
        return run.works[name].reason
    profile = run.profiles[name]
    return describe_profile_work(profile, windows, read_earlier(profile, run.paths))


def _list_labels(run: RunPlan, names: Sequence[str]) -> str:
    """Return the number of some models of an entry, and a few of their names."""
    labels = ", ".join(run.labels[name] for name in names[:LABELS])
    models = "1 model" if len(names) == 1 else f"{len(names):,} models"
    return f"{models} ({labels}{', …' * (len(names) > LABELS)})"


def _add_costs(costs: Sequence[Cost]) -> Cost:
    """Return the cost of several models with the same network."""
    return Cost(
        windows=sum(cost.windows for cost in costs),
        operations=sum(cost.operations for cost in costs),
        speed=costs[0].speed,
        temporary=sum(cost.temporary for cost in costs),
        bigwigs=sum(cost.bigwigs for cost in costs),
        earlier=sum(cost.earlier for cost in costs),
    )


def estimate(run: RunPlan, peaks: Peaks) -> dict[str, Cost]:
    """Return what each model still costs, by name.

    Args:
        run: The plan.
        peaks: Numbers of peaks by BPNet.
    """
    costs = {}
    for name, model in run.models.items():
        config = model.folds[0].config
        work, operations = run.works[name], 0.0
        for track_set in model.needed_sets:
            network = config.with_tracks(len(track_set.table_rows))
            windows = work.set_windows.get(track_set.number, 0)
            operations += windows * operations_per_window(network, model.tiling)
        operations *= model.member_count
        speed = _find_speed(run, model)
        temporary, bigwigs = model.output_bytes
        earlier = sum(map(count_bytes, run.source_folders([name])))
        costs[name] = Cost(
            work.windows, operations, speed, temporary if work.groups else 0, bigwigs, earlier
        )
    for name, profile in run.profiles.items():
        windows = _remaining_peaks(profile, peaks[name][0], run.paths)
        operations = float(windows * profile.member_count * profile.config.operations)
        temporary, bigwigs = profile.output_bytes(peaks[name][0])
        speed = _find_speed(run, profile)
        costs[name] = Cost(windows, operations, speed, temporary if windows else 0, bigwigs)
    return costs


def check_gpu(run: RunPlan, peaks: Peaks) -> None:
    """Check that this machine has a GPU if the precision needs one and something is predicted.

    Not for a cluster, where other machines predict.

    Args:
        run: The plan.
        peaks: Numbers of peaks by BPNet.

    Raises:
        SeqcovError: If it has none.
    """
    options = run.config["prediction"]
    needs_gpu = options["precision"] == "tf32" and options["device"] == "auto"
    if not needs_gpu or has_gpu():
        return
    if any(cost.windows for cost in estimate(run, peaks).values()):
        raise SeqcovError(
            "prediction.precision: tf32 needs a GPU, and this machine has none; use float32"
            " (exact) or bfloat16"
        )


def _find_speed(run: RunPlan, model: CoveragePlan | ProfilePlan) -> Speed:
    """Return the speed of a model on the device that the config names."""
    options = run.config["prediction"]
    return find_speed(
        model.folds[0].config, options["precision"], options["device"], options["threads"]
    )


def read_earlier(profile: ProfilePlan, paths: Paths) -> ProfilePlan | None:
    """Return the plan of the last run of a BPNet; None if there is none that can be read.

    Args:
        profile: The plan of this run.
        paths: The paths of the results.
    """
    try:
        return ProfilePlan.load(paths.plan(profile.name))
    except SeqcovError:
        return None


def _remaining_peaks(profile: ProfilePlan, predicted: int, paths: Paths) -> int:
    """Return about how many peaks no earlier run has predicted, by its files."""
    name, earlier = profile.name, read_earlier(profile, paths)
    if earlier is None or profile.prediction_digest != earlier.prediction_digest:
        return predicted
    if all(paths.task_table(name, task).exists() for task in profile.tasks):
        return 0
    missing = sum(not paths.chunk(name, job).exists() for job in profile.jobs)
    return round(predicted * missing / len(profile.jobs))


def _describe_coverage(run: RunPlan, model: CoveragePlan) -> str:
    """Return the line of a model of coverage."""
    chunks = [n for tracks in model.needed_sets for n in map(count_windows, tracks.chunks.values())]
    is_auto = run.config["prediction"]["windows_per_chunk"] == "auto"
    chunk_count = f"{len(chunks):,} chunk{'s' * (len(chunks) > 1)}"
    return (
        f"{len(model.tracks):,} of {len(model.checkpoint_tracks):,} tracks,"
        f" {model.bin_count:,} bins of {model.geometry.bin} bp; windows of"
        f" {model.geometry.window:,} bp in {chunk_count} of up to {max(chunks):,}"
        f"{' (windows_per_chunk: auto)' * is_auto}"
    )


def _describe_profiles(profile: ProfilePlan, predicted: int, omitted: int) -> str:
    """Return the line of a BPNet."""
    strands = " on both strands" if len(profile.strands) > 1 else ""
    omission = f", {omitted:,} left out (duplicates, or outside the regions)"
    open_ended = any(track.number is None for track in profile.peak_tracks)
    return (
        f"profiles of {profile.geometry.core:,} bp for"
        f" {', '.join(profile.config.tasks)}{strands} at {predicted:,} peaks"
        f"{' and at all maxima of tracks above their threshold, not in the cost' * open_ended}"
        f" ({', '.join(profile.peaks)}){omission * bool(omitted)}"
    )


def _describe_cost(
    cost: Cost, precision: str, has_several_models: bool, written: int | None = None
) -> str:
    """Return the hours and bytes of an entry in words, and its windows if it has several models.

    written: how many of the bytes exist; None to leave that out.
    """
    speed, size = cost.speed, _describe_bytes({"": cost}, written)
    if not cost.windows:
        return size
    per_window = f"{cost.seconds / cost.windows:.2g} s per window"
    device = f" on {speed.device}" if speed.is_gpu else f" and thread of {speed.device}"
    basis = f"{'measured' if speed.is_measured else 'assumed'}: {per_window}{device}"
    if not speed.is_gpu and not speed.is_measured and cost.seconds >= SHORT:
        gpu = cost.operations / assumed_gpu(precision).operations_per_second
        basis += f"; on {assumed_gpu(precision).device} {format_time(gpu, 'GPU')}"
    time = format_time(cost.seconds, "GPU" if speed.is_gpu else "CPU")
    windows = f"{cost.windows:,} windows, " * has_several_models
    return f"{windows}{time} ({basis}); {size}"


def _describe_bytes(costs: Mapping[str, Cost], written: int | None = None) -> str:
    """Return the bytes on the disk in words.

    written: how many of them exist; None to leave that out.
    """
    bigwigs = sum(cost.bigwigs for cost in costs.values())
    temporary = sum(cost.temporary for cost in costs.values())
    earlier = sum(cost.earlier for cost in costs.values())
    text = f"about {format_bytes(bigwigs)} of bigWigs"
    if temporary:
        text += f" and {format_bytes(temporary)} of temporary files at a time"
    if written:
        text += f" ({format_bytes(written)} of them exist)"
    if earlier:
        text += f", beside {format_bytes(earlier)} of earlier bigWigs that they replace"
    return text


def format_time(seconds: float, unit: str) -> str:
    """Return the time of a device in the unit that a person would choose: 4.2 GPU-hours.

    Below a minute, starting the jobs takes longer.

    Args:
        seconds: The time.
        unit: What computes, "GPU" or "CPU".
    """
    if seconds < SHORT:
        return f"under 1 {unit}-minute"
    name, length = ("hour", 3600) if seconds >= 7200 else ("minute", 60)
    value = seconds / length
    number = f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    return f"{number} {unit}-{name}{'s' * (number != '1')}"
