"""Predict the windows of one job at the peaks of a model, or of several models."""

from pathlib import Path

from seqcov_models.run.job import job_log, list_files, log

with job_log(snakemake.log[0]):
    from seqcov_models.run.predict import predict_profile_chunk
    from seqcov_models.run.profile_plan import ProfilePlan
    from seqcov_models.run.shared_jobs import Share, write_shares

    plans = [ProfilePlan.load(plan) for plan in list_files(snakemake.input.plan)]
    peaks = list_files(snakemake.input.peaks)
    job = int(snakemake.wildcards.chunk)

    def predict(number: int, files: list[Path]) -> None:
        seconds, device = predict_profile_chunk(
            plans[number],
            job,
            peaks[number],
            files,
            device=snakemake.resources.device,
            threads=snakemake.threads,
            batch_size=snakemake.resources.batch_size,
        )
        name = plans[number].name
        log.info("%s on %s with %d threads: %s", name, device, snakemake.threads, seconds)

    outputs = snakemake.output
    kinds = (outputs.values, outputs.statistics, outputs.windows)
    files = zip(*filter(None, map(list_files, kinds)), strict=True)
    identities = [plan.chunk_identities(file)[job] for plan, file in zip(plans, peaks, strict=True)]
    write_shares([Share(*pair) for pair in zip(files, identities, strict=True)], predict)
