"""What a schema can't say of a job: names that must exist, machines that must be large enough, dates in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any
from zoneinfo import available_timezones

from jobyard_cli.check.findings import Finding, did_you_mean, unknown
from jobyard_cli.check.templates import template_problems
from jobyard_cli.documents import Document, KeyPath
from jobyard_cli.quantities import parse_quantity
from jobyard_cli.repo import TeamRepo

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "@once", "@continuous")
_LITERAL_IMAGE = re.compile(r"[/:@]")


def check_meaning(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each thing in a job that the schema allows and that can't work."""
    job = document.data
    if not isinstance(job, dict):
        return
    yield from _schedule(document, job)
    yield from _timezone(document, job)
    yield from _dates(document, job)
    defaults, tasks = _mapping(job.get("defaults")), _mapping(job.get("tasks"))
    yield from _names(document, repo, ("defaults",), defaults)
    for name, task in tasks.items():
        if isinstance(task, dict):
            path: KeyPath = ("tasks", name)
            yield from _names(document, repo, path, task)
            yield from _image(document, repo, path, task)
            yield from _resources(document, repo, path, task, defaults)
            yield from _templates(document, path, task)
            yield from _variables(document, path, task, defaults)
    yield from _templates(document, ("defaults",), defaults)
    yield from _needs(document, tasks)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _schedule(document: Document, job: dict[str, Any]) -> Iterator[Finding]:
    schedule = job.get("schedule")
    if not isinstance(schedule, str):
        return
    if schedule.startswith("@"):
        if schedule not in PRESETS:
            yield document.finding(("schedule",), unknown("preset", schedule, PRESETS, "there are"), "schedule")
    elif problem := _cron_problem(schedule):
        yield document.finding(("schedule",), problem, "schedule")


def _cron_problem(expression: str) -> str | None:
    from cronsim import CronSim, CronSimError

    fields = expression.split()
    if len(fields) != 5:
        return (
            f"'{expression}' has {len(fields)} fields; a cron expression has five (minute hour day month weekday), "
            "such as '0 2 * * *'"
        )
    try:
        next(CronSim(expression, datetime(2024, 1, 1)))
    except CronSimError as error:
        return f"'{expression}' is no cron expression: {str(error).lower()}"
    except StopIteration:
        return f"'{expression}' never comes: there is no such day"
    return None


@cache
def _timezones() -> set[str]:
    return available_timezones()


def _timezone(document: Document, job: dict[str, Any]) -> Iterator[Finding]:
    timezone = job.get("timezone")
    if isinstance(timezone, str) and timezone not in _timezones():
        hint = did_you_mean(timezone, _timezones()) or "names are those of the IANA database, such as Asia/Jakarta"
        yield document.finding(("timezone",), f"unknown time zone '{timezone}' ({hint})", "timezone")


def _dates(document: Document, job: dict[str, Any]) -> Iterator[Finding]:
    found: dict[str, date] = {}
    for name in ("start_date", "end_date"):
        text = job.get(name)
        if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            try:
                found[name] = date.fromisoformat(text)
            except ValueError:
                yield document.finding((name,), f"'{text}' is no day of the calendar", "date")
    if len(found) == 2 and found["end_date"] < found["start_date"]:
        message = f"end_date {found['end_date']} is before start_date {found['start_date']}"
        yield document.finding(("end_date",), message, "date")


def _names(document: Document, repo: TeamRepo, path: KeyPath, part: dict[str, Any]) -> Iterator[Finding]:
    may = f"team {repo.team} may use"
    known = {
        "node_group": ("node group", repo.allowed_node_groups, may),
        "service_account": ("service account", repo.service_accounts, f"team {repo.team} has"),
        "priority": ("priority", list(repo.priorities), f"team {repo.team} has"),
    }
    for key, (what, names, words) in known.items():
        value = part.get(key)
        if not isinstance(value, str) or value in names:
            continue
        if key == "node_group" and value in repo.node_groups:
            message = f"team {repo.team} may not use node group '{value}' ({may}: {', '.join(names)})"
        else:
            message = unknown(what, value, names, words)
        yield document.finding((*path, key), message, key.replace("_", "-"))


def _image(document: Document, repo: TeamRepo, path: KeyPath, task: dict[str, Any]) -> Iterator[Finding]:
    image = task.get("image")
    if isinstance(image, str) and image and not _LITERAL_IMAGE.search(image) and image not in repo.images:
        message = unknown("image", image, repo.images, "folders of images/ with a Dockerfile")
        yield document.finding((*path, "image"), message, "image")


def _resources(
    document: Document, repo: TeamRepo, path: KeyPath, task: dict[str, Any], defaults: dict[str, Any]
) -> Iterator[Finding]:
    group_name = task.get("node_group", defaults.get("node_group", "default"))
    group = repo.node_groups.get(group_name) if isinstance(group_name, str) else None
    own = "resources" in task
    resources = _mapping(task.get("resources") if own else defaults.get("resources"))
    if group is None:
        return
    where: KeyPath = (*path, "resources") if own else ("defaults", "resources")
    allocatable = _mapping(group.get("allocatable"))
    for name, asked in resources.items():
        offered = allocatable.get(name, 0)
        try:
            too_much = parse_quantity(asked) > parse_quantity(offered)
        except ValueError:
            continue
        if too_much:
            message = _too_much(repo, str(group_name), name, asked, offered)
            yield document.finding((*where, name), message, "resources")


def _too_much(repo: TeamRepo, group: str, name: str, asked: Any, offered: Any) -> str:
    large = [
        other
        for other in repo.allowed_node_groups
        if parse_quantity(_mapping(repo.node_groups.get(other, {}).get("allocatable")).get(name, 0))
        >= parse_quantity(asked)
    ]
    instead = f"; {' and '.join(large)} can" if large else ""
    if name == "gpu" and not offered:
        return f"node group '{group}' has no GPU{instead.replace('can', 'has')}"
    return f"no node of group '{group}' can hold {name} {asked} (a pod gets at most {offered}){instead}"


def _templates(document: Document, path: KeyPath, part: dict[str, Any]) -> Iterator[Finding]:
    for key in ("args", "command"):
        values = part.get(key)
        for number, text in enumerate(values if isinstance(values, list) else []):
            yield from _template(document, (*path, key, number), text)
    for name, text in _mapping(part.get("env")).items():
        yield from _template(document, (*path, "env", name), text)


def _template(document: Document, path: KeyPath, text: Any) -> Iterator[Finding]:
    for problem in template_problems(text) if isinstance(text, str) else ():
        yield document.finding(path, problem, "template")


def _variables(document: Document, path: KeyPath, task: dict[str, Any], defaults: dict[str, Any]) -> Iterator[Finding]:
    """A variable has one value: given in `env` or read from a Secret."""
    given = {key: {**_mapping(defaults.get(key)), **_mapping(task.get(key))} for key in ("env", "secrets")}
    for name in sorted(given["env"].keys() & given["secrets"].keys()):
        own = [(*path, key, name) for key in ("secrets", "env") if name in _mapping(task.get(key))]
        message = f"'{name}' is set in env and in secrets; only one can count"
        yield document.finding((own or [("defaults", "secrets", name)])[0], message, "secrets", at_key=True)


def _needs(document: Document, tasks: dict[str, Any]) -> Iterator[Finding]:
    graph: dict[str, list[str]] = {}
    for name, task in tasks.items():
        needs = _mapping(task).get("needs")
        graph[name] = [need for need in needs if isinstance(need, str)] if isinstance(needs, list) else []
        for number, need in enumerate(graph[name]):
            if need not in tasks:
                message = unknown("task", need, [other for other in tasks if other != name], "this job has")
                yield document.finding(("tasks", name, "needs", number), message, "needs")
    try:
        TopologicalSorter({name: [need for need in needs if need in tasks] for name, needs in graph.items()}).prepare()
    except CycleError as error:
        circle = [str(name) for name in error.args[1]]
        first = circle[0]
        message = f"tasks need each other in a circle: {' -> '.join(reversed(circle))}"
        yield document.finding(("tasks", first, "needs"), message, "cycle")
