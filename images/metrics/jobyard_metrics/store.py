"""Days in the store: whole or absent.

A day is one Parquet file for each table, named by the digest of its bytes, and a manifest that names them. The manifest
is put last, on the condition that nobody else has put one meanwhile; until then readers see the day as it was. So a
collector may die at any moment, and two may run at once: what remains is the whole day of one of them.

`days/<day>.json`:

    {"version": 1, "day": "2026-11-25", "complete": true,
     "tables": {"runs": {"file": "runs/dt=2026-11-25/<digest>.parquet", "rows": 12}, …},
     "counts": {"tries_without_pod": 0, …}}

`complete` is false where the day was not over when it was collected.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import polars as pl

from jobyard_metrics.errors import StoreError, UnreadableDayError
from jobyard_metrics.frames import empty, tidy
from jobyard_metrics.objects import ObjectStore, Stored
from jobyard_metrics.tables import TABLES, file_name, manifest_name

VERSION = 1
READERS = 8
_ROWS = 100_000
"""Of a row group; stated because polars' default depends on the number of threads."""

Frames = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Manifest:
    """What makes a day visible."""

    day: date
    complete: bool
    files: Mapping[str, str]
    """The name of each table's file."""
    rows: Mapping[str, int]
    counts: Mapping[str, int]
    """What the tables do not say, such as `tries_without_pod`."""

    def body(self) -> bytes:
        """Return the object's content, which depends on nothing but the fields."""
        content = {
            "version": VERSION,
            "day": f"{self.day:%Y-%m-%d}",
            "complete": self.complete,
            "tables": {name: {"file": self.files[name], "rows": self.rows[name]} for name in self.files},
            "counts": dict(self.counts),
        }
        return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def parse(cls, body: bytes, name: str) -> Manifest:
        """Return the manifest that an object holds.

        Raises:
            UnreadableDayError: it is not one, or of a newer version.
        """
        try:
            content = json.loads(body)
            if content["version"] != VERSION:
                raise ValueError(f"its version must be {VERSION}; got {content['version']!r}")
            tables = content["tables"]
            return cls(
                day=date.fromisoformat(content["day"]),
                complete=bool(content["complete"]),
                files={table: str(tables[table]["file"]) for table in tables},
                rows={table: int(tables[table]["rows"]) for table in tables},
                counts={key: int(value) for key, value in content["counts"].items()},
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnreadableDayError(name, error) from error


def parquet(data: pl.DataFrame) -> bytes:
    """Return a table as a Parquet file, the same bytes for the same rows."""
    target = io.BytesIO()
    data.rechunk().write_parquet(
        target, compression="zstd", compression_level=3, statistics=True, row_group_size=_ROWS, use_pyarrow=False
    )
    return target.getvalue()


def manifest(store: ObjectStore, day: date) -> tuple[Manifest, str] | None:
    """Return a day's manifest and its etag, or None for a day that was not collected.

    Raises:
        UnreadableDayError: it is damaged.
        StoreError: the store can't be read.
    """
    name = manifest_name(day)
    found = store.get(name)
    return (Manifest.parse(found.body, f"{store.address}: {name}"), found.etag) if found else None


def days(store: ObjectStore) -> list[date]:
    """Return the days that were collected, the oldest first.

    Raises:
        StoreError: the store can't be read.
    """
    return sorted(_days(store))


def _days(store: ObjectStore) -> Iterator[date]:
    for listed in store.list("days/"):
        try:
            yield date.fromisoformat(listed.name.removeprefix("days/").removesuffix(".json"))
        except ValueError:
            continue


def write_day(
    store: ObjectStore, day: date, frames: Frames, counts: Mapping[str, int], complete: bool = True
) -> Manifest:
    """Write a day, and return the manifest that is visible then: of two writers at once, that of the first.

    Raises:
        StoreError: the store can't be written; the day is what it was before.
    """
    before = store.get(manifest_name(day))
    bodies = {table: parquet(tidy(table, frames[table])) for table in TABLES}
    files = {table: file_name(table, day, hashlib.sha256(body).hexdigest()[:32]) for table, body in bodies.items()}
    for table, body in bodies.items():
        store.put(files[table], body)
    written = Manifest(day, complete, files, {table: frames[table].height for table in TABLES}, counts)
    if not store.put_if(manifest_name(day), written.body(), before.etag if before else None):
        return _of_the_other(store, day)
    _delete_older(store, day, files)
    return written


def _of_the_other(store: ObjectStore, day: date) -> Manifest:
    """The other writer's day is whole: ours, collected at the same time, is not needed."""
    found = manifest(store, day)
    if found is None:
        raise StoreError(f"{store.address}: {manifest_name(day)} was deleted while it was written; run the day again")
    return found[0]


def _delete_older(store: ObjectStore, day: date, files: Mapping[str, str]) -> None:
    """Delete the day's files that no manifest names.

    Another collector may have put some after ours, and not yet its manifest: those stay.
    """
    for table, name in files.items():
        folder = file_name(table, day, "").rpartition("/")[0]
        listed = store.list(f"{folder}/")
        ours = next((one.modified for one in listed if one.name == name), None)
        if ours is not None:
            store.delete(one.name for one in listed if one.name != name and one.modified < ours)


def joined(days: Mapping[date, Frames], table: str) -> pl.DataFrame:
    """Return the rows of one table of several days, with the column `day` first."""
    dated = [frames[table].select(pl.lit(day).alias("day"), pl.all()) for day, frames in sorted(days.items())]
    return pl.concat(dated) if dated else empty(table).select(pl.lit(None, pl.Date).alias("day"), pl.all())


def read_table(store: ObjectStore, read: Manifest, table: str) -> pl.DataFrame:
    """Return one table of a day.

    Raises:
        UnreadableDayError: its file is missing or damaged.
        StoreError: the store can't be read.
    """
    if table not in read.files:
        # A day of before the table existed.
        return empty(table)
    name = read.files[table]
    found = store.get(name)
    if found is None:
        raise UnreadableDayError(f"{store.address}: {name}", "it does not exist")
    return _parsed(found, table, f"{store.address}: {name}")


def _parsed(found: Stored, table: str, name: str) -> pl.DataFrame:
    try:
        return tidy(table, pl.read_parquet(found.body))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UnreadableDayError(name, error) from error


@dataclass(frozen=True)
class History:
    """The tables of each day that was collected, the oldest day first, and why a day's tables are missing."""

    days: Mapping[date, Frames]
    unreadable: Mapping[date, str]


def history(store: ObjectStore, wanted: Sequence[date], tables: Sequence[str] = tuple(TABLES)) -> History:
    """Return the tables of several days; a day that was not collected is left out, one that is damaged is named.

    Raises:
        StoreError: the store can't be read.
    """
    found, unreadable = {}, {}
    ordered = sorted(wanted)
    with ThreadPoolExecutor(READERS) as pool:
        for day, read in zip(ordered, pool.map(lambda day: _attempt(store, day, tables), ordered), strict=True):
            if isinstance(read, UnreadableDayError):
                unreadable[day] = str(read)
            elif read:
                found[day] = read
    return History(found, unreadable)


def _attempt(store: ObjectStore, day: date, tables: Sequence[str]) -> dict[str, pl.DataFrame] | UnreadableDayError:
    try:
        return _read_day(store, day, tables)
    except UnreadableDayError as error:
        return error


def _read_day(store: ObjectStore, day: date, tables: Sequence[str]) -> dict[str, pl.DataFrame]:
    found = manifest(store, day)
    if found is None:
        return {}
    try:
        return {table: read_table(store, found[0], table) for table in tables}
    except UnreadableDayError:
        # The day was written again between its manifest and its files.
        newer = manifest(store, day)
        if newer is None or newer[1] == found[1]:
            raise
        return {table: read_table(store, newer[0], table) for table in tables}
