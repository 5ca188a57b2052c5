"""Writes each chart's values.schema.json, and docs/values.md, from the chart's values.schema.yaml."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHARTS = ("bootstrap", "platform", "bounds", "team")


def load(chart: str) -> dict[str, Any]:
    """A chart's schema, as a person writes it, with the shared definitions that it refers to."""
    schema: dict[str, Any] = yaml.safe_load((ROOT / "charts" / chart / "values.schema.yaml").read_text())
    own = schema.pop("definitions", {})
    shared = yaml.safe_load((ROOT / "charts" / "definitions.yaml").read_text())
    names = referred({**shared, **own}, schema)
    return {**schema, "definitions": {name: {**shared, **own}[name] for name in names}}


def referred(definitions: dict[str, Any], part: Any) -> list[str]:
    """Names of the definitions that a part of a schema refers to, and of those that these do, in order."""
    found: dict[str, None] = {}
    to_do = [part]
    while to_do:
        for name in re.findall(r'"#/definitions/(\w+)"', json.dumps(to_do.pop(0))):
            if name not in found:
                found[name] = None
                to_do.append(definitions[name])
    return list(found)


def json_text(schema: dict[str, Any]) -> str:
    """The same schema as Helm reads it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the files."""
    for chart in CHARTS:
        (ROOT / "charts" / chart / "values.schema.json").write_text(json_text(load(chart)))


if __name__ == "__main__":
    main()
