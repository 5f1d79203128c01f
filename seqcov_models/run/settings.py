"""Read and complete a config, and find its mistakes, with its JSON schema and without."""

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.sources import ADDRESSES
from seqcov_models.errors import SeqcovError
from seqcov_models.files import describe_encoding_error
from seqcov_models.run.entries import NAME, suggest_name

SCHEMA = Path(__file__).with_name("config.schema.yaml")
"""The JSON schema of configs: description and default of every key."""

PATHS = (
    "output", "genome.fasta", "genome.annotation", "genome.regions", "genome.exclude",
    "models.*.weights", "models.*.regions", "models.*.targets", "models.*.peaks",
    "models.*.observed", "models.*.folds",
)  # fmt: skip
"""Settings that may be paths, or lists or mappings of paths."""
WEIGHTS = "models.*.weights"
"""The setting that may also be addresses."""
CONTIGS = ("genome.regions", "genome.exclude", "models.*.regions")
"""Settings that may also be contigs, whose names may hold braces. No job reads their files."""


def read_config(path: Path) -> dict[str, Any]:
    """Read a config, without defaults.

    Args:
        path: The YAML file.

    Raises:
        SeqcovError: If the file is missing or not YAML, or if a section has a key twice.
    """
    import yaml

    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SeqcovError(f"config {path}: {error.strerror}; write one as README.md says") from None
    except UnicodeDecodeError as error:
        raise SeqcovError(f"config {path}: {describe_encoding_error(error)}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SeqcovError(
            f"config {path}{place}: not YAML: {problem}; look at colons, quotes and indentation"
        ) from None
    if not isinstance(config, dict):
        raise SeqcovError(
            f"config {path}: keys are missing at the top level; begin with genome and models"
        )
    check_duplicate_keys([path])
    return config


def complete_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a config with all defaults, and whole numbers as integers.

    Args:
        config: The config, as YAML reads it.

    Raises:
        SeqcovError: If the config does not fit the schema, with one line per mistake.
    """
    import yaml
    from jsonschema import Draft202012Validator, validators

    completed: dict[str, Any] = convert_whole_floats(config)
    if mistakes := list(find_mistakes(completed)):
        raise SeqcovError("config: " + "\n".join(mistakes))
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    text = "\n".join(find_unnamed_peaks(completed)) or describe_mistakes(completed, schema)
    if text:
        raise SeqcovError(f"config: {text}")
    check_properties = Draft202012Validator.VALIDATORS["properties"]

    def set_defaults(
        validator: Any, properties: Mapping[str, Any], instance: Any, schema: Any
    ) -> Iterator[Any]:
        for name, subschema in properties.items():
            if "default" in subschema:
                instance.setdefault(name, deepcopy(subschema["default"]))
        yield from check_properties(validator, properties, instance, schema)

    completing = validators.extend(Draft202012Validator, {"properties": set_defaults})
    completing(schema).validate(completed)
    return completed


def check_duplicate_keys(paths: Iterable[str | Path]) -> None:
    """Check that no section of a config has a key twice.

    Args:
        paths: The YAML files.

    Raises:
        SeqcovError: If one has, with one line per key.
    """
    if mistakes := [mistake for path in paths for mistake in find_duplicate_keys(Path(path))]:
        raise SeqcovError("\n".join(mistakes))


def convert_whole_floats(config: Any) -> Any:
    """Return a copy of a config with each whole number as an integer: 2.0 is 2.

    A JSON schema takes 2.0 for an integer, too, but Python does not.

    Args:
        config: The config or a section of it.
    """
    if isinstance(config, Mapping):
        return {key: convert_whole_floats(value) for key, value in config.items()}
    if isinstance(config, list):
        return [convert_whole_floats(value) for value in config]
    return int(config) if isinstance(config, float) and config.is_integer() else config


def find_duplicate_keys(path: Path) -> Iterator[str]:
    """Yield one line per key that a section of a YAML file has twice: YAML would keep the last.

    Args:
        path: The file.
    """
    import yaml

    try:
        root = yaml.compose(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        yield f"config {path}: {describe_encoding_error(error)}"
        return
    except (OSError, yaml.YAMLError):  # for example a pipe: Snakemake has read it
        return
    sections = [root]
    while sections:
        section = sections.pop()
        if isinstance(section, yaml.SequenceNode):
            sections += section.value
        elif isinstance(section, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in section.value:
                sections.append(value)
                line = key.start_mark.line + 1
                if isinstance(key, yaml.ScalarNode):
                    if key.value in lines and key.value != "<<":
                        yield (
                            f"config {path}, line {line}: {key.value!r} is already in line"
                            f" {lines[key.value]} of the same section; merge the two"
                        )
                    lines[key.value] = line


def find_mistakes(config: Any, location: str = "") -> Iterator[str]:
    """Yield one line per value that no setting can have: NaN, and text of more than one line.

    Names that YAML does not read as text (1, on, 2026-01-31) are mistakes, too.

    Args:
        config: The config or a section of it.
        location: The keys that lead to the section, joined by dots.
    """
    if not location:
        yield from non_string_keys(config)
    if isinstance(config, Mapping | list):
        entries = config.items() if isinstance(config, Mapping) else enumerate(config)
        for key, value in entries:
            if isinstance(config, Mapping):
                yield from find_mistakes(str(key), location or "top level")
            yield from find_mistakes(value, f"{location}.{key}" if location else str(key))
    elif isinstance(config, float) and not math.isfinite(config):
        yield f"{location}: {config} is not a number that can be used; write digits"
    elif isinstance(config, str) and re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", config):
        yield (
            f"{location}: {config!r} has a line break or another control character; write it in"
            " one line and in quotes (in YAML, text after | or > ends with a line break)"
        )


def find_unnamed_peaks(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line per model whose peaks are the maxima of a track without a name of their set.

    Args:
        config: The config, which may not fit the schema.
    """
    models = config.get("models")
    if not isinstance(models, Mapping):
        return
    for name, entry in models.items():
        peaks = entry.get("peaks") if isinstance(entry, Mapping) else None
        if (
            isinstance(peaks, Mapping)
            and peaks.keys() <= {"model", "track", "threshold", "number"}
            and not any(isinstance(value, Mapping) for value in peaks.values())
            and (str(peaks.get("model")) in models or peaks.keys() & {"threshold", "number"})
        ):
            text = ", ".join(f"{key}: {value}" for key, value in peaks.items())
            yield f"models.{name}.peaks: a set of peaks needs a name; write {{open: {{{text}}}}}"


def find_displaced_path(config: Mapping[str, Any], folder: Path) -> str | None:
    """Return a path of a config that exists in another folder, but not in the current one.

    Args:
        config: The config.
        folder: The other folder.
    """
    for setting in PATHS:
        for _, path in _find_settings(config, setting.split("."), ""):
            if not Path(path).exists() and (folder / path).exists():
                return path
    return None


def find_path_mistakes(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line per path that is not a path for Snakemake: ~, addresses, braces.

    Args:
        config: A config that fits the schema.
    """
    for setting in PATHS:
        for location, path in _find_settings(config, setting.split("."), ""):
            if path.startswith("~"):
                yield (
                    f"{location}: {path}: '~' is not replaced in a config; write the path in full,"
                    f" as in {_expand_home(path)}"
                )
            elif re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path) and not (
                setting == WEIGHTS and path.startswith(ADDRESSES)
            ):
                yield (
                    f"{location}: {path} is an address, not a path; download the file and write"
                    " its path"
                )
            elif re.search("[{}]", path) and not (setting in CONTIGS or _has_names(location, path)):
                advice = f"; {NAME} is possible once, in a single path" * (setting == WEIGHTS)
                yield (
                    f"{location}: {path}: braces in a path are wildcards for Snakemake; rename the"
                    f" file or folder{advice}"
                )


def _has_names(location: str, path: str) -> bool:
    """Return whether a setting is a pattern of weights of several models, or of measured files."""
    keys = location.split(".")
    if keys[2:3] == ["observed"]:
        return not re.search("[{}]", path.replace(NAME, "").replace("{identifier}", ""))
    is_entry = len(keys) == 3 and keys[0] == "models" and keys[2] == "weights"
    return is_entry and not re.search("[{}]", path.replace(NAME, "", 1))


def _expand_home(path: str) -> Path:
    """Return a path with ~ replaced by a home folder, or by an example of one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user
        return Path("/home/you", path.partition("/")[2])


def _find_settings(section: Any, keys: list[str], location: str) -> Iterator[tuple[str, str]]:
    """Yield the location and the text of each setting that `keys` lead to; * is any key."""
    if keys and isinstance(section, Mapping):
        for key in section if keys[0] == "*" else {keys[0]} & set(section):
            deeper = f"{location}.{key}" if location else key
            yield from _find_settings(section[key], keys[1:], deeper)
    elif isinstance(section, str):
        yield location, section
    elif isinstance(section, list | Mapping):
        entries = section.items() if isinstance(section, Mapping) else enumerate(section)
        for key, value in entries:
            if isinstance(value, str | list):
                yield from _find_settings(value, [], f"{location}.{key}")


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
    from jsonschema import Draft202012Validator

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
        else:
            lines.append(f"{location}: {_describe_mistake(error)}")
    return "\n".join(sorted(lines))


KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a section with keys",
    "array": "a list",
    "string": "text",
}
"""Types of a JSON schema in words."""


def _describe_mistake(error: Any) -> str:
    """Return what is wrong with a value, and which values are allowed."""
    value, rule, about = error.instance, error.validator_value, error.schema.get("description", "")
    kinds = rule if isinstance(rule, list) else [rule]
    if error.validator == "required":
        missing = [key for key in rule if key not in value]
        return f"the key {missing[0]!r} is missing; add it"
    if error.validator == "enum":
        choices = ", ".join("null" if choice is None else str(choice) for choice in rule)
        return f"{value!r} is not one of: {choices}"
    if error.validator == "type" and "string" in kinds and isinstance(value, int | float):
        return f"{value} is not text in YAML; put it in quotes"
    if error.validator == "type" and "array" in kinds:
        return f"write a list: [{value}]"
    problems = {
        "type": f"is not {' or '.join(KINDS.get(str(kind), '') for kind in kinds)}; write that",
        "pattern": "is not allowed; choose another name",
        "minimum": f"is too small; choose {rule} or more",
        "maximum": f"is too large; choose {rule} or less",
        "uniqueItems": "has a value twice; list each once",
    }
    if error.validator in ("minItems", "minLength", "minProperties"):
        text = "it is empty; fill it, or leave out the key"
    elif "propertyNames" in error.absolute_schema_path and (suggestion := suggest_name(value)):
        text = f"{value!r} is not allowed; write {suggestion!r}"
    else:
        text = f"{value!r} {problems.get(error.validator, 'does not fit; see what the key means')}"
    return f"{text} ({about})" if about else text
