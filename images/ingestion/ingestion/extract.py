"""Rows to a Parquet file on disk, a batch at a time, with a hash of what is in it."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.errors import IngestionError

Row = tuple[Any, ...]
MODULUS = 1 << 256
CONTENT, RUN = b"jobyard.content", b"jobyard.run"
"""Keys in the file's own metadata: the hash of its rows, and the run that wrote it."""


class ContentHash:
    """A hash of a set of rows with their columns, the same in whatever order the rows come.

    The sum of the rows' hashes: PostgreSQL returns rows in any order, and sorting a large day costs the database more.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._columns = repr([(field.name, str(field.type)) for field in schema])
        self._sum = 0
        self.rows = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows in; the same row twice counts twice."""
        for row in rows:
            digest = hashlib.blake2b(repr(row).encode("utf-8", "backslashreplace"), digest_size=32).digest()
            self._sum = (self._sum + int.from_bytes(digest)) % MODULUS
            self.rows += 1

    def hexdigest(self) -> str:
        """Return the hash of all that has been taken in, 64 hexadecimal digits."""
        return hashlib.sha256(f"{self._columns} {self.rows} {self._sum}".encode()).hexdigest()


@dataclass(frozen=True)
class Extract:
    """A day's rows in a file on this machine."""

    file: Path
    rows: int
    content: str


def write(file: Path, schema: pa.Schema, batches: Iterable[Sequence[Row]], run: str) -> Extract:
    """Write the rows as Parquet, a row group for each batch: no more than a batch is in memory.

    The file's metadata has the hash of the rows and the run's name.

    Raises:
        IngestionError: a value does not fit its column's type, or the disk is full.
    """
    content = ContentHash(schema)
    try:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for rows in batches:
                content.add(rows)
                writer.write_table(_table(rows, schema))
            writer.add_key_value_metadata({CONTENT: content.hexdigest().encode(), RUN: run.encode()})
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise IngestionError(
            f"no space left in {file.parent}: give the task `scratch`, and `env: {{TMPDIR: /scratch}}`"
        ) from error
    return Extract(file, content.rows, content.hexdigest())


def _table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    values = zip(*rows, strict=True)
    return pa.table([_array(field, column) for field, column in zip(schema, values, strict=True)], schema=schema)


def _array(field: pa.Field, values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        what = f"a value of column {field.name!r} does not fit {field.type}: {error}"
        raise IngestionError(f"{what}; --as-text {field.name} keeps the text") from error
