"""Where Airflow 2 and 3 differ for what is done with runs, and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from jobyard_cli.airflow.api import AirflowClient

GROUP, GROUP_END = "::group::Log message source details", "::endgroup::"
FROM = "*** "
"""How a line begins with which Airflow 2 says where it has the log from."""


class Generation(Protocol):
    """What one generation of Airflow has its own way of."""

    date_field: str
    """How the list of runs calls the logical date."""
    has_backfills: bool
    """Whether the REST API can create backfills."""

    def log_lines(self, content: Any) -> Iterator[str]:
        """Yield the lines of a log's content."""
        ...


class Airflow2:
    """The stable API v1."""

    date_field = "execution_date"
    has_backfills = False

    def log_lines(self, content: Any) -> Iterator[str]:
        """Yield the lines of what is the text of Python's pairs of host and log."""
        lines = "".join(_texts(str(content))).splitlines()
        # Where the log is from; the only words there are where it can't be read.
        yield from [line for line in lines if not line.startswith(FROM)] or lines


class Airflow3:
    """The API v2."""

    date_field = "logical_date"
    has_backfills = True

    def log_lines(self, content: Any) -> Iterator[str]:
        """Yield a line for each event and each exception, without the group that says where they are from."""
        in_group = False
        for entry in content:
            words = str(entry.get("event", entry)) if isinstance(entry, Mapping) else str(entry)
            if words.startswith(GROUP):
                in_group = True
            elif not in_group:
                yield from _event(entry, words)
            elif words == GROUP_END:
                in_group = False


def generation_of(client: AirflowClient) -> Generation:
    """Ask an Airflow for its version.

    Raises:
        AirflowError: unreachable, or refused.
    """
    version = str(client.call("GET", "version")["version"])
    return Airflow2() if version.startswith("2") else Airflow3()


def _texts(content: str) -> Iterator[str]:
    """Yield the log of each host; the content itself where it has another form."""
    try:
        pairs = ast.literal_eval(content)
    except (SyntaxError, ValueError):
        yield content
        return
    for _, text in pairs:
        yield text if text.endswith("\n") else f"{text}\n"


def _event(entry: Any, words: str) -> Iterator[str]:
    if not isinstance(entry, Mapping):
        yield words
        return
    prefix = " ".join(str(entry[part]) for part in ("timestamp", "level") if entry.get(part))
    for number, line in enumerate(words.splitlines() or [""]):
        yield f"{prefix} {line}".strip() if number == 0 else line
    for error in entry.get("error_detail") or []:
        yield from _exception(error)


def _exception(error: Mapping[str, Any]) -> Iterator[str]:
    for frame in error.get("frames") or []:
        yield f"  {frame['filename']}:{frame['lineno']} in {frame['name']}"
    yield f"{error['exc_type']}: {error['exc_value']}"
