"""docs/job.md: as the schema says, with examples and defaults that hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jobyard_cli.check.run import check_repo
from jobyard_cli.release.compile import compile_release
from jobyard_cli.release.job_defaults import JOB_DEFAULTS, RESOURCES, RETRIES
from schema_tables import example, fields
from write_job_reference import PAGE, SCHEMA, SECTIONS, render

CONTENT = json.loads(SCHEMA.read_text())
EXAMPLES = [
    (title, name, example(field)) for title, place in SECTIONS.items() for name, field, _ in fields(CONTENT, place)
]


# What a field makes sense only with.
COMPANIONS: dict[str, dict[str, Any]] = {
    "deadline": {"alerts": {"on_missed_deadline": [{"slack": "ml-alerts"}]}},
    "on_missed_deadline": {"deadline": "4h"},
    "on_queue_timeout": {"defaults": {"queue_timeout": "6h"}},
    "concurrency": {"foreach": ["xgboost", "lightgbm"]},
    "cpu_limit": {"cpu": 1},
    "resources": {"node_group": "high-cpu"},
}
TYPED = {"type": "wait-for-s3-key", "with": {"bucket_key": "s3://raw/x"}}


def a_job(section: str, name: str, value: Any) -> dict[str, Any]:
    """A job with that field in it, and all around it that the field asks for."""
    pod = {"image": "inference"}
    task: dict[str, Any] = {**pod, "needs": ["features", "split", "drift"]}
    job: dict[str, Any] = {"apiVersion": "jobyard/v1", "schedule": "@daily", "tasks": {"score": task}}
    job["tasks"] |= {name: {**pod} for name in ("features", "split", "drift")}
    field = {name: value, **COMPANIONS.get(name, {})}
    match section:
        case "A job":
            job.update(field)
        case "Schedule":
            job["schedule"] = field
        case "Wait for":
            job["wait_for"] = [{"job": "care.ingest", **field}]
        case "Alerts":
            job |= {"alerts": {name: value}, **COMPANIONS.get(name, {})}
        case "Alert":
            job["alerts"] = {"on_failure": [field]}
        case "Parameter":
            job["params"] = {"limit": parameter(name, value)}
        case "Defaults of its tasks":
            job["defaults"] = field
        case "A task" if name in TYPED:
            job["tasks"]["score"] = {**TYPED, **field}
        case "A task":
            task.update(field)
        case "For each":
            task["foreach"] = field
        case "Gate":
            task["gate"] = {"output_of": "drift", **({"above": 1} if name in ("output_of", "value") else {}), **field}
        case "Resources" if name == "on_oom":
            task |= {"resources": field, "node_group": "high-memory"}
        case "More memory after an OOM":
            on_oom = {"memory": "x2", "at_most": "32Gi", **field}
            task |= {"resources": {"memory": "16Gi", "on_oom": on_oom}, "node_group": "high-memory"}
        case "Resources" if name == "gpu":
            task |= {"resources": {"gpu": value}, "node_group": "gpu"}
        case _:
            task[section.lower()] = field
    return job


def parameter(name: str, value: Any) -> dict[str, Any]:
    default = value[0] if name == "enum" else value if name == "default" else 0.5
    return {"default": default, name: value}


def test_the_page_is_what_the_schema_says() -> None:
    assert PAGE.read_text() == render(CONTENT), "run `make docs`"


@pytest.mark.parametrize(("section", "name", "value"), EXAMPLES, ids=[f"{one[0]}-{one[1]}" for one in EXAMPLES])
def test_every_field_has_an_example_that_passes_the_check_and_is_released(
    add_job: Callable[..., Path], team_repo: Path, section: str, name: str, value: Any
) -> None:
    assert value is not None
    values = team_repo / "values" / "team.yaml"
    values.write_text(values.read_text().replace("high-memory]", "high-memory, gpu]"))
    add_job("features")
    add_job("score", json.dumps(a_job(section, name, value)))
    assert [str(finding) for finding in check_repo(team_repo).findings] == []
    assert json.loads(compile_release(team_repo, "").body)["jobs"].keys() == {"features", "score"}


@pytest.mark.parametrize(
    ("place", "defaults"), [("", JOB_DEFAULTS), ("$defs/retries", RETRIES), ("$defs/resources", RESOURCES)]
)
def test_a_default_that_the_page_shows_is_the_one_that_a_release_has(place: str, defaults: dict[str, Any]) -> None:
    shown = {name: field["default"] for name, field, _ in fields(CONTENT, place) if "default" in field}
    assert shown
    assert shown == {name: defaults[name] for name in shown}
