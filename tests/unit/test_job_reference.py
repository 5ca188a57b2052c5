"""docs/job.md: as the schema says, with examples and defaults that hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jobyard_cli.check.schema import check_schema
from jobyard_cli.documents import Document, parse
from jobyard_cli.release import JOB_DEFAULTS, RESOURCES, RETRIES
from write_job_reference import PAGE, SCHEMA, SECTIONS, example, fields, render

CONTENT = json.loads(SCHEMA.read_text())
EXAMPLES = [
    (title, name, example(field)) for title, place in SECTIONS.items() for name, field, _ in fields(CONTENT, place)
]


def a_job(section: str, name: str, value: Any) -> dict[str, Any]:
    task: dict[str, Any] = {"image": "inference"}
    job = {"apiVersion": "jobyard/v1", "schedule": None, "tasks": {"score": task}}
    match section:
        case "A job":
            job[name] = value
        case "Defaults of its tasks":
            job["defaults"] = {name: value}
        case "A task":
            task[name] = value
        case _:
            task[section.lower()] = {name: value}
    return job


def test_the_page_is_what_the_schema_says() -> None:
    assert PAGE.read_text() == render(CONTENT), "run `make docs`"


@pytest.mark.parametrize(("section", "name", "value"), EXAMPLES, ids=[f"{one[0]}-{one[1]}" for one in EXAMPLES])
def test_every_field_has_an_example_that_the_schema_allows(section: str, name: str, value: Any) -> None:
    assert value is not None
    document = Document("dags/score/job.yaml")
    parse(document, json.dumps(a_job(section, name, value)))
    assert [str(finding) for finding in (*document.findings, *check_schema(document, SCHEMA))] == []


@pytest.mark.parametrize(
    ("place", "defaults"), [("", JOB_DEFAULTS), ("$defs/retries", RETRIES), ("$defs/resources", RESOURCES)]
)
def test_a_default_that_the_page_shows_is_the_one_that_a_release_has(place: str, defaults: dict[str, Any]) -> None:
    shown = {name: field["default"] for name, field, _ in fields(CONTENT, place) if "default" in field}
    assert shown
    assert shown == {name: defaults[name] for name in shown}
