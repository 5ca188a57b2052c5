"""The pods that a try had before its last one: those that it lost, and those that ran out of memory.

dags/jobyard/progress.py makes them a template field of JobPodOperator, so that Airflow keeps them among the rendered
fields of the task instance's newest try: `[{"name": "score-train-x1", "ended": "lost: Evicted: The node was low …"}]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobyard_metrics.sources.outputs import decode
from jobyard_metrics.values import text

FIELD = "earlier_pods"
LOST = "lost"
OUT_OF_MEMORY = "out of memory"
PODS = 100
"""Of one try, at most."""
REASON = 1_000
"""Characters of a reason."""


@dataclass(frozen=True)
class EarlierPod:
    """One of these pods."""

    name: str
    cause: str
    """`LOST` or `OUT_OF_MEMORY`."""
    reason: str


def of_rendered_fields(rendered: Any) -> tuple[EarlierPod, ...]:
    """Return the pods that the rendered fields of a task instance name, in their order.

    A text that Airflow has cut for its length (`core.max_templated_field_length`) has none.
    """
    field = rendered.get(FIELD) if isinstance(rendered, dict) else None
    found = decode(field)
    return tuple(_pods(found[:PODS])) if isinstance(found, list) else ()


def _pods(entries: list[Any]) -> Iterator[EarlierPod]:
    for entry in filter(lambda entry: isinstance(entry, dict), entries):
        name, ended = text(entry.get("name")), text(entry.get("ended"))
        cause, _, reason = (ended or "").partition(": ")
        if name and cause in (LOST, OUT_OF_MEMORY):
            yield EarlierPod(name, cause, reason[:REASON])
