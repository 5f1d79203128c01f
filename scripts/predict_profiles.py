"""Predict the windows of some of a BPNet's peaks."""

import json
from pathlib import Path

from jobs import log, logged

with logged(snakemake.log[0]):
    import torch

    from seqcov_models.checkpoints.load import load_checkpoint, verify
    from seqcov_models.genome.fasta import Genome
    from seqcov_models.prediction.devices import Device
    from seqcov_models.prediction.profiles import ProfileEnsemble, predict_peaks
    from seqcov_models.run.plan import plan_run

    run = plan_run(snakemake.config)
    plan = run.profiles[snakemake.wildcards.profile]
    cards = json.loads(Path(snakemake.input.model).read_text(encoding="utf-8"))
    for fold, card in zip(plan.folds, cards, strict=True):
        verify(fold, card)
    torch.set_num_threads(snakemake.threads)
    device = Device(snakemake.config["prediction"]["device"])
    ensemble = ProfileEnsemble(
        [load_checkpoint(fold, fold.tracks) for fold in plan.folds],
        both_strands=plan.entry["reverse_complement"],
    )
    windows, chunks = plan.chunks(Path(snakemake.input.peaks), run.fasta.contigs)
    seconds = predict_peaks(
        ensemble.to(device.name),
        Genome(run.fasta),
        windows,
        chunks[int(snakemake.wildcards.chunk)],
        plan.wanted,
        *map(Path, snakemake.output),
        overlap=snakemake.params.profiles["overlap"],
        expm1=snakemake.params.profiles["counts"] == "expm1",
        batch_size=snakemake.resources.batch_size,
        precision=snakemake.params.prediction["precision"],
        min_acgt=snakemake.params.prediction["min_acgt"],
    )
    log.info("on %s with %d threads: %s", device.name, snakemake.threads, seconds)
