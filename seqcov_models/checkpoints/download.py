"""Download single files of weights over HTTP, once, into the user's cache.

huggingface_hub downloads, because it is a dependency already, resumes what was cut, and knows
HF_HUB_OFFLINE and proxies. The size that the server states is checked, and a checksum if the server
states one (public buckets of Google do) or if the address ends in ``#sha256=…``.
"""

import base64
import fcntl
import hashlib
import sys
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import google_crc32c

from seqcov_models.errors import SeqcovError
from seqcov_models.files import make_cache_folder, sha256
from seqcov_models.locks import open_lock

SCHEMES = ("https://", "http://", "gs://")


def download(address: str) -> Path:
    """Return the local copy of a file on the internet; download it if the cache has none.

    Args:
        address: https://…, http://…, or gs://bucket/path for a public bucket of Google. It may end
            in ``#sha256=`` and 64 hexadecimal digits.

    Returns:
        The file in the cache, in a folder of its own.

    Raises:
        SeqcovError: If the file cannot be downloaded, or is not what its checksum says.

    Example:
        >>> file = download("gs://seqnn-share/borzoi/f0/model0_best.h5")
    """
    url, fragment = urldefrag(address)
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    if not name or not urlsplit(url).netloc:
        raise SeqcovError(f"weights {address}: the address does not name a file")
    kind, _, expected = fragment.partition("=")
    if fragment and (kind != "sha256" or len(expected) != 64):
        raise SeqcovError(f"weights {address}: after '#', sha256= and 64 digits are expected")
    if url.startswith("gs://"):
        url = f"https://storage.googleapis.com/{url.removeprefix('gs://')}"
    folder = make_cache_folder() / "downloads" / hashlib.sha256(url.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    with open_lock(folder / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs may want the same file
        if not target.is_file():
            try:
                _fetch(url, target)
            except Exception as error:  # of the network, of several libraries
                raise SeqcovError(f"weights {address}: {_reason(error, target)}") from None
    if expected and (found := sha256(target)) != expected.lower():
        target.unlink()
        raise SeqcovError(
            f"weights {address}: the file has SHA-256 {found}; it was deleted, so that the next"
            " call downloads it again"
        )
    return target


def _fetch(url: str, target: Path) -> None:
    """Download a file; it appears as `target` when it is complete."""
    from huggingface_hub import get_session
    from huggingface_hub.file_download import http_get

    headers = {"Accept-Encoding": "identity"}  # not compressed on the way: bytes are counted
    answer = get_session().head(url, headers=headers, follow_redirects=True)
    answer.raise_for_status()
    version = hashlib.sha256(answer.headers.get("ETag", "").encode()).hexdigest()[:8]
    part = target.parent / f".{target.name}.{version}.part"
    size = int(answer.headers.get("Content-Length", 0)) or None
    print(f"downloading {url} ({_describe(size)}) to {target}", file=sys.stderr, flush=True)
    with part.open("ab") as file:
        http_get(
            url, file, resume_size=file.tell(), headers=headers, expected_size=size,
            displayed_filename=target.name,
        )  # fmt: skip
    if (stated := _stated_checksum(answer.headers)) and stated != _checksum(part):
        part.unlink()
        raise OSError("its checksum is not what the server states")
    part.replace(target)


def _stated_checksum(headers: Any) -> bytes | None:
    """Return the CRC-32C that Google's servers state: ``x-goog-hash: crc32c=…,md5=…``."""
    for item in headers.get("x-goog-hash", "").split(","):
        kind, _, value = item.strip().partition("=")
        if kind == "crc32c":
            return base64.b64decode(value)
    return None


def _checksum(path: Path) -> bytes:
    """Return the CRC-32C of a file."""
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = google_crc32c.extend(checksum, block)
    return checksum.to_bytes(4)


def _describe(size: int | None) -> str:
    """Return a file's size in words."""
    return "of unknown size" if size is None else f"{size / 1e6:,.1f} MB"


def _reason(error: Exception, target: Path) -> str:
    """Return why a file cannot be downloaded, and what to do."""
    if type(error).__name__ == "OfflineModeIsEnabled":
        return f"not in the cache ({target}), and HF_HUB_OFFLINE forbids to download it"
    first_line = str(error).strip().partition("\n")[0] or type(error).__name__
    return (
        f"cannot be downloaded: {first_line}. Try again, which resumes the download; or download it"
        f" on a machine with a network and copy it to {target}, or name its local path"
    )
