"""Waits for what others do. Each has one deadline, and goes on until then, whatever a single answer was.

A service that is slow, restarts or throttles raises `Unavailable`; that ends no wait and no call that may be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from tenacity.wait import wait_base

from jobyard_cli.errors import JobyardError, UnavailableError

PATIENCE_SECONDS = 300.0
"""How long a call that may be repeated is repeated. Generous, as it is spent only where a service stays away."""
REPORT_SECONDS = 15.0
"""How often a long wait says how far it is."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
_LONGEST_PAUSE_FOR_LOOKS = 2.0

T = TypeVar("T")


class NotYetError(JobyardError):
    """What is waited for has not happened; the text says how far it is."""


@dataclass(frozen=True)
class Clock:
    """What time it is, in seconds, and how one waits."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


CLOCK = Clock()


class Deadline:
    """The end of one wait, `seconds` from now."""

    def __init__(self, seconds: float, clock: Clock = CLOCK) -> None:
        self.seconds = seconds
        self._clock = clock
        self._start = clock.now()

    @property
    def passed(self) -> float:
        """Return the seconds since the wait began."""
        return self._clock.now() - self._start

    @property
    def is_over(self) -> bool:
        """Return whether the time is up."""
        return self.passed >= self.seconds

    def pause(self, seconds: float) -> None:
        """Sleep so long, but not far beyond the deadline."""
        self._clock.sleep(min(seconds, max(0.1, self.seconds - self.passed)))


def random_pauses(first: float, longest: float, growth: float = 2) -> wait_base:
    """Return pauses for tenacity: each random, below a bound that grows from `first` to `longest` seconds.

    So calls that failed at the same time are not repeated at the same time.
    """
    return wait_random_exponential(multiplier=first, max=longest, exp_base=growth)


def until(
    look: Callable[[], T],
    seconds: float,
    late: Callable[[str], JobyardError],
    *,
    pause: float = 0.5,
    clock: Clock = CLOCK,
) -> T:
    """Return what `look` returns, as soon as it raises neither `NotYetError` nor `Unavailable`.

    Between two looks pass `pause` seconds, and more where a look takes long.

    Raises:
        JobyardError: what `late` makes of the text of the last of these, once `seconds` have passed.
    """
    deadline = Deadline(seconds, clock)
    while True:
        start = clock.now()
        try:
            return look()
        except (NotYetError, UnavailableError) as error:
            if deadline.is_over:
                raise late(str(error)) from error
        deadline.pause(max(pause, _pause_after(clock.now() - start)))


def _pause_after(look_seconds: float) -> float:
    """Return the seconds to wait after a look, so that looking takes a quarter of the time at most.

    A look is often a program that starts, and what is waited for needs the same processors.
    """
    return min(3 * look_seconds, _LONGEST_PAUSE_FOR_LOOKS)


def insist(
    call: Callable[[], T],
    seconds: float = PATIENCE_SECONDS,
    *,
    report: Callable[[str], None] = lambda _: None,
    clock: Clock = CLOCK,
) -> T:
    """Make a call that may be repeated, again and again for so many seconds while the service is unavailable.

    `report` is given the reason about every 15 s.

    Raises:
        UnavailableError: the service stayed away; the last reason.
    """
    deadline = Deadline(seconds, clock)
    tries = Retrying(
        retry=retry_if_exception_type(UnavailableError),
        wait=random_pauses(_FIRST_PAUSE, _LONGEST_PAUSE, growth=1.5),
        # tenacity's own stops measure the machine's time; this is the clock's.
        stop=lambda _: deadline.is_over,
        sleep=deadline.pause,
        before_sleep=_Reporter(deadline, report),
        reraise=True,
    )
    return tries(call)


class _Reporter:
    """Reports about every 15 s why a call is repeated."""

    def __init__(self, deadline: Deadline, report: Callable[[str], None]) -> None:
        self._deadline = deadline
        self._report = report
        self._reported = 0.0

    def __call__(self, state: RetryCallState) -> None:
        """Take the state of the tries before a pause."""
        if state.outcome and self._deadline.passed - self._reported >= REPORT_SECONDS:
            self._reported = self._deadline.passed
            self._report(f"asking again, {self._reported:.0f} s: {state.outcome.exception()}")
