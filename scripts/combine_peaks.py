"""Combine all sets of peaks of a model."""

from pathlib import Path

from seqcov_models.run.job import job_log, log

with job_log(snakemake.log[0]):
    from seqcov_models.peaks.read import write_peaks
    from seqcov_models.run.finished import write_seal
    from seqcov_models.run.peak_sets import combine_peak_sets
    from seqcov_models.run.profile_plan import ProfilePlan

    plan = ProfilePlan.load(snakemake.input.plan)
    peaks = combine_peak_sets(plan, [Path(folder) for folder in snakemake.input.tracks])
    write_peaks(Path(snakemake.output[0]), peaks)
    write_seal(Path(snakemake.output[0]), plan.peaks_digest)
    log.info("%d peaks", len(peaks))
