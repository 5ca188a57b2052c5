"""Write job.yaml for what was imported, with comments that say where it comes from and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import yaml
from jobyard import limits

from jobyard_cli.importing.model import TODO, JobDraft, TaskDraft
from jobyard_cli.importing.source import STANDARD_INPUT

SCHEMA_LINE = "# yaml-language-server: $schema=../../schemas/job.schema.json"
LONGEST_TIMEOUT = 6 * 60
SHORTEST_TIMEOUT = 30
"""Minutes of a try, where the crontab says nothing: as long as between two runs, within these."""
RETRIES = {"attempts": 2, "delay": "5m"}
_TEMPLATE = re.compile(r"\{[{%#]")
_SPECIAL = re.compile(r"[*&!%@`'{}\[\]#|>\"\\,]|: |^[-?:\s]|\s$")
_ESCAPED = re.compile(r"[\"\\]")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


def draft(name: str, tasks: Sequence[TaskDraft], source: str) -> JobDraft:
    """Return a job of these tasks, of which each but the first needs the one before. `source` is the crontab's name."""
    return JobDraft(name, tuple(tasks), "\n".join(_lines(tasks, source)) + "\n")


def _lines(tasks: Sequence[TaskDraft], source: str) -> Iterator[str]:
    yield SCHEMA_LINE
    yield from _origin(tasks, source)
    first = tasks[0]
    yield "apiVersion: jobyard/v1"
    if description := " ".join(task.comment for task in tasks if task.comment):
        yield from _yaml({"description": description[: limits.DESCRIPTION]})
    if first.schedule.problem:
        yield from _comment(f"TODO: {first.schedule.problem}.")
    yield from _yaml({"schedule": _schedule(first)})
    yield from _yaml({"timezone": first.timezone})
    recipients = list(dict.fromkeys(address for task in tasks for address in task.recipients))
    if recipients:
        yield from _comment("From MAILTO: cron mails all output, an alert is sent when a run fails.")
        yield from _yaml({"alerts": {"on_failure": [{"email": address} for address in recipients]}})
    yield from _comment("Cron neither retries nor limits a command: set what fits it.")
    yield from _yaml({"defaults": {"retries": RETRIES, "timeout": _timeout(first)}})
    yield "tasks:"
    for number, task in enumerate(tasks):
        needs = [tasks[number - 1].name] if number else []
        yield from _task(task, needs, alone=len(tasks) == 1)


def _origin(tasks: Sequence[TaskDraft], source: str) -> Iterator[str]:
    file = source.rpartition("/")[2] if source != STANDARD_INPUT else "standard input"
    for task in tasks:
        yield from _comment(f"Imported by `jobyard import crontab` from {file}, line {task.line}:")
        yield from _comment(f"  {task.source.strip()}")


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
        yield from _comment(f"TODO: {todo}.", "    ")
    for look in task.command.doubts:
        yield from _comment(f"Look at this: {look}.", "    ")
    yield from _yaml(_fields(task, needs), "    ")


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


def _comment(text: str, indent: str = "") -> Iterable[str]:
    """Yield a comment of YAML on one line, which nothing in the text can end."""
    shown = _UNPRINTABLE.sub(" ", text.replace("\n", " ").replace("\t", " "))
    return [f"{indent}# {shown}".rstrip()]


def _yaml(part: dict[str, Any], indent: str = "") -> Iterator[str]:
    for name, value in part.items():
        if isinstance(value, dict | list):
            yield f"{indent}{name}: {_dumped(value, flow=True)}"
        else:
            yield indent + _dumped({name: value}, flow=False)


def _dumped(value: Any, *, flow: bool) -> str:
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20, default_flow_style=flow)
    return text.rstrip("\n")


class _Dumper(yaml.SafeDumper):
    """Quotes as people do it: single where the text has double ones."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None
    if _SPECIAL.search(text):
        style = "'" if _ESCAPED.search(text) and text.isprintable() else '"'
    # Without a style, PyYAML quotes what would not be a string, such as 8080 and yes.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)
