"""What goes wrong with a database, in one line, without the password."""

from __future__ import annotations

import pytest

from tests.ingestion.conftest import DATABASE, PASSWORD, Place
from tests.support.ports import free_ports


def test_a_wrong_password(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong-one")
    error = place.error()
    assert error.startswith(f"can't connect to database '{DATABASE}' on 127.0.0.1:")
    assert error.endswith(" as user 'reader': wrong user or password")
    monkeypatch.delenv("PGPASSWORD")
    assert place.error().endswith("no password is given (PGPASSWORD)")


def test_nobody_listens(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("PGPORT", str(port))
    assert "Connection refused" in place.error()


def test_a_database_that_does_not_exist_and_the_address_in_one_variable(
    place: Place, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://reader:{PASSWORD}@{server}/other")
    error = place.error()
    assert error.startswith(f"can't connect to database 'other' on {server} as user 'reader': ")
    assert 'database "other" does not exist' in error


def test_a_table_or_a_column_that_does_not_exist(place: Place) -> None:
    place.sql("CREATE SCHEMA clinic")
    place.sql("CREATE TABLE clinic.beds (id int)")
    assert place.error(table="visit") == "there is no table public.visit (did you mean 'public.visits'?)"
    assert place.error(table="beds") == "there is no table public.beds (did you mean 'clinic.beds'?)"
    assert place.error(time="ats") == "public.visits has no column 'ats' (did you mean 'at'?)"
    assert place.error("--columns", "id", "nota", "zzz") == (
        "public.visits has no column 'nota', 'zzz' (did you mean 'note'?)"
    )
    assert place.error(time="note") == (
        "--time-column 'note' of public.visits is text; it must be a date or a timestamp"
    )


def test_what_the_user_may_not_read(place: Place) -> None:
    place.sql("CREATE SCHEMA clinic")
    place.sql("CREATE TABLE clinic.beds (at timestamptz)")
    assert place.error("--schema", "clinic", table="beds") == (
        "the database's user may not use schema 'clinic': grant USAGE on it"
    )
    place.sql("GRANT USAGE ON SCHEMA clinic TO reader")
    assert place.error("--schema", "clinic", table="beds") == (
        "the database's user may not read 'at' of clinic.beds: grant SELECT"
    )
    # What the catalogue does not say: a view whose owner may not read what is below it.
    place.sql("CREATE ROLE nobody")
    place.sql("CREATE VIEW seen AS SELECT * FROM clinic.beds")
    place.sql("ALTER VIEW seen OWNER TO nobody")
    place.sql("GRANT SELECT ON seen TO reader")
    error = place.error(table="seen")
    place.sql("DROP OWNED BY nobody")
    place.sql("DROP ROLE nobody")
    assert error == "the database's user may not read public.seen: permission denied for table beds"


def test_a_statement_that_takes_too_long(place: Place) -> None:
    place.sql("CREATE VIEW slow AS SELECT pg_sleep(60)::text AS a, timestamptz '2026-11-20 12:00Z' AS at")
    place.sql("GRANT SELECT ON slow TO reader")
    assert place.error("--statement-timeout", "1", table="slow").startswith(
        "public.slow: a statement took longer than 1 s (--statement-timeout)"
    )


def test_a_connection_that_is_lost(place: Place) -> None:
    place.sql(
        "CREATE FUNCTION leave() RETURNS int LANGUAGE sql SECURITY DEFINER AS"
        " 'SELECT pg_terminate_backend(pg_backend_pid())::int'"
    )
    place.sql("CREATE VIEW left_alone AS SELECT leave() AS a, timestamptz '2026-11-20 12:00Z' AS at")
    place.sql("GRANT SELECT ON left_alone TO reader")
    assert place.error(table="left_alone").startswith(f"lost the connection to database '{DATABASE}' on ")
