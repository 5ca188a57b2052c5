"""The numbers of a task's output by dotted path: `{"drift": {"psi": 0.1}, "rows": 9}` has `drift.psi` and `rows`.

dags/jobyard/measured.py makes the mapping that Airflow keeps among a task instance's rendered fields. Airflow keeps
these for the newest runs of a task alone (`core.max_num_rendered_ti_fields_per_task`, 30); for older ones the whole
output, an XCom, is read instead, and flattened here by the same rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jobyard_metrics.values import number, text

FIELD = "measured"
"""The template field of JobPodOperator with the mapping."""
XCOM_KEY = "jobyard_output"
"""The key under which dags/jobyard/outputs.py keeps an output, as a text."""
LIST_ELEMENTS = 20
NUMBERS = 200
_LAYERS = 3
"""An output is a JSON text, which Airflow may have put into a JSON text again."""

Numbers = Mapping[str, float | None]


def of_rendered_fields(rendered: Any) -> Numbers | None:
    """Return the numbers that the rendered fields of a task instance have; null where they have no such field."""
    field = rendered.get(FIELD) if isinstance(rendered, dict) else None
    if isinstance(field, str):
        field = decode(field)
    return numbers(field) if isinstance(field, dict) else None


def are_others(rendered: Any) -> bool:
    """Return whether there are rendered fields, of an operator that has no field with the numbers."""
    return isinstance(rendered, dict) and bool(rendered) and FIELD not in rendered


def numbers(output: Any) -> Numbers:
    """Return the output's numbers by path; of more than 200, the first. True and false are not numbers."""
    found: dict[str, float | None] = {}
    for path, value in _flattened("", output):
        if len(found) == NUMBERS:
            break
        found.setdefault(path, value)
    return found


def decode(value: Any) -> Any:
    """Return the value of a JSON text, or null where it is not JSON."""
    for _ in range(_LAYERS):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value


def _flattened(path: str, value: Any) -> Iterator[tuple[str, float | None]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _flattened(_join(path, key), entry)
    elif isinstance(value, list):
        for index, entry in enumerate(value if len(value) <= LIST_ELEMENTS else []):
            yield from _flattened(_join(path, str(index)), entry)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, number(value)


def _join(path: str, key: str) -> str:
    step = text(key) or ""
    return f"{path}.{step}" if path else step
