"""Snakemake in a process that has imported it already: every start takes a second less."""

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
# Third-party modules only: each run imports seqcov_models from where its Snakefile finds it
SERVER.set_forkserver_preload(["snakemake.cli", "snakemake.report", "support.warm_snakemake"])


def run_snakemake(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Do what `python -m snakemake ARGUMENTS` does in `folder`, and return what it printed."""
    with tempfile.TemporaryDirectory() as outputs:
        streams = [Path(outputs, name) for name in ("stdout", "stderr")]
        for stream in streams:
            stream.touch()  # a script without a main guard fails in the new process, before `_main`
        process = SERVER.Process(target=_main, args=(arguments, folder, dict(os.environ), streams))
        process.start()
        process.join()
        stdout, stderr = (stream.read_text() for stream in streams)
    assert process.exitcode is not None
    return subprocess.CompletedProcess(arguments, process.exitcode, stdout, stderr)


def _main(
    arguments: Sequence[str], folder: Path, environment: dict[str, str], streams: Sequence[Path]
) -> None:
    """Become Snakemake, in a fork of the server."""
    for number, stream in enumerate(streams, 1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    installed = [path for path in sys.path if path.startswith((sys.prefix, sys.base_prefix))]
    sys.path[:] = [str(folder), *installed]
    from snakemake.cli import main

    try:
        main(list(arguments))
    finally:
        atexit._run_exitfuncs()  # which a process of multiprocessing does not
