"""Waiting for another job's run over the same data, without holding a worker meanwhile.

Airflow's sensor looks for a run of one logical date. Which one that is follows from the other job's own schedule, read
from its release, which lies beside ours in the bucket: the last run whose data interval ends no later than ours does.
With the same schedule that is the very same interval; of an hourly job, the last hour of our day.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum

from jobyard.compat import AIRFLOW_3, DAG
from jobyard.contract import JOB_ID, release_path
from jobyard.entries import WaitFor
from jobyard.errors import JobError, UnknownNameError
from jobyard.interval import data_interval
from jobyard.platform import Platform
from jobyard.release import checked_job, read_release
from jobyard.schedule import is_cron

POKE_SECONDS = 60


def wait_operator(platform: Platform, dag: DAG, wait: WaitFor) -> Any:
    """Return the task that waits.

    Raises:
        JobError: the other job's name is not `<team>.<job>`.
    """
    # Imported where it is used: few jobs wait, and every parse would pay for it.
    if TYPE_CHECKING or AIRFLOW_3:
        from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
    else:
        from airflow.sensors.external_task import ExternalTaskSensor

    if not JOB_ID.fullmatch(wait["job"]):
        raise JobError(f"'wait_for' must name a job as <team>.<job>; got {wait['job']!r}")
    return ExternalTaskSensor(
        dag=dag,
        # No task of a team's can have a dot in its name.
        task_id=f"wait-for.{wait['job']}",
        external_dag_id=wait["job"],
        allowed_states=["success"],
        execution_date_fn=LastRun(platform.dags, wait["job"]),
        mode="reschedule",
        poke_interval=POKE_SECONDS,
        timeout=wait["timeout"],
        # A timeout is final; a lost worker is retried.
        retries=2,
    )


@dataclass(frozen=True)
class LastRun:
    """Says which run of a job to wait for."""

    dags: Path
    job: str

    def __call__(self, logical_date: datetime, context: Mapping[str, Any]) -> datetime:
        """Return its logical date.

        Raises:
            UnknownNameError: the job is not in its team's release.
            JobError: it does not fit, or has no schedule of its own, so nothing says which of its runs is meant.
            ReleaseError: the release can't be read.
        """
        from airflow.timetables.interval import CronDataIntervalTimetable

        team, _, name = self.job.partition(".")
        jobs = read_release(self.dags / release_path(team), team).jobs
        if name not in jobs:
            raise UnknownNameError(f"job of team {team!r}", name, jobs)
        job = checked_job(jobs[name])
        schedule = job["schedule"]
        if not isinstance(schedule, str) or not is_cron(schedule):
            raise JobError(f"job {self.job!r} has no cron schedule; follow it with `schedule: {{after: [{self.job}]}}`")
        _, end = data_interval(context)
        cron = CronDataIntervalTimetable(schedule, timezone=pendulum.timezone(job["timezone"]))
        return cron.infer_manual_data_interval(run_after=end).start
