"""A job that cannot be built stays visible: a DAG under its own id, whose one task fails with the reason.

Not as an import error: Airflow ties those to the loader's file and then starts no run of any DAG of that file
(`DagModel.dags_needing_dagruns` leaves out `has_import_errors`, in 2.10 to 3.3), so one bad job would stop
the team's others. Its schedule stays, so that a nightly job that broke fails at night, where someone looks,
and can be cleared for the same data interval once it is fixed. A new job that is broken starts paused.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from jobyard.alerts import dag_alerts
from jobyard.compat import DAG, BaseOperator, Context
from jobyard.contract import BROKEN_MARK, BROKEN_TAG
from jobyard.docs import job_page
from jobyard.entries import Job, Timing, rules_of
from jobyard.errors import JobError
from jobyard.limits import NAME, REASON, SOURCE
from jobyard.rules import storable
from jobyard.schedule import schedule_arguments
from jobyard.validation import check_part

TIMING = tuple(rules_of(Timing))


class BrokenJobOperator(BaseOperator):
    """Fails with the reason why the job could not be built."""

    reason: str

    def execute(self, context: Context) -> None:
        """Raise JobError, always."""
        raise JobError(self.reason)


def broken_dag(team: str, name: str, job: object, reason: str, access: Mapping[str, Any] | None = None) -> DAG:
    """Return the DAG that stands for a job that cannot be built; never raises, whatever `job` is.

    `access` is the argument that says who may see it.
    """
    entry = cast(Job, job if isinstance(job, dict) else {})
    reason = storable(reason, REASON)
    dag = DAG(
        # A job whose name cannot be a DAG id must not be hidden; "_" cannot occur in a valid name.
        dag_id=f"{team}.{re.sub(r'[^A-Za-z0-9_.-]', '_', name[:100])}",
        description=f"Broken: {reason}",
        doc_md=job_page(reason, *_page(entry), BROKEN_MARK),
        tags=sorted({f"team:{team}", BROKEN_TAG}),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=True,
        **_sound(entry, TIMING, lambda: schedule_arguments(entry), {"schedule": None}),
        **(access or {}),
        **_sound(entry, ["alerts", "deadline", "owner"], lambda: dag_alerts(entry, team, name), {}),
    )
    BrokenJobOperator(dag=dag, task_id=BROKEN_TAG, owner=team, pool=team, weight_rule="absolute").reason = reason
    return dag


def _page(entry: Job) -> tuple[str, str | None]:
    """Return source and digest, of whatever kind they are, as far as Airflow can store them."""
    source: Any = entry.get("source")
    digest: Any = entry.get("digest")
    if not isinstance(source, str):
        source = ""
    if isinstance(digest, str):
        return storable(source, SOURCE), storable(digest, NAME)
    return storable(source, SOURCE), None


def _sound(
    entry: Job, names: Iterable[str], arguments: Callable[[], dict[str, Any]], otherwise: dict[str, Any]
) -> dict[str, Any]:
    """Return the arguments if those fields of the job are valid, else `otherwise`."""
    try:
        check_part(entry, names)
        return arguments()
    except Exception:  # the entry is already known to be invalid, and the DAG shows the reason
        return otherwise
