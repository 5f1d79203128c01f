"""Place measured bigWigs beside the predicted ones, where browsers find them.

Browsers reach only what lies in the folder of the results. A hard link takes no space, also if the
files have tens of GB, and lasts if the results are moved or the original is deleted. A symbolic
link would not, and the server does not follow it out of the folder. A file on another disk, or of
another user, is copied.
"""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from seqcov_models.files import write_atomically
from seqcov_models.run.observed import ObservedTrack
from seqcov_models.run.paths import Paths


def place_observed(folder: Path, tracks: Iterable[ObservedTrack], paths: Paths) -> None:
    """Write the folder of a model's measured bigWigs.

    Args:
        folder: The folder, which is replaced.
        tracks: The model's compared tracks.
        paths: The paths of the run.
    """
    with write_atomically(folder) as part:
        part.mkdir()
        for track in tracks:
            source = track.path.resolve()  # a hard link of a symbolic link is one again
            target = part / paths.observed_bigwig(track.model, track.name).name
            with suppress(OSError):
                os.link(source, target)
                continue
            shutil.copyfile(source, target)


def copied_bytes(tracks: Iterable[ObservedTrack], paths: Paths, device: int) -> int:
    """Return the bytes of the measured bigWigs that will be copied, because they cannot be linked.

    Args:
        tracks: The compared tracks.
        paths: The paths of the run.
        device: The disk of the results, as `os.stat_result.st_dev`.
    """
    states = [
        track.path.stat()
        for track in tracks
        if not paths.observed_bigwig(track.model, track.name).exists()
    ]
    return sum(state.st_size for state in states if state.st_dev != device)
