"""Find weights by name: local paths and globs, the Hugging Face Hub, addresses, archives.

====================================  =======================================================
``weights/``, ``fold_*/model.h5``     local paths; a pattern stands for several folds
``hf://owner/name[@revision][/path]`` a repository of the Hugging Face Hub, or a path in it
``https://…``, ``gs://bucket/…``      one file, downloaded once (`checkpoints.download`)
``models.tar.gz::fold_*/*nobias*.h5`` members of a tar or zip, which is one of the above
====================================  =======================================================
"""

import hashlib
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from glob import has_magic
from pathlib import Path, PurePosixPath

from seqcov_models.checkpoints import hugging_face
from seqcov_models.checkpoints.download import SCHEMES, download
from seqcov_models.checkpoints.published_files import is_readable
from seqcov_models.errors import SeqcovError
from seqcov_models.files import make_cache_folder, write_atomically

ADDRESSES = ("hf://", *SCHEMES)
"""How names begin that are not local paths."""


def find_sources(spec: str | Path) -> list[Path]:
    """Return the local paths of what a name of weights stands for; download what is missing.

    Args:
        spec: A name as in the table above.

    Returns:
        One path, or the matches of a pattern in alphabetical order.

    Raises:
        SeqcovError: If nothing is there, or it cannot be downloaded.

    Example:
        >>> find_sources("models.tar.gz::fold_*/*nobias*.h5")
    """
    name = str(spec)
    if Path(name).exists():
        return [Path(name)]
    archive, separator, member = name.partition("::")
    if separator:
        return _extract(find_source(archive), member, name)
    if hugging_face.is_hub(name):
        return hugging_face.fetch_matches(name)
    if name.startswith(SCHEMES):
        return [download(name)]
    if has_magic(name):
        if not (matches := sorted(match_paths(Path(name)))):
            raise SeqcovError(f"weights {name}: nothing matches this pattern")
        return matches
    return [Path(name)]


def match_paths(pattern: Path) -> Iterator[Path]:
    """Yield the paths that a pattern matches.

    Args:
        pattern: A relative or absolute path with the patterns of `Path.glob`.
    """
    parts = pattern.parts[bool(pattern.anchor) :]
    return Path(pattern.anchor).glob("/".join(parts))


def find_source(spec: str | Path) -> Path:
    """Return the local path of a name that stands for one. Raises SeqcovError as `find_sources`."""
    sources = find_sources(spec)
    if len(sources) > 1:
        names = ", ".join(map(str, sources[:3]))
        raise SeqcovError(f"weights {spec}: {len(sources)} paths match ({names}, …); name one")
    return sources[0]


def _extract(archive: Path, pattern: str, spec: str) -> list[Path]:
    """Return the members of an archive, files or folders, whose names match a pattern.

    They are unpacked once into the user's cache, by the archive's path, size and date.
    """
    try:
        state = archive.stat()
        identity = f"{archive.resolve()} {state.st_size} {state.st_mtime_ns} {pattern}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        folder = make_cache_folder() / "archives" / digest
        if not folder.is_dir():
            folder.parent.mkdir(exist_ok=True)
            print(f"reading {archive}", file=sys.stderr, flush=True)
            with write_atomically(folder) as part:
                _unpack(archive, PurePosixPath(pattern), part)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        reason = str(error).partition("\n")[0].removesuffix(":")
        raise SeqcovError(
            f"weights {spec}: {archive} cannot be read as a tar or zip: {reason}; copy or download"
            " it again"
        ) from None
    depth = len(PurePosixPath(pattern).parts)
    if not (found := sorted(folder.glob("/".join("*" * depth)))):
        folder.rmdir()
        raise SeqcovError(f"weights {spec}: {archive.name} has no file or folder of this name")
    return found


def _unpack(archive: Path, pattern: PurePosixPath, folder: Path) -> None:
    """Write the files of an archive that match, and those to read of folders that match."""
    folder.mkdir()
    depth = len(pattern.parts)

    def is_wanted(member: str) -> bool:
        name = PurePosixPath(member)  # without "./"
        start = PurePosixPath(*name.parts[:depth])
        is_match = len(start.parts) == depth and start.match(str(pattern))
        return is_match and (name == start or (name.parent == start and is_readable(name.name)))

    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if is_wanted(info.filename) and not info.is_dir():
                    packed.extract(info, folder)  # drops ".." and the root from its name
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isreg() and is_wanted(member.name):
                tar.extract(member, folder, filter="data")  # not outside of the folder
