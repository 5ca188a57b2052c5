"""A day's runs, tries and measurements from Airflow's REST API, in few requests.

The batch endpoints (`dags/~/dagRuns/list`, `dags/~/dagRuns/~/taskInstances/list`) list what ended in the day. A task
instance that was retried has one end alone there, that of its newest try; its earlier tries are one request more. They
may have ended in the day where the newest ended later or has not ended, so these are listed too.

Only fields that 2.10, 2.11 and 3.0 to 3.3 have are used: airflow/api_connexion/schemas/dag_run_schema.py and
task_instance_schema.py, airflow/api_fastapi/core_api/datamodels/dag_run.py and task_instances.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from jobyard_metrics.errors import NotFoundError, UnreadableAnswerError
from jobyard_metrics.patience import Patience
from jobyard_metrics.sources import earlier_pods, outputs
from jobyard_metrics.sources.airflow_api import AirflowApi
from jobyard_metrics.sources.airflow_lists import Lists, Row
from jobyard_metrics.sources.earlier_pods import EarlierPod
from jobyard_metrics.sources.http import fields
from jobyard_metrics.values import day_bounds, moment, text, whole

RUNS = "dags/~/dagRuns/list"
INSTANCES = "dags/~/dagRuns/~/taskInstances/list"
UNFINISHED = ("running", "queued", "scheduled", "restarting", "deferred", "up_for_retry", "up_for_reschedule")
LATER = timedelta(days=8)
"""How long after the day the newest try of a retried task may have ended; a pod lives for 7 days at most."""

Uses = Callable[[str, str, str], bool | None]
"""Whether another task uses a task's output, by team, job and task; null where no release has the task."""


@dataclass(frozen=True)
class Try:
    """One try of a task instance, or its newest; the columns of `tables.TRIES`."""

    team: str
    job: str
    run_id: str
    task: str
    map_index: int
    try_number: int
    state: str | None
    queued: datetime | None
    started: datetime | None
    ended: datetime | None

    @property
    def instance(self) -> tuple[str, str, str, str, int]:
        """Return what identifies the task instance."""
        return self.team, self.job, self.run_id, self.task, self.map_index


@dataclass(frozen=True)
class AirflowDay:
    """What Airflow has of a day.

    `runs` and `models` are rows of these tables, without `missed_deadline`; `tries` ended in the day; `others` are
    tries that had not, whose pods may have run in it. `earlier_pods` are those that the newest try of a task instance
    has replaced, of both. `dags` has the entry of each job's DAG by team and job.
    """

    runs: list[dict[str, Any]]
    tries: list[Try]
    others: list[Try]
    models: list[dict[str, Any]]
    earlier_pods: list[tuple[Try, EarlierPod]]
    dags: Mapping[tuple[str, str], Row]


@dataclass(frozen=True)
class _Instance:
    """A task instance: its newest try, and what it left."""

    newest: Try
    interval_start: datetime | None
    rendered: Any


class Airflow:
    """One Airflow."""

    def __init__(self, api: AirflowApi, patience: Patience) -> None:
        """Take the API, and the time for all requests."""
        self._api = api
        self._lists = Lists(api, patience)
        self._patience = patience

    @property
    def requests_made(self) -> int:
        """Return the number of requests so far."""
        return self._api.requests_made

    @property
    def major(self) -> int:
        """Return the major version of Airflow, 2 or 3.

        Raises:
            SourceError: Airflow refused, or stayed unavailable.
        """
        return self._patience.call(self._api.major)

    def day(self, day: date, now: datetime, uses: Uses) -> AirflowDay:
        """Return what ended in a UTC day.

        Raises:
            SourceError: Airflow refused, answered something else than its API defines, or stayed unavailable.
        """
        major = self.major
        start, end = day_bounds(day)
        ordered = {"order_by": "end_date"}
        runs = self._lists.ended(RUNS, "dag_runs", start, end, ordered)
        # Airflow 2 refuses an order here.
        listed = self._lists.ended(INSTANCES, "task_instances", start, end, ordered if major == 3 else {})
        instances = [*self._instances(listed)]
        later = [*self._instances(self._later(major, end, now))]
        tries = self._tries([*instances, *later], start, end)
        known = {one.instance for one in tries}
        return AirflowDay(
            runs=[row for run in runs if (row := _run(run))],
            tries=tries,
            others=[one.newest for one in later if one.newest.instance not in known],
            models=[*self._models(instances, runs, uses)],
            earlier_pods=[*_earlier_pods([*instances, *later])],
            dags=self._dags(),
        )

    def _later(self, major: int, end: datetime, now: datetime) -> list[Row]:
        """Task instances that were due before the day's end, and ended later or have not ended."""
        due = {("run_after_lte" if major == 3 else "execution_date_lte"): end.isoformat()}
        found = self._lists.matching(INSTANCES, "task_instances", {**due, "state": [*UNFINISHED]})
        if now > end:
            found += self._lists.ended(INSTANCES, "task_instances", end, min(end + LATER, now), due)
        return found

    def _instances(self, rows: Iterable[Row]) -> Iterator[_Instance]:
        for row in rows:
            if newest := self._try(row):
                interval = moment(row.get("logical_date") or row.get("execution_date"))
                yield _Instance(newest, interval, row.get("rendered_fields"))

    def _try(self, row: Row) -> Try | None:
        """A try of a job's own task: those that Jobyard adds to a DAG have a dot in their names, and no pod."""
        team, _, job = str(text(row["dag_id"])).partition(".")
        task = text(row.get("task_id"))
        if not task or "." in task or not team or not job:
            return None
        number, index = whole(row.get("try_number")), whole(row.get("map_index", -1))
        if number is None or index is None or max(abs(number), abs(index)) >= 2**31:
            raise UnreadableAnswerError(self._api.name, INSTANCES, "whole numbers 'try_number' and 'map_index'", row)
        started = moment(row.get("start_date"))
        return Try(
            team=team,
            job=job,
            run_id=text(row.get("dag_run_id")) or "",
            task=task,
            map_index=index,
            try_number=number,
            state=text(row.get("state")),
            queued=_before(moment(row.get("queued_when")), started),
            started=started,
            ended=moment(row.get("end_date")),
        )

    def _tries(self, instances: Iterable[_Instance], start: datetime, end: datetime) -> list[Try]:
        """The tries that ended in the day, each once, with the state that it has for good."""
        found: dict[tuple[Any, ...], Try] = {}
        for newest in {one.newest.instance: one.newest for one in instances}.values():
            for one in self._all_tries(newest) if newest.try_number > 1 else [newest]:
                if one.ended is not None and start <= one.ended < end and _has_ended(one):
                    found[*one.instance, one.try_number] = one
        return list(found.values())

    def _all_tries(self, newest: Try) -> Iterator[Try]:
        index = "" if newest.map_index < 0 else f"/{newest.map_index}"
        path = f"{_instance_path(newest)}{index}/tries"
        try:
            answer = fields(self._lists.ask("GET", path), self._api.name, path)
        except NotFoundError:
            # The run was deleted meanwhile.
            answer = {"task_instances": []}
        rows = answer.get("task_instances")
        if not isinstance(rows, list):
            raise UnreadableAnswerError(self._api.name, path, "a list 'task_instances'", answer)
        yield newest
        for row in filter(lambda row: isinstance(row, dict), rows):
            one = self._try({**row, "dag_id": f"{newest.team}.{newest.job}"})
            # Airflow 2.10 has the newest among the earlier ones while it waits for its retry.
            if one and one.try_number < newest.try_number:
                yield replace(one, state="up_for_retry") if one.state == "failed" else one

    def _models(self, instances: Iterable[_Instance], runs: Iterable[Row], uses: Uses) -> Iterator[dict[str, Any]]:
        intervals = {(run["dag_id"], run.get("dag_run_id")): moment(run.get("data_interval_start")) for run in runs}
        for one in instances:
            newest = one.newest
            if newest.state != "success":
                continue
            interval = intervals.get((f"{newest.team}.{newest.job}", newest.run_id)) or one.interval_start
            for name, value in self._numbers(one, uses).items():
                yield {
                    "team": newest.team,
                    "job": newest.job,
                    "run_id": newest.run_id,
                    "task": newest.task,
                    "map_index": newest.map_index,
                    "interval_start": interval,
                    "ended": newest.ended,
                    "name": name,
                    "value": value,
                }

    def _numbers(self, one: _Instance, uses: Uses) -> outputs.Numbers:
        """The rendered fields' numbers, or else those of the XCom: the library makes one of any output with numbers."""
        measured = outputs.of_rendered_fields(one.rendered)
        if measured is not None:
            return measured
        newest = one.newest
        # Fields without the numbers are those of another operator, or of an older library: it kept used outputs alone.
        if outputs.are_others(one.rendered) and not uses(newest.team, newest.job, newest.task):
            return {}
        return self._output(newest)

    def _output(self, newest: Try) -> outputs.Numbers:
        query = {"map_index": newest.map_index} if newest.map_index >= 0 else None
        path = f"{_instance_path(newest)}/xcomEntries/{outputs.XCOM_KEY}"
        try:
            answer = fields(self._lists.ask("GET", path, query), self._api.name, path)
        except NotFoundError:
            return {}
        return outputs.numbers(outputs.decode(answer.get("value")))

    def _dags(self) -> dict[tuple[str, str], Row]:
        found = {}
        for row in self._lists.all("dags", "dags"):
            team, _, job = row["dag_id"].partition(".")
            found[team, job] = row
        return found


def _before(queued: datetime | None, started: datetime | None) -> datetime | None:
    """When a try was queued for its start: of a deferred task, Airflow keeps when it was queued after that alone."""
    return None if queued and started and queued > started else queued


def _earlier_pods(instances: Iterable[_Instance]) -> Iterator[tuple[Try, EarlierPod]]:
    # One that waits for its retry is in both lists.
    for one in {one.newest.instance: one for one in instances}.values():
        for pod in earlier_pods.of_rendered_fields(one.rendered):
            yield one.newest, pod


def _has_ended(one: Try) -> bool:
    """Whether the end is that of the try: one that waits has the end of something else."""
    return one.state == "up_for_retry" or one.state not in (*UNFINISHED, None)


def _run(row: Row) -> dict[str, Any] | None:
    team, _, job = str(text(row["dag_id"])).partition(".")
    if not team or not job:
        return None
    return {
        "team": team,
        "job": job,
        "run_id": text(row.get("dag_run_id")) or "",
        "run_type": text(row.get("run_type")),
        "state": text(row.get("state")),
        "interval_start": moment(row.get("data_interval_start")),
        "interval_end": moment(row.get("data_interval_end")),
        # Airflow 2 does not say.
        "queued": moment(row.get("queued_at")),
        "started": moment(row.get("start_date")),
        "ended": moment(row.get("end_date")),
    }


def _instance_path(one: Try) -> str:
    dag, run, task = (quote(part, safe="") for part in (f"{one.team}.{one.job}", one.run_id, one.task))
    return f"dags/{dag}/dagRuns/{run}/taskInstances/{task}"
