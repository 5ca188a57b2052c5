"""Types, names, memory, and two runs at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ingestion.columns import Chosen
from ingestion.database import Table

from tests.ingestion.conftest import BUCKET, TODAY, Place, key
from tests.support.paths import ROOT

NOON = "2026-11-20 12:00+00"
HOSTILE = 'x"; DROP TABLE visits; --%s'
MEMORY = """
import os, re, sys
from datetime import date
from pathlib import Path
from ingestion import copying
from ingestion.database import Login, table
class NoStore:
    days = {}
    def day_before(self, day): return None
def kib(name): return int(re.search(name + r":\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
request = copying.Request(date(2026, 11, 20), "at", batch_rows=1000)
with table(Login.of(os.environ), "public", "large", "test", 60) as opened:
    # The peak so far, which a process has from the one that started it, is forgotten.
    Path("/proc/self/clear_refs").write_text("5")
    before = kib("VmRSS")
    [outcome] = copying.read(opened, NoStore(), request, Path(sys.argv[1]))
print(outcome.rows, kib("VmHWM") - before)
"""


def test_types_keep_their_values(place: Place) -> None:
    place.sql("CREATE DOMAIN score AS numeric(4,1)")
    place.sql(
        "CREATE TABLE kinds (at timestamptz, amount numeric(12,2), exact numeric, local timestamp, born date,"
        " doc jsonb, raw bytea, yes boolean, real real, big bigint, nothing text, empty text, tags text[],"
        " points score, id uuid)"
    )
    place.sql("GRANT SELECT ON kinds TO reader")
    place.sql(
        "INSERT INTO kinds VALUES (%s, 10.50, 0.1234567890123456789012345678901234567890, '2026-11-20 08:00',"
        """ '1970-01-02', '{"a": [1, null]}', '\\x00ff', true, 0.5, 9223372036854775807, null, '', '{a,"b,c"}', 7.5,"""
        " '00000000-0000-0000-0000-000000000001')",
        NOON,
    )
    place.output(table="kinds")
    [row] = place.rows(name="kinds")
    assert row == {
        "at": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "amount": Decimal("10.50"),
        "exact": "0.1234567890123456789012345678901234567890",
        "local": datetime(2026, 11, 20, 8),
        "born": date(1970, 1, 2),
        "doc": '{"a": [1, null]}',
        "raw": b"\x00\xff",
        "yes": True,
        "real": 0.5,
        "big": 9223372036854775807,
        "nothing": None,
        "empty": "",
        "tags": '{a,"b,c"}',
        "points": Decimal("7.5"),
        "id": "00000000-0000-0000-0000-000000000001",
    }
    assert place.table(name="kinds").schema.field("amount").type == pa.decimal128(12, 2)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("numeric(5,2)", "NaN", "a value of column 'odd' does not fit decimal128(5, 2): "),
        ("timestamptz", "infinity", "public.odd: a value has no equal in Python (timestamp too large"),
    ],
)
def test_a_value_that_no_other_type_has_is_named_and_can_be_text(
    place: Place, kind: str, value: str, message: str
) -> None:
    place.sql(f"CREATE TABLE odd (at timestamptz, odd {kind})")
    place.sql("GRANT SELECT ON odd TO reader")
    place.sql("INSERT INTO odd VALUES (%s, %s)", NOON, value)
    error = place.error(table="odd")
    assert error.startswith(message)
    assert "--as-text" in error
    place.output("--as-text", "odd", table="odd")
    assert place.rows(name="odd")[0]["odd"] == value


def test_names_are_quoted(place: Place) -> None:
    name = '"' + HOSTILE.replace('"', '""') + '"'
    place.sql(f"CREATE SCHEMA {name}")
    place.sql(f"CREATE TABLE {name}.{name} ({name} timestamptz, b int)")
    place.sql(f"GRANT USAGE ON SCHEMA {name} TO reader")
    place.sql(f"GRANT SELECT ON {name}.{name} TO reader")
    place.owner.execute(f"INSERT INTO {name}.{name} VALUES ('{NOON}', 1)".encode())
    where: dict[str, Any] = {"table": HOSTILE, "time": HOSTILE}
    assert place.error("--schema", HOSTILE, **where).endswith(
        "can't be a folder in the bucket; name one of letters, digits and '_' with --name"
    )
    assert place.output("--schema", HOSTILE, "--name", "odd", "--columns", HOSTILE, **where)["rows"] == 1
    assert place.table(name="odd").column_names == [HOSTILE]
    place.sql("SELECT FROM visits")


def test_only_named_columns_are_read(place: Place) -> None:
    place.sql("REVOKE SELECT ON visits FROM reader")
    place.sql("GRANT SELECT (id, at) ON visits TO reader")
    place.sql("INSERT INTO visits VALUES (1, %s, 'private')", NOON)
    assert place.error() == (
        "the database's user may not read 'note' of public.visits: grant SELECT, or name other --columns"
    )
    place.output("--columns", "at", "id")
    assert place.table().column_names == ["at", "id"]


def test_the_database_sees_who_reads_and_can_be_written_by_nobody(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.sql("INSERT INTO visits VALUES (1, %s)", NOON)
    seen: list[Any] = []
    read = Table.batches

    def look(table: Table, columns: Sequence[Chosen], time: str, day: date, size: int) -> Iterator[Any]:
        names = ("application_name", "transaction_isolation", "transaction_read_only", "statement_timeout", "TimeZone")
        for name in names:
            seen.append(table.connection.execute("SELECT current_setting(%s)", (name,)).fetchall()[0][0])
        # Committed meanwhile, so of no part of this run.
        place.sql("INSERT INTO visits VALUES (%s, %s)", 100 + len(seen), NOON)
        return read(table, columns, time, day, size)

    monkeypatch.setattr(Table, "batches", look)
    assert place.output("--run", "scheduled__2026-11-20", "--statement-timeout", "7")["rows"] == 1
    assert seen == ["risk.ingest scheduled__2026-11-20", "repeatable read", "on", "7s", "UTC"]


def test_a_run_that_is_overtaken_does_not_replace_newer_rows(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    place.sql("INSERT INTO visits VALUES (1, %s)", NOON)
    read = Table.batches

    def overtaken(table: Table, columns: Sequence[Chosen], time: str, day: date, size: int) -> Iterator[Any]:
        place.s3.put_object(Bucket=BUCKET, Key=key(day), Body=b"of another run")
        assert list(scratch.iterdir())
        return read(table, columns, time, day, size)

    with monkeypatch.context() as patch:
        patch.setattr(Table, "batches", overtaken)
        assert place.error() == f"another run has written s3://{BUCKET}/{key(TODAY)} meanwhile; try again"
    assert list(scratch.iterdir()) == []
    assert place.error().startswith(f"s3://{BUCKET}/{key(TODAY)} is not a Parquet file: ")


def test_memory_does_not_grow_with_the_day(place: Place, variables: Mapping[str, str], tmp_path: Path) -> None:
    # 100,000 rows of 500 bytes each: 50 MB, which a cursor of the client's side would hold at least twice.
    rows = "SELECT n AS id, timestamptz '2026-11-20 12:00Z' AS at, repeat('x', 500) AS note"
    place.sql(f"CREATE VIEW large AS {rows} FROM generate_series(1, 100000) n")
    place.sql("GRANT SELECT ON large TO reader")
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT / "images" / "ingestion")}
    measured = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert measured.returncode == 0, measured.stderr
    count, kib = map(int, measured.stdout.split())
    assert count == 100_000
    assert kib < 150_000


def test_a_bucket_that_does_not_exist(place: Place) -> None:
    place.s3.delete_bucket(Bucket=BUCKET)
    assert place.error() == "can't list s3://data/raw/risk/visits/: The specified bucket does not exist"
