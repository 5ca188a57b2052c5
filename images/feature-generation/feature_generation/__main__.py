"""The job: for each day, raw rows from S3 to a feature table on S3."""

from __future__ import annotations

import argparse
import io
import sys
from datetime import date, timedelta
from typing import Any

import boto3
import pandas as pd
from botocore.config import Config
from botocore.exceptions import ClientError

from feature_generation.features import RowsError, make_features


class JobFailedError(Exception):
    """The job can't go on; the message is all a person needs."""


def generate_day(client: Any, bucket: str, team: str, table: str, day: date) -> str:
    """Make one day's feature table and return its key.

    The raw rows are `rows.parquet`, or else `rows.csv`. The table is one object, put in one request: running the day
    again replaces it, and a reader never sees half of it.

    Raises:
        JobFailedError: the day's raw rows are missing or can't be used.
    """
    source, rows = _raw_rows(client, bucket, f"raw/{team}/{table}/dt={day}")
    try:
        features = make_features(rows)
    except RowsError as error:
        raise JobFailedError(f"s3://{bucket}/{source} {error}") from error
    target = f"feature-store/{team}/{table}/dt={day}/features.parquet"
    client.put_object(Bucket=bucket, Key=target, Body=features.to_parquet(index=False))
    print(f"{day}: {len(features)} rows, {features.shape[1]} columns -> s3://{bucket}/{target}", flush=True)
    return target


def _raw_rows(client: Any, bucket: str, folder: str) -> tuple[str, pd.DataFrame]:
    """Return the key of a day's raw rows, and the rows."""
    parquet, text = f"{folder}/rows.parquet", f"{folder}/rows.csv"
    key = parquet if _exists(client, bucket, parquet) else text
    content = io.BytesIO(_read(client, bucket, key))
    try:
        return key, pd.read_parquet(content) if key == parquet else pd.read_csv(content)
    except (ValueError, OSError) as error:
        # Of pandas and of pyarrow; both derive theirs from these.
        raise JobFailedError(f"s3://{bucket}/{key} {error}") from error


def _exists(client: Any, bucket: str, key: str) -> bool:
    # A list, as S3 may answer 403 for a single object that does not exist.
    try:
        found = client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", [])
    except ClientError as error:
        raise _unreadable(bucket, key, error) from error
    return [one["Key"] for one in found] == [key]


def _read(client: Any, bucket: str, key: str) -> bytes:
    try:
        content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise _unreadable(bucket, key, error) from error
    return content


def _unreadable(bucket: str, key: str, error: ClientError) -> JobFailedError:
    return JobFailedError(f"can't read s3://{bucket}/{key}: {error.response['Error'].get('Message', error)}")


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when every day's table is written, 1 with one line on stderr when one can't be."""
    parser = argparse.ArgumentParser(prog="feature-generation", description=__doc__)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--team", required=True)
    parser.add_argument("--table", required=True)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--date", type=date.fromisoformat, help="the last day, YYYY-MM-DD")
    which.add_argument("--dates", type=_dates, help="instead: days with commas between")
    parser.add_argument("--days", type=int, default=1, help="how many days, the last one being --date")
    options = parser.parse_args(arguments)
    client = boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 5}))
    try:
        for day in options.dates or _up_to(options.date, options.days):
            generate_day(client, options.bucket, options.team, options.table, day)
    except JobFailedError as error:
        print(f"feature-generation: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _dates(text: str) -> list[date]:
    return [date.fromisoformat(day) for day in text.split(",")]


def _up_to(last: date, count: int) -> list[date]:
    return [last - timedelta(days=back) for back in reversed(range(count))]


if __name__ == "__main__":
    sys.exit(main())
