"""Check that a BPNet's checkpoints can be loaded, whole."""

import json
from pathlib import Path

from jobs import logged

with logged(snakemake.log[0]):
    from seqcov_models.checkpoints.load import load_checkpoint, model_card
    from seqcov_models.files import written_whole
    from seqcov_models.run.plan import plan_run

    plan = plan_run(snakemake.config).profiles[snakemake.wildcards.profile]
    unit = {"unit": snakemake.params.unit}
    cards = [model_card(fold, load_checkpoint(fold, fold.tracks)) | unit for fold in plan.folds]
    with written_whole(Path(snakemake.output[0])) as part:
        part.write_text(json.dumps(cards, indent=2) + "\n", encoding="utf-8")
