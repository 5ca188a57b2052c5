"""The schemas of the charts' values and docs/values.md: up to date, closed, and with examples that hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jobyard_cli.platform.team_schema import FIELDS as FIELDS_OF_TEAM
from jobyard_cli.platform.team_schema import OVERRIDABLE
from jsonschema import Draft7Validator
from schema_tables import example
from write_values_reference import CHARTS, PAGE, ROOT, is_valid, json_text, load, render, tables

Part = dict[str, Any]
FIELDS = [
    (chart, path, name, field)
    for chart in CHARTS
    for path, rows in tables(chart, set()).items()
    for name, field, _ in rows
]
NAMES = [f"{chart} {path}.{name}" for chart, path, name, _ in FIELDS]


def parts(part: Any, place: str = "#") -> Iterator[tuple[str, Part]]:
    """Each mapping of a schema with where it is."""
    if isinstance(part, dict):
        yield place, part
        for name, below in part.items():
            if name not in ("examples", "default", "enum"):
                yield from parts(below, f"{place}/{name}")
    elif isinstance(part, list):
        for index, below in enumerate(part):
            yield from parts(below, f"{place}/{index}")


def test_every_chart_of_the_repository_is_on_the_page() -> None:
    assert sorted(CHARTS) == sorted(folder.parent.name for folder in (ROOT / "charts").glob("*/Chart.yaml"))


def test_the_page_is_what_the_schemas_say() -> None:
    assert PAGE.read_text() == render(), "run `make docs`"


@pytest.mark.parametrize("chart", CHARTS)
def test_helms_schema_is_what_the_written_one_says(chart: str) -> None:
    assert (ROOT / "charts" / chart / "values.schema.json").read_text() == json_text(load(chart)), "run `make docs`"


@pytest.mark.parametrize("chart", CHARTS)
def test_a_schema_is_one_of_draft_7_and_refers_to_nothing_but_its_own_definitions(chart: str) -> None:
    schema = load(chart)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema)
    used = {part["$ref"]: part for _, part in parts(schema) if "$ref" in part}
    assert set(used) == {f"#/definitions/{name}" for name in schema.get("definitions", {})}
    # Draft 7 passes over whatever else is beside a reference.
    assert {key for part in used.values() for key in part} <= {"$ref", "description", "default", "examples"}


@pytest.mark.parametrize(
    ("chart", "opened"),
    [
        ("platform", []),
        ("bounds", ["#/definitions/egress/items"]),
        ("team", ["#/definitions/nodeGroup", "#/definitions/egress/items"]),
        ("bootstrap", []),
    ],
)
def test_an_object_takes_no_other_fields_but_those_it_names(chart: str, opened: list[str]) -> None:
    objects = {place: part for place, part in parts(load(chart)) if part.get("type") == "object"}
    assert [place for place, part in objects.items() if part.get("additionalProperties") in (None, True)] == opened


def test_an_object_that_takes_more_says_why() -> None:
    node_group = load("team")["definitions"]["nodeGroup"]
    assert node_group["description"].endswith("It may have more, which the platform's chart checks.")
    # Kubernetes' own rules, which the API server checks.
    assert load("bounds")["properties"]["sharedEgress"]["description"].startswith(
        "Where every team's pods may connect to; egress rules of a NetworkPolicy."
    )


@pytest.mark.parametrize(("chart", "path", "name", "field"), FIELDS, ids=NAMES)
def test_a_field_is_described_and_its_example_and_default_are_right(
    chart: str, path: str, name: str, field: Part
) -> None:
    assert field.get("description", "").endswith(".")
    schema = load(chart)
    shown = example(field)
    assert shown is not None or {"properties", "additionalProperties", "items"} & field.keys()
    for value in (shown, field.get("default")):
        assert value is None or is_valid(schema, field, value)


def test_the_page_links_to_its_own_parts() -> None:
    text = PAGE.read_text()
    titles = re.findall(r"^#+ (.*)$", text, flags=re.M)
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    links = set(re.findall(r"\]\(#([^)]*)\)", text))
    assert links
    assert links <= anchors


def test_what_need_not_be_given_is_told_with_what_is_then_used() -> None:
    lines = PAGE.read_text().splitlines()
    team = lines[lines.index("## team") : lines.index("## bootstrap")]
    absent = {line.split(" | ")[0]: line.split(" | ")[2] for line in reversed(team) if line.startswith("| `")}
    assert absent["| `team`"] == absent["| `serviceAccounts`"] == "required"
    assert absent["| `viewerGroups`"] == "`[]`"
    revisions = [line.split(" | ")[2] for line in lines if line.startswith("| `revision`")]
    # The platform's own, a team's, and what the bootstrap chart is given.
    assert revisions == ["`main`", "`main`", "`main`"]
    bounds = lines[lines.index("## bounds") : lines.index("## team")]
    absent = {line.split(" | ")[0]: line.split(" | ")[2] for line in reversed(bounds) if line.startswith("| `")}
    assert absent["| `team`"] == absent["| `repo`"] == absent["| `priorityBand`"] == "required"


def test_every_value_of_charts_bounds_is_a_teams_own_or_the_same_for_all() -> None:
    """The same for all is what the chart itself has, and what the ApplicationSet and the environment's file give."""
    shared = yaml.safe_load((ROOT / "charts" / "bounds" / "values.yaml").read_text())
    assert set(load("bounds")["properties"]) == {*FIELDS_OF_TEAM, *shared}
    assert not {*FIELDS_OF_TEAM} & shared.keys()
    assert {*OVERRIDABLE} <= {*FIELDS_OF_TEAM}
