"""Describe the mistakes in a config that does not fit its JSON schema."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any


def non_string_keys(config: Any, location: str = "") -> Iterator[str]:
    """Yield one line per key that YAML does not read as text (1, on, 2026-01-31).

    Args:
        config: The config or a section of it.
        location: The keys that lead to the section, joined by dots.
    """
    entries = enumerate(config) if isinstance(config, list) else ()
    for key, value in config.items() if isinstance(config, Mapping) else entries:
        if isinstance(config, Mapping) and not isinstance(key, str):
            yield f"{location or 'config'}: the name {key} is not text in YAML; put it in quotes"
        yield from non_string_keys(value, f"{location}.{key}" if location else str(key))


def describe_mistakes(config: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return one line per mistake: its location, what is wrong, and the nearest valid choice.

    Args:
        config: The config.
        schema: The JSON schema of configs.
    """
    from jsonschema import Draft202012Validator  # installed with Snakemake, not with this package

    lines = []
    for error in Draft202012Validator(schema).iter_errors(config):
        location = ".".join(map(str, error.absolute_path)) or "top level"
        if error.validator == "additionalProperties":
            known = list(error.schema["properties"])
            for key in set(error.instance) - set(known):
                matches = difflib.get_close_matches(str(key), known, n=1)
                hint = (
                    f"did you mean {matches[0]!r}?" if matches else f"known are {', '.join(known)}"
                )
                lines.append(f"{location}: unknown key {key!r}; {hint}")
        elif error.validator == "enum":
            choices = ", ".join(map(str, error.validator_value))
            lines.append(f"{location}: {error.instance!r} is not one of: {choices}")
        elif (
            error.validator == "type"
            and "string" in error.validator_value
            and not isinstance(error.instance, (list, Mapping, type(None)))
        ):
            lines.append(f"{location}: {error.instance} is not text in YAML; put it in quotes")
        elif error.validator == "type" and error.validator_value == "array":
            lines.append(f"{location}: write a list: [{error.instance}]")
        elif error.validator in ("oneOf", "anyOf"):
            lines.append(
                f"{location}: {error.instance!r} does not fit: {error.schema['description']}"
            )
        else:
            about = error.schema.get("description", "")
            lines.append(f"{location}: {error.message}" + (f" ({about})" if about else ""))
    return "\n".join(sorted(lines))
