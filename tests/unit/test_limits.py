"""The limits of a release: the schema, the check and the library have the same ones, and no field is without."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from jobyard import contract, job_rules, limits, validation
from jobyard.entries import EveryTask
from jobyard.rules import MisfitError
from jobyard.validation import check_job, check_release
from jobyard_cli.check.run import check_repo
from jobyard_cli.check.types import POD_ONLY
from jobyard_cli.parsing.documents import load
from jobyard_cli.release.compile import ReleaseTooLargeError, compile_release
from jobyard_cli.release.entry import job_entry
from jobyard_cli.team.repo import TeamRepo

from tests.support.paths import ROOT

SCHEMA = json.loads((ROOT / "schemas" / "job.schema.json").read_text())
VALID = ROOT / "tests" / "fixtures" / "valid"


def part(place: str) -> Any:
    return reduce(lambda found, step: found[step], place.split("/"), SCHEMA)


@pytest.mark.parametrize(
    ("place", "keyword", "number"),
    [
        ("properties/description", "maxLength", limits.DESCRIPTION),
        ("properties/owner", "maxLength", limits.OWNER),
        ("properties/schedule", "maxLength", limits.SCHEDULE),
        ("properties/schedule/properties/after", "maxItems", limits.AFTER),
        ("properties/timezone", "maxLength", limits.TIMEZONE),
        ("properties/max_active_runs", "maximum", limits.ACTIVE_RUNS),
        ("properties/max_active_tasks", "maximum", limits.ACTIVE_TASKS),
        ("properties/wait_for", "maxItems", limits.WAITS),
        ("properties/wait_for/items", "maxLength", limits.JOB_NAME),
        ("properties/tags", "maxItems", limits.TAGS),
        ("properties/tags/items", "maxLength", limits.TAG),
        ("properties/params", "maxProperties", limits.PARAMS),
        ("properties/params/propertyNames", "maxLength", limits.LABEL),
        ("properties/tasks", "maxProperties", limits.TASKS),
        ("$defs/strings", "maxItems", limits.ARGUMENTS),
        ("$defs/strings/items", "maxLength", limits.TEXT),
        ("$defs/env", "maxProperties", limits.VARIABLES),
        ("$defs/env/propertyNames", "maxLength", limits.LABEL),
        ("$defs/env/additionalProperties", "maxLength", limits.TEXT),
        ("$defs/secrets", "maxProperties", limits.VARIABLES),
        ("$defs/secrets/propertyNames", "maxLength", limits.LABEL),
        ("$defs/retries/properties/attempts", "maximum", limits.ATTEMPTS),
        ("$defs/task/properties/with", "maxProperties", limits.VARIABLES),
        ("$defs/task/properties/image", "maxLength", limits.ADDRESS),
        ("$defs/task/properties/needs", "maxItems", limits.NEEDS),
        ("$defs/task/properties/foreach", "maxItems", limits.ITEMS),
        ("$defs/task/properties/concurrency", "maximum", limits.ACTIVE_TASKS),
        ("$defs/task/properties/gate/properties/value", "maxLength", limits.LABEL),
        ("$defs/task/properties/gate/properties/equals", "maxLength", limits.TEXT),
        ("$defs/job_name", "maxLength", limits.JOB_NAME),
        ("$defs/assets", "maxItems", limits.TASK_ASSETS),
        ("$defs/assets/items", "maxLength", limits.ASSET),
        ("$defs/param", "maxLength", limits.TEXT),
        ("$defs/param/properties/default", "maxLength", limits.TEXT),
        ("$defs/param/properties/title", "maxLength", limits.LABEL),
        ("$defs/param/properties/description", "maxLength", limits.DESCRIPTION),
        ("$defs/param/properties/enum", "maxItems", limits.CHOICES),
        ("$defs/param/properties/enum/items", "maxLength", limits.TEXT),
        ("$defs/targets", "maxItems", limits.TARGETS),
        ("$defs/targets/items/properties/webhook", "maxLength", limits.ADDRESS),
    ],
)
def test_the_schema_has_the_librarys_numbers(place: str, keyword: str, number: int) -> None:
    assert part(place)[keyword] == number


def test_the_schema_has_the_librarys_words() -> None:
    assert part("$defs/task/properties/trigger_rule")["enum"] == list(contract.TRIGGER_RULES)
    assert list(part("$defs/alerts/properties")) == list(contract.OCCASIONS)
    tests = set(part("$defs/task/properties/gate/properties")) - {"output_of", "value"}
    assert tests == set(contract.GATE_TESTS)


def test_what_is_for_pods_alone_is_what_a_task_may_have_besides_what_every_task_may_have() -> None:
    properties = set(part("$defs/task/properties"))
    of_every_task = set(EveryTask.__annotations__) - {"arguments"} | {"with"}
    assert properties - of_every_task == POD_ONLY


@pytest.mark.parametrize("keyword", ["pattern", "format", "$ref", "items", "anyOf", "not", "contentEncoding", "x"])
def test_a_parameter_has_the_schemas_keywords_and_no_others(keyword: str) -> None:
    known = set(part("$defs/param/properties"))
    assert keyword not in known
    every = {"default": 1, "title": "T", "description": "D", "enum": [1], "minimum": 0, "maximum": 9, "type": "integer"}
    job_rules.PARAM(every)
    assert known == every.keys()
    with pytest.raises(MisfitError, match="must not have the unknown field"):
        job_rules.PARAM({"default": 1, keyword: {}})


def job(**changes: Any) -> dict[str, Any]:
    return {"apiVersion": "jobyard/v1", "schedule": "@daily", "tasks": {"score": {"image": "inference"}}, **changes}


def score(**changes: Any) -> dict[str, Any]:
    return job(tasks={"score": {"image": "inference", **changes}})


def tasks(number: int, **changes: Any) -> dict[str, Any]:
    return job(tasks={f"t{place}": {"image": "inference", **changes} for place in range(number)})


def needs(number: int) -> dict[str, Any]:
    """Fifty tasks after a hundred others, and of another one so many needs more."""
    first = {f"a{place}": {"image": "inference"} for place in range(100)}
    second = {f"b{place}": {"image": "inference", "needs": list(first)} for place in range(49)}
    return job(tasks={**first, **second, "c": {"image": "inference", "needs": list(first | second)[: number - 4_900]}})


def assets(number: int) -> dict[str, Any]:
    uris = [f"s3://b/{place}" for place in range(number)]
    parts = [uris[place : place + 50] for place in range(0, number, 50)]
    return job(tasks={f"t{place}": {"image": "inference", "inputs": uris} for place, uris in enumerate(parts)})


def deep(number: int) -> dict[str, Any]:
    item: Any = 1
    for _ in range(number):
        item = {"a": item}
    return score(foreach=[item])


BOUNDS: dict[str, tuple[Callable[[int], dict[str, Any]], int]] = {
    "description": (lambda number: job(description="d" * number), limits.DESCRIPTION),
    "owner": (lambda number: job(owner="o" * (number - 4) + "@a.b"), limits.OWNER),
    "cron": (lambda number: job(schedule="0,30 2 * * *" + " " * (number - 12)), limits.SCHEDULE),
    "tags": (lambda number: job(tags=[f"t{place}" for place in range(number)]), limits.TAGS),
    "tag": (lambda number: job(tags=["t" * number]), limits.TAG),
    "runs": (lambda number: job(max_active_runs=number), limits.ACTIVE_RUNS),
    "year": (lambda number: job(start_date=f"{number}-12-31"), limits.LAST_YEAR),
    "timeout": (lambda number: job(timeout=f"{number}s"), limits.SECONDS),
    "attempts": (lambda number: score(retries={"attempts": number}), limits.ATTEMPTS),
    "delay": (lambda number: score(retries={"delay": f"{number}s"}), limits.SECONDS),
    "args": (lambda number: score(args=["x"] * number), limits.ARGUMENTS),
    "arg": (lambda number: score(args=["x" * number]), limits.TEXT),
    "env": (lambda number: score(env={f"V{place}": "x" for place in range(number)}), limits.VARIABLES),
    "params": (lambda number: job(params={f"p{place}": 1 for place in range(number)}), limits.PARAMS),
    "param": (lambda number: job(params={"x": number}), limits.NUMBER),
    "items": (lambda number: score(foreach=[1] * number), limits.ITEMS),
    "concurrency": (lambda number: score(foreach=[1], concurrency=number), limits.ACTIVE_TASKS),
    "depth": (deep, limits.DEPTH),
    "tasks": (tasks, limits.TASKS),
    "needs": (needs, limits.EDGES),
    "assets": (assets, limits.ASSETS),
    "instances": (lambda number: tasks(5, foreach=[1] * (number // 5) + [1] * (number % 5)), limits.INSTANCES),
    "runs-of-instances": (lambda number: {**score(foreach=[1] * 1_000), "max_active_runs": number}, 20),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_the_check_and_the_library_draw_the_line_at_the_same_place(
    team_repo: Path, add_job: Callable[..., Path], name: str
) -> None:
    make, most = BOUNDS[name]
    repo = TeamRepo.load(team_repo)
    file = add_job("score", json.dumps(make(most)))
    assert [str(finding) for finding in check_repo(team_repo).findings] == []
    check_job(job_entry(load(file, "dags/score/job.yaml"), repo))
    file.write_text(json.dumps(make(most + 1)))
    (finding, *_) = check_repo(team_repo).findings
    assert (finding.path, finding.line) == ("dags/score/job.yaml", 1)
    with pytest.raises(MisfitError):
        check_job(job_entry(load(file, "dags/score/job.yaml"), repo))


def test_a_release_has_no_more_jobs_than_the_library_reads() -> None:
    counted = dict.fromkeys(validation.RELEASE_COUNTS, 0) | {"jobs": 1}
    check_release([counted] * limits.RELEASE_JOBS)
    with pytest.raises(MisfitError, match="the release must have at most 1,000 jobs; got 1,001"):
        check_release([counted] * (limits.RELEASE_JOBS + 1))


def test_jobs_that_are_too_many_together_are_pointed_out(team_repo: Path, add_job: Callable[..., Path]) -> None:
    for number in range(34):
        add_job(f"j{number}", json.dumps(tasks(limits.TASKS)))
    findings = [str(finding) for finding in check_repo(team_repo).findings]
    assert findings == ["dags:1:1: the release must have at most 10,000 tasks; got 10,200"]
    # Of a few jobs alone nobody can say how many there are.
    assert check_repo(team_repo, [team_repo / "dags" / "j1"]).findings == []


def test_a_release_that_airflow_would_not_read_is_not_made(team_repo: Path, add_job: Callable[..., Path]) -> None:
    for number in range(50):
        add_job(f"j{number}", json.dumps(score(args=["x" * 30_000] * 6)))
    with pytest.raises(ReleaseTooLargeError, match="it has more than 8,388,608 bytes; nothing was released"):
        compile_release(team_repo, "")
