"""Combine all sets of peaks of a model, or of several models with the same peaks."""

import shutil
from pathlib import Path

from seqcov_models.run.job import job_log, list_files, log

with job_log(snakemake.log[0]):
    from seqcov_models.files import write_atomically
    from seqcov_models.peaks.read import write_peaks
    from seqcov_models.run.finished import write_seal
    from seqcov_models.run.peak_sets import combine_peak_sets
    from seqcov_models.run.profile_plan import ProfilePlan

    plan = ProfilePlan.load(list_files(snakemake.input.plan)[0])
    peaks = combine_peak_sets(plan, [Path(folder) for folder in snakemake.input.tracks])
    first, *others = list_files(snakemake.output)
    write_peaks(first, peaks)
    for other in others:
        with write_atomically(other) as part:
            shutil.copyfile(first, part)
    for file in (first, *others):
        write_seal(file, plan.peaks_digest)
    log.info("%d peaks", len(peaks))
