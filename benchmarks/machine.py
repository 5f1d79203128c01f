"""Name the processor of this machine, without which a measured time means little."""

import platform
import re
from pathlib import Path


def name_processor() -> str:
    """Return the processor's name and number of cores."""
    file = Path("/proc/cpuinfo")
    text = file.read_text() if file.exists() else ""
    names = re.findall(r"model name\s*:\s*(.+)", text) or [platform.processor()]
    return f"{len(names)} cores of {names[0]}"
