"""Write down what a run's results were made from."""

import json
from pathlib import Path

from jobs import logged

with logged(snakemake.log[0]):
    from seqcov_models.files import written_whole
    from seqcov_models.run.provenance import provenance

    with written_whole(Path(snakemake.output[0])) as part:
        given = snakemake.input
        facts = provenance(snakemake.params.config, Path(given.fasta), given.models, given.peaks)
        part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
