"""Draw sessions with the real IGV desktop, on an invisible screen and without the internet."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

JAR = Path("/usr/share/java/igv.jar")


def find_igv() -> bool:
    """Return whether IGV, Java and Xvfb are installed."""
    return JAR.is_file() and all(map(shutil.which, ("java", "Xvfb")))


@contextmanager
def invisible_screen(size: str = "1400x1200") -> Iterator[str]:
    """Start an X server for a block; yield its display."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            yield f":{pipe.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def draw_session(
    session: Path, genome: Path, folder: Path, working_directory: Path | None = None
) -> Path:
    """Return a picture of a session.

    Args:
        session: The session.
        genome: An indexed FASTA: IGV opens one before it runs commands, by default from the
            internet.
        folder: Folder for the picture and for IGV's settings.
        working_directory: Where IGV is started.
    """
    settings = folder / "igv"
    settings.mkdir(parents=True)
    (settings / "genomes.txt").write_text("<Server-Side Genome List>\n")
    (settings / "prefs.properties").write_text(
        f"DEFAULT_GENOME_KEY={genome.resolve()}\nPORT_ENABLED=false\nSHOW_SIZE_WARNING=false\n"
        f"IGV.genome.sequence.dir={settings.resolve()}/genomes.txt\n"
        "IGV.Bounds=0,0,1300,1150\n"
    )
    batch = settings / "batch.txt"
    batch.write_text(
        f"load {session.resolve()}\nmaxPanelHeight 2000\n"
        f"snapshotDirectory {folder.resolve()}\nsnapshot session.png\nexit\n"
    )
    proxies = [
        f"-D{kind}.{key}" for kind in ("http", "https")
        for key in ("proxyHost=127.0.0.1", "proxyPort=9")
    ]  # fmt: skip
    with invisible_screen() as display, (settings / "stdout").open("w") as output:
        subprocess.run(
            ["java", "-Xmx1g", *proxies, "-cp", str(JAR), "org.broad.igv.ui.Main",
             "--igvDirectory", str(settings), "-b", str(batch)],
            env=os.environ | {"DISPLAY": display}, cwd=working_directory or folder, check=True,
            timeout=180, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    return folder / "session.png"
