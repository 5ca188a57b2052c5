"""Waits with one deadline each, on a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from jobyard_cli.errors import JobyardError, UnavailableError
from jobyard_cli.system.waiting import Clock, NotYetError, insist, until


class Hands:
    """A clock that goes as one sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.clock = Clock(lambda: self.time, self.sleep)

    def sleep(self, seconds: float) -> None:
        """Let time go by."""
        self.time += seconds


class RefusedError(JobyardError):
    """No retry fixes it."""


def answering(hands: Hands, when: float, otherwise: JobyardError) -> Callable[[], str]:
    """A call that fails until that time."""

    def call() -> str:
        if hands.time < when:
            raise otherwise
        return "answer"

    return call


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.mark.parametrize("reason", [NotYetError("half done"), UnavailableError("Read timed out")])
def test_a_wait_goes_on_until_its_deadline_whatever_single_answers_were(hands: Hands, reason: JobyardError) -> None:
    look = answering(hands, 290, reason)
    assert until(look, 300, RefusedError, clock=hands.clock) == "answer"
    assert 290 <= hands.time < 291


@pytest.mark.parametrize("reason", [NotYetError("half done"), UnavailableError("Read timed out")])
def test_out_of_time_a_wait_says_what_it_saw_last(hands: Hands, reason: JobyardError) -> None:
    with pytest.raises(RefusedError, match=f"late: {reason}"):
        until(answering(hands, 1000, reason), 300, lambda last: RefusedError(f"late: {last}"), clock=hands.clock)
    assert 300 <= hands.time < 302


@pytest.mark.parametrize(("seconds", "pause"), [(0.0, 0.5), (0.1, 0.5), (0.4, 1.2), (30.0, 2.0)])
def test_a_wait_whose_looks_take_long_looks_less_often(hands: Hands, seconds: float, pause: float) -> None:
    began: list[float] = []

    def look() -> None:
        began.append(hands.time)
        hands.sleep(seconds)
        if len(began) < 3:
            raise NotYetError("half done")

    until(look, 300, RefusedError, clock=hands.clock)
    assert [later - earlier for earlier, later in pairwise(began)] == pytest.approx([seconds + pause] * 2)


def test_a_wait_looks_at_least_once(hands: Hands) -> None:
    assert until(answering(hands, 0, NotYetError("")), 0, RefusedError, clock=hands.clock) == "answer"


def test_what_no_waiting_mends_ends_it_at_once(hands: Hands) -> None:
    refused = answering(hands, 1, RefusedError("no right"))
    with pytest.raises(RefusedError, match="no right"):
        until(refused, 300, RefusedError, clock=hands.clock)
    with pytest.raises(RefusedError, match="no right"):
        insist(refused, 300, clock=hands.clock)
    assert hands.time == 0


def test_a_call_is_repeated_with_longer_and_longer_pauses_and_its_reason_told(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The longest of each random pause.
    monkeypatch.setattr("random.uniform", lambda _, longest: longest)
    said: list[str] = []
    asked: list[float] = []
    answer = answering(hands, 100, UnavailableError("503"))

    def call() -> str:
        asked.append(hands.time)
        return answer()

    assert insist(call, 300, report=said.append, clock=hands.clock) == "answer"
    pauses = [later - earlier for earlier, later in zip(asked, asked[1:], strict=False)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.5, 10)
    assert 4 <= len(said) <= 7
    assert said[0].endswith(" s: 503")


def test_the_pauses_of_two_calls_differ(hands: Hands) -> None:
    """Many pipelines that lost a service at the same moment do not ask again at the same moment."""

    def pauses() -> list[float]:
        asked: list[float] = []
        begin = hands.time
        answer = answering(hands, begin + 100, UnavailableError("503"))

        def call() -> str:
            asked.append(hands.time - begin)
            return answer()

        insist(call, 300, clock=hands.clock)
        return [later - earlier for earlier, later in pairwise(asked)]

    first, second = pauses(), pauses()
    assert first != second
    assert all(pause <= 10 for pause in (*first, *second))


def test_a_service_that_stays_away_is_told_in_its_own_words(hands: Hands) -> None:
    with pytest.raises(UnavailableError, match="Connection refused"):
        insist(answering(hands, 1000, UnavailableError("Connection refused")), 300, clock=hands.clock)
    assert 300 <= hands.time < 302


def test_a_call_without_patience_is_made_once(hands: Hands) -> None:
    with pytest.raises(UnavailableError):
        insist(answering(hands, 1, UnavailableError("away")), 0, clock=hands.clock)
    assert hands.time == 0
