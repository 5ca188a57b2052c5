"""What a job's templates use, and whether the job has it: outputs, parameters, Variables, the item of a foreach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jobyard_cli.check.findings import Finding, unknown
from jobyard_cli.check.flow import source_problem
from jobyard_cli.check.parts import defaults_of, mapping, source_task, tasks_of
from jobyard_cli.check.templates import read_template
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.team.repo import TeamRepo


def check_templates(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each template that could not be rendered."""
    params = list(mapping(document.data.get("params")))
    tasks = tasks_of(document)
    for path, text in templates_in(("defaults",), defaults_of(document)):
        yield from _alone(document, repo, path, text, params)
        template = read_template(text)
        if template.outputs or template.item:
            used = "outputs" if template.outputs else "item"
            message = f"'{used}' is not the same for every task; use it in the tasks that have it"
            yield document.finding(path, message, "template")
    for name, task in tasks.items():
        for path, text in templates_in(("tasks", name), task):
            yield from _alone(document, repo, path, text, params)
            yield from _of_task(document, path, text, name, tasks)


def templates_in(path: KeyPath, part: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Each text of a task, or of the defaults, that Airflow renders, with its place."""
    for key in ("args", "command", "env", "with"):
        yield from _texts((*path, key), part.get(key))


def used_outputs(job: dict[str, Any]) -> set[str]:
    """The tasks whose output something else in the job uses."""
    used: set[str] = set()
    for task in mapping(job.get("tasks")).values():
        used |= {source for key in ("foreach", "gate") if (source := source_task(task.get(key)))}
        for _, text in templates_in((), task):
            used |= read_template(text).outputs
    return used


def _texts(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _texts((*path, number), one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _texts((*path, name), one)


def _alone(document: Document, repo: TeamRepo, path: KeyPath, text: str, params: list[str]) -> Iterator[Finding]:
    template = read_template(text)
    for problem in template.problems:
        yield document.finding(path, problem, "template")
    for name in sorted(template.params - set(params)):
        yield document.finding(path, unknown("parameter", name, params, "the job's params are"), "template")
    for name in sorted(template.variables):
        if name not in repo.shared_variables and not re.fullmatch(rf"{re.escape(repo.team)}_[A-Za-z0-9_.-]+", name):
            known = ", ".join([f"{repo.team}_*", *sorted(repo.shared_variables)])
            message = f"Airflow Variable '{name}' is not the team's: a job may read {known}"
            yield document.finding(path, message, "template")


def _of_task(
    document: Document, path: KeyPath, text: str, name: str, tasks: dict[str, dict[str, Any]]
) -> Iterator[Finding]:
    template = read_template(text)
    for source in sorted(template.outputs):
        if problem := source_problem(source, name, tasks):
            yield document.finding(path, problem, "template")
    if template.item and "foreach" not in tasks[name]:
        message = f"'item' is one of a foreach, and task '{name}' has none"
        yield document.finding(path, message, "template")
