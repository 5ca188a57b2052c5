"""Pure functions: which Arrow type a column of PostgreSQL gets, and how two schemas differ."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import pyarrow as pa

from ingestion.errors import IngestionError

TEXT = pa.string()
ARROW_TYPES: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
"""By PostgreSQL's own name of the type. All others become text, as PostgreSQL writes them."""
TIMES = ("date", "timestamp", "timestamptz")
NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
LARGEST_PRECISION = 38
"""Digits of a decimal that every reader of Parquet knows."""


@dataclass(frozen=True)
class Column:
    """A column of the table, as PostgreSQL's catalogue has it.

    `base` is the name of its type, of a domain that of the type below it; `shown` is the type with its modifier, such
    as `numeric(10,2)`. `readable` says whether the database's user may read it.
    """

    name: str
    base: str
    shown: str
    readable: bool = True

    @property
    def arrow(self) -> pa.DataType:
        """Return the type that holds every usual value of the column without a loss."""
        if (found := NUMERIC.fullmatch(self.shown)) and int(found[1]) <= LARGEST_PRECISION:
            return pa.decimal128(int(found[1]), int(found[2]))
        # Without a precision, a number has any count of digits, which no decimal of Arrow has: its text is exact.
        return ARROW_TYPES.get(self.base, TEXT)


@dataclass(frozen=True)
class Chosen:
    """A column to copy, with the type that it gets."""

    name: str
    arrow: pa.DataType

    @property
    def is_text(self) -> bool:
        """Return whether PostgreSQL is asked for the column's text."""
        return bool(self.arrow == TEXT)


@dataclass(frozen=True)
class Difference:
    """A column that an earlier day has and this one has not, or has with another type (`now`)."""

    name: str
    before: str
    now: str | None

    def __str__(self) -> str:
        if self.now is None:
            return f"column {self.name!r} ({self.before}) is gone"
        return f"column {self.name!r} is now {self.now}, and was {self.before}"


def choose(table: str, columns: Sequence[Column], names: Sequence[str], as_text: Collection[str]) -> list[Chosen]:
    """Return the named columns in that order, or all where none is named.

    Raises:
        IngestionError: the table lacks some of these, or the database's user may not read them.
    """
    known = {column.name: column for column in columns}
    wanted = list(dict.fromkeys(names)) or list(known)
    missing(table, [*wanted, *as_text], known)
    if refused := [name for name in wanted if not known[name].readable]:
        raise IngestionError(
            f"the database's user may not read {quoted(refused)} of {table}: grant SELECT, or name other --columns"
        )
    return [Chosen(name, TEXT if name in as_text else known[name].arrow) for name in wanted]


def time_column(table: str, columns: Sequence[Column], name: str) -> None:
    """Make sure that a column says when a row is of.

    Raises:
        IngestionError: it does not exist, may not be read, or is not a date or a timestamp.
    """
    known = {column.name: column for column in columns}
    missing(table, [name], known)
    if known[name].base not in TIMES:
        raise IngestionError(
            f"--time-column {name!r} of {table} is {known[name].shown}; it must be a date or a timestamp"
        )
    if not known[name].readable:
        raise IngestionError(f"the database's user may not read {name!r} of {table}: grant SELECT")


def missing(table: str, names: Iterable[str], known: Collection[str]) -> None:
    """Make sure that all names are known.

    Raises:
        IngestionError: the table lacks some; the message has names like them.
    """
    lacking = [name for name in names if name not in known]
    if lacking:
        raise IngestionError(f"{table} has no column {quoted(lacking)}{near(lacking, known)}")


def near(names: Iterable[str], known: Iterable[str]) -> str:
    """Return a question with the known names that are like these, or nothing."""
    choices = sorted(known)
    found: dict[str, None] = {}
    for name in names:
        found.update(dict.fromkeys(get_close_matches(name, choices, n=3, cutoff=0.6)))
    return f" (did you mean {quoted(list(found), ' or ')}?)" if found else ""


def quoted(names: Sequence[str], between: str = ", ") -> str:
    """Return the names for a message."""
    return between.join(repr(name) for name in names)


def schema(columns: Iterable[Chosen]) -> pa.Schema:
    """Return the schema of a day's file."""
    return pa.schema([pa.field(column.name, column.arrow) for column in columns])


def differences(before: pa.Schema, now: pa.Schema) -> Iterator[Difference]:
    """Yield the columns of `before` that are gone or have another type; a new column is not a difference."""
    for field in before:
        index = now.get_field_index(field.name)
        if index < 0:
            yield Difference(field.name, str(field.type), None)
        elif now.field(index).type != field.type:
            yield Difference(field.name, str(field.type), str(now.field(index).type))
