"""What becomes of a task once all that it needs has ended, by its trigger rule.

As `TriggerRuleDep` of Airflow has it (airflow/ti_deps/deps/trigger_rule_dep.py); of a task with `foreach`, each
instance counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum


class State(StrEnum):
    """How an instance of a task has ended, in Airflow's words; or, of a task that may run, that it does."""

    RUN = "run"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"


class _Ended:
    """How many instances ended in which way."""

    def __init__(self, states: Iterable[State]) -> None:
        counted = Counter(states)
        self.success = counted[State.SUCCESS]
        self.skipped = counted[State.SKIPPED]
        self.ran_and_failed = counted[State.FAILED]
        self.failed = self.ran_and_failed + counted[State.UPSTREAM_FAILED]
        self.all = counted.total()


def _all_success(ended: _Ended) -> State:
    if ended.failed:
        return State.UPSTREAM_FAILED
    return State.SKIPPED if ended.skipped else State.RUN


def _one_success(ended: _Ended) -> State:
    if ended.success:
        return State.RUN
    return State.SKIPPED if ended.skipped == ended.all else State.UPSTREAM_FAILED


def _none_failed(ended: _Ended) -> State:
    return State.UPSTREAM_FAILED if ended.failed else State.RUN


def _none_failed_min_one_success(ended: _Ended) -> State:
    if ended.failed:
        return State.UPSTREAM_FAILED
    return State.SKIPPED if ended.skipped == ended.all else State.RUN


def _unless(skips: Callable[[_Ended], bool]) -> Callable[[_Ended], State]:
    return lambda ended: State.SKIPPED if skips(ended) else State.RUN


def _always(ended: _Ended) -> State:
    del ended
    return State.RUN


RULES: Mapping[str, Callable[[_Ended], State]] = {
    "all_success": _all_success,
    "all_failed": _unless(lambda ended: bool(ended.success or ended.skipped)),
    "all_done": _always,
    "all_skipped": _unless(lambda ended: bool(ended.success or ended.failed)),
    "one_success": _one_success,
    "one_failed": _unless(lambda ended: not ended.failed),
    "one_done": _unless(lambda ended: not (ended.ran_and_failed or ended.success)),
    "none_failed": _none_failed,
    "none_failed_min_one_success": _none_failed_min_one_success,
    "none_skipped": _unless(lambda ended: bool(ended.skipped)),
    "always": _always,
}


def decide(rule: str, states: Iterable[State]) -> State:
    """Return whether a task runs after instances that ended so, or else the state that it gets without running."""
    ended = _Ended(states)
    return RULES[rule](ended) if ended.all else State.RUN
