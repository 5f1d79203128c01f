"""Predict the windows of one chunk."""

import json
from pathlib import Path

from jobs import log, logged

with logged(snakemake.log[0]):
    import torch

    from seqcov_models.checkpoints.load import load_checkpoint, verify
    from seqcov_models.genome import Genome, open_fasta
    from seqcov_models.inference import Device, predict_chunk
    from seqcov_models.plan import checkpoint_of, read_plan, read_wanted

    config, name = snakemake.config, snakemake.wildcards.model
    card = json.loads(Path(snakemake.input.model).read_text(encoding="utf-8"))
    checkpoint = checkpoint_of(config["models"][name])
    verify(checkpoint, card)
    torch.set_num_threads(snakemake.threads)
    device = Device(config["prediction"]["device"])
    model = load_checkpoint(checkpoint, [checkpoint.tracks[row] for row in card["tracks"]])
    seconds = predict_chunk(
        model.to(device.name),
        Genome(open_fasta(snakemake.input.fasta, Path(snakemake.output[0]).parents[2])),
        read_plan(Path(snakemake.input.plan))[snakemake.wildcards.chunk],
        read_wanted(Path(snakemake.input.wanted), model.geometry.bin),
        Path(snakemake.output[0]),
        dtype=snakemake.params.dtype,
        batch_size=snakemake.resources.batch_size,
        precision=snakemake.params.precision,
    )
    log.info("on %s with %d threads: %s", device.name, snakemake.threads, seconds)
