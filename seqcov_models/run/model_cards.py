"""Check a model's checkpoints, and write their model cards."""

import json
from pathlib import Path

from seqcov_models.checkpoints.load import load_checkpoint, model_card, verify
from seqcov_models.files import write_atomically
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.profile_plan import ProfilePlan


def write_cards(path: Path, plan: CoveragePlan | ProfilePlan) -> None:
    """Load every fold of a model, and write one model card per fold as JSON.

    Args:
        path: The file to write.
        plan: The model's plan, of either kind.

    Raises:
        SeqcovError: If a checkpoint is damaged or does not fit its description.
    """
    cards = [
        model_card(fold, load_checkpoint(fold, plan.tracks)) | plan.units for fold in plan.folds
    ]
    with write_atomically(path) as part:
        part.write_text(json.dumps(cards, indent=2) + "\n", encoding="utf-8")


def check_unchanged(plan: CoveragePlan | ProfilePlan, cards: Path) -> None:
    """Check that the files of every fold are those that its card describes.

    Args:
        plan: The model's plan, of either kind.
        cards: The file that `write_cards` wrote.

    Raises:
        SeqcovError: If a file has changed since.
    """
    for fold, card in zip(plan.folds, json.loads(cards.read_text("utf-8")), strict=True):
        verify(fold, card)
