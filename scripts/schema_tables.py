"""Render the fields of a JSON Schema as tables, for the pages of docs/."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

HEAD = ["| field | description | default | example |", "|---|---|---|---|"]

Field = tuple[str, dict[str, Any], bool]
"""Name, schema, and whether the field is required."""


def at(schema: Mapping[str, Any], place: str) -> Any:
    """Return the part of a schema at a path with slashes."""
    part: Any = schema
    for step in place.split("/") if place else []:
        part = part[step]
    return part


def followed(schema: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part with its reference resolved; keywords beside the reference take precedence."""
    place = part.get("$ref", "").removeprefix("#/")
    return {**at(schema, place), **part} if place else dict(part)


def fields(schema: Mapping[str, Any], place: str) -> Iterator[Field]:
    """Yield the fields of the object at a path."""
    part = at(schema, place)
    for name, field in part["properties"].items():
        yield name, followed(schema, field), name in part.get("required", [])


def example(field: Mapping[str, Any]) -> Any:
    """Return a value that the field can have, or None if it has a table of its own."""
    for source in ("examples", "enum"):
        if field.get(source):
            return field[source][-1 if source == "enum" else 0]
    return field.get("const", field.get("default"))


def table(rows: Iterable[Field]) -> str:
    """Return the fields as a table."""
    return "\n".join([*HEAD, *(_row(*row) for row in rows)]) + "\n"


def _row(name: str, field: Mapping[str, Any], required: bool) -> str:
    what = as_cell(field.get("description", ""))
    if choices := field.get("enum"):
        what += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
    absent = "required" if required else code(field["default"]) if "default" in field else ""
    shown = example(field)
    # The default is shown in its own column.
    seen = shown is None or (not required and shown == field.get("default"))
    return f"| `{name}` | {what} | {absent} | {'' if seen else code(shown)} |"


def as_cell(text: str) -> str:
    """A description as a table's cell: outside code, <team> would be an HTML element, which no page shows."""
    parts = text.replace("|", "\\|").split("`")
    outside = [part.replace("<", "\\<") for part in parts[::2]]
    parts[::2] = outside
    return "`".join(parts)


def code(value: Any) -> str:
    """Return a value as YAML on one line: JSON, or a string without quotes if it has no special characters."""
    plain = isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum() and not value.isdigit()
    return f"`{value if plain else json.dumps(value)}`"
