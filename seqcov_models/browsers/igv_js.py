"""Find igv.js, with which the page shows tracks.

It comes with the package igv-notebook, of which nothing else is used.
"""

import importlib.util
from pathlib import Path

from seqcov_models.errors import SeqcovError

INSTALL = "pip install --no-deps --requirement envs/requirements-igv.txt"
"""The command that installs igv.js, in the folder of the repository."""


def find_igv_js() -> tuple[Path, Path]:
    """Return the files of igv.js and of its licence.

    Raises:
        SeqcovError: If the package is not installed, or not complete.
    """
    spec = importlib.util.find_spec("igv_notebook")
    folder = Path(spec.origin).parent if spec and spec.origin else Path("missing")
    script = folder / "js" / "igv.iife.js"
    licences = [*folder.parent.glob("igv_notebook-*.dist-info/LICENSE*")]
    if not script.is_file() or not licences:
        raise SeqcovError(
            "igv.js, with which the page shows tracks, is not installed; run"
            f" `{INSTALL}` in the folder of seqcov"
        )
    return script, licences[0]


def read_igv_js() -> str:
    """Return the text of igv.js, with its licence.

    Raises:
        SeqcovError: If the package is not installed, or not complete.
    """
    script, licence = find_igv_js()
    terms = licence.read_text("utf-8").replace("*/", "")
    return f"/*! igv.js, https://github.com/igvteam/igv.js\n{terms}*/\n{script.read_text('utf-8')}"
