"""Check that a job has what its templates use: outputs, parameters, Variables, the item of a foreach."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from jobyard_cli.check.findings import Finding, unknown
from jobyard_cli.check.flow import source_problem
from jobyard_cli.check.parts import defaults_of, mapping, source_task, tasks_of
from jobyard_cli.check.templates import read_template
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.team.repo import TeamRepo


def check_templates(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each template that could not be rendered."""
    params = list(mapping(document.data.get("params")))
    tasks = tasks_of(document)
    for path, text in templates_in(("defaults",), defaults_of(document)):
        yield from _of_job(document, repo, path, text, params)
        yield from _of_defaults(document, path, text)
    for name, task in tasks.items():
        for path, text in templates_in(("tasks", name), task):
            yield from _of_job(document, repo, path, text, params)
            yield from _of_task(document, path, text, name, tasks)


def templates_in(path: KeyPath, part: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield each string of a task, or of the defaults, that Airflow renders, with its path."""
    for key in ("args", "command", "env", "with"):
        yield from _strings((*path, key), part.get(key))


def used_outputs(job: dict[str, Any]) -> set[str]:
    """Return the tasks whose output another part of the job uses."""
    used: set[str] = set()
    for task in mapping(job.get("tasks")).values():
        for key in ("foreach", "gate"):
            if source := source_task(task.get(key)):
                used.add(source)
        for _, text in templates_in((), task):
            used |= read_template(text).outputs
    return used


def _strings(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _strings((*path, index), entry)
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from _strings((*path, name), entry)


def _of_job(document: Document, repo: TeamRepo, path: KeyPath, text: str, params: list[str]) -> Iterator[Finding]:
    """Yield what is wrong with a template in any task of the job."""
    template = read_template(text)
    for problem in template.problems:
        yield document.finding(path, problem, "template")
    for name in sorted(template.params - set(params)):
        yield document.finding(path, unknown("parameter", name, params, "the job has"), "template")
    yield from variable_findings(document, repo, path, template.variables)


def variable_findings(
    document: Document, repo: TeamRepo, path: KeyPath, variables: Collection[str]
) -> Iterator[Finding]:
    """Yield a finding for each Airflow Variable that is neither the team's nor shared by the platform."""
    for name in sorted(variables):
        if not _may_read(repo, name):
            allowed = ", ".join([f"{repo.team}_*", *sorted(repo.shared_variables)])
            message = f"a job of team {repo.team} may not read the Airflow Variable '{name}' (allowed: {allowed})"
            yield document.finding(path, message, "template")


def _may_read(repo: TeamRepo, variable: str) -> bool:
    if variable in repo.shared_variables:
        return True
    return re.fullmatch(rf"{re.escape(repo.team)}_[A-Za-z0-9_.-]+", variable) is not None


def _of_defaults(document: Document, path: KeyPath, text: str) -> Iterator[Finding]:
    template = read_template(text)
    if template.outputs or template.item:
        used = "outputs" if template.outputs else "item"
        message = f"'{used}' depends on the task; move this template from the defaults to the tasks that use it"
        yield document.finding(path, message, "template")


def _of_task(
    document: Document, path: KeyPath, text: str, name: str, tasks: dict[str, dict[str, Any]]
) -> Iterator[Finding]:
    template = read_template(text)
    for source in sorted(template.outputs):
        if problem := source_problem(source, name, tasks):
            yield document.finding(path, problem, "template")
    if template.item and "foreach" not in tasks[name]:
        message = f"'item' requires a foreach, and task '{name}' does not have one"
        yield document.finding(path, message, "template")
