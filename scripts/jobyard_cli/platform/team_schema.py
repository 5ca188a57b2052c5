"""The parts of the schema of charts/bounds that check a team's files."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobyard_cli.check.schema import compiled

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

TEAM_SCHEMA = "charts/bounds/values.schema.json"
FIELDS = (
    "repo",
    "revision",
    "ci",
    "costCenter",
    "viewerGroups",
    "iamRoles",
    "allowedNodeGroups",
    "priorityBand",
    "priorities",
    "quota",
    "queue",
    "workerSlots",
    "pools",
    "loaders",
    "assets",
    "egress",
    "environments",
)
"""What a team's file may have, of the values of charts/bounds; the others are the same for all teams."""
OVERRIDABLE = (
    "revision",
    "viewerGroups",
    "iamRoles",
    "allowedNodeGroups",
    "priorities",
    "quota",
    "queue",
    "workerSlots",
    "pools",
    "loaders",
    "assets",
    "egress",
)
"""What may be different in an environment."""
NOT_THE_PLATFORMS = ("repo", "revision", "ci", "loaders", "environments")
"""What the file of the reserved team lacks: its jobs are in the platform's repository, wherever there are metrics."""


@cache
def name_validator(schema: Path) -> Draft202012Validator:
    """Return a validator of `{"team": <name>}`, given the schema's file."""
    return compiled(_part(json.loads(schema.read_text()), ("team",), ("team",)))


@cache
def file_validator(schema: Path) -> Draft202012Validator:
    """Return a validator of a team's file."""
    content = json.loads(schema.read_text())
    return compiled(_part(content, FIELDS, content["then"]["required"]))


@cache
def override_validator(schema: Path) -> Draft202012Validator:
    """Return a validator of overrides: nothing is required there, and of a quota no single value is either."""
    content = _part(json.loads(schema.read_text()), OVERRIDABLE, ())
    content["definitions"]["quota"].pop("required", None)
    return compiled(content)


@cache
def platform_team_validator(schema: Path) -> Draft202012Validator:
    """Return a validator of the reserved team's file."""
    content = json.loads(schema.read_text())
    fields = [name for name in FIELDS if name not in NOT_THE_PLATFORMS]
    required = [name for name in content["then"]["required"] if name not in NOT_THE_PLATFORMS]
    return compiled(_part(content, fields, required))


def _part(content: Mapping[str, Any], fields: Collection[str], required: Collection[str]) -> dict[str, Any]:
    """A schema of some of the chart's values."""
    properties = {name: content["properties"][name] for name in fields}
    part = {**content, "properties": properties, "required": list(required)}
    for key in ("if", "then"):
        part.pop(key, None)
    return part
