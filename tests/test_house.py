"""The order of the rooms: which may import which, and which import no torch."""

import ast
import inspect
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pytest

import seqcov_models
from seqcov_models.run.paths import Paths
from support.data import REPOSITORY

PACKAGE = REPOSITORY / "seqcov_models"
FLOORS = (
    {"errors"},
    {"locks"},
    {"files", "progress", "sequence"},
    {"genome"},
    {"tiling"},
    {"tracks"},
    {"networks"},
    {"checkpoints"},
    {"peaks", "bigwig"},
    {"prediction"},
    {"run"},
    {"browsers"},
    {"report"},
    {"cli"},
    {"__init__", "__main__"},
)
"""Rooms of the package, ground floor first. A room imports from itself and from lower floors."""

LIGHT = (
    "errors", "sequence", "genome.fasta", "tiling", "tracks.table", "networks.registry",
    "checkpoints.recognise", "run.coverage_plan", "run.profile_plan", "run.plan", "run.planner",
    "run.peak_sets", "run.observed", "browsers",
)  # fmt: skip
"""Modules that planning imports: they import no torch."""


def imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, module) for every import of the package in a file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(), path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            module = node.module or ""
            in_package = module == "seqcov_models"
            names = [f"{module}.{alias.name}" for alias in node.names] if in_package else [module]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "seqcov_models")


def test_every_room_has_a_floor() -> None:
    rooms = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert rooms == set().union(*FLOORS)


def test_rooms_import_only_from_lower_floors() -> None:
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    public = set(seqcov_models.__all__) - {"__version__"}  # `from seqcov_models import load_model`
    floor["__version__"] = -1
    violations = []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for line, module in imported_modules(path):
            source = module.split(".")[1]
            source = "__init__" if source in public else source
            if source != room and floor[source] >= floor[room]:
                violations.append(f"{path.relative_to(REPOSITORY)}:{line} imports {module}")
    assert not violations, "\n".join(violations)


def names_in_results() -> set[str]:
    """Return the ends of the names of results, of any model, track or task."""
    paths, names = Paths(Path("results")), set[str]()
    for name, member in vars(Paths).items():
        if isinstance(member, property):
            path = getattr(paths, name)
        elif inspect.isfunction(member) and get_type_hints(member).get("return") is Path:
            path = getattr(paths, name)(*"*" * (len(inspect.signature(member).parameters) - 1))
        else:
            continue
        names |= {part.rpartition("*")[2] for part in path.relative_to("results").parts}
    return names - {""}


def string_literals(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, literal) for every string of a file except docstrings."""
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            is_string = tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE")
            if is_string and not token.string.endswith('"""'):
                yield token.start[0], token.string


def test_every_path_in_results_is_spelt_once() -> None:
    """Regions are written to a folder of the user's, not to results."""
    names = names_in_results()
    assert {"genome.2bit", "plan.json", "chunks", ".bw", ".table.npy", "tracks.tsv"} <= names
    # A folder's name is an everyday word, too: it is a path if a slash follows.
    spellings = {name if "." in name else f"{name}/" for name in names}
    files = [
        *PACKAGE.rglob("*.py"),
        *(REPOSITORY / "scripts").glob("*.py"),
        *(REPOSITORY / "workflow").rglob("*.smk"),
        *(REPOSITORY / "workflow/Snakefile", REPOSITORY / "Snakefile"),
    ]
    violations = [
        f"{path.relative_to(REPOSITORY)}:{line}: {literal}"
        for path in files
        if path not in (PACKAGE / "run/paths.py", PACKAGE / "prediction/region.py")
        for line, literal in string_literals(path)
        if any(spelling in literal for spelling in spellings) and "{LOGS}/" not in literal
    ]
    assert not violations, "\n".join(violations)


@pytest.mark.parametrize("module", LIGHT)
def test_planning_imports_no_torch(module: str) -> None:
    script = f"import sys, seqcov_models.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY).returncode == 0


@pytest.mark.parametrize("name", sorted(set(seqcov_models.__all__) - {"__version__"}))
def test_every_public_name_has_a_docstring(name: str) -> None:
    value = getattr(seqcov_models, name)
    text = value.__doc__ or ""
    assert text, "every public class and function needs a docstring"
    assert not text.startswith(f"{name}("), (
        "the signature that `dataclass` writes is not a docstring"
    )
