"""The real JBrowse 2 for tests, from npm's packed bundle, which holds all it needs."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

PACKAGE = "@jbrowse/react-app2@4.3.0"
BUNDLE = "package/dist/react-app.umd.production.min.js"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "seqcov-tests"

PAGE = """<!doctype html><meta charset="utf-8"><body><div id="root"></div>
<script src="jbrowse.js"></script><script>
const {createViewState, JBrowseApp, React, createRoot} = JBrowseReactApp
fetch("jbrowse_config.json").then(answer => answer.json()).then(config => {
  window.state = createViewState({config})
  createRoot(document.getElementById("root")).render(
    React.createElement(JBrowseApp, {viewState: window.state}))
})
</script></body>"""
"""A page that shows the configuration beside it."""


def fetch_jbrowse() -> Path | None:
    """Return JBrowse's bundle, fetched once; None if that is not possible."""
    bundle = CACHE / "jbrowse-4.3.0.js"
    if bundle.is_file():
        return bundle
    if not shutil.which("npm"):
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        packed = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=CACHE, capture_output=True, text=True,
            timeout=120,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    if packed.returncode:
        return None
    archive = CACHE / packed.stdout.split()[-1]
    with tarfile.open(archive) as tar:
        content = tar.extractfile(BUNDLE)
        assert content
        partial = bundle.with_suffix(f".{os.getpid()}")
        partial.write_bytes(content.read())
    partial.replace(bundle)
    archive.unlink()
    return bundle
