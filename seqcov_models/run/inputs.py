"""Check that a prediction goes on from the inputs of its plan, for a run that goes on."""

from collections.abc import Callable
from pathlib import Path

from seqcov_models.errors import SeqcovError
from seqcov_models.files import FileState, content_digest
from seqcov_models.genome.letters import check_letters
from seqcov_models.locks import check_run
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.profile_plan import ProfilePlan


class Inputs:
    """The FASTA and the checkpoints of a model, as its plan knows them.

    Args:
        plan: The model's plan, of either kind.
    """

    def __init__(self, plan: CoveragePlan | ProfilePlan) -> None:
        self._fasta = plan.fasta
        self._digests = {plan.fasta.path: plan.fasta.sha256}
        for fold in plan.folds:
            self._digests |= zip(fold.files, fold.digests, strict=True)
        self._states: dict[Path, FileState] = {}

    def check(self) -> None:
        """Check that no file has another content than when the plan was made.

        A file whose state is that of the last call is not read again.

        Raises:
            SeqcovError: If a file has changed, or is missing.
        """
        for path, digest in self._digests.items():
            try:
                state = FileState.read(path)
                if self._states.get(path) != state and self._read_digest(path) != digest:
                    raise SeqcovError(
                        f"{path} has changed since this run began; start the same command again"
                    )
            except OSError as error:
                raise SeqcovError(f"{path}: {error.strerror} since this run began") from None
            self._states[path] = state

    def _read_digest(self, path: Path) -> str:
        """Return the digest of a file in the same way as the planner, which is remembered."""
        return (
            check_letters(self._fasta).sha256 if path == self._fasta.path else content_digest(path)
        )


SECONDS_BETWEEN_CHECKS = 2.0
"""Seconds after which a job looks again whether its run goes on."""


def check_inputs(plan: CoveragePlan | ProfilePlan) -> Callable[[], None]:
    """Return a function to call again and again while a model predicts.

    It raises SeqcovError if an input has changed since the plan was made, or if the run that
    started this job has ended.

    Args:
        plan: The model's plan, of either kind.
    """
    inputs = Inputs(plan)

    def check() -> None:
        check_run(SECONDS_BETWEEN_CHECKS)
        inputs.check()

    return check
