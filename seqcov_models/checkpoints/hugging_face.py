"""Checkpoints on the Hugging Face Hub: hf://owner/name[@revision][/path].

What is in the local cache is used as it is, without asking the network: a run gives the same answer
every time, and works offline. `@revision` (a branch, tag or commit) says which state is meant; a
commit never changes.
"""

import re
import sys
from collections.abc import Iterable
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any

from seqcov_models.checkpoints.containers.safetensors_file import shards_in_index
from seqcov_models.checkpoints.containers.tensor_bundle import data_files
from seqcov_models.errors import SeqcovError

_SPEC = re.compile(
    r"hf:/{1,2}(?P<name>[\w.-]+/[\w.-]+?)(?:@(?P<revision>refs/pr/\d+|[\w.-]+))?(?P<path>(?:/[\w*?\[][\w.*?!\[\]-]*)+)?/?"
)
_DESCRIPTIONS = re.compile(r"(config|params)\.json|config\.yaml|targets\w*\.txt")
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
            file or folder after it: hf://owner/name/fold0.safetensors.

    Returns:
        The folder in the local cache, or the file or folder in it.

    Raises:
        SeqcovError: If the cache does not have it and it cannot be downloaded.

    Example:
        >>> folder = fetch("hf://EleutherAI/enformer-official-rough@main")
    """
    folder, path = _fetch_snapshot(spec)
    return folder / path if path else folder


def fetch_matches(spec: str | Path) -> list[Path]:
    """Return what `fetch` does; of a path that is a pattern (fold_*/model.h5), all matches.

    Raises:
        SeqcovError: As `fetch`.
    """
    folder, path = _fetch_snapshot(spec)
    return sorted(folder.glob(path)) if path else [folder]


def _fetch_snapshot(spec: str | Path) -> tuple[Path, str]:
    """Return the folder of a repository in the cache, which has what `spec` names, and the path."""
    match = _SPEC.fullmatch(str(spec))
    if match is None:
        raise SeqcovError(
            f"weights {spec}: expected hf://owner/name or hf://owner/name@revision, and a path"
        )
    name, revision = match["name"], match["revision"]
    path = (match["path"] or "").strip("/")
    try:
        import huggingface_hub
    except ImportError:
        raise SeqcovError(
            f"weights {spec}: needs the package huggingface_hub (pip install huggingface_hub)"
        ) from None
    folder = _find_cached(huggingface_hub, name, revision)
    is_cached = folder and (any(folder.glob(path)) if path else _is_complete(folder))
    if folder is None or not is_cached or has_magic(path):
        # Only the repository knows all matches of a pattern; the cache may have some of them
        try:
            folder = _download(huggingface_hub, name, revision, path, str(spec))
        except SeqcovError:
            if folder is None or not is_cached:
                raise
            print(f"weights {spec}: only the local cache was searched", file=sys.stderr)
    return folder, path


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
                return bool(shards) and not {"config.json", "config.yaml"}.isdisjoint(names)
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


def _download(hub: Any, name: str, revision: str | None, path: str, spec: str) -> Path:
    try:
        siblings = hub.HfApi().model_info(name, revision=revision).siblings or []
        names = [sibling.rfilename for sibling in siblings]
        chosen = _match_files(names, path) if path else _select_files(names)
        folder = hub.snapshot_download(name, revision=revision, allow_patterns=chosen)
    except Exception as error:
        raise SeqcovError(f"weights {spec}: {_reason(error)}") from None
    if not chosen:
        raise SeqcovError(f"weights {spec}: not among its files: {', '.join(names) or 'none'}")
    return Path(folder)


def _match_files(names: Iterable[str], pattern: str) -> list[str]:
    """Return the files of a repository that match a pattern, or are in a folder that does."""
    depth = len(PurePosixPath(pattern).parts)
    starts = {name: PurePosixPath(*PurePosixPath(name).parts[:depth]) for name in names}
    return [
        name for name, start in starts.items() if len(start.parts) == depth and start.match(pattern)
    ]


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
