"""One module per project that publishes weights.

A format says what weights mean; `containers/` reads the files they come in (HDF5, safetensors,
torch, TensorFlow). To add a format, add one file here; `bpnet_lite.py` is a short one to copy:

1. `formats/<project>.py`, with a module docstring that says what the project writes.
2. `matches(files)`: what such files look like; returns the architecture, or None.
3. `config(files, architecture, species)`: the config, from a description or from shapes.
4. `keys(config, shapes)`: the key map (`keymap.key_map` of the layers' names and a dialect).
5. `FORMAT = Format("name", "one line", matches, config, keys)`: found by itself, listed nowhere.

Modules whose name begins with an underscore hold what a format shares or needs besides.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from seqcov_models.checkpoints.format import Format


@cache
def all_formats() -> dict[str, Format]:
    """Return every format of this folder by its name."""
    names = sorted(module.name for module in iter_modules(__path__))
    format_names = [name for name in names if not name.startswith("_")]
    formats: list[Format] = [import_module(f"{__name__}.{name}").FORMAT for name in format_names]
    return {record.name: record for record in formats}
