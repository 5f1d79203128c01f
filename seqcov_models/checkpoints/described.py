"""Another project's config.json, read field by field."""

import math
import reprlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqcov_models.errors import SeqcovError
from seqcov_models.networks.shared.config import MOST


class Described:
    """The values of a config.json. Every field of another kind is a SeqcovError that names it."""

    def __init__(self, values: Mapping[str, Any], path: Path | str) -> None:
        self.values, self.path = values, path

    def whole(self, name: str, default: int) -> int:
        """A whole number of either sign, up to MOST; null and absent are the default."""
        value = self._given(name, default)
        if not _is_whole(value):
            raise self.refusal(name, f"a whole number up to {MOST:,}")
        return int(value)

    def real(self, name: str, default: float) -> float:
        """A finite number; null and absent are the default."""
        value = self._given(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.refusal(name, "a number")
        if not abs(value) <= sys.float_info.max:  # nor is a whole number beyond any float
            raise self.refusal(name, "finite")
        return float(value)

    def text(self, name: str, default: str) -> str:
        """A text; null and absent are the default."""
        value = self._given(name, default)
        if not isinstance(value, str):
            raise self.refusal(name, "a text")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false; null and absent are the default."""
        value = self._given(name, default)
        if not isinstance(value, bool):
            raise self.refusal(name, "true or false")
        return value

    def wholes(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of whole numbers; null and absent are the default."""
        value = self._given(name, default)
        if not isinstance(value, list | tuple) or not all(map(_is_whole, value)):
            raise self.refusal(name, f"a list of whole numbers up to {MOST:,}")
        return tuple(value)

    def part(self, name: str) -> "Described":
        """An object inside; null and absent are an empty one."""
        value = self._given(name, {})
        if not isinstance(value, dict):
            raise self.refusal(name, "an object")
        return Described(value, f"{self.path}: {name}")

    def _given(self, name: str, default: object) -> Any:
        value = self.values.get(name)
        return default if value is None else value

    def refusal(self, name: str, wanted: str) -> SeqcovError:
        """The error for a value that is not `wanted`."""
        given = reprlib.repr(self.values.get(name))
        return SeqcovError(f"{self.path}: {name}: {given} is not {wanted}")

    def agrees(self, **fields: tuple[str, object]) -> None:
        """Refuse a description that differs from the weights it comes with.

        Each field is what the weights say in words and as a value; an absent one agrees.
        Raises SeqcovError for the first that does not.
        """
        for name, (words, value) in fields.items():
            given = self._given(name, value)
            if given != value:
                raise SeqcovError(
                    f"{self.path}: {name}: {given!r}, but the weights have {value!r} {words}"
                )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST


def exponential_widths(first: int, last: int, count: int, unit: int) -> tuple[int, ...]:
    """Widths from `first` to `last` in `count` geometric steps, rounded to multiples of `unit`.

    Source: deepmind-research `enformer/enformer.py`, `exponential_linspace_int`.
    """
    if count == 1:
        return (round(first / unit) * unit,)
    growth = math.exp(math.log(last / first) / (count - 1))
    return tuple(round(first * growth**at / unit) * unit for at in range(count))
