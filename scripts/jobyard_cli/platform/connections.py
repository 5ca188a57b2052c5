"""Connections of task types: the platform fixes each, and each is the team's own.

What an operator's class takes besides, which only Airflow can say, `dags/jobyard/connections.py` looks at when a job
is built: here, in a pipeline, and in Airflow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

TEAM = "<team>"
# As `dags/jobyard/connections.py` has it.
_ARGUMENT = re.compile(r"(\w+_)?conn(ection)?(_id)?s?")


def connection_problems(types: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each connection of a task type that a task may choose, or that all teams share."""
    for name, entry in types.items():
        yield from _problems_of_type(name, entry)


def _problems_of_type(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    arguments = (entry.get("with") or {}).get("properties", {})
    for argument in arguments:
        if _ARGUMENT.fullmatch(argument):
            yield f"task type '{name}': '{argument}' names a connection, so it must be in `fixed`, and not in `with`"
    for argument, value in (entry.get("fixed") or {}).items():
        if _ARGUMENT.fullmatch(argument) and (not isinstance(value, str) or TEAM not in value):
            rule = f"must be one of the team's, jobyard_<kind>_{TEAM}"
            yield f"task type '{name}': the connection '{argument}' {rule}, not {value!r}"
