"""Choose which files of a published folder are fetched: those that a checkpoint is read from.

Repositories and archives often hold a network several times: as safetensors and as a pickle, as .h5
and as a TensorFlow SavedModel, ChromBPNet's two networks apart and as one.
"""

import re
from collections.abc import Collection, Iterable

_DESCRIPTIONS = re.compile(r"(config|params)\.json|config\.yaml|targets\w*\.txt")
_WEIGHTS = (  # the first of these that a folder has is what is fetched
    r"model\.safetensors",
    r"model-\d+-of-\d+\.safetensors|model\.safetensors\.index\.json",
    r"pytorch_model\.bin",
    r"pytorch_model-\d+-of-\d+\.bin|pytorch_model\.bin\.index\.json",
    r".*\.(h5|torch|pth?|ckpt|safetensors|index|data-\d+-of-\d+)",
    r"saved_model\.pb",  # cannot be read: the message says what can
)
_NAMES = re.compile("|".join([_DESCRIPTIONS.pattern, *_WEIGHTS]))
_WITHOUT_BIAS = re.compile(r".*(no|wo_)bias.*\.h5")
_BIAS = re.compile(r"(?!.*(no|wo_)bias).*bias.*\.h5")
_CHROMBPNET = re.compile(r"(?!.*bias).*chrombpnet.*\.h5")


def is_readable(name: str) -> bool:
    """Return whether a file may belong to a checkpoint.

    Args:
        name: Its name without folders.
    """
    return _NAMES.fullmatch(name) is not None


def select_files(names: Collection[str]) -> list[str]:
    """Return the files of a folder that are read: descriptions, and one form of the weights.

    Of a fold of ChromBPNet these are the two networks. They are half as large as the file of both,
    which also has the state of the optimizer.

    Args:
        names: All files of the folder, without folders in their names.

    Example:
        >>> select_files(["README.md", "config.json", "model.safetensors", "pytorch_model.bin"])
        ['config.json', 'model.safetensors']
    """
    chosen = [name for name in names if _DESCRIPTIONS.fullmatch(name)]
    for kind in _WEIGHTS:
        if weights := [name for name in names if re.fullmatch(kind, name)]:
            if _has_file(_WITHOUT_BIAS, weights) and _has_file(_BIAS, weights):
                weights = [name for name in weights if not _CHROMBPNET.fullmatch(name)]
            return chosen + weights
    return chosen


def is_half(names: Collection[str]) -> bool:
    """Return whether one network of a ChromBPNet is there alone, as after a cut download.

    Args:
        names: Files of the folder, without folders in their names.
    """
    has_part = [_has_file(kind, names) for kind in (_WITHOUT_BIAS, _BIAS)]
    return any(has_part) and not all(has_part) and not _has_file(_CHROMBPNET, names)


def _has_file(kind: re.Pattern[str], names: Iterable[str]) -> bool:
    """Return whether a name matches."""
    return any(map(kind.fullmatch, names))
