"""The parts of a job, as far as it is of the right shape; what is not is the schema's to report."""

from __future__ import annotations

from typing import Any

from jobyard_cli.parsing.documents import Document, Written


def mapping(value: Any) -> dict[str, Any]:
    """The value, if it is a mapping; otherwise none of it."""
    return value if isinstance(value, dict) else {}


def defaults_of(document: Document) -> dict[str, Any]:
    """The job's defaults."""
    return mapping(document.data.get("defaults"))


def tasks_of(document: Document) -> dict[str, dict[str, Any]]:
    """The job's tasks by name, those alone that are mappings."""
    return {name: task for name, task in mapping(document.data.get("tasks")).items() if isinstance(task, dict)}


def is_pod(task: Written) -> bool:
    """Whether the task runs an image."""
    return "type" not in task


def source_task(value: Any) -> str | None:
    """The task that a `foreach` or a `gate` names under output_of."""
    name = mapping(value).get("output_of")
    return name if isinstance(name, str) else None
