"""Record the demo on a terminal and into a file, and put both into docs/index.md, shortened.

In the repository's root: .venv/bin/python -m demo.record

A line that is rewritten on the terminal stands as it was halfway through the prediction.
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs/index.md"
COMMAND = [sys.executable, "-m", "snakemake", "--cores", "2"]
FILES = ("Snakefile", "config.yaml", "workflow", "scripts", "seqcov_models", "profiles", "demo")
JOBS = re.compile(r"^(job +count\n-+ +-+\n).*?(?=^total)", re.M | re.S)
"""The rows of Snakemake's table of jobs."""
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def main() -> None:
    """Replace the block of text below each mark of the page."""
    page = PAGE.read_text(encoding="utf-8")
    for mark, record in {"terminal": record_terminal, "file": record_file}.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name).resolve()
            for file in FILES:
                (folder / file).symlink_to(REPOSITORY / file)
            output = record(folder)
        text = JOBS.sub(r"\1…\n", show_lines(output)).replace(f"{folder}/", "")
        if mark == "file":  # it begins as on a terminal
            text = "…\n" + text.partition("\ntotal")[2].partition("\n")[2]
        block = f"<!-- demo/record.py: {mark} -->\n\n```text\n{text}```\n"
        pattern = rf"<!-- demo/record.py: {mark} -->\n\n```text\n.*?```\n"
        page, count = re.subn(pattern, lambda _, block=block: block, page, flags=re.S)
        if not count:
            sys.exit(f"{PAGE} lacks the block of text of the mark {mark}")
    PAGE.write_text(page, encoding="utf-8")


def record_terminal(folder: Path) -> str:
    """Return what a terminal gets from a run in a folder."""
    reader, writer = pty.openpty()
    process = subprocess.Popen(
        COMMAND, cwd=folder, env=environment(folder), stdin=writer, stdout=writer, stderr=writer
    )
    os.close(writer)
    output = b""
    while True:
        try:
            output += os.read(reader, 4096)
        except OSError:  # all programs on it have ended
            break
    if process.wait():
        sys.exit(output.decode())
    return output.decode()


def record_file(folder: Path) -> str:
    """Return what a file gets from a run in a folder."""
    return subprocess.run(
        COMMAND, cwd=folder, env=environment(folder), check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ).stdout  # fmt: skip


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a run that remembers no earlier one."""
    return {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "TERM": "xterm"}


def show_lines(output: str) -> str:
    """Return what a terminal has shown, without colours; of a rewritten line one state."""
    lines = []
    for line in ESCAPE.sub("", output).replace("\r\n", "\n").split("\n"):
        states = [state.rstrip() for state in line.split("\r") if state.strip()]
        times = [state for state in states if state.endswith(" left")]
        lines += times[len(times) // 2 : len(times) // 2 + 1]
        lines += states[-1:] or [""]
    return re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip() + "\n"


if __name__ == "__main__":
    main()
