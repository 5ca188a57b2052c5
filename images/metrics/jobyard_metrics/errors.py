"""The family of errors that the metrics job ends with; each text is the whole message.

MetricsError
    SettingsError (2)
    SourceError
        SourceUnavailableError
        NotFoundError
        TooLargeError
        UnknownVersionError
        UnreadableAnswerError
        UnstableAnswersError
    StoreError
        UnreadableDayError
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class MetricsError(Exception):
    """Base of every error that a person is meant to read."""

    exit_code: ClassVar[int] = 1
    """Exit code of the command that ends with this error."""


class SettingsError(MetricsError):
    """The environment variables are incomplete or invalid."""

    exit_code = 2

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("the settings are invalid:\n" + "\n".join(f"- {problem}" for problem in problems))
        self.problems = tuple(problems)


class SourceError(MetricsError):
    """Airflow, Prometheus or the bucket of releases refused a request."""


class SourceUnavailableError(SourceError):
    """The source did not answer, or is busy: the request may be repeated."""


class NotFoundError(SourceError):
    """The source does not have what was requested."""


class TooLargeError(SourceError):
    """The answer exceeds a limit of the source: a smaller part may be requested."""


class UnknownVersionError(SourceError):
    """Airflow has a version whose API this package does not know."""

    def __init__(self, address: str, version: object) -> None:
        super().__init__(
            f"the version of Airflow at {address} must be 2.x (from 2.10) or 3.x; got {str(version)[:80]!r}"
        )


class UnreadableAnswerError(SourceError):
    """The source answered something other than its API defines."""

    def __init__(self, address: str, request: str, expected: str, got: object) -> None:
        super().__init__(f"{address} must answer {request} with {expected}; got {repr(got)[:200]}")


class UnstableAnswersError(SourceError):
    """The pages of a list changed while they were read, each time."""

    def __init__(self, address: str, request: str, rounds: int) -> None:
        super().__init__(f"the list {request} of {address} changed during each of {rounds} readings; run the day again")


class StoreError(MetricsError):
    """The bucket or folder of the metrics can't be read or written."""


class UnreadableDayError(StoreError):
    """A manifest names a file that is missing or damaged."""

    def __init__(self, name: str, reason: object) -> None:
        super().__init__(f"{name} can't be read: {reason}; collect the day again")
