"""Which tasks hold no worker while their pods wait and run: Airflow's triggerer follows those.

The triggerer finds this library by a plugin, `plugin/jobyard_trigger.py`. Where the environment does not have it, or
does not want it, and where Airflow would not keep a limit, a worker follows the pod.
"""

from jobyard.compat import AIRFLOW_3
from jobyard.contract import NO_QUEUEING
from jobyard.entries import Job, Task
from jobyard.platform import PLUGIN, Platform

SHORT_SECONDS = 60
"""A task that may run no longer than that keeps its worker: a second start takes longer than it saves."""
FOLLOWED = "Airflow's triggerer follows the pods of this job: they hold no worker while they wait and run."
HELD = "Each pod of this job holds a worker from when it is asked for until it ends, as"


def is_deferred(platform: Platform, job: Job, task: Task) -> bool:
    """Return whether the triggerer is to follow the task's pods.

    A task that is short, or that has a limit, keeps its worker; the limited tasks hold at most as many workers as
    their limit says.
    """
    return platform.deferred and not _is_short(task) and not _is_limited(job, task)


def is_deferred_in_queue(platform: Platform, job: Job, task: Task) -> bool:
    """Return whether the triggerer is to follow the task's pods if they wait for quota: that may take hours.

    A limited task waits in its worker.
    """
    return platform.deferred and platform.queueing != NO_QUEUEING and not _is_limited(job, task)


def _is_short(task: Task) -> bool:
    return task["timeout"] is not None and task["timeout"] <= SHORT_SECONDS


def _is_limited(job: Job, task: Task) -> bool:
    """Return whether a limit of the task's would not hold, or would hold up what it should not, if it were deferred.

    Airflow counts deferred tasks towards `max_active_tasks` in none of its versions, and towards the instances of a
    `foreach` that may run at once only from 3.0 on. A pool can count them; but a task whose pod has ended then waits
    for a slot like one that has not begun, and behind all that are more urgent.
    """
    foreach = task.get("foreach")
    has_concurrency = bool(foreach and foreach["concurrency"])
    return bool(job.get("max_active_tasks") or task.get("pool") or (has_concurrency and not AIRFLOW_3))


def note(platform: Platform, job: Job) -> str:
    """Return what the job's page says of who follows its pods; "" of a job without any."""
    tasks = [task for task in job["tasks"].values() if not task.get("type")]
    if not tasks:
        return ""
    if not platform.deferred:
        return f"{HELD} the environment's file says `deferred: false`."
    if not platform.has_plugin:
        return f"{HELD} the plugin `{PLUGIN}` is not in Airflow's plugins folder."
    if job.get("max_active_tasks"):
        return f"{HELD} Airflow does not count deferred tasks towards `max_active_tasks`."
    held = [task for task in tasks if not is_deferred(platform, job, task)]
    if not held:
        return FOLLOWED
    limits = f"`timeout` of at most {SHORT_SECONDS} s, `pool`, `concurrency`"
    return f"{FOLLOWED} Those of short or limited tasks ({limits}) hold a worker each."
