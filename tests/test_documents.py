"""The documents: every path that they name exists, in the repository or in the package."""

import re
from collections.abc import Iterator

import pytest

from support.data import REPOSITORY

DOCUMENTS = [
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "demo/README.md", "benchmarks/README.md",
    "profiles/README.md", *(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")),
]  # fmt: skip
FOLDERS = [
    REPOSITORY,
    REPOSITORY / "seqcov_models",
    REPOSITORY / "seqcov_models/networks/borzoi",  # config.py and network.py of any network
    REPOSITORY / "seqcov_models/checkpoints",
]
"""Folders that a path in a document may be relative to, besides that of the document."""
OTHER_PATHS = (
    "results/",
    "hub/",
    "site/",
    ".venv",
    "yours.yaml",
    "hg38.yaml",
    "hg38/",
    "models/enformer/",
)
"""Beginnings of paths that a run writes, a user names, or that are elsewhere."""
ROOMS = "benchmarks|demo|envs|networks|profiles|run|scripts|seqcov_models|tests|workflow"
PATH = re.compile(rf"[\w.-]+(/[\w.-]+)*(/|\.(py|md|smk|yaml))|({ROOMS})(/[\w.-]+)+")
"""Code that is a path: of a folder, of source or text, or below a folder of the repository."""


def find_paths(text: str) -> Iterator[str]:
    """Yield the targets of links, and the paths among the words that are marked as code."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http", "#")):
            yield target.partition("#")[0]
    for code in re.findall(r"`([^`\n]+)`", text):
        yield from filter(PATH.fullmatch, code.split())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_in_documents_exist(document: str) -> None:
    path = REPOSITORY / document
    folders = [path.parent, *FOLDERS]
    names = find_paths(path.read_text(encoding="utf-8"))
    repository_names = [name for name in names if not name.startswith(OTHER_PATHS)]
    missing = [
        name for name in repository_names if not any((folder / name).exists() for folder in folders)
    ]
    assert not missing


def test_the_map_lists_every_room() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| room | content |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = {name.strip("/") for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    rooms = {
        path.stem
        for path in (REPOSITORY / "seqcov_models").iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists())
        and not path.name.startswith("__")
    }
    assert listed == rooms
