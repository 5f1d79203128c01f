"""Check a model's checkpoints, and write their model cards."""

import json
from pathlib import Path

from seqcov_models.checkpoints.load import load_checkpoint, model_card
from seqcov_models.files import write_text
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.inputs import Inputs
from seqcov_models.run.profile_plan import ProfilePlan


def write_cards(path: Path, plan: CoveragePlan | ProfilePlan) -> None:
    """Load every fold of a model, and write one model card per fold as JSON.

    Args:
        path: The file to write.
        plan: The model's plan, of either kind.

    Raises:
        SeqcovError: If a checkpoint is damaged, does not fit its description, or has changed since
            the plan was made.
    """
    inputs = Inputs(plan)
    cards = [model_card(fold, load_checkpoint(fold, plan.tracks)) for fold in plan.folds]
    inputs.check()
    write_text(path, json.dumps(cards, indent=2) + "\n")
