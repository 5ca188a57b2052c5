"""The days of a table on S3: one Parquet file each, which is replaced as a whole or not at all."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ingestion.errors import IngestionError
from ingestion.extract import CONTENT, RUN

LARGEST_PUT = 5 * 1024**3
"""Bytes that S3 takes in one request."""
TAIL = 64 * 1024
"""Bytes to read first of a file's end; most footers are shorter."""
END = 8
"""Bytes after the footer: its length, and the mark."""
MARK = b"PAR1"
CHANGED = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey", "404")
DAY = re.compile(r"dt=(\d{4}-\d\d-\d\d)/rows\.parquet")


@dataclass(frozen=True)
class Listed:
    """A day's object, as the bucket's list has it."""

    etag: str
    size: int


@dataclass(frozen=True)
class Footer:
    """The footer of a day's file; `content` and `run` are empty where something else has written it."""

    schema: pa.Schema
    rows: int
    content: str
    run: str


@dataclass(frozen=True)
class Store:
    """The days of one table of one team in the data bucket."""

    bucket: str
    team: str
    table: str

    @property
    def prefix(self) -> str:
        """Return the beginning of all keys of the table."""
        return f"raw/{self.team}/{self.table}/"

    def key(self, day: date) -> str:
        """Return the key of a day's object."""
        return f"{self.prefix}dt={day}/rows.parquet"

    def address(self, day: date) -> str:
        """Return the address of a day's object."""
        return f"s3://{self.bucket}/{self.key(day)}"

    @cached_property
    def days(self) -> dict[date, Listed]:
        """The days that exist, as they were when this was first asked for.

        A list, as S3 may answer 403 for a single object that does not exist.

        Raises:
            IngestionError: the bucket can't be read.
        """
        found = {}
        with self._errors("list", f"s3://{self.bucket}/{self.prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
            for listed in (one for page in pages for one in page.get("Contents", [])):
                if match := DAY.fullmatch(listed["Key"].removeprefix(self.prefix)):
                    found[date.fromisoformat(match[1])] = Listed(listed["ETag"], listed["Size"])
        return found

    def day_before(self, day: date) -> date | None:
        """Return the last day before this one that exists."""
        return max((one for one in self.days if one < day), default=None)

    def footer(self, day: date) -> Footer:
        """Return the footer of a day's file; its rows are not read.

        Raises:
            IngestionError: it can't be read, is not Parquet, or was replaced since the list was made.
        """
        size = self.days[day].size
        tail = self._read_end(day, min(size, TAIL))
        length = int.from_bytes(tail[-END:-4], "little") + END if tail.endswith(MARK) else 0
        if TAIL < length <= size:
            tail = self._read_end(day, length)
        try:
            # A reader wants the mark at the beginning too.
            metadata = pq.read_metadata(io.BytesIO(MARK + tail[-length:]))
        except (pa.ArrowInvalid, OSError) as error:
            raise IngestionError(f"{self.address(day)} is not a Parquet file: {error}") from error
        extra = metadata.metadata or {}
        content, run = (extra.get(key, b"").decode(errors="replace") for key in (CONTENT, RUN))
        return Footer(metadata.schema.to_arrow_schema(), metadata.num_rows, content, run)

    def put(self, day: date, file: Path) -> None:
        """Make the file the day's, in one request: a reader finds the old file or the new one.

        Raises:
            IngestionError: it is too large, S3 refuses it, or another run has written the day since the list was made.
        """
        if file.stat().st_size > LARGEST_PUT:
            raise IngestionError(f"the rows of {day} are more than 5 GiB of Parquet: name fewer --columns")
        listed = self.days.get(day)
        condition = {"IfMatch": listed.etag} if listed else {"IfNoneMatch": "*"}
        with self._errors("write", self.address(day)), file.open("rb") as body:
            self._client.put_object(Bucket=self.bucket, Key=self.key(day), Body=body, **condition)

    def _read_end(self, day: date, length: int) -> bytes:
        listed = self.days[day]
        span = f"bytes={listed.size - length}-{listed.size - 1}"
        if not length:
            return b""
        with self._errors("read", self.address(day)):
            answer = self._client.get_object(Bucket=self.bucket, Key=self.key(day), Range=span, IfMatch=listed.etag)
            content: bytes = answer["Body"].read()
        return content

    @cached_property
    def _client(self) -> Any:
        return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 5}))

    @contextmanager
    def _errors(self, what: str, address: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if error.response["Error"].get("Code") in CHANGED and what != "list":
                raise IngestionError(f"another run has written {address} meanwhile; try again") from error
            reason = error.response["Error"].get("Message", str(error))
            raise IngestionError(f"can't {what} {address}: {reason}") from error
        except BotoCoreError as error:
            raise IngestionError(f"can't {what} {address}: {error}") from error
