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

    The table is one object, put in one request: running the day again replaces it, and a reader never sees half of it.

    Raises:
        JobFailedError: the day's raw rows are missing or can't be used.
    """
    source = f"raw/{team}/{table}/dt={day}/rows.csv"
    try:
        features = make_features(pd.read_csv(io.BytesIO(_read(client, bucket, source))))
    except (RowsError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise JobFailedError(f"s3://{bucket}/{source} {error}") from error
    target = f"feature-store/{team}/{table}/dt={day}/features.parquet"
    client.put_object(Bucket=bucket, Key=target, Body=features.to_parquet(index=False))
    print(f"{day}: {len(features)} rows, {features.shape[1]} columns -> s3://{bucket}/{target}", flush=True)
    return target


def _read(client: Any, bucket: str, key: str) -> bytes:
    try:
        content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise JobFailedError(
            f"can't read s3://{bucket}/{key}: {error.response['Error'].get('Message', error)}"
        ) from error
    return content


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when every day's table is written, 1 with one line on stderr when one can't be."""
    parser = argparse.ArgumentParser(prog="feature-generation", description=__doc__)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--team", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--date", required=True, type=date.fromisoformat, help="the last day, YYYY-MM-DD")
    parser.add_argument("--days", type=int, default=1, help="how many days, the last one being --date")
    options = parser.parse_args(arguments)
    client = boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 5}))
    try:
        for back in reversed(range(options.days)):
            day = options.date - timedelta(days=back)
            generate_day(client, options.bucket, options.team, options.table, day)
    except JobFailedError as error:
        print(f"feature-generation: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
