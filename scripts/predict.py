"""Predict the windows of one chunk."""

import json
from pathlib import Path

from jobs import log, logged

with logged(snakemake.log[0]):
    import torch

    from seqcov_models.checkpoints.load import verify
    from seqcov_models.genome.fasta import Genome
    from seqcov_models.prediction.coverage import predict_chunk
    from seqcov_models.prediction.devices import Device
    from seqcov_models.prediction.ensemble import load_ensemble
    from seqcov_models.run.plan import plan_run

    run = plan_run(snakemake.config)
    plan = run.models[snakemake.wildcards.model]
    cards = json.loads(Path(snakemake.input.model).read_text(encoding="utf-8"))
    for fold, card in zip(plan.folds, cards, strict=True):
        verify(fold, card)
    torch.set_num_threads(snakemake.threads)
    device = Device(snakemake.config["prediction"]["device"])
    ensemble = load_ensemble(
        plan.folds,
        plan.tracks,
        both_strands=plan.entry["reverse_complement"],
        shifts=plan.entry["shifts"],
        untransform=plan.untransform,
        spread=plan.entry["standard_deviation"],
    )
    seconds = predict_chunk(
        ensemble.to(device.name),
        plan.tiling,
        Genome(run.fasta),
        plan.chunks[snakemake.wildcards.chunk],
        plan.wanted,
        Path(snakemake.output[0]),
        dtype=snakemake.params.prediction["chunk_dtype"],
        batch_size=snakemake.resources.batch_size,
        precision=snakemake.params.prediction["precision"],
        min_acgt=snakemake.params.prediction["min_acgt"],
    )
    log.info("on %s with %d threads: %s", device.name, snakemake.threads, seconds)
