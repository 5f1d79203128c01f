"""Finished runs without a network: folders of bigWigs that are only names."""

from seqcov_models.run.finished import write_identity
from seqcov_models.run.plan import RunPlan
from seqcov_models.run.planner import plan_run
from support.plans import Config


def finish(config: Config, *groups: str, model: str = "borzoi") -> RunPlan:
    """Begin a run and write the folders of some groups of a model, or of all."""
    run = plan_run(config)
    run.save(run.paths)
    plan = run.models[model]
    for group in groups or plan.groups:
        folder, track_set = run.paths.tracks(model, group), plan.groups[group]
        folder.mkdir(parents=True, exist_ok=True)
        for bigwig in plan.bigwigs:
            if bigwig.group == group:
                run.paths.bigwig(model, group, bigwig.track.file_name).write_bytes(b"bigWig")
        write_identity(folder, track_set.group_digest(group))
    return run
