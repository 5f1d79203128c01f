"""Files that are refused although they hold weights, each with what to do about it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.checkpoints import check_refusal
from support.foreign_files import (
    archive_of_folds,
    keras_3,
    keras_3_weights,
    lightning_with_code,
    pickled_module,
    saved_model,
    saved_model_tar,
)

pytestmark = pytest.mark.usefixtures("no_hang")


@pytest.mark.parametrize(
    ("write", "pattern"),
    [
        (
            pickled_module,
            r"holds torch\.nn\.\S+\.Conv1d.*state_dict\(\), 'K562.state.pt'",
        ),
        (
            lightning_with_code,
            r"holds torch\.nn\.modules\.activation\.ReLU.*\['state_dict'\]",
        ),
        (saved_model, r"SavedModel cannot be read\. Name the \.h5"),
        (saved_model_tar, r"a tar.*SavedModel in it cannot be read, but an \.h5 can"),
        (archive_of_folds, r"Name a file in a tar as ENCFF574YLK\.tar\.gz::FILE"),
        (keras_3, r"Keras 3.*\.save\('chrombpnet\.h5'\)"),
        (keras_3_weights, r"Keras 3.*model\.save\('model\.h5'\)"),
    ],
)
def test_the_message_says_what_to_do(
    write: Callable[[Path], Path],
    pattern: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_refusal(write(tmp_path), pattern, capsys)
