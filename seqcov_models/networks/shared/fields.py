"""What the fields of a config may hold: each field's annotation states its rule.

    stem_kernel_size: KernelSize = 15
    hidden_dropout: Probability = 0.1

`ValidatedFields` checks every field against its annotation when a config is made.
"""

import dataclasses
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np

from seqcov_models.errors import SeqcovError
from seqcov_models.sequence import N_ENCODINGS

MAX_INT = 2**31 - 1
"""The largest integer of any field: the product of two of them still fits into 64 bits."""
MAX_TRACKS = 100_000
"""Tracks of all heads together; the largest published network has 7,611."""
MAX_LAYERS = 1_000
"""Layers of one kind; the largest published network has 11."""
COMPUTED: Any = None
"""The default of a field that is computed from the other fields if it is not given."""


class ComputedInt(int):
    """A number computed from other fields; `dataclasses.replace` computes it again."""


@dataclass(frozen=True)
class Rule:
    """What a field may hold.

    Attributes:
        accepts: Whether a value (of built-in types) is allowed.
        description: What is allowed; completes the message "… is not".
        convert: Converts an allowed value to the stored one.
    """

    accepts: Callable[[Any], bool]
    description: str
    convert: Callable[[Any], Any] = lambda value: value


def is_integer(value: object, low: int, high: int) -> bool:
    """Return whether `value` is an int (not a bool) from `low` to `high`."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _integer_rule(low: int, high: int) -> Rule:
    """Return the rule of an integer from `low` to `high`."""
    return Rule(
        lambda value: is_integer(value, low, high), f"a whole number from {low} to {high:,}"
    )


def _number_rule(high: float) -> Rule:
    """Return the rule of a number from 0 to `high`."""

    def accepts(value: object) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and 0 <= value <= high  # type: ignore[operator]

    return Rule(accepts, f"a number from 0 to {high:g}", float)


def _choice_rule(names: tuple[str, ...]) -> Rule:
    """Return the rule of a field that holds one of `names`."""
    return Rule(
        lambda value: isinstance(value, str) and value in names, f"one of {', '.join(names)}"
    )


def _list_rule(accepts: Callable[[Any], bool], length: int, description: str) -> Rule:
    """Return the rule of a list of at most `length` values, each of which `accepts` allows."""
    return Rule(
        lambda value: (
            isinstance(value, tuple) and len(value) <= length and all(map(accepts, value))
        ),
        f"a list of at most {length:,} {description}",
    )


def _is_name(value: object) -> bool:
    """Return whether tables and file names can hold `value`."""
    return isinstance(value, str) and value != "" and value.isprintable()


def _are_head_sizes(value: object) -> bool:
    """Return whether `value` maps names of species to numbers of tracks."""
    return isinstance(value, Mapping) and all(
        isinstance(species, str) and is_integer(tracks, 1, MAX_TRACKS)
        for species, tracks in value.items()
    )


PositiveInt = Annotated[int, _integer_rule(1, MAX_INT)]
NonNegativeInt = Annotated[int, _integer_rule(0, MAX_INT)]
PositiveCount = Annotated[int, _integer_rule(1, MAX_LAYERS)]
"""Heads or other parts of a layer: at least one."""
Count = Annotated[int, _integer_rule(0, MAX_LAYERS)]
"""Layers or blocks; there may be none."""
TrackCount = Annotated[int, _integer_rule(1, MAX_TRACKS)]
KernelSize = Annotated[
    int,
    Rule(
        lambda value: is_integer(value, 1, MAX_INT) and value % 2 == 1,
        f"an odd whole number from 1 to {MAX_INT:,}",
    ),
]
TargetLength = Annotated[
    int,
    Rule(
        lambda value: is_integer(value, 1, MAX_INT) or is_integer(value, -1, -1),
        f"a whole number from 1 to {MAX_INT:,}, or -1 for all",
    ),
]
Probability = Annotated[float, _number_rule(1)]
SmallNumber = Annotated[float, _number_rule(1)]
"""An epsilon or a momentum."""
NonNegativeFloat = Annotated[float, _number_rule(1e9)]
Flag = Annotated[bool, Rule(lambda value: isinstance(value, bool), "true or false")]
Text = Annotated[str, Rule(lambda value: isinstance(value, str), "a text")]
Activation = Annotated[
    str, _choice_rule(("gelu_new", "quick_gelu", "gelu", "relu", "softplus", "linear"))
]
AttentionType = Annotated[str, _choice_rule(("relative", "rotary"))]
NEncoding = Annotated[str, _choice_rule(tuple(N_ENCODINGS))]
Widths = Annotated[
    tuple[int, ...],
    _list_rule(
        lambda value: is_integer(value, 1, MAX_INT),
        MAX_LAYERS,
        f"whole numbers from 1 to {MAX_INT:,}",
    ),
]
Names = Annotated[
    tuple[str, ...], _list_rule(_is_name, MAX_TRACKS, "names without tabs and line ends")
]
HeadSizes = Annotated[
    Mapping[str, int],
    Rule(_are_head_sizes, f"a table of names and whole numbers from 1 to {MAX_TRACKS:,}"),
]


@dataclass(frozen=True)
class ValidatedFields:
    """A frozen dataclass that checks its fields: a wrong value is a SeqcovError.

    Each field is annotated with a type of this module, or with another `ValidatedFields`.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = to_builtin(getattr(self, field.name))
            if field.default is COMPUTED and (value is None or isinstance(value, ComputedInt)):
                self._set(field.name, None)
                continue
            rule = _rule(field.type)
            if isinstance(value, Mapping) and isinstance(field.type, type):  # a nested config
                value = rule.convert(value)
            if not rule.accepts(value):
                problem = f"{reprlib.repr(value)} is not {rule.description}"
                raise self.field_error(field.name, problem)
            self._set(field.name, rule.convert(value))

    def _set(self, name: str, value: object) -> None:
        """Set a field of this frozen instance, while it is made."""
        object.__setattr__(self, name, value)

    def field_error(self, name: str, problem: str) -> SeqcovError:
        """Return the error for a wrong value of the field `name`; `problem` says what is wrong."""
        return SeqcovError(f"{type(self).__name__}.{name}: {problem}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build an instance from built-in values, as `dataclasses.asdict` or JSON hold them.

        Args:
            values: Field names and values; "architecture" is ignored.

        Raises:
            SeqcovError: If a field is unknown, or a value is not allowed.

        Example:
            >>> EnformerConfig.from_dict({"num_hidden_layers": 4}).num_hidden_layers
            4
        """
        fields = {key: value for key, value in values.items() if key != "architecture"}
        if unknown := sorted({*map(str, fields)} - {item.name for item in dataclasses.fields(cls)}):
            raise SeqcovError(f"{cls.__name__} has no field {', '.join(unknown)}; remove it")
        return cls(**fields)


def _rule(annotation: Any) -> Rule:
    """Return the rule of a field, which is in its annotation or is a config itself."""
    if isinstance(annotation, type) and issubclass(annotation, ValidatedFields):
        kind = annotation
        return Rule(
            lambda value: isinstance(value, kind),
            f"a {kind.__name__}",
            lambda value: kind.from_dict(value) if isinstance(value, Mapping) else value,
        )
    rule: Rule
    (rule,) = annotation.__metadata__
    return rule


def to_builtin(value: Any) -> Any:
    """Convert NumPy values, lists and their contents to built-in numbers, tuples and dicts."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: to_builtin(item) for key, item in value.items()}
    return tuple(map(to_builtin, value)) if isinstance(value, list | tuple) else value
