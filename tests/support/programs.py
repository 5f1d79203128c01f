"""Stand-ins for programs of the machine."""

from collections.abc import Callable

Program = Callable[[str, str], None]
"""Installs a shell script under the name of a program."""
