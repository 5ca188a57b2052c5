"""Repeating what a busy service refused, until one deadline for all of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from jobyard_metrics.errors import SourceUnavailableError

T = TypeVar("T")

LONGEST_PAUSE = 30.0
"""Seconds between two tries of one request."""


class Patience:
    """The time that one source has for all of its requests of a day, and the number of its retries."""

    def __init__(
        self,
        seconds: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin a deadline of so many seconds."""
        self._end = now() + seconds
        self._now = now
        self._retrying = Retrying(
            retry=retry_if_exception_type(SourceUnavailableError),
            wait=wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE),
            stop=self._is_over,
            sleep=sleep,
            before_sleep=self._count,
            reraise=True,
        )
        self.retries = 0

    def call(self, request: Callable[[], T]) -> T:
        """Return the result of the request, repeated with growing random pauses while the source is unavailable.

        Raises:
            SourceUnavailableError: the deadline passed; the last reason.
        """
        return self._retrying(request)

    def _is_over(self, state: RetryCallState) -> bool:
        return self._now() + state.upcoming_sleep >= self._end

    def _count(self, _: RetryCallState) -> None:
        self.retries += 1
