"""What the tasks of a plan used, according to the advice of each environment, read while the plan is made."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import Any

from jobyard_cli.errors import JobyardError
from jobyard_cli.plan.phrases import quoted
from jobyard_cli.usage.address import Address, metrics_address
from jobyard_cli.usage.advice import Advice

SECONDS = 1.5
"""From the start of the reading: a merge request does not wait longer for advice."""
ReadAdvice = Callable[[Address, str], Advice]
"""Reads the newest advice of a team, one small object; raises a JobyardError where it can't."""


class Reading:
    """Reads a team's advice in the background, one object for each environment, until the deadline."""

    def __init__(self, read: ReadAdvice | None, team: str, environments: Mapping[str, Mapping[str, Any]]) -> None:
        """Start, if there is a way to read.

        `environments` are what the files of those with metrics say under `environment`, by name.
        """
        self._deadline = time.monotonic() + SECONDS
        self._answers: dict[str, Future[Advice]] = {}
        if read is not None:
            for name, values in environments.items():
                self._answers[name] = _started(read, team, name, values)

    def results(self, notes: list[str]) -> dict[str, Advice]:
        """Return the advice that has come, by environment; a note says why that of another is missing."""
        advice: dict[str, Advice] = {}
        missing: defaultdict[str, list[str]] = defaultdict(list)
        for name, answer in self._answers.items():
            try:
                advice[name] = answer.result(max(0.0, self._deadline - time.monotonic()))
            except TimeoutError:
                missing[f"no answer within {SECONDS:g} s, with this machine's AWS credentials"].append(name)
            except JobyardError as error:
                missing[" ".join(str(error).split())].append(name)
        for reason, names in missing.items():
            notes.append(f"what the tasks use in {quoted(names)} is not known: {reason}")
        return advice


def _started(read: ReadAdvice, team: str, name: str, values: Mapping[str, Any]) -> Future[Advice]:
    """Read in a thread that does not keep the process from ending, as one of an executor would."""
    answer: Future[Advice] = Future()
    Thread(target=partial(_answer, answer, read, team, name, values), daemon=True).start()
    return answer


def _answer(answer: Future[Advice], read: ReadAdvice, team: str, name: str, values: Mapping[str, Any]) -> None:
    try:
        answer.set_result(read(metrics_address(name, values), team))
    except BaseException as error:
        # The thread that waits for the answer raises it.
        answer.set_exception(error)
