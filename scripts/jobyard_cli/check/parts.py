"""The parts of a job that have the right shape; the schema reports the others."""

from __future__ import annotations

from typing import Any

from jobyard_cli.parsing.documents import Document, KeyPath, Written


def mapping(value: Any) -> dict[str, Any]:
    """Return the value if it is a mapping, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    """Return the value if it is a list, otherwise an empty one."""
    return value if isinstance(value, list) else []


def defaults_of(document: Document) -> dict[str, Any]:
    """Return the job's defaults."""
    return mapping(document.data.get("defaults"))


def tasks_of(document: Document) -> dict[str, dict[str, Any]]:
    """Return the job's tasks by name, without those that are not mappings."""
    return {name: task for name, task in mapping(document.data.get("tasks")).items() if isinstance(task, dict)}


def is_pod(task: Written) -> bool:
    """Return whether the task runs an image."""
    return "type" not in task


def source_of(name: str, task: Written, key: str) -> KeyPath:
    """Return the path of the mapping that sets a key of a task: the task, or the job's defaults."""
    return ("tasks", name) if key in task else ("defaults",)


def setting_of(task: Written, defaults: Written, key: str) -> Any:
    """Return what the task sets, or else what the job's defaults set; None if neither does."""
    return task.get(key, defaults.get(key))


def source_task(value: Any) -> str | None:
    """Return the task that a `foreach` or a `gate` names in `output_of`."""
    name = mapping(value).get("output_of")
    return name if isinstance(name, str) else None


def last_name(path: KeyPath) -> str | None:
    """Return the last name of a path, so that an entry of a list is called by the list's name; None without one."""
    for step in reversed(path):
        if isinstance(step, str):
            return step
    return None
