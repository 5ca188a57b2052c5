"""Copies the bucket's `dags/` into Airflow's dags folder again and again, as MWAA does.

Like MWAA's own copying it takes one file after the other, so a reader may see some files new and others old. Unlike
there, Airflow parses at once after a change, and not when `min_file_process_interval` is over.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "dags/"
PARSE_SECONDS = 5.0
"""About what a parse of the loaders takes."""


def copy_once(client: S3Client, bucket: str, target: Path, known: dict[str, str]) -> dict[str, str]:
    """Bring `target` up to date; return each object's ETag by its path below `dags/` (`known` next time)."""
    found: dict[str, str] = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX):
        for entry in page.get("Contents", []):
            name = entry["Key"].removeprefix(PREFIX)
            if name and not name.endswith("/"):
                found[name] = entry["ETag"]
    for name, etag in found.items():
        if known.get(name) != etag:
            _copy(client, bucket, name, target)
    for name in known.keys() - found.keys():
        (target / name).unlink(missing_ok=True)
    return found


def request_parse(target: Path) -> None:
    """Make Airflow parse its files of Python again: a loader reads a release, which is another file.

    The DAG processor parses a file at once if it was modified after the end of its last parse. As a parse that has
    begun may have read the old release, the file's time is ahead by about what a parse takes.
    """
    modified = time.time() + PARSE_SECONDS
    for loader in target.glob("*.py"):
        os.utime(loader, (modified, modified))


def _copy(client: S3Client, bucket: str, name: str, target: Path) -> None:
    path = target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(client.get_object(Bucket=bucket, Key=PREFIX + name)["Body"].read())
    partial.rename(path)


def main(bucket: str, target: str, seconds: str) -> None:
    """Copy for ever; a failed round is reported and tried again."""
    client = boto3.client("s3")
    known: dict[str, str] = {}
    folder = Path(target)
    while True:
        try:
            found = copy_once(client, bucket, folder, known)
            if found != known:
                request_parse(folder)
            known = found
        except (BotoCoreError, ClientError) as error:
            print(f"copying {bucket} failed, trying again: {error}", flush=True)
        time.sleep(float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
