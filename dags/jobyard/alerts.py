"""Alerts about a run: through Airflow's own notifiers, with the connections `jobyard_<kind>_<team>`.

One alert for each run that fails, succeeds or misses its deadline, and one for each try that is retried, or that waited
too long for quota. The name of the connection contains the team's, so a job cannot use another team's. An alert that
can't be sent is logged and fails nothing.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from operator import attrgetter
from typing import Any

from jobyard.compat import AIRFLOW_3, BaseOperator
from jobyard.connections import check_connection
from jobyard.entries import Job
from jobyard.errors import JobError, PodQueueTimedOutError, UnknownNameError
from jobyard.rules import shown

LOG = logging.getLogger(__name__)
WORDS = {
    "on_failure": "failed",
    "on_retry": "failed and is tried again",
    "on_queue_timeout": "waited too long for its team's quota",
    "on_success": "succeeded",
    "on_missed_deadline": "missed its deadline",
}


class Alert:
    """A callback of Airflow's: sends what happened to every target."""

    def __init__(self, occasion: str, team: str, job: str, owner: str, targets: list[dict[str, str]]) -> None:
        """`targets` are objects with one key, the kind, and the address as its value."""
        self.occasion = occasion
        self.team = team
        self.job = job
        self.owner = owner
        self.targets: list[tuple[str, str]] = []
        for target in targets:
            self.targets += target.items()
        for kind, address in self.targets:
            if kind not in SENDERS:
                raise UnknownNameError("kind of alert", kind, SENDERS)
            # Airflow stores it with the DAG, and would make of an object what that says it is.
            if not isinstance(address, str):
                raise JobError(f"the address of an alert to {kind} must be a string; got {shown(address)}")

    def __call__(self, *arguments: Any) -> None:
        """Send it; never raises. For a missed deadline Airflow 2 gives five arguments, otherwise there is a context."""
        try:
            context = arguments[0] if len(arguments) == 1 else _missed(arguments[0], arguments[3])
            facts = self.facts(context)
        except Exception as error:  # Airflow's database or API failed; an alert with fewer details is better than none
            LOG.exception("Could not read the run's details for the alert: %s", error)
            facts = {"job": f"{self.team}.{self.job}", "event": WORDS[self.occasion], "owner": self.owner}
        for kind, address in self.targets:
            try:
                connection = f"jobyard_{kind}_{self.team}"
                check_connection(connection, aws=kind == "sns")
                SENDERS[kind](connection, address, facts)
            except Exception as error:  # whatever a provider, a connection or the network does
                LOG.exception("Could not send the alert to %s %r: %s", kind, address, error)

    def facts(self, context: Mapping[str, Any]) -> dict[str, str]:
        """Return the details of the run by name, in the order in which the alert lists them."""
        instance = context.get("ti")
        tasks = context.get("task_ids", ())
        if self.occasion == "on_failure":
            instance, tasks = _failed(context)
        facts = {
            "job": f"{self.team}.{self.job}",
            "event": WORDS[self.occasion],
            "run": _run_id(context),
            "task": ", ".join(sorted(tasks)) or getattr(instance, "task_id", ""),
            "try": "",
            "owner": self.owner,
            "reason": str(context.get("exception") or context.get("reason") or ""),
            "log": getattr(instance, "log_url", ""),
        }
        if self.occasion in ("on_failure", "on_retry", "on_queue_timeout"):
            facts["try"] = _try(instance)
        return {name: value for name, value in facts.items() if value}


class QueueTimeoutAlert(Alert):
    """A callback of a try that failed: sends an alert if that was for the wait for quota."""

    def __call__(self, *arguments: Any) -> None:
        """Send it if it applies; never raises."""
        if isinstance(arguments[0].get("exception"), PodQueueTimedOutError):
            super().__call__(*arguments)


def _missed(dag: Any, misses: Iterable[Any]) -> dict[str, Any]:
    """Return what Airflow 2 says of missed deadlines as a context; it names a run by the end of its data interval."""
    runs: set[str] = set()
    tasks: set[str] = set()
    for miss in misses:
        interval = dag.timetable.infer_manual_data_interval(run_after=miss.execution_date)
        runs.add(f"scheduled__{interval.start.isoformat()}")
        tasks.add(miss.task_id)
    return {"run_id": ", ".join(sorted(runs)), "task_ids": tasks}


def _failed(context: Mapping[str, Any]) -> tuple[Any, set[str]]:
    """Return the instance that failed last in the context's run, and the tasks that failed."""
    instance = context.get("ti")
    if instance is None:
        return None, set()
    if AIRFLOW_3:
        return instance, _failed_tasks(instance, context["dag"])
    # Airflow 2 gives any instance of the run.
    failed = context["dag_run"].get_task_instances(state="failed")
    last = max(failed, key=attrgetter("end_date"), default=instance)
    return last, {instance.task_id for instance in failed}


def _failed_tasks(instance: Any, dag: Any) -> set[str]:
    try:
        states = instance.get_task_states(dag_id=instance.dag_id, run_ids=[instance.run_id])[instance.run_id]
    except Exception as error:  # the API server failed; the alert matters more than the other tasks' names
        LOG.warning("Could not read which tasks failed: %s", error)
        return set()
    failed: set[str] = set()
    for name, state in states.items():
        if state == "failed":
            # An instance of a `foreach` is "<task>_<index>", and no task's name has a "_".
            failed.add(name if dag.has_task(name) else name.rpartition("_")[0])
    return failed


def _run_id(context: Mapping[str, Any]) -> str:
    run = context.get("dag_run")
    run_id = getattr(run, "run_id", "")
    if isinstance(run, Mapping):
        # Of a missed deadline, Airflow 3 sends the run as the API would show it.
        run_id = run.get("dag_run_id")
    return str(context.get("run_id") or run_id or "")


def _try(instance: Any) -> str:
    number = getattr(instance, "try_number", None)
    if number is None:
        return ""
    # For a whole run Airflow 3 leaves out the instance's own number; after a clearing it counts on.
    retries = max(getattr(instance, "max_tries", 0), getattr(getattr(instance, "task", None), "retries", 0))
    return f"{number} of {max(number, retries + 1)}"


def title(facts: Mapping[str, str]) -> str:
    """Return the alert in one line."""
    return f"{facts['job']} {facts['event']}"


def text(facts: Mapping[str, str]) -> str:
    """Return the alert in lines of `name: value`."""
    rest = [f"{name}: {value}" for name, value in facts.items() if name not in ("job", "event")]
    return "\n".join([title(facts), *rest])


def _slack(connection: str, channel: str, facts: Mapping[str, str]) -> None:
    from airflow.providers.slack.notifications.slack import SlackNotifier

    notifier: Any = SlackNotifier(slack_conn_id=connection, channel=channel, text=text(facts))
    notifier.notify({})


def _email(connection: str, address: str, facts: Mapping[str, str]) -> None:
    from html import escape

    from airflow.providers.smtp.hooks.smtp import SmtpHook

    # The hook and not the notifier, whose first version takes the sender from airflow.cfg and not from the connection.
    with SmtpHook(smtp_conn_id=connection) as smtp:
        smtp.send_email_smtp(to=address, subject=title(facts), html_content=f"<pre>{escape(text(facts))}</pre>")


def _sns(connection: str, topic: str, facts: Mapping[str, str]) -> None:
    from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

    region = topic.split(":")[3]
    notifier: Any = SnsNotifier(
        aws_conn_id=connection, target_arn=topic, region_name=region, subject=title(facts)[:100], message=text(facts)
    )
    notifier.notify({})


def _pagerduty(connection: str, severity: str, facts: Mapping[str, str]) -> None:
    from airflow.providers.pagerduty.notifications.pagerduty import PagerdutyNotifier

    notifier: Any = PagerdutyNotifier(
        pagerduty_events_conn_id=connection,
        summary=title(facts),
        severity=severity,
        source=facts["job"],
        # One incident for a run, however often its alert is sent.
        dedup_key=f"{facts['job']} {facts.get('run', '')}",
        custom_details=dict(facts),
    )
    notifier.notify({})


def _webhook(connection: str, path: str, facts: Mapping[str, str]) -> None:
    # The provider's own notifier came with version 5; its hook is in all.
    from airflow.providers.http.hooks.http import HttpHook

    hook = HttpHook(method="POST", http_conn_id=connection)
    hook.run(endpoint=path, json=dict(facts), headers={"Content-Type": "application/json"})


SENDERS: dict[str, Callable[[str, str, Mapping[str, str]], None]] = {
    "email": _email,
    "pagerduty": _pagerduty,
    "slack": _slack,
    "sns": _sns,
    "webhook": _webhook,
}


def alert(job: Job, team: str, name: str, occasion: str) -> Alert | None:
    """Return the job's alert for that occasion, or None where it has none.

    Raises:
        UnknownNameError: a target's kind is unknown.
    """
    targets: Any = job.get("alerts", {}).get(occasion)
    if not targets:
        return None
    kind = QueueTimeoutAlert if occasion == "on_queue_timeout" else Alert
    return kind(occasion, team, name, job["owner"] or team, targets)


def task_alerts(job: Job, team: str, name: str) -> dict[str, Any]:
    """Return each task's arguments for alerts about a try.

    Raises:
        UnknownNameError: a target's kind is unknown.
    """
    waited, retried = alert(job, team, name, "on_queue_timeout"), alert(job, team, name, "on_retry")
    callbacks = {
        "on_failure_callback": [waited],
        "on_retry_callback": [waited, retried],
    }
    found = {event: [one for one in alerts if one is not None] for event, alerts in callbacks.items()}
    return {event: alerts for event, alerts in found.items() if alerts}


def dag_alerts(job: Job, team: str, name: str) -> dict[str, Any]:
    """Return the DAG's arguments for alerts about a whole run.

    Raises:
        JobError: a deadline is not after the run's start.
        UnknownNameError: a target's kind is unknown.
    """
    arguments = {
        "on_failure_callback": alert(job, team, name, "on_failure"),
        "on_success_callback": alert(job, team, name, "on_success"),
    }
    missed = alert(job, team, name, "on_missed_deadline")
    after = job.get("deadline")
    if missed and after:
        if after <= 0:
            raise JobError(f"deadline must be at least 1 second after the run's start; got {after}")
        arguments.update(_deadline(missed, timedelta(seconds=after)))
    return {name: value for name, value in arguments.items() if value is not None}


def _deadline(missed: Alert, after: timedelta) -> dict[str, Any]:
    """Return the DAG's arguments; of Airflow 2, whose tasks have the deadline, only the callback."""
    if not AIRFLOW_3:
        return {"sla_miss_callback": missed}
    from airflow.sdk import DeadlineAlert, DeadlineReference, SyncCallback  # type: ignore[attr-defined]

    facts = {
        "team": missed.team,
        "job": missed.job,
        "owner": missed.owner,
        "targets": [{kind: address} for kind, address in missed.targets],
    }
    callback = SyncCallback("jobyard.alerts.deadline_missed", kwargs=facts)
    return {"deadline": DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=after, callback=callback)}


def deadline_missed(
    context: Mapping[str, Any], team: str, job: str, owner: str, targets: Iterable[dict[str, str]]
) -> None:
    """Send the alert of a missed deadline; Airflow 3 calls this by its name, in a process of its own."""
    Alert("on_missed_deadline", team, job, owner, list(targets))(context)


def set_deadline(job: Job, last: BaseOperator) -> None:
    """Give the task with which a run ends the job's deadline: in Airflow 2 tasks have it, from the run's start on."""
    after = job.get("deadline")
    if not AIRFLOW_3 and after and job.get("alerts", {}).get("on_missed_deadline"):
        last.sla = timedelta(seconds=after)
