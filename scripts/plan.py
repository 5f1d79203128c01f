"""Write a model's plan and check that its checkpoints can be loaded, whole."""

import json
from pathlib import Path

from jobs import logged

with logged(snakemake.log[0]):
    from seqcov_models.checkpoints.load import load_checkpoint, model_card
    from seqcov_models.files import written_whole
    from seqcov_models.run.plan import plan_run, write_plan

    run = plan_run(snakemake.config)
    plan = run.models[snakemake.wildcards.model]
    units = snakemake.params.units
    cards = [model_card(fold, load_checkpoint(fold, plan.tracks)) | units for fold in plan.folds]
    write_plan(plan, run.fasta.contigs, Path(snakemake.output.table), Path(snakemake.output.wanted))
    with written_whole(Path(snakemake.output.model)) as part:
        part.write_text(json.dumps(cards, indent=2) + "\n", encoding="utf-8")
