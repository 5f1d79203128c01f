"""Checkpoints on the Hugging Face Hub: hf://owner/name, hf://owner/name@revision.

What is in the local cache is used as it is, without asking the network: a run gives the same answer
every time, and works offline. `@revision` (a branch, tag or commit) says which state is meant; a
commit never changes.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.containers.safetensors_file import shards_in_index
from seqcov_models.checkpoints.containers.tensor_bundle import data_files
from seqcov_models.errors import SeqcovError

_SPEC = re.compile(
    r"hf:/{1,2}(?P<name>[\w.-]+/[\w.-]+?)(?:@(?P<revision>refs/pr/\d+|[\w.-]+))?(?P<file>(?:/\w[\w.-]*)+)?/?"
)
_DESCRIPTIONS = re.compile(r"(config|params)\.json|targets\w*\.txt")
_WEIGHTS = (  # the first of these that a repository has is what is downloaded
    r"model\.safetensors",
    r"model-\d+-of-\d+\.safetensors|model\.safetensors\.index\.json",
    r"pytorch_model\.bin",
    r"pytorch_model-\d+-of-\d+\.bin|pytorch_model\.bin\.index\.json",
    r".*\.(h5|torch|pth?|safetensors|index|data-\d+-of-\d+)",
)
_SINGLE_FILE = r"(?!(pytorch_)?model-\d+-of-).*\.(h5|torch|pth?|safetensors)"

_REASONS = {
    "GatedRepoError": "its owner lets only some users in; log in with `hf auth login`",
    "RepositoryNotFoundError": "no such repository on the Hugging Face Hub, or a private one",
    "RevisionNotFoundError": "the repository has no such revision",
    "HFValidationError": "not a possible name of a repository",
    "OfflineModeIsEnabled": "not in the local cache, and HF_HUB_OFFLINE forbids to download it",
}
"""What the exceptions of huggingface_hub mean, by their names."""


def is_hub(path: str | Path) -> bool:
    """Return whether `path` names something on the Hub: hf://owner/name."""
    return str(path).startswith("hf:/")


def fetch(spec: str | Path) -> Path:
    """Return the local copy of a checkpoint on the Hub; download it if the cache has none.

    Args:
        spec: hf://owner/name, hf://owner/name@revision (a branch, tag or commit), or either with a
            file after it: hf://owner/name/fold0.safetensors.

    Returns:
        The folder in the local cache, or the file in it.

    Raises:
        SeqcovError: If the cache does not have it and it cannot be downloaded.

    Example:
        >>> folder = fetch("hf://EleutherAI/enformer-official-rough@main")
    """
    match = _SPEC.fullmatch(str(spec))
    if match is None:
        raise SeqcovError(f"weights {spec}: expected hf://owner/name or hf://owner/name@revision")
    name, revision = match["name"], match["revision"]
    file = (match["file"] or "").strip("/")
    try:
        import huggingface_hub
    except ImportError:
        raise SeqcovError(
            f"weights {spec}: needs the package huggingface_hub (pip install huggingface_hub)"
        ) from None
    folder = _find_cached(huggingface_hub, name, revision)
    if folder is None or not (_is_complete(folder) if not file else (folder / file).is_file()):
        folder = _download(huggingface_hub, name, revision, file, str(spec))
    return folder / file if file else folder


def _find_cached(hub: Any, name: str, revision: str | None) -> Path | None:
    try:
        return Path(hub.snapshot_download(name, revision=revision, local_files_only=True))
    except Exception:  # not there, or not a possible name: the download says which
        return None


def _is_complete(folder: Path) -> bool:
    """Return whether weights are there with all their files; a download may have been cut."""
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    try:
        for name in names:  # in the order in which they are looked for
            if re.fullmatch(r"(model\.safetensors|pytorch_model\.bin)(\.index\.json)?", name):
                shards = shards_in_index(folder / name) if name.endswith(".json") else [name]
                return bool(shards) and "config.json" in names
        if index := [name for name in names if name.endswith(".index")]:
            return all(data_files(folder / name) for name in index)
    except SeqcovError:
        return False
    return any(re.fullmatch(_SINGLE_FILE, name) for name in names)


def _select_files(names: Iterable[str]) -> list[str]:
    """Return a repository's descriptions and one form of its weights."""
    top_level = [name for name in names if "/" not in name]
    chosen = [name for name in top_level if _DESCRIPTIONS.fullmatch(name)]
    for kind in _WEIGHTS:
        if weights := [name for name in top_level if re.fullmatch(kind, name)]:
            return chosen + weights
    return chosen


def _download(hub: Any, name: str, revision: str | None, file: str, spec: str) -> Path:
    try:
        siblings = hub.HfApi().model_info(name, revision=revision).siblings or []
        names = [sibling.rfilename for sibling in siblings]
        patterns = [file] if file else _select_files(names)
        folder = hub.snapshot_download(name, revision=revision, allow_patterns=patterns)
    except Exception as error:
        raise SeqcovError(f"weights {spec}: {_reason(error)}") from None
    if not set(patterns) <= set(names) or not patterns:
        raise SeqcovError(f"weights {spec}: not among its files: {', '.join(names) or 'none'}")
    return Path(folder)


def _reason(error: Exception) -> str:
    """Return why a repository cannot be downloaded, and what to do."""
    for kind in type(error).__mro__:
        if kind.__name__ in _REASONS:
            return _REASONS[kind.__name__]
    first_line = str(error).strip().partition("\n")[0]
    return (
        "not in the local cache, and the Hugging Face Hub could not be reached"
        f" ({type(error).__name__}: {first_line}); run `hf download` on a machine with a network"
        " and copy its cache, or the folder, to this one"
    )
