"""Put all peaks of a BPNet together."""

from pathlib import Path

from jobs import log, logged

with logged(snakemake.log[0]):
    from seqcov_models.peaks.read import write_peaks
    from seqcov_models.run.plan import peaks_of, plan_run

    run = plan_run(snakemake.config)
    peaks = peaks_of(run, run.profiles[snakemake.wildcards.profile])
    write_peaks(Path(snakemake.output[0]), peaks)
    log.info("%d peaks", len(peaks))
