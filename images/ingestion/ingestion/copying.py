"""Which days are read again, which of them have changed, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingestion import columns as of
from ingestion.columns import Chosen
from ingestion.database import Table
from ingestion.days import with_days_before
from ingestion.errors import IngestionError
from ingestion.extract import Extract, write
from ingestion.store import Footer, Store

COUNTED_DAYS = 3
"""Days before an empty one whose rows are counted for the message."""


@dataclass(frozen=True)
class Request:
    """What is copied: a day, and `late_days` before it that are compared with what the bucket has.

    `accepted` are the columns that may be gone or have another type. `run` is the name that the run has in each try.
    """

    day: date
    time_column: str
    late_days: int = 0
    columns: Sequence[str] = ()
    as_text: Sequence[str] = ()
    accepted: Sequence[str] = ()
    may_be_empty: bool = False
    batch_rows: int = 5000
    run: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a day: `extract` is what the bucket is to have, or None where it stays as it is."""

    day: date
    words: str
    rows: int = 0
    extract: Extract | None = None
    by_earlier_try: bool = False

    @property
    def changed(self) -> bool:
        """Return whether this run has changed the day, in this try or in one before."""
        return self.by_earlier_try or self.extract is not None


def read(table: Table, store: Store, request: Request, folder: Path) -> list[Outcome]:
    """Read the days into files in `folder`, keep those that differ from the bucket's; nothing is put there yet.

    Raises:
        IngestionError: the table can't be read as asked, its columns have changed, or a day has no rows.
    """
    known = table.columns()
    of.time_column(str(table), known, request.time_column)
    chosen = of.choose(str(table), known, request.columns, request.as_text)
    reader = _Reader(table, store, request, folder, chosen, of.schema(chosen))
    reader.check_columns()
    return [reader.day(day) for day in with_days_before(request.day, request.late_days)]


@dataclass(frozen=True)
class _Reader:
    table: Table
    store: Store
    request: Request
    folder: Path
    columns: Sequence[Chosen]
    schema: pa.Schema

    def check_columns(self) -> None:
        """Compare the columns with those that the bucket has of the day, or else of the last day before it."""
        day = self.request.day
        before = day if day in self.store.days else self.store.day_before(day)
        if before is not None:
            self._refuse(before, self._drift(self.store.footer(before)))

    def day(self, day: date) -> Outcome:
        """Read one day."""
        before = self.store.footer(day) if day in self.store.days else None
        if before and day != self.request.day and (drift := self._drift(before)):
            self._refuse(day, drift)
            return Outcome(day, f"left as it is, as {drift[0]}", before.rows)
        extract = self._extract(day)
        if not extract.rows and (day == self.request.day or (before and before.rows)) and not self.request.may_be_empty:
            raise IngestionError(self._no_rows(day, before))
        return _compare(day, before, extract, self.request)

    def _extract(self, day: date) -> Extract:
        batches = self.table.batches(self.columns, self.request.time_column, day, self.request.batch_rows)
        return write(self.folder / f"{day}.parquet", self.schema, batches, self.request.run)

    def _drift(self, before: Footer) -> list[of.Difference]:
        return list(of.differences(before.schema, self.schema))

    def _refuse(self, day: date, drift: Sequence[of.Difference]) -> None:
        """Raise an error unless all differences are accepted."""
        refused = [difference for difference in drift if difference.name not in self.request.accepted]
        if refused:
            names = " ".join(difference.name for difference in refused)
            raise IngestionError(
                f"{self.table} differs from its file of {day}: {'; '.join(map(str, refused))}; "
                f"if that is meant, --accept-drift {names}"
            )

    def _no_rows(self, day: date, before: Footer | None) -> str:
        if before and before.rows:
            return f"{self.table} has no rows of {day}, of which the bucket has {before.rows}; --empty allow accepts it"
        return (
            f"{self.table} has no rows of {day} (the days before have: {', '.join(self._counts(day))}); "
            "--empty allow accepts it"
        )

    def _counts(self, day: date) -> Iterator[str]:
        for earlier in reversed(with_days_before(day, COUNTED_DAYS)[:-1]):
            yield f"{earlier} {self.table.count(self.request.time_column, earlier)}"


def _compare(day: date, before: Footer | None, extract: Extract, request: Request) -> Outcome:
    if before and before.content == extract.content:
        extract.file.unlink()
        same_run = bool(request.run) and before.run == request.run
        return Outcome(day, f"unchanged, {extract.rows} rows", extract.rows, by_earlier_try=same_run)
    if before is None and not extract.rows and day != request.day:
        extract.file.unlink()
        return Outcome(day, "no rows")
    return Outcome(day, f"{extract.rows} rows", extract.rows, extract)


def output(outcomes: Sequence[Outcome], size: int) -> dict[str, Any]:
    """Return the task's output: `rows` and `bytes` of the day itself, and the days that this run has changed."""
    changed = [str(outcome.day) for outcome in outcomes if outcome.changed]
    return {"rows": outcomes[-1].rows, "bytes": size, "changed": changed, "changed_days": len(changed)}
