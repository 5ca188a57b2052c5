"""Reads a team's newest advice: from the bucket with an environment's metrics, or from a local copy of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jobyard_cli.aws.errors import BUCKET_HINTS, refused
from jobyard_cli.errors import JobyardError
from jobyard_cli.usage.address import Address
from jobyard_cli.usage.advice import FORMATS, Advice, UnreadableAdviceError, parsed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_HINTS = {
    **BUCKET_HINTS,
    "AccessDenied": (
        "the role needs s3:GetObject on it, and s3:ListBucket on the bucket for this prefix, without which S3 does not "
        "say that nothing is collected yet"
    ),
    "NoSuchBucket": "check `metrics.bucket` or `dataBucket` in the environment's file",
}


class NothingCollectedError(JobyardError):
    """The platform's job has not collected what is asked for yet."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(
            f"{where}: nothing is collected of {what} yet; the platform's job `platform.metrics` collects each day, "
            "after it has ended, the runs that ended in it"
        )


@dataclass(frozen=True)
class Found:
    """A file's content, and when it was written."""

    body: bytes
    written: datetime


Read = Callable[[str], Found | None]
"""By a name below the metrics' prefix; None where nothing has this name."""


def newest_advice(read: Read, team: str, where: str, formats: Sequence[str] = FORMATS) -> Advice:
    """Return a team's newest advice, from the first format that exists. `where` names the bucket or folder in errors.

    Raises:
        NothingCollectedError: the team has no advice there.
        UnreadableAdviceError: it can't be read, or is not what the platform's job writes.
        MissingExtraError: it exists as Parquet alone, and reading that needs the extra `usage`.
    """
    for suffix in formats:
        name = f"teams/{team}/advice.{suffix}"
        if found := read(name):
            return Advice(parsed(found.body, suffix, f"{where}/{name}"), found.written)
    raise NothingCollectedError(f"team {team}", where)


def in_bucket(client: S3Client, address: Address) -> tuple[Read, str]:
    """Return how to read objects of the bucket, and what to call it in errors."""
    where = f"s3://{address.bucket}/{address.prefix}"

    def read(name: str) -> Found | None:
        with refused(f"{where}/{name}", UnreadableAdviceError, hints=_HINTS):
            try:
                answer = client.get_object(Bucket=address.bucket, Key=address.key(name))
                return Found(answer["Body"].read(), answer["LastModified"])
            except client.exceptions.NoSuchKey:
                return None

    return read, where


def in_folder(folder: Path) -> tuple[Read, str]:
    """Return how to read files of a local copy, such as `aws s3 sync` makes, and what to call it in errors."""

    def read(name: str) -> Found | None:
        file = folder / name
        try:
            # `aws s3 sync` gives a file the time of its object.
            return Found(file.read_bytes(), datetime.fromtimestamp(file.stat().st_mtime, UTC))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnreadableAdviceError(f"{file}: {error.strerror}") from error

    return read, str(folder)
