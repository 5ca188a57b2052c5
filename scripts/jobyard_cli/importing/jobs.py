"""Write job.yaml for what was imported, with comments that say where it comes from and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from jobyard import limits

from jobyard_cli.importing.model import TODO, JobDraft, TaskDraft
from jobyard_cli.importing.source import STANDARD_INPUT
from jobyard_cli.importing.yaml_lines import SCHEMA_LINE, comment, fields_of

LONGEST_TIMEOUT = 6 * 60
SHORTEST_TIMEOUT = 30
"""Minutes of a try, where the crontab says nothing: as long as between two runs, within these."""
RETRIES = {"attempts": 2, "delay": "5m"}
_TEMPLATE = re.compile(r"\{[{%#]")


def draft(name: str, tasks: Sequence[TaskDraft], source: str) -> JobDraft:
    """Return a job of these tasks, of which each but the first needs the one before. `source` is the crontab's name."""
    return JobDraft(name, tuple(tasks), "\n".join(_lines(tasks, source)) + "\n")


def _lines(tasks: Sequence[TaskDraft], source: str) -> Iterator[str]:
    yield SCHEMA_LINE
    yield from _origin(tasks, source)
    first = tasks[0]
    yield "apiVersion: jobyard/v1"
    if description := _description(tasks):
        yield from fields_of({"description": description[: limits.DESCRIPTION]})
    if first.schedule.problem:
        yield from comment(f"TODO: {first.schedule.problem}.")
    yield from fields_of({"schedule": _schedule(first)})
    yield from fields_of({"timezone": first.timezone})
    recipients = list(dict.fromkeys(address for task in tasks for address in task.recipients))
    if recipients:
        yield from comment("From MAILTO: cron mails all output, an alert is sent when a run fails.")
        yield from fields_of({"alerts": {"on_failure": [{"email": address} for address in recipients]}})
    yield from comment("Cron neither retries nor limits a command: set what fits it.")
    yield from fields_of({"defaults": {"retries": RETRIES, "timeout": _timeout(first)}})
    yield "tasks:"
    for number, task in enumerate(tasks):
        needs = [tasks[number - 1].name] if number else []
        yield from _task(task, needs, alone=len(tasks) == 1)


def _description(tasks: Sequence[TaskDraft]) -> str:
    """Return the comments of the tasks, each as a sentence where there are several."""
    comments = [task.comment for task in tasks if task.comment]
    if len(comments) < 2:
        return "".join(comments)
    return " ".join(comment if comment.endswith((".", "!", "?", ":")) else f"{comment}." for comment in comments)


def _origin(tasks: Sequence[TaskDraft], source: str) -> Iterator[str]:
    file = source.rpartition("/")[2] if source != STANDARD_INPUT else "standard input"
    for task in tasks:
        yield from comment(f"Imported by `jobyard import crontab` from {file}, line {task.line}:")
        yield from comment(f"  {task.source.strip()}")


def _schedule(task: TaskDraft) -> str | None:
    if task.schedule.expression:
        return task.schedule.expression
    # A start of the machine has no clock. Cron's days that Airflow lacks are a person's to decide.
    return None if task.schedule.written.startswith("@") else f"{TODO} {task.schedule.written}"


def _timeout(task: TaskDraft) -> str:
    if not task.schedule.expression:
        return f"{LONGEST_TIMEOUT // 60}h"
    minutes = max(SHORTEST_TIMEOUT, min(LONGEST_TIMEOUT, task.schedule.interval))
    return f"{minutes}m" if minutes % 60 else f"{minutes // 60}h"


def _task(task: TaskDraft, needs: list[str], *, alone: bool) -> Iterator[str]:
    yield f"  {task.name}:"
    for todo in task.todos:
        yield from comment(f"TODO: {todo}.", "    ")
    for look in task.command.doubts:
        yield from comment(f"Look at this: {look}.", "    ")
    yield from fields_of(_fields(task, needs), "    ")


def _fields(task: TaskDraft, needs: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"needs": needs} if needs else {}
    fields["image"] = task.image
    command = task.command
    if command.text:
        fields["command"] = [command.shell, "-c"]
        fields["args"] = [as_template(command.text)]
    elif command.words and (command.image or command.local_image):
        # What follows the image in `docker run` is for its entry point.
        fields["args"] = list(map(as_template, command.words))
    elif command.words:
        fields["command"] = [as_template(command.words[0])]
        if len(command.words) > 1:
            fields["args"] = list(map(as_template, command.words[1:]))
    if command.timeout:
        fields["timeout"] = command.timeout
    if env := {**task.env, **command.env}:
        fields["env"] = {name: as_template(value) for name, value in env.items() if name not in task.secrets}
    if task.secrets:
        fields["secrets"] = dict(task.secrets)
    return {name: value for name, value in fields.items() if value not in ({}, [])}


def as_template(text: str) -> str:
    """Return a text that Airflow renders, and Kubernetes expands, to what it is."""
    # Kubernetes reads `$$` as an escaped `$`.
    text = text.replace("$$", "$$$$")
    if not _TEMPLATE.search(text):
        return text
    if "raw" not in text:
        return f"{{% raw %}}{text}{{% endraw %}}"
    return _TEMPLATE.sub(lambda match: f"{{{{ '{match[0]}' }}}}", text)
