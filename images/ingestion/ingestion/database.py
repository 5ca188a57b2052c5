"""One transaction of a PostgreSQL database: what columns a table has, and the rows of a day, in batches."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import psycopg
from psycopg import IsolationLevel, errors, sql
from psycopg.conninfo import conninfo_to_dict

from ingestion.columns import Chosen, Column, near
from ingestion.days import interval
from ingestion.errors import IngestionError
from ingestion.extract import Row

URL = "DATABASE_URL"
GIVEN = (URL, "PGHOST", "PGHOSTADDR", "PGSERVICE")
CONNECT_SECONDS = 10
LONGEST_NAME = 63
"""Bytes that PostgreSQL keeps of an application's name."""
HOST = re.compile(r"[A-Za-z0-9._:,/-]*")
PORT = re.compile(r"[0-9,]*")
NO_URL = (
    f"{URL} is not an address: it must be postgresql://user:password@host:port/database, and special characters of the "
    "password must be percent-encoded (@ is %40, / is %2F, % is %25)"
)
COLUMNS = """
SELECT a.attname, coalesce(b.typname, t.typname),
       CASE WHEN b.oid IS NULL THEN format_type(a.atttypid, a.atttypmod) ELSE format_type(b.oid, t.typtypmod) END,
       has_column_privilege(c.oid, a.attnum, 'SELECT'), has_schema_privilege(n.oid, 'USAGE')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
WHERE n.nspname = %s AND c.relname = %s AND c.relkind = ANY ('{r,p,v,m,f}')
ORDER BY a.attnum
"""
TABLES = """
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = ANY ('{r,p,v,m,f}') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


@dataclass(frozen=True)
class Login:
    """The database of the environment's variables: `address` has no password and is for messages."""

    url: str = field(repr=False)
    address: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Login:
        """Read `DATABASE_URL`, or else the variables of libpq.

        Raises:
            IngestionError: neither is set, or the address can't be read; the message has no part of it.
        """
        if not any(environment.get(name) for name in GIVEN):
            raise IngestionError(f"no database is given: set {URL}, or PGHOST, PGDATABASE, PGUSER and PGPASSWORD")
        url = environment.get(URL, "")
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            # Without the cause, whose text has parts of the address.
            raise IngestionError(NO_URL) from None
        host, port, name = (str(given.get(key) or "") for key in ("host", "port", "dbname"))
        # A password with an unencoded character ends up in one of these.
        if not HOST.fullmatch(host) or not PORT.fullmatch(port) or "@" in name:
            raise IngestionError(NO_URL)
        host = host or environment.get("PGHOST") or environment.get("PGHOSTADDR") or "the host of PGSERVICE"
        name = name or environment.get("PGDATABASE", "")
        user = str(given.get("user") or environment.get("PGUSER", ""))
        port = port or environment.get("PGPORT", "5432")
        address = f"database {name or user!r} on {host}:{port} as user {user!r}"
        return cls(url, address, str(given.get("password") or environment.get("PGPASSWORD", "")))

    def words(self, error: Exception) -> str:
        """Return the error's text, never with the password."""
        text = str(error).strip()
        return text.replace(self.password, "***") if self.password else text


@dataclass(frozen=True)
class Table:
    """A table, or a view, in an open transaction."""

    connection: psycopg.Connection[Row]
    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    def columns(self) -> list[Column]:
        """Return the table's columns in their order.

        Raises:
            IngestionError: the table does not exist, or the user may not use its schema.
        """
        found = self.connection.execute(COLUMNS, (self.schema, self.name)).fetchall()
        if not found:
            raise IngestionError(f"there is no table {self}{self._near()}")
        if not found[0][-1]:
            raise IngestionError(f"the database's user may not use schema {self.schema!r}: grant USAGE on it")
        return [Column(name, base, shown, readable) for name, base, shown, readable, _ in found]

    def _near(self) -> str:
        names = [f"{schema}.{name}" for schema, name in self.connection.execute(TABLES)]
        same = [name for name in names if name.partition(".")[2] == self.name]
        return near([str(self)], same or names)

    def count(self, time_column: str, day: date) -> int:
        """Return how many rows a day has."""
        found = self.connection.execute(self._of_day(sql.SQL("count(*)"), time_column, day)).fetchone()
        assert found is not None
        return int(found[0])

    def batches(
        self, columns: Sequence[Chosen], time_column: str, day: date, batch_rows: int
    ) -> Iterator[Sequence[Row]]:
        """Yield the rows of a day, at most `batch_rows` at a time: the database holds the rest."""
        selected = sql.SQL(", ").join(map(_selected, columns))
        with self.connection.cursor(name="ingestion") as cursor:
            cursor.execute(self._of_day(selected, time_column, day))
            while rows := cursor.fetchmany(batch_rows):
                yield rows

    def _of_day(self, selected: sql.Composable, time_column: str, day: date) -> sql.Composed:
        """Return a query of a day's rows.

        The times are literals and no parameters, as psycopg would look for more of those in names with a percent sign.
        """
        start, end = map(sql.Literal, interval(day))
        return sql.SQL("SELECT {selected} FROM {table} WHERE {time} >= {start} AND {time} < {end}").format(
            selected=selected,
            table=sql.Identifier(self.schema, self.name),
            time=sql.Identifier(time_column),
            start=start,
            end=end,
        )


def _selected(column: Chosen) -> sql.Composable:
    name = sql.Identifier(column.name)
    return sql.SQL("{}::text").format(name) if column.is_text else name


@contextmanager
def table(login: Login, schema: str, name: str, application: str, statement_seconds: int) -> Iterator[Table]:
    """Open the table in a transaction that reads one state of the database and can write nothing.

    Raises:
        IngestionError: the database can't be reached or used; also for what fails while the table is read.
    """
    with _connected(login, application) as connection:
        connection.read_only = True
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        try:
            # In the transaction, not as options of the connection, which connection poolers refuse.
            settings = {"TimeZone": "UTC", "statement_timeout": f"{statement_seconds}s", "DateStyle": "ISO"}
            for setting, value in settings.items():
                connection.execute("SELECT set_config(%s, %s, true)", (setting, value))
            yield Table(connection, schema, name)
        except psycopg.Error as error:
            raise IngestionError(_reason(error, login, f"{schema}.{name}", statement_seconds)) from error
        except UnicodeDecodeError as error:
            raise IngestionError(f"{schema}.{name} has text that is not UTF-8: {error}") from error


@contextmanager
def _connected(login: Login, application: str) -> Iterator[psycopg.Connection[Row]]:
    settings: dict[str, Any] = {
        "application_name": application.encode()[:LONGEST_NAME].decode(errors="ignore"),
        "client_encoding": "UTF8",
        "prepare_threshold": None,
    }
    if "PGCONNECT_TIMEOUT" not in os.environ and "connect_timeout" not in conninfo_to_dict(login.url):
        settings["connect_timeout"] = CONNECT_SECONDS
    try:
        connection = psycopg.connect(login.url, **settings)
    except psycopg.OperationalError as error:
        # Without the cause: its text may have the password.
        raise IngestionError(f"can't connect to {login.address}: {_no_connection(login.words(error))}") from None
    try:
        yield connection
    finally:
        connection.close()


def _no_connection(text: str) -> str:
    """Return libpq's reason, in plainer words where it is a usual one."""
    if "password authentication failed" in text:
        return "wrong user or password"
    if "no password supplied" in text:
        return "no password is given (PGPASSWORD)"
    if "timeout" in text or "timed out" in text:
        return "no answer in time; a NetworkPolicy (`egress` in the team's file) or a security group may not admit it"
    return text


def _reason(error: psycopg.Error, login: Login, name: str, statement_seconds: int) -> str:
    """Return why a statement failed, for a person."""
    text = login.words(error)
    if isinstance(error, errors.InsufficientPrivilege):
        return f"the database's user may not read {name}: {text}"
    if isinstance(error, errors.QueryCanceled) and "statement timeout" in text:
        return (
            f"{name}: a statement took longer than {statement_seconds} s (--statement-timeout); "
            "an index that begins with the time column makes it shorter"
        )
    if isinstance(error, errors.SerializationFailure):
        return f"{name}: the replica ended the transaction ({text}); try again, or read from the primary"
    if isinstance(error, psycopg.OperationalError):
        return f"lost the connection to {login.address}: {text}"
    if isinstance(error, psycopg.DataError):
        return f"{name}: a value has no equal in Python ({text}); --as-text with its column keeps it as text"
    return f"{name}: {text}"
