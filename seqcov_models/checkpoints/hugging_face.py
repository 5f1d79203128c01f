"""Checkpoints on the Hugging Face Hub: hf://owner/name[@revision][/path].

What is in the local cache is used as it is, without asking the network: a run gives the same answer
every time, and works offline. `@revision` (a branch, tag or commit) says which state is meant; a
commit never changes.
"""

import re
import sys
from collections.abc import Sequence
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any

from seqcov_models.checkpoints.containers.safetensors_file import shards_in_index
from seqcov_models.checkpoints.containers.tensor_bundle import data_files
from seqcov_models.checkpoints.published_files import is_half, select_files
from seqcov_models.errors import SeqcovError

_SPEC = re.compile(
    r"hf:/{1,2}(?P<name>[\w.-]+/[\w.-]+?)(?:@(?P<revision>refs/pr/\d+|[\w.-]+))?(?P<path>(?:/[\w*?\[][\w.*?!\[\]-]*)+)?/?"
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
    found = [*folder.glob(path)] if folder and path else [folder] if folder else []
    is_cached = bool(found) if path else bool(folder and _is_complete(folder))
    if folder is None or not is_cached or has_magic(path) or any(map(_is_half, found)):
        # Only the repository knows all files of a pattern or folder; the cache may have some
        try:
            folder = _download(huggingface_hub, name, revision, path, str(spec))
        except SeqcovError:
            if folder is None or not is_cached:
                raise
            print(f"weights {spec}: only the local cache was searched", file=sys.stderr)
    return folder, path


def _find_cached(hub: Any, name: str, revision: str | None) -> Path | None:
    try:
        # No pattern: the folder counts, though it never has all files of the repository
        return Path(
            hub.snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=[])
        )
    except Exception:  # not there, or not a possible name: the download says which
        return None


def _is_half(path: Path) -> bool:
    """Return whether a folder has one network of a ChromBPNet alone: a download was cut."""
    return path.is_dir() and is_half([file.name for file in path.iterdir()])


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


def _download(hub: Any, name: str, revision: str | None, path: str, spec: str) -> Path:
    try:
        siblings = hub.HfApi().model_info(name, revision=revision).siblings or []
        names = [sibling.rfilename for sibling in siblings]
        if chosen := _match_files(names, path):
            return Path(hub.snapshot_download(name, revision=revision, allow_patterns=chosen))
    except Exception as error:
        raise SeqcovError(f"weights {spec}: {_reason(error)}") from None
    raise SeqcovError(f"weights {spec}: {_describe_files(names, name)}")


def _match_files(names: Sequence[str], pattern: str) -> list[str]:
    """Return the files of a repository that match a pattern, and of folders that do those to read.

    pattern: "" for the repository itself.
    """
    depth = len(PurePosixPath(pattern).parts)
    folders: dict[PurePosixPath, list[str]] = {}
    for path in map(PurePosixPath, names):
        if not pattern or PurePosixPath(*path.parts[:depth]).match(pattern):
            folders.setdefault(path.parent, []).append(path.name)
    chosen = []
    for folder, files in folders.items():
        if len(folder.parts) < depth:
            chosen += [str(folder / file) for file in files]
        elif len(folder.parts) == depth:
            chosen += [str(folder / file) for file in select_files(files)]
    return chosen


def _describe_files(names: Sequence[str], name: str) -> str:
    """Return what a repository has instead of what is asked for."""
    files = [path for path in map(PurePosixPath, names) if re.fullmatch(_SINGLE_FILE, path.name)]
    if folders := sorted({str(file.parent) for file in files if file.parent.parts}):
        return (
            f"no weights there, but in the folders {_shorten(folders)}; name one of them, as"
            f" hf://{name}/{folders[0]}"
        )
    return f"not among its files: {_shorten(names) or 'none'}"


def _shorten(names: Sequence[str]) -> str:
    """Return the first names."""
    return ", ".join([*names[:10], *["…"] * (len(names) > 10)])


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
