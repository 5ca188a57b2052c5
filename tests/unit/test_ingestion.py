"""The parts of images/ingestion that need no database, which tests/ingestion has."""

from __future__ import annotations

import io
import itertools
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ingestion.__main__ as job
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingestion.columns import TEXT, Chosen, Column, choose, differences, schema, time_column
from ingestion.copying import Outcome, output
from ingestion.database import NO_URL, Login
from ingestion.days import interval, with_days_before
from ingestion.errors import IngestionError
from ingestion.extract import ContentHash, Row, write
from ingestion.store import TAIL, Store

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DAY = date(2026, 3, 1)
SCHEMA = schema([Chosen("id", pa.int32()), Chosen("note", TEXT)])
ROWS: list[Row] = [(1, "a"), (2, None), (2, None), (3, "")]
STORE = Store("data", "risk", "visits")
COLUMNS = [Column("id", "int4", "integer"), Column("at", "timestamptz", "timestamp with time zone", readable=False)]


def test_days_are_half_open_and_in_order() -> None:
    assert interval(DAY) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    assert with_days_before(DAY, 2) == [date(2026, 2, 27), date(2026, 2, 28), DAY]


@pytest.mark.parametrize(
    ("base", "shown", "arrow"),
    [
        ("numeric", "numeric(38,10)", pa.decimal128(38, 10)),
        ("numeric", "numeric(39,10)", TEXT),
        ("numeric", "numeric(3,-2)", TEXT),
        ("numeric", "numeric", TEXT),
        ("timestamptz", "timestamp(3) with time zone", pa.timestamp("us", tz="UTC")),
        ("_int4", "integer[]", TEXT),
    ],
)
def test_a_type_that_holds_every_value(base: str, shown: str, arrow: pa.DataType) -> None:
    assert Column("c", base, shown).arrow == arrow


def test_columns_are_chosen_by_name_once_each() -> None:
    assert choose("t", COLUMNS, ["id", "id"], ["id"]) == [Chosen("id", TEXT)]
    with pytest.raises(IngestionError, match=r"^t has no column 'ids' \(did you mean 'id'\?\)$"):
        choose("t", COLUMNS, ["id"], ["ids"])
    with pytest.raises(IngestionError, match="may not read 'at' of t"):
        choose("t", COLUMNS, [], [])
    with pytest.raises(IngestionError, match="must be a date or a timestamp"):
        time_column("t", COLUMNS, "id")


def test_a_new_column_and_another_order_are_no_difference() -> None:
    now = pa.schema([pa.field("new", TEXT), pa.field("note", TEXT), pa.field("id", pa.int32())])
    assert list(differences(SCHEMA, now)) == []
    found = differences(SCHEMA, pa.schema([pa.field("id", pa.int64())]))
    assert list(map(str, found)) == ["column 'id' is now int64, and was int32", "column 'note' (string) is gone"]


def content(rows: list[Row], of: pa.Schema = SCHEMA) -> str:
    found = ContentHash(of)
    found.add(rows)
    return found.hexdigest()


def test_the_hash_is_of_the_rows_in_any_order_and_of_nothing_else() -> None:
    assert {content(list(rows)) for rows in itertools.permutations(ROWS)} == {content(ROWS)}
    others: list[list[Row]] = [ROWS[:3], [*ROWS, ROWS[0]], [(1, "b"), *ROWS[1:]], [*ROWS[:3], (3, None)], []]
    different = [content(ROWS), *map(content, others), content(ROWS, pa.schema([pa.field("id", pa.int64())]))]
    assert len(set(different)) == len(different)


def test_a_file_says_what_is_in_it(s3: S3Client, tmp_path: Path) -> None:
    extract = write(tmp_path / "rows", SCHEMA, [ROWS[:2], ROWS[2:]], "run one")
    STORE.put(DAY, extract.file)
    again = Store("data", "risk", "visits")
    footer = again.footer(DAY)
    assert (footer.schema, footer.rows, footer.content, footer.run) == (SCHEMA, 4, content(ROWS), "run one")
    body = s3.get_object(Bucket="data", Key=again.key(DAY))["Body"].read()
    assert [tuple(row.values()) for row in pq.read_table(io.BytesIO(body)).to_pylist()] == ROWS


def test_a_footer_may_be_longer_than_what_is_read_first(s3: S3Client, tmp_path: Path) -> None:
    wide = schema([Chosen(f"column_{number}_{'x' * 200}", pa.int32()) for number in range(300)])
    write(tmp_path / "rows", wide, [], "")
    store = Store("data", "risk", "wide")
    store.put(DAY, tmp_path / "rows")
    assert (tmp_path / "rows").stat().st_size > TAIL
    assert Store("data", "risk", "wide").footer(DAY).schema == wide


def test_what_is_no_parquet_file_is_named(s3: S3Client) -> None:
    store = Store("data", "risk", "odd")
    bodies = [b"", b"PAR1", b"x" * 100, b"x" * 100 + b"\xff\xff\xff\x7fPAR1"]
    days = with_days_before(DAY, len(bodies) - 1)
    for day, body in zip(days, bodies, strict=True):
        s3.put_object(Bucket="data", Key=store.key(day), Body=body)
    for day in days:
        with pytest.raises(
            IngestionError, match=f"^s3://data/raw/risk/odd/dt={day}/rows.parquet is not a Parquet file"
        ):
            store.footer(day)


def test_the_last_day_before_is_of_this_table_alone(s3: S3Client) -> None:
    store = Store("data", "risk", "visits")
    for key in (
        "visits/dt=2026-02-27/rows.parquet",
        "visits/dt=2026-02-28/rows.csv",
        "visits2/dt=2026-02-28/rows.parquet",
    ):
        s3.put_object(Bucket="data", Key=f"raw/risk/{key}", Body=b"x")
    assert store.day_before(DAY) == date(2026, 2, 27)
    assert store.day_before(date(2026, 2, 27)) is None


def test_the_output_names_changed_days_and_is_small() -> None:
    days = [Outcome(day, "", 5, by_earlier_try=True) for day in with_days_before(DAY, job.MOST_LATE_DAYS)]
    found = output([*days, Outcome(DAY, "unchanged", 7)], 100)
    assert (found["rows"], found["bytes"], found["changed_days"]) == (7, 100, job.MOST_LATE_DAYS + 1)
    assert found["changed"][-1] == str(DAY)
    assert len(str(found)) < 4096


def test_a_login_without_its_password() -> None:
    login = Login.of({"DATABASE_URL": "postgresql://me:s3cret@db.example.com:6432/clinic"})
    assert login.address == "database 'clinic' on db.example.com:6432 as user 'me'"
    assert "s3cret" not in repr(login)
    assert login.words(ValueError("s3cret is wrong")) == "*** is wrong"
    variables = {"PGHOST": "db", "PGUSER": "me", "PGPASSWORD": "s3cret"}
    assert Login.of(variables).address == "database 'me' on db:5432 as user 'me'"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@word@db/clinic",
        "postgresql://me:s3cret/word@db/clinic",
        "postgresql://me:123/s3cret@db/clinic",
        "postgresql://me:s3cret%zz@db/clinic",
        "s3cret",
    ],
)
def test_an_address_that_cannot_be_read_is_not_shown(url: str) -> None:
    with pytest.raises(IngestionError) as caught:
        Login.of({"DATABASE_URL": url})
    assert str(caught.value) == NO_URL


def test_no_login_at_all() -> None:
    with pytest.raises(IngestionError, match="no database is given: set DATABASE_URL, or PGHOST"):
        Login.of({"PGUSER": "me"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--late-days", "91"], "91 is not between 0 and 90"),
        (["--batch-rows", "0"], "0 is not between"),
        (["--date", "20.11.2026"], "--date"),
    ],
)
def test_options_have_bounds(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    needed: list[Any] = [
        "--bucket",
        "data",
        "--team",
        "risk",
        "--table",
        "t",
        "--time-column",
        "at",
        "--date",
        "2026-03-01",
    ]
    with pytest.raises(SystemExit):
        job.main([*needed, *options])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("image", ["feature-generation", "notebook"])
def test_the_images_that_read_the_rows_have_time_zones(image: str) -> None:
    """pyarrow needs them for a `timestamptz`, pandas does not bring them, and a slim base image has none."""
    wanted = (ROOT / "images" / image / "requirements.in").read_text().split()
    assert "tzdata" in wanted
    assert "\ntzdata==" in (ROOT / "images" / image / "requirements.txt").read_text()
