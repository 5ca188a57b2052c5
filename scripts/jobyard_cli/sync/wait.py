"""Waits until Airflow has a release."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jobyard_cli.airflow.api import AirflowClient, AirflowTimeoutError
from jobyard_cli.airflow.transport import AirflowBusyError, AirflowError, AirflowNotFoundError, AirflowPermissionError
from jobyard_cli.errors import UnavailableError
from jobyard_cli.sync.airflow_state import ImportFailure, State, Watcher
from jobyard_cli.system.waiting import CLOCK, REPORT_SECONDS, Clock, Deadline

SETTLE_SECONDS = 120
"""So long an import error that was there before may be of the release before: MWAA copies, then Airflow reads again."""
_LONGEST_PAUSE = 10.0


class NotImportableError(AirflowError):
    """Airflow can't read the team's file at all."""

    def __init__(self, errors: Mapping[str, ImportFailure]) -> None:
        super().__init__("\n".join(f"Airflow can't import {file}:\n{error.trace}" for file, error in errors.items()))


class BrokenDagsError(AirflowError):
    """Airflow has the release, but can't make DAGs of some jobs."""

    def __init__(self, broken: Mapping[str, str]) -> None:
        super().__init__("\n".join(f"{dag} is broken in Airflow: {reason}" for dag, reason in broken.items()))


class ReleaseTimeoutError(AirflowTimeoutError):
    """Airflow does not have the release yet."""

    def __init__(self, state: object, seconds: float) -> None:
        super().__init__(
            f"Airflow does not have the release after {seconds:.0f} s: {state}\n"
            "it is in the bucket, and Airflow may still load it (on MWAA up to 5 minutes later): run this again"
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
    """Likewise, where the caller lacks the permission to pause, as a team's pipeline on MWAA may only read."""


class Wait:
    """One wait for one release."""

    def __init__(
        self,
        airflow: AirflowClient,
        watcher: Watcher,
        superseded: Callable[[], bool],
        errors_before: Mapping[str, ImportFailure],
        report: Callable[[str], None] = lambda _: None,
        clock: Clock = CLOCK,
    ) -> None:
        """Take what looks, what reports whether another release was published, and the earlier import errors."""
        self._airflow = airflow
        self._watcher = watcher
        self._is_superseded = superseded
        self._errors_before = errors_before
        self._report = report
        self._clock = clock
        self._deadline = Deadline(0, clock)
        self._reported = 0.0
        self._errors: dict[str, ImportFailure] = {}
        self._stopped: list[str] = []
        self._unpaused: list[str] = []
        self._forgotten: list[str] = []

    def until_there(self, timeout: float) -> Waited:
        """Return as soon as Airflow has the release; jobs that were removed are paused, so that their history stays.

        Neither an Airflow nor a bucket that does not answer for a while ends it.

        Raises:
            NotImportableError: Airflow can't read the team's file.
            BrokenDagsError: it can't make DAGs of some jobs.
            ReleaseTimeoutError: it does not have the release in time.
            AirflowError: it refused.
        """
        self._deadline = Deadline(timeout, self._clock)
        pause = 1.0
        while True:
            state, ended = self._look()
            if ended:
                return ended
            if self._deadline.is_over:
                raise self._late(state)
            self._report_progress(state)
            self._deadline.pause(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _look(self) -> tuple[State | UnavailableError, Waited | None]:
        """How it stands, or why nobody knows; and how the wait ended, if it did."""
        try:
            state = self._watcher.look()
            return state, self._judge(state)
        except UnavailableError as error:
            return error, None

    def _judge(self, state: State) -> Waited | None:
        to_stop = self._to_stop(state)
        complete = state.complete
        failure = self._failure(state)
        now = bool(failure or to_stop or (self._deadline.is_over and not complete))
        if (now or not complete) and self._superseded(now):
            return Waited(self._passed(), superseded=True, stopped=self._stopped)
        if failure:
            raise failure
        self._stop(to_stop)
        if complete and not self._to_stop(state):
            return Waited(self._passed(), paused=state.paused, stopped=self._stopped, unpaused=self._unpaused)
        return None

    def _failure(self, state: State) -> AirflowError | None:
        """Return the error that waiting does not fix, if any."""
        if errors := self._lasting(state.import_errors):
            return NotImportableError(errors)
        if state.broken:
            return BrokenDagsError(state.broken)
        return None

    def _lasting(self, errors: Mapping[str, ImportFailure]) -> dict[str, ImportFailure]:
        """The errors that Airflow met twice, or that have had time to go.

        Met once, it may be a timeout of a busy Airflow, or of a file that was being copied. One that was there
        before may be of the release before.
        """
        if self._passed() >= SETTLE_SECONDS or self._deadline.is_over:
            return dict(errors)
        first, self._errors = self._errors, {}
        lasting: dict[str, ImportFailure] = {}
        for file, error in errors.items():
            self._errors[file] = first.get(file, error)
            if error.is_after(self._errors[file]) and not error.is_like(self._errors_before.get(file)):
                lasting[file] = error
        return lasting

    def _superseded(self, now: bool) -> bool:
        """Whether a later release went in; looked at where it matters now, else as seldom as something is reported.

        Raises:
            UnavailableError: nobody knows.
        """
        return (now or self._due()) and self._is_superseded()

    def _late(self, state: State | UnavailableError) -> ReleaseTimeoutError:
        return ReleaseTimeoutError(state, self._passed())

    def _to_stop(self, state: State) -> list[str]:
        seen = (*self._stopped, *self._unpaused, *self._forgotten)
        return [dag for dag, paused in {**state.leftover, **state.gone}.items() if not paused and dag not in seen]

    def _stop(self, dags: list[str]) -> None:
        for dag in dags:
            try:
                self._airflow.call("PATCH", f"dags/{dag}", {"is_paused": True})
            except AirflowBusyError:
                continue
            except AirflowNotFoundError:
                self._forgotten.append(dag)
            except AirflowPermissionError:
                self._unpaused.append(dag)
            else:
                self._stopped.append(dag)

    def _passed(self) -> float:
        return self._deadline.passed

    def _due(self) -> bool:
        return self._passed() - self._reported >= REPORT_SECONDS

    def _report_progress(self, state: object) -> None:
        if self._due():
            self._reported = self._passed()
            self._report(f"waiting for Airflow, {self._reported:.0f} s: {state}")
