"""Another project's config.json, read field by field."""

import math
import reprlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.shared.fields import MAX_INT


class Described:
    """The values of a config.json. A field of another kind is a SeqcovError that names it."""

    def __init__(self, values: Mapping[str, Any], path: Path | str) -> None:
        self.values, self.path = values, path

    def integer(self, name: str, default: int) -> int:
        """Return a whole number of either sign, up to MAX_INT; null and absent are the default."""
        value = self._value_or(name, default)
        if not _is_integer(value):
            raise self.error(name, f"a whole number up to {MAX_INT:,}")
        return int(value)

    def number(self, name: str, default: float) -> float:
        """Return a finite number; null and absent are the default."""
        value = self._value_or(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.error(name, "a number")
        if not abs(value) <= sys.float_info.max:  # nor is a whole number beyond any float
            raise self.error(name, "finite")
        return float(value)

    def string(self, name: str, default: str) -> str:
        """Return a text; null and absent are the default."""
        value = self._value_or(name, default)
        if not isinstance(value, str):
            raise self.error(name, "a text")
        return value

    def boolean(self, name: str, default: bool) -> bool:
        """Return true or false; null and absent are the default."""
        value = self._value_or(name, default)
        if not isinstance(value, bool):
            raise self.error(name, "true or false")
        return value

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Return a list of whole numbers; null and absent are the default."""
        value = self._value_or(name, default)
        if not isinstance(value, list | tuple) or not all(map(_is_integer, value)):
            raise self.error(name, f"a list of whole numbers up to {MAX_INT:,}")
        return tuple(value)

    def section(self, name: str) -> "Described":
        """Return an object inside; null and absent are an empty one."""
        value = self._value_or(name, {})
        if not isinstance(value, dict):
            raise self.error(name, "an object")
        return Described(value, f"{self.path}: {name}")

    def _value_or(self, name: str, default: object) -> Any:
        value = self.values.get(name)
        return default if value is None else value

    def error(self, name: str, wanted: str) -> SeqcovError:
        """Return the error for a value that is not `wanted`."""
        given = reprlib.repr(self.values.get(name))
        return SeqcovError(f"{self.path}: {name}: {given} is not {wanted}")

    def check_agreement(self, **fields: tuple[str, object]) -> None:
        """Refuse a description that differs from the weights it comes with.

        Each field is what the weights say in words and as a value; an absent one agrees.
        Raises SeqcovError for the first that does not.
        """
        for name, (words, value) in fields.items():
            given = self._value_or(name, value)
            if given != value:
                raise SeqcovError(
                    f"{self.path}: {name}: {given!r}, but the weights have {value!r} {words}"
                )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INT


def exponential_widths(first: int, last: int, count: int, unit: int) -> tuple[int, ...]:
    """Widths from `first` to `last` in `count` geometric steps, rounded to multiples of `unit`.

    Source: deepmind-research `enformer/enformer.py`, `exponential_linspace_int`.
    """
    if count == 1:
        return (round(first / unit) * unit,)
    growth = math.exp(math.log(last / first) / (count - 1))
    return tuple(round(first * growth**step / unit) * unit for step in range(count))
