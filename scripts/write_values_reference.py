"""Writes each chart's values.schema.json, and docs/values.md, from the chart's values.schema.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jobyard_cli.platform.team_schema import FIELDS, OVERRIDABLE
from jsonschema import Draft7Validator
from schema_tables import Field, at, followed, table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "values.md"
CHARTS = ("platform", "bounds", "team", "bootstrap")
NAMES = {
    "nodeGroups": "<group>",
    "serviceAccounts": "<service account>",
}
"""What is one of those that a mapping has under names of a person's choice."""


def _names(fields: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in fields)


INTRODUCTION = f"""\
# Values of the charts

<!-- Written by `make docs` from charts/*/values.schema.yaml and charts/definitions.yaml. -->

| file | what it has |
|---|---|
| `values/environments/<environment>.yaml` | [`environment`](#platform-environment) |
| `values/teams/<team>.yaml` | of [the values of bounds](#bounds) {_names(FIELDS)} |
| `values/overrides/<environment>/<team>.yaml` | what the team has instead in that environment: {_names(OVERRIDABLE)} |
| `values/node-groups.yaml` | [`nodeGroups`](#platform-nodegroupsgroup) |
| `values/team.yaml` of a team's repository | [the values of team](#team), but not `nodeGroups` |
| `values/environments/<environment>.yaml` of a team's repository | those of them that are different there |
"""

Part = Mapping[str, Any]


def load(chart: str) -> dict[str, Any]:
    """A chart's schema, as a person writes it, with the shared definitions that it refers to."""
    schema: dict[str, Any] = yaml.safe_load((ROOT / "charts" / chart / "values.schema.yaml").read_text())
    # A team's chart that is standalone has some of what charts/bounds describes.
    bounds = yaml.safe_load((ROOT / "charts" / "bounds" / "values.schema.yaml").read_text())["definitions"]
    shared = yaml.safe_load((ROOT / "charts" / "definitions.yaml").read_text())
    known = {**bounds, **shared, **schema.pop("definitions", {})}
    return {**schema, "definitions": {name: known[name] for name in referred(known, schema)}}


def referred(definitions: Part, part: Any) -> list[str]:
    """Names of the definitions that a part of a schema refers to, and of those that these do, in order."""
    found: dict[str, None] = {}
    to_do = [part]
    while to_do:
        for name in re.findall(r'"#/definitions/(\w+)"', json.dumps(to_do.pop(0))):
            if name not in found:
                found[name] = None
                to_do.append(definitions[name])
    return list(found)


def json_text(schema: Part) -> str:
    """The same schema as Helm reads it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def render() -> str:
    """The whole page; what several charts share is in it once."""
    seen: set[str] = set()
    return INTRODUCTION + "".join(_chart(chart, seen) for chart in CHARTS)


def tables(chart: str, seen: set[str]) -> dict[str, list[Field]]:
    """The fields of each object that the chart's values may have, by the path that leads to it first.

    `seen` are the definitions that need no table any more.
    """
    return dict(_objects(load(chart), _with_defaults(chart), "", seen))


def _with_defaults(chart: str) -> dict[str, Any]:
    """The schema's top with the defaults that the chart's values.yaml gives: what that says need not be given."""
    schema = load(chart)
    given = yaml.safe_load((ROOT / "charts" / chart / "values.yaml").read_text())
    # An empty text or list stands there for what a person has to give, where the schema refuses it.
    defaults = {name: value for name, value in given.items() if is_valid(schema, schema["properties"][name], value)}
    properties = {
        name: {**part, "default": defaults[name]} if name in defaults else part
        for name, part in schema["properties"].items()
    }
    always = [*schema["required"], *schema.get("then", {}).get("required", [])]
    required = [name for name in always if name not in defaults]
    return {**schema, "properties": properties, "required": required}


def is_valid(schema: Part, part: Part, value: Any) -> bool:
    """Whether a part of the schema, with all that it refers to, allows the value."""
    return bool(Draft7Validator({**part, "definitions": schema.get("definitions", {})}).is_valid(value))


def _objects(schema: Part, part: Part, path: str, seen: set[str]) -> Iterator[tuple[str, list[Field]]]:
    """Each object below a part, itself included; what several places share comes once."""
    whole = followed(schema, part)
    if "$ref" in part:
        # Charts may have different things under one name.
        definition = json.dumps(at(schema, part["$ref"].removeprefix("#/")))
        if definition in seen:
            return
        seen.add(definition)
    if "properties" in whole:
        required = whole.get("required", [])
        yield path, [(name, followed(schema, one), name in required) for name, one in whole["properties"].items()]
    for name, below in _below(whole, path):
        yield from _objects(schema, below, name, seen)


def _below(part: Part, path: str) -> Iterator[tuple[str, Part]]:
    for name, below in part.get("properties", {}).items():
        yield f"{path}.{name}".removeprefix("."), below
    if isinstance(part.get("additionalProperties"), dict):
        yield f"{path}.{NAMES.get(path.rpartition('.')[2], '<name>')}", part["additionalProperties"]
    if "items" in part:
        yield f"{path}[]", part["items"]


def _chart(chart: str, seen: set[str]) -> str:
    parts = [f"\n## {chart}\n\n{load(chart)['description']}\n"]
    for path, rows in tables(chart, seen).items():
        title = f"\n### {chart}: `{path}`\n" if path else ""
        parts.append(f"{title}\n{table(rows)}")
    return "".join(parts)


def main() -> None:
    """Write the files."""
    for chart in CHARTS:
        (ROOT / "charts" / chart / "values.schema.json").write_text(json_text(load(chart)))
    PAGE.write_text(render())


if __name__ == "__main__":
    main()
