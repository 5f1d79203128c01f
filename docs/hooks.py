"""mkdocs: write the reference of the config from its schema when the manual is built."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
SCHEMA = REPOSITORY / "seqcov_models/run/config.schema.yaml"
MARK = "<!-- keys of the config -->"
TITLES = {"coverage_model": "A model along the genome", "profile_model": "A BPNet at peaks"}


def on_page_markdown(markdown: str, **_: object) -> str:
    """Return the page with the tables of keys, if it asks for them."""
    return markdown.replace(MARK, build_reference()) if MARK in markdown else markdown


def build_reference() -> str:
    """Return one table of keys per section of the config."""
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    definitions = schema["$defs"]
    sections = {name: part for name, part in schema["properties"].items() if is_section(part)}
    top = {name: part for name, part in schema["properties"].items() if name not in sections}
    tables = [("Top level", "", top)]
    for name, part in sections.items():
        tables.append((f"`{name}`", part["description"], part["properties"]))
    for name, title in TITLES.items():
        tables.append((title, "", definitions[name]["properties"]))
    for name, part in definitions.items():
        if name not in TITLES and is_section(part):
            tables.append((f"`{name}`", part["description"], part["properties"]))
    return "\n\n".join(
        f"## {title}\n\n{text}\n\n" + "\n".join(build_rows(properties, definitions))
        for title, text, properties in tables
    )


def is_section(part: Mapping[str, Any]) -> bool:
    """Return whether a part of the schema lists keys."""
    return "properties" in part


def build_rows(properties: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a table of keys."""
    yield "| key | value | default | description |\n|---|---|---|---|"
    for key, part in properties.items():
        part = resolve(part, definitions)
        default = (
            "" if "default" not in part or part["default"] == {} else f"`{spell(part['default'])}`"
        )
        text = re.sub(r"([*<|])", r"\\\1", str(part.get("description", "")))
        yield f"| `{key}` | {describe_type(part, definitions)} | {default} | {text} |"


def spell(value: Any) -> str:
    """Return a value as YAML writes it on one line."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=1000)
        .strip()
        .removesuffix("...")
        .strip()
    )


def resolve(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part of the schema with the definition that it refers to."""
    name = part.get("$ref", "").rpartition("/")[2]
    return {**definitions[name], **part} if name else part


def describe_type(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return the values that a key takes, in words."""
    if "enum" in part:
        return ", ".join(f"`{spell(value)}`" for value in part["enum"])
    if "const" in part:
        return f"`{spell(part['const'])}`"
    kinds = part.get("type", part.get("if", {}).get("type", []))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = {"string": "text", "array": "list", "object": "keys", "boolean": "true, false"}
    names = [words.get(kind, kind) for kind in kinds if kind != "null"]
    for option in (*part.get("oneOf", ()), *(part.get(word, {}) for word in ("then", "else"))):
        names += [describe_type(resolve(option, definitions), definitions)] if option else []
    low, high = part.get("minimum"), part.get("maximum")
    limits = (
        f", {low} to {high}" if high is not None else f", from {low}" if low is not None else ""
    )
    return " or ".join(dict.fromkeys(name for name in names if name)) + limits
