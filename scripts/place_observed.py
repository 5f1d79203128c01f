"""Place the measured bigWigs of a model where browsers find them."""

from pathlib import Path

from seqcov_models.run.job import job_log

with job_log(snakemake.log[0]):
    from seqcov_models.run.observed_files import place_observed
    from seqcov_models.run.paths import Paths
    from seqcov_models.run.plan import SharedPlan

    plan = SharedPlan.load(snakemake.input.plan)
    tracks = [track for track in plan.observed if track.model == snakemake.wildcards.model]
    place_observed(Path(snakemake.output[0]), tracks, Paths.from_config(plan.config))
