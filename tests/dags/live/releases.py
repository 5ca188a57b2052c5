"""What the teams `risk`, `care` and `fraud` have released while Airflow runs."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hand_made import ATTACKS
from jobyard.compat import AIRFLOW_3
from live.stand_ins import FAIL, HOLD, LEAVE, LOSE, TOGETHER
from support import job, task

FEATURES, LABELS = "s3://bucket/features", "s3://bucket/labels"
# One run, over one known day; its time zone has another date than UTC when the data interval begins.
ONCE: dict[str, Any] = {
    "schedule": "0 2 * * *",
    "timezone": "Asia/Jakarta",
    "start_date": "2026-03-01",
    "end_date": "2026-03-01",
    "catchup": True,
}
DAILY = {"schedule": "@daily", "timezone": "UTC"}
START, DAY, DS = "2026-02-28 19:00:00+00:00", "2026-03-01", "2026-02-28"
RETRY = {"attempts": 2, "delay": 1, "backoff": "none", "max_delay": None}
BACKFILLED = ["2026-03-03", "2026-03-04", "2026-03-05"]
ITEMS = ["a", "b", "c", "d"]
DEADLINE_SECONDS = 10
# In both forms that Airflow's serialization has for an object of such a class.
_PATH = {"path": "file:///etc/hostname", "conn_id": None, "kwargs": {}}
_CLASS = "airflow.sdk.io.path.ObjectStoragePath" if AIRFLOW_3 else "airflow.io.path.ObjectStoragePath"
HOSTILE = [
    {"__type": _CLASS, "__var": _PATH},
    {"__classname__": _CLASS, "__version__": 1, "__data__": _PATH},
    "{{ ds }}",
]
MEASURED = {"auc": 0.9, "drift": {"psi": 0.25}, "model": "forest", "rows": 12, "good": True}
ENDLESS = "{% for a in range(9999) %}{% for b in range(9999) %}{{ ds * 9 }}{% endfor %}{% endfor %}"
FLOOD = 20
# Levels of priority, which are tasks' names here.
URGENT_LAST = ["low-1000", "normal-4000", "high-9000"]
# The newest day that is over, which is the data of a daily job's newest run.
_TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
NEWEST = {"start": _TODAY - timedelta(days=1), "end": _TODAY}


def pod(*arguments: str, **changes: Any) -> dict[str, Any]:
    """Return a task that is tried once, and whose pod tells the moments of its run, then the arguments."""
    times = ["{{ data_interval_start }}", "{{ day }}", "{{ ds }}"]
    fields = {
        "image": "example.com/image@sha256:0123",
        "args": [*times, *arguments],
        "retries": {**RETRY, "attempts": 0},
    }
    return task(**{**fields, **changes})


def entry(schedule: dict[str, Any], tasks: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a job with one task, unless there are others."""
    return job(**{"timezone": "Asia/Jakarta", **schedule, "tasks": tasks or {"score": pod()}, **changes})


def after(*jobs: str) -> dict[str, Any]:
    """Return a schedule after other jobs."""
    return {"schedule": {"after": list(jobs)}}


def on(*assets: str) -> dict[str, Any]:
    """Return a schedule on assets."""
    return {"schedule": {"assets": list(assets)}}


def alerts(**paths: str) -> dict[str, Any]:
    """Return alerts to webhooks."""
    return {occasion: [{"webhook": path}] for occasion, path in paths.items()}


def risk() -> dict[str, Any]:
    """Return the jobs of the team `risk`."""
    two_at_once = {"items": ITEMS, "output_of": None, "concurrency": 2}
    all_at_once = {"items": ITEMS[:2], "output_of": None, "concurrency": None}
    return {
        "first": entry(ONCE, alerts=alerts(on_success="succeeded")),
        "second": entry(after("risk.first")),
        "third": entry(after("risk.second")),
        "fails": entry(
            ONCE,
            {
                "one": pod(command=FAIL, foreach=all_at_once),
                # After the first, as the alert has the log of the instance that failed last.
                "other": pod(command=FAIL, retries=RETRY, needs=["one"], trigger_rule="all_done"),
            },
            alerts=alerts(on_failure="failed", on_retry="retried"),
        ),
        "after-fails": entry(after("risk.fails")),
        "features": entry(ONCE, {"features": pod(outputs=[FEATURES]), "report": pod()}),
        "after-features": entry(after("risk.features")),
        "labels": entry(on(FEATURES), {"score": pod(command=HOLD, outputs=[LABELS])}),
        "both": entry(on(FEATURES, LABELS)),
        "models": entry(ONCE, {"train": pod("{{ item }}", command=TOGETHER, foreach=two_at_once)}),
        "after-models": entry(after("risk.models")),
        "late": late(),
        "slow": entry(ONCE, {"score": pod(command=HOLD)}),
        "loses": entry(ONCE, {"score": pod(command=LOSE)}),
        "past": entry({**DAILY, "start_date": "2026-03-01", "end_date": "2026-03-10"}),
        "left": left(),
        "measures": entry(ONCE, {"train": pod(command=[LEAVE, json.dumps(MEASURED)], output=True)}),
        "endless": entry(ONCE, {"score": pod(ENDLESS, timeout=10)}),
        "broken": entry(DAILY, {"score": pod(node_group="gone")}, alerts=alerts(on_failure="broken")),
    }


def left() -> dict[str, Any]:
    """Return a job whose tasks hand on what a pod has left: to each item's task, and from those to the last."""
    each = {"items": None, "output_of": "split", "concurrency": None}
    item = "{{ item | tojson }}"
    return entry(
        ONCE,
        {
            # Only what the pod leaves has a template in it.
            "split": pod(command=[LEAVE, json.dumps(HOSTILE).replace("{{", "{{ '{{' }}")], output=True),
            "each": pod(item, command=[LEAVE, item], output=True, foreach=each, needs=["split"]),
            "last": pod("{{ outputs.split | tojson }}", "{{ outputs.each | tojson }}", needs=["each", "split"]),
        },
    )


def late() -> dict[str, Any]:
    """Return a job whose second run, the newest that is due, holds beyond its deadline.

    Airflow 2 tells only of a deadline after a run that succeeded.
    """
    newest = NEWEST["start"]
    command = f"{{{{ 'hold' if ds == '{newest:%Y-%m-%d}' else 'pass' }}}}"
    return entry(
        {**DAILY, "start_date": f"{newest - timedelta(days=1):%Y-%m-%d}"},
        {"score": pod(command=[command])},
        catchup=True,
        max_active_runs=1,
        deadline=DEADLINE_SECONDS,
        alerts=alerts(on_missed_deadline="late"),
    )


def care() -> dict[str, Any]:
    """Return the jobs of the team `care`, whose alerts lead nowhere."""
    score = {"score": pod(priority_class="care.normal-12000")}
    return {
        "fourth": entry(after("risk.first"), score, alerts=alerts(on_success="nobody")),
        "any-time": entry({"schedule": None}, score),
        "waits": entry(ONCE, score, wait_for=[{"job": "risk.slow", "timeout": 600}]),
    }


def healthy(team: str) -> dict[str, Any]:
    """Return a job of a team's that runs once."""
    return entry(ONCE, {"score": pod(priority_class=f"{team}.normal-12000")})


def fraud() -> dict[str, Any]:
    """Return the jobs of the team `fraud`, put into the bucket by hand: one is as it should be."""
    return {"healthy": healthy("fraud"), **{name: one for name, (one, _) in ATTACKS.items()}}


def flood() -> dict[str, Any]:
    """Return a job whose first tasks hold what they get, with many times more tasks behind them."""
    first = {f"first-{number}": pod(command=HOLD, priority_class="wide.high-9999") for number in range(FLOOD)}
    behind = {
        f"{name}-{number}": pod(needs=[name], priority_class="wide.high-9999") for name in first for number in range(10)
    }
    return entry(ONCE, {**first, **behind})


def order() -> dict[str, Any]:
    """Return a job whose tasks wait for a slot that the first one holds; behind the least urgent is the most to do."""
    waiting = {name: pod(name, priority_class=f"queue.{name}") for name in URGENT_LAST}
    behind = {f"then-{number}": pod("then", needs=[URGENT_LAST[0]], priority_class="queue.low-1000") for number in "ab"}
    first = pod("hold", command=HOLD, priority_class="queue.top-9999")
    # With a limit its tasks are not deferred: the first one holds its slot.
    return entry(ONCE, {"hold": first, **waiting, **behind}, max_active_tasks=16)
