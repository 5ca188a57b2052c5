"""Waits until Airflow has a release."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jobyard_cli.airflow.api import AirflowClient, AirflowTimeout
from jobyard_cli.airflow.transport import AirflowBusy, AirflowError, NotAllowed, NotThere
from jobyard_cli.sync.airflow_state import State, Watcher

REPORT_SECONDS = 15
SETTLE_SECONDS = 120
"""So long an import error that was there before may be of the release before: MWAA copies, then Airflow reads again."""
_LONGEST_PAUSE = 10.0


class NotImportable(AirflowError):
    """Airflow can't read the team's file at all."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("\n".join(f"Airflow can't import {file}:\n{trace}" for file, trace in errors.items()))


class Broken(AirflowError):
    """Airflow has the release, but can't make DAGs of some jobs."""

    def __init__(self, broken: Mapping[str, str]) -> None:
        super().__init__("\n".join(f"{dag} is broken in Airflow: {reason}" for dag, reason in broken.items()))


class NotInTime(AirflowTimeout):
    """Airflow does not have the release yet."""

    def __init__(self, state: object, seconds: float) -> None:
        super().__init__(
            f"Airflow does not have the release after {seconds:.0f} s: {state}\n"
            "it is in the bucket, and Airflow may still take it (on MWAA up to 5 minutes later): run this again"
        )


@dataclass
class Waited:
    """How it ended."""

    seconds: float = 0
    superseded: bool = False
    """A later release went in meanwhile, so this one was waited for no longer."""
    paused: list[str] = field(default_factory=list)
    """DAGs of the release that are paused."""
    stopped: list[str] = field(default_factory=list)
    """DAGs of jobs that are not in the release, which were paused before they go."""
    unpaused: list[str] = field(default_factory=list)
    """Likewise, of which whoever asks may not pause any, as a team's pipeline on MWAA may only read."""


@dataclass
class Clock:
    """What time it is, in seconds, and how one waits."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Wait:
    """One wait for one release."""

    def __init__(
        self,
        airflow: AirflowClient,
        watcher: Watcher,
        superseded: Callable[[], bool],
        errors_before: Mapping[str, str],
        report: Callable[[str], None] = lambda _: None,
        clock: Clock | None = None,
    ) -> None:
        """Take what looks, what tells whether another release went in, and the import errors that were there before."""
        self._airflow = airflow
        self._watcher = watcher
        self._is_superseded = superseded
        self._errors_before = errors_before
        self._report = report
        self._clock = clock or Clock()
        self._start = self._clock.now()
        self._reported = self._start
        self._stopped: list[str] = []
        self._unpaused: list[str] = []

    def until_there(self, timeout: float) -> Waited:
        """Return as soon as Airflow has the release; jobs that were removed are paused, so that their history stays.

        Raises:
            NotImportable: Airflow can't read the team's file.
            Broken: it can't make DAGs of some jobs.
            NotInTime: it does not have the release in time.
            AirflowError: it refused.
        """
        pause = 1.0
        while True:
            state = self._look()
            if isinstance(state, State):
                if state.complete:
                    return Waited(self._passed(), paused=state.paused, stopped=self._stopped, unpaused=self._unpaused)
                failure = self._failure(state)
                if self._superseded(failure is not None or bool(self._to_stop(state))):
                    return Waited(self._passed(), superseded=True, stopped=self._stopped)
                if failure:
                    raise failure
                self._stop(self._to_stop(state))
            if self._passed() >= timeout:
                if self._superseded(True):
                    return Waited(self._passed(), superseded=True, stopped=self._stopped)
                raise NotInTime(state, self._passed())
            self._tell(state)
            self._clock.sleep(min(pause, max(0.1, timeout - self._passed())))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _look(self) -> State | AirflowBusy:
        try:
            return self._watcher.look()
        except AirflowBusy as error:
            return error

    def _failure(self, state: State) -> AirflowError | None:
        """What no waiting mends."""
        settled = self._passed() >= SETTLE_SECONDS
        errors = {
            file: trace
            for file, trace in state.import_errors.items()
            if settled or self._errors_before.get(file) != trace
        }
        if errors:
            return NotImportable(errors)
        return Broken(state.broken) if state.broken else None

    def _superseded(self, now: bool) -> bool:
        """Whether a later release went in; looked at where it matters now, else as seldom as something is reported."""
        return (now or self._due()) and self._is_superseded()

    def _to_stop(self, state: State) -> list[str]:
        seen = (*self._stopped, *self._unpaused)
        return [dag for dag, paused in state.leftover.items() if not paused and dag not in seen]

    def _stop(self, dags: list[str]) -> None:
        for dag in dags:
            try:
                self._airflow.call("PATCH", f"dags/{dag}", {"is_paused": True})
            except (NotThere, AirflowBusy):
                continue
            except NotAllowed:
                self._unpaused.append(dag)
            else:
                self._stopped.append(dag)

    def _passed(self) -> float:
        return self._clock.now() - self._start

    def _due(self) -> bool:
        return self._clock.now() - self._reported >= REPORT_SECONDS

    def _tell(self, state: object) -> None:
        if self._due():
            self._reported = self._clock.now()
            self._report(f"waiting for Airflow, {self._passed():.0f} s: {state}")
