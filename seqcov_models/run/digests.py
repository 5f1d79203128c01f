"""Digests that decide which jobs run again.

Each kind of job has a digest of everything that its results depend on. What goes into it is decided
where the plan is: `CoveragePlan.digest_set` (which chunks run again) and its siblings.
Snakemake runs a job again if its digest changes, not if a document of the plan is newer.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from seqcov_models.checkpoints.recognise import Checkpoint
from seqcov_models.run.document import pack

RESULTS_VERSION = 1
"""Part of every digest, so that raising it voids all finished results.

Raise it by 1 in a change after which the same config predicts other numbers, or after which a file
that other jobs read (a chunk, a table) is laid out differently. A new version of the package alone
is not a reason: a genome takes days of GPU time.
"""


def digest(*facts: Any) -> str:
    """Return 16 digits that change with `facts` and with `RESULTS_VERSION`."""
    text = json.dumps([RESULTS_VERSION, pack(facts)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def identify_checkpoints(folds: Sequence[Checkpoint]) -> list[Any]:
    """Return facts that differ between networks, whatever their files are called."""
    return [[fold.format, fold.config, fold.renamed_heads, fold.network_digests] for fold in folds]
