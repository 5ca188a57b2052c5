"""Airflow's lists, page by page, so that a list that changes meanwhile loses no row and has none twice."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from jobyard_metrics.errors import TooLargeError, UnreadableAnswerError, UnstableAnswersError
from jobyard_metrics.patience import Patience
from jobyard_metrics.sources.airflow_api import AirflowApi
from jobyard_metrics.sources.http import fields

PAGE = 100
"""The most that Airflow gives at once unless it is configured otherwise (`api.maximum_page_limit`)."""
ROUNDS = 3
"""How often a list is read again because it changed meanwhile."""
PARTS = 24
"""Into which a stretch of time is split when its list keeps changing."""
_TICK = timedelta(microseconds=1)

Row = Mapping[str, Any]
Filters = Mapping[str, Any]


class _ChangedError(Exception):
    """The list changed while it was read."""


class Lists:
    """The lists of one Airflow."""

    def __init__(self, api: AirflowApi, patience: Patience) -> None:
        self._api = api
        self._patience = patience
        self._page = PAGE

    def ask(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """Return the answer of one request, repeated while Airflow is busy.

        Raises:
            SourceError: refused, or unavailable until the deadline.
        """
        return self._patience.call(partial(self._api.call, method, path, query, body))

    def ended(self, path: str, key: str, start: datetime, end: datetime, filters: Filters) -> list[Row]:
        """Return the rows of a batch endpoint whose `end_date` is in [start, end), each once.

        Raises:
            UnstableAnswersError: the list changed during each reading.
            SourceError: refused, or unavailable until the deadline.
        """
        try:
            return self._stretch(path, key, start, end, filters)
        except _ChangedError:
            pass
        # In Airflow 2 the list of task instances has no order: a shorter one needs fewer pages.
        length = (end - start) / PARTS
        bounds = [*(start + length * part for part in range(PARTS)), end]
        found: list[Row] = []
        for low, high in zip(bounds, bounds[1:], strict=False):
            try:
                found += self._stretch(path, key, low, high, filters)
            except _ChangedError:
                raise UnstableAnswersError(self._api.name, path, ROUNDS) from None
        return found

    def matching(self, path: str, key: str, filters: Filters) -> list[Row]:
        """Return the rows of a batch endpoint that match now, each once; the list may change meanwhile.

        Raises:
            SourceError: refused, or unavailable until the deadline.
        """
        pages = self._pages(partial(self._batch, path, filters), f"POST {path}", key, overlap=0)
        return list({identity(row): row for page, _ in pages for row in page}.values())

    def all(self, path: str, key: str) -> list[Row]:
        """Return every row of a list that is read with GET.

        Raises:
            SourceError: refused, or unavailable until the deadline.
        """

        def ask(offset: int, limit: int) -> Any:
            return self.ask("GET", path, {"limit": limit, "offset": offset})

        return [row for page, _ in self._pages(ask, f"GET {path}", key, overlap=0) for row in page]

    def _stretch(self, path: str, key: str, start: datetime, end: datetime, filters: Filters) -> list[Row]:
        bounds = {"end_date_gte": start.isoformat(), "end_date_lte": (end - _TICK).isoformat()}
        for left in reversed(range(ROUNDS)):
            try:
                return self._consistent(path, key, {**filters, **bounds})
            except _ChangedError:
                if not left:
                    raise
        return []

    def _consistent(self, path: str, key: str, filters: Filters) -> list[Row]:
        """Each page begins with the last row of the one before: where that is another row, the list has shifted."""
        found: dict[Hashable, Row] = {}
        last: Hashable = None
        totals = set()
        for page, total in self._pages(partial(self._batch, path, filters), f"POST {path}", key, overlap=1):
            if last is not None and (not page or identity(page[0]) != last):
                raise _ChangedError
            found.update((identity(row), row) for row in page)
            last = identity(page[-1]) if page else None
            totals.add(total)
        if totals != {len(found)}:
            raise _ChangedError
        return list(found.values())

    def _batch(self, path: str, filters: Filters, offset: int, limit: int) -> Any:
        return self.ask("POST", path, body={**filters, "page_offset": offset, "page_limit": limit})

    def _pages(
        self, ask: Callable[[int, int], Any], request: str, key: str, overlap: int
    ) -> Iterator[tuple[list[Row], int]]:
        """Yield each page with the list's total at that moment."""
        offset = 0
        while True:
            page, total = self._one_page(ask, request, key, offset)
            yield page, total
            if len(page) <= overlap or offset + len(page) >= total:
                return
            offset += len(page) - overlap

    def _one_page(self, ask: Callable[[int, int], Any], request: str, key: str, offset: int) -> tuple[list[Row], int]:
        while True:
            try:
                answer = fields(ask(offset, self._page), self._api.name, request)
                break
            except TooLargeError:
                # MWAA's answers have at most 6 MB.
                if self._page <= 2:
                    raise
                self._page //= 2
        rows, total = answer.get(key), answer.get("total_entries")
        if not isinstance(rows, list) or not isinstance(total, int) or not all(map(_is_row, rows)):
            raise UnreadableAnswerError(self._api.name, request, f"a list '{key}' and 'total_entries'", answer)
        return rows, total


def identity(row: Row) -> tuple[str, str, str, int]:
    """Return what identifies a run or a task instance; a run has no task."""
    return row["dag_id"], row.get("dag_run_id", ""), row.get("task_id", ""), row.get("map_index", -1)


def _is_row(row: Any) -> bool:
    """Whether the parts of `identity` are there."""
    if not isinstance(row, dict) or not isinstance(row.get("dag_id"), str):
        return False
    others = (row.get("dag_run_id", ""), row.get("task_id", ""))
    return all(isinstance(part, str) for part in others) and isinstance(row.get("map_index", -1), int)
