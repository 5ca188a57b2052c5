"""A real PostgreSQL server for all tests here, whose database each of them finds empty, and moto's S3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import ingestion.__main__ as job
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingestion.store import Store
from jobyard_cli.cli.steps import Steps
from jobyard_local import machine
from moto import mock_aws
from psycopg import sql

from tests.support.postgresql import postgresql

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET, TODAY = "data", date(2026, 11, 20)
PASSWORD, DATABASE = "s3cret-password", "postgres"
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"


@pytest.fixture(scope="session")
def server(shown: Callable[[], AbstractContextManager[Steps]]) -> Iterator[str]:
    """The server's host and port; the user `reader` needs a password."""
    with shown() as steps, steps.step("PostgreSQL") as report:
        machine.install({"postgresql": "pg_ctlcluster"}, report)
    with postgresql(["host all reader 127.0.0.1/32 scram-sha-256"]) as address:
        host = address.partition("/")[0]
        with psycopg.connect(f"postgresql://airflow@{address}", autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE ROLE reader LOGIN PASSWORD {}").format(PASSWORD))
        yield host


@dataclass(frozen=True)
class Place:
    """A database with its table, a bucket, and the job between them."""

    owner: psycopg.Connection[tuple[Any, ...]]
    s3: S3Client
    output_file: Path
    capture: pytest.CaptureFixture[str]

    def sql(self, text: str, *values: object) -> None:
        """Run a statement as the database's owner."""
        self.owner.execute(text.encode(), values or None)

    def run(self, *options: str, table: str = "visits", time: str = "at", day: date = TODAY) -> tuple[int, str, str]:
        """Run the job; exit code, standard output, standard error."""
        arguments = ["--bucket", BUCKET, "--team", "risk", "--table", table, "--time-column", time, "--date", str(day)]
        self.output_file.unlink(missing_ok=True)
        code = job.main([*arguments, "--job", "risk.ingest", *options])
        out, err = self.capture.readouterr()
        return code, out, err

    def output(self, *options: str, **where: Any) -> dict[str, Any]:
        """Run the job, which succeeds; its output."""
        code, _, err = self.run(*options, **where)
        assert (code, err) == (0, "")
        assert self.output_file.stat().st_size < 4096
        found: dict[str, Any] = json.loads(self.output_file.read_text())
        return found

    def error(self, *options: str, **where: Any) -> str:
        """Run the job, which fails; its one line, without the password."""
        code, out, err = self.run(*options, **where)
        assert (code, out) == (1, "")
        assert err.count("\n") == 1
        assert PASSWORD not in err
        assert not self.output_file.exists()
        return err.removeprefix("ingestion: ").rstrip()

    def rows(self, day: date = TODAY, name: str = "visits") -> list[dict[str, Any]]:
        """Return the rows that the bucket has of a day."""
        rows: list[dict[str, Any]] = self.table(day, name).to_pylist()
        return rows

    def table(self, day: date = TODAY, name: str = "visits") -> pa.Table:
        """Return what the bucket has of a day."""
        return pq.read_table(BytesIO(self.s3.get_object(Bucket=BUCKET, Key=key(day, name))["Body"].read()))

    def versions(self, day: date = TODAY) -> int:
        """Return how often a day has been written."""
        return len(self.s3.list_object_versions(Bucket=BUCKET, Prefix=key(day)).get("Versions", []))

    def keys(self) -> list[str]:
        """Return all keys of the bucket."""
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def key(day: date, name: str = "visits") -> str:
    """Return the key of a day's object."""
    return f"raw/risk/{name}/dt={day}/rows.parquet"


@pytest.fixture
def variables(server: str, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The job's variables, in this process: the way to the database as `reader`."""
    host, _, port = server.partition(":")
    found = {
        "PGHOST": host,
        "PGPORT": port,
        "PGDATABASE": DATABASE,
        "PGUSER": "reader",
        "PGPASSWORD": PASSWORD,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    monkeypatch.delenv("DATABASE_URL", raising=False)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def place(
    server: str,
    variables: Mapping[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Place]:
    """An empty table `visits` that `reader` may read, and an empty bucket."""
    output = tmp_path / "xcom" / "return.json"
    output.parent.mkdir()
    monkeypatch.setattr(job, "XCOM", output)
    with psycopg.connect(f"postgresql://airflow@{server}/{DATABASE}", autocommit=True) as owner, mock_aws():
        client = boto3.client("s3")
        # One for all runs of a test: making a client takes longer than most runs.
        monkeypatch.setattr(Store, "_client", client)
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        place = Place(owner, client, output, capsys)
        for (schema,) in owner.execute(SCHEMAS).fetchall():
            owner.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        place.sql("ALTER ROLE reader RESET ALL")
        place.sql("CREATE SCHEMA public")
        place.sql("GRANT USAGE ON SCHEMA public TO PUBLIC")
        place.sql("CREATE TABLE visits (id int PRIMARY KEY, at timestamptz, note text)")
        place.sql("GRANT SELECT ON visits TO reader")
        yield place
