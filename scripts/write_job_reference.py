"""Writes docs/job.md, the reference of job.yaml, from its JSON Schema: what an editor shows is what the page says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "schemas" / "job.schema.json"
PAGE = ROOT / "docs" / "job.md"
SECTIONS = {
    "A job": "",
    "Defaults of its tasks": "properties/defaults",
    "A task": "$defs/task",
    "Retries": "$defs/retries",
    "Resources": "$defs/resources",
}
"""Title of each table, and where in the schema the object with its fields is."""

INTRODUCTION = """\
# job.yaml

<!-- Written by `make docs` from schemas/job.schema.json. -->

A job is one file, `dags/<job>/job.yaml`. The folder's name is the job's, and with the team's name before it the DAG's
in Airflow: `<team>.<job>`. The least that a job can say:

```yaml
apiVersion: jobyard/v1
schedule: "@daily"
tasks:
  score:
    image: inference
```
"""


def fields(schema: Mapping[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Name, description with its reference followed, and whether it is required, of each field of an object."""
    part: Any = schema
    for step in place.split("/") if place else []:
        part = part[step]
    for name, field in part["properties"].items():
        definition = field.get("$ref", "").removeprefix("#/$defs/")
        yield name, {**schema["$defs"].get(definition, {}), **field}, name in part.get("required", [])


def example(field: Mapping[str, Any]) -> Any:
    """A value that the field can have, or None where a table of its own shows what it holds."""
    for source in ("examples", "enum"):
        if field.get(source):
            return field[source][-1 if source == "enum" else 0]
    return field.get("const", field.get("default"))


def render(schema: Mapping[str, Any]) -> str:
    """The whole page."""
    tables = (f"\n## {title}\n\n{_table(schema, place)}" for title, place in SECTIONS.items())
    return INTRODUCTION + "".join(tables)


def _table(schema: Mapping[str, Any], place: str) -> str:
    rows = ["| field | what | without it | example |", "|---|---|---|---|"]
    for name, field, required in fields(schema, place):
        what = field.get("description", "").replace("|", "\\|")
        if choices := field.get("enum"):
            what += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
        absent = "required" if required else _code(field["default"]) if "default" in field else ""
        shown = example(field)
        rows.append(f"| `{name}` | {what} | {absent} | {'' if shown is None else _code(shown)} |")
    return "\n".join(rows) + "\n"


def _code(value: Any) -> str:
    """A value as YAML has it on one line; JSON is YAML, and text needs quotes only where JSON's own characters are."""
    text = value if isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum() else json.dumps(value)
    return f"`{text}`"


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(json.loads(SCHEMA.read_text())))


if __name__ == "__main__":
    main()
