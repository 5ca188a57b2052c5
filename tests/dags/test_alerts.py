"""The text and the receivers of alerts; live/ shows with the scheduler when Airflow sends them."""

import json
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from jobyard import alerts
from jobyard.alerts import Alert, deadline_missed
from jobyard.compat import AIRFLOW_3, DAG
from jobyard.errors import PodNotStartedError, PodQueueTimedOutError
from support import Bucket, context, job, task

FACTS = {"job": "risk.score", "event": "failed", "run": "r1", "task": "train", "reason": "<no> memory"}
WORDS = "risk.score failed\nrun: r1\ntask: train\nreason: <no> memory"


class Server(BaseHTTPRequestHandler):
    """Takes what is posted, as Slack's API, SNS, PagerDuty or a webhook would."""

    posted: list[tuple[str, Any]] = []
    answer: dict[str, Any] = {}

    def do_POST(self) -> None:
        """Keep the body, and say that all is well."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.posted.append((self.path, json.loads(body) if body.startswith("{") else body))
        text = json.dumps({"ok": True, **self.answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Address of a server on this machine, and what was posted to it."""
    Server.posted.clear()
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield f"127.0.0.1:{running.server_port}", Server.posted
    running.shutdown()
    running.server_close()


def connect(monkeypatch: pytest.MonkeyPatch, kind: str, **parts: Any) -> None:
    """Give team risk the connection of that kind."""
    monkeypatch.setenv(f"AIRFLOW_CONN_JOBYARD_{kind.upper()}_RISK", json.dumps(parts))


def send(kind: str, address: str) -> None:
    """Send an alert to one target."""
    alerts.SENDERS[kind](f"jobyard_{kind}_risk", address, FACTS)


@pytest.mark.usefixtures("database")
class TestTargets:
    """Each kind, by its provider's own code, through the team's own connection."""

    def test_slack(self, monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[Any]]) -> None:
        extra = {"base_url": f"http://{server[0]}/api/"}
        connect(monkeypatch, "slack", conn_type="slack", password="xoxb-1", extra=extra)
        send("slack", "#ml-alerts")
        [(path, body)] = server[1]
        assert (path, body["channel"], body["text"]) == ("/api/chat.postMessage", "#ml-alerts", WORDS)

    def test_a_webhook(self, monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[Any]]) -> None:
        host, _, port = server[0].partition(":")
        connect(monkeypatch, "webhook", conn_type="http", host=host, port=int(port), schema="http")
        send("webhook", "/hooks/ml-alerts")
        assert server[1] == [("/hooks/ml-alerts", FACTS)]

    def test_sns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.providers.amazon.aws.hooks.sns import SnsHook

        sent: list[Any] = []
        monkeypatch.setattr(SnsHook, "publish_to_target", lambda hook, **given: sent.append((hook, given)))
        send("sns", "arn:aws:sns:eu-west-1:123456789012:ml")
        [(hook, given)] = sent
        assert (hook.aws_conn_id, hook.region_name) == ("jobyard_sns_risk", "eu-west-1")
        assert given["target_arn"] == "arn:aws:sns:eu-west-1:123456789012:ml"
        assert (given["subject"], given["message"]) == ("risk.score failed", WORDS)

    def test_pagerduty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.providers.pagerduty.hooks.pagerduty_events import PagerdutyEventsHook

        connect(monkeypatch, "pagerduty", conn_type="pagerduty_events", password="key")
        sent: list[dict[str, Any]] = []
        for name in ("send_event", "create_event"):
            monkeypatch.setattr(PagerdutyEventsHook, name, lambda hook, **given: sent.append(given), raising=False)
        send("pagerduty", "critical")
        [given] = sent
        assert (given["summary"], given["severity"], given["source"]) == ("risk.score failed", "critical", "risk.score")
        # One incident for a run, however often its alert is sent.
        assert given["dedup_key"] == "risk.score r1"
        assert given["custom_details"] == FACTS

    def test_email(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import smtplib

        sent: list[Any] = []

        class Mailbox(smtplib.SMTP):
            """A mail server that takes everything, in place of a connection to one."""

            def __init__(self, *args: Any, **options: Any) -> None:
                self.sock = None

            def sendmail(self, **given: Any) -> Any:  # type: ignore[override]
                sent.append((given["from_addr"], given["to_addrs"], given["msg"]))

            def close(self) -> None:
                """Nothing is open."""

        monkeypatch.setattr(smtplib, "SMTP", Mailbox)
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"}
        connect(monkeypatch, "email", conn_type="smtp", host="mail.example.com", port=25, extra=extra)
        send("email", "risk-ml@example.com")
        [(sender, receivers, message)] = sent
        assert (sender, receivers) == ("airflow@example.com", ["risk-ml@example.com"])
        assert "Subject: risk.score failed" in message

    def test_a_target_that_cannot_be_reached_fails_nothing_and_the_others_get_theirs(
        self, monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[Any]], caplog: pytest.LogCaptureFixture
    ) -> None:
        host, _, port = server[0].partition(":")
        connect(monkeypatch, "webhook", conn_type="http", host=host, port=int(port), schema="http")
        # Nobody listens there, and there is no connection for Slack and PagerDuty.
        connect(monkeypatch, "email", conn_type="smtp", host="127.0.0.1", port=9, extra={"retry_limit": 1})
        targets = [{"slack": "x"}, {"email": "a@example.com"}, {"pagerduty": "info"}, {"webhook": "/last"}]
        with caplog.at_level(logging.ERROR, logger="jobyard.alerts"):
            Alert("on_success", "risk", "score", "risk", targets)(context())
        assert [path for path, _ in server[1]] == ["/last"]
        failed = [record.args[0] for record in caplog.records if record.name == "jobyard.alerts" and record.args]
        assert failed == ["slack", "email", "pagerduty"]

    def test_a_provider_that_is_not_installed_fails_nothing(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "airflow.providers.slack.notifications.slack", None)
        connect(monkeypatch, "slack", conn_type="slack", password="xoxb-1")
        with caplog.at_level(logging.ERROR, logger="jobyard.alerts"):
            Alert("on_success", "risk", "score", "risk", [{"slack": "x"}])(context())
        assert "Could not send the alert to slack 'x'" in caplog.text

    @pytest.mark.parametrize("kind", sorted(alerts.SENDERS))
    def test_no_alert_goes_out_with_a_connection_that_is_not_there(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
    ) -> None:
        sent: list[Any] = []
        monkeypatch.setitem(alerts.SENDERS, kind, lambda *given: sent.append(given))
        with caplog.at_level(logging.ERROR, logger="jobyard.alerts"):
            Alert("on_success", "risk", "score", "risk", [{kind: "x"}])(context())
            connect(monkeypatch, kind, conn_type="http")
            Alert("on_success", "risk", "score", "risk", [{kind: "x"}])(context())
        assert sent == []
        missing, empty = (str(record.args[2]) for record in caplog.records if len(record.args or ()) == 3)
        assert missing == f"Airflow connection 'jobyard_{kind}_risk': it does not exist"
        assert empty == f"Airflow connection 'jobyard_{kind}_risk': it is empty"

    def test_no_alert_goes_to_sns_as_the_worker_itself(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        sent: list[Any] = []
        monkeypatch.setitem(alerts.SENDERS, "sns", lambda *given: sent.append(given))
        connect(monkeypatch, "sns", conn_type="aws", extra={"region_name": "eu-west-1"})
        with caplog.at_level(logging.ERROR, logger="jobyard.alerts"):
            Alert("on_success", "risk", "score", "risk", [{"sns": "x"}])(context())
        assert sent == []
        assert "'jobyard_sns_risk': it has neither role_arn nor keys" in caplog.text


def facts(occasion: str, **changes: Any) -> dict[str, str]:
    """Return what an alert says of that context."""
    return Alert(occasion, "risk", "score", "risk-ml@example.com", []).facts(context(**changes))


def test_an_alert_says_which_job_run_task_and_try_and_where_the_log_is() -> None:
    retried = SimpleNamespace(
        dag_id="risk.score", task_id="train", try_number=1, max_tries=3, log_url="https://airflow/log", run_id="r1"
    )
    assert facts("on_retry", ti=retried, run_id="r1", exception=ValueError("no memory")) == {
        "job": "risk.score",
        "event": "failed and is tried again",
        "run": "r1",
        "task": "train",
        "try": "1 of 4",
        "owner": "risk-ml@example.com",
        "reason": "no memory",
        "log": "https://airflow/log",
    }


def test_what_is_not_known_is_left_out() -> None:
    assert facts("on_success", ti=None, run_id="") == {
        "job": "risk.score",
        "event": "succeeded",
        "owner": "risk-ml@example.com",
    }


def test_an_alert_is_sent_though_what_to_say_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setitem(alerts.SENDERS, "webhook", lambda *given: sent.append(given))
    # Airflow 2's five arguments, with a miss that says nothing.
    connect(monkeypatch, "webhook", conn_type="http", host="127.0.0.1")
    Alert("on_missed_deadline", "risk", "score", "o", [{"webhook": "/x"}])(None, "", "", [object()], [])
    assert sent == [("jobyard_webhook_risk", "/x", {"job": "risk.score", "event": "missed its deadline", "owner": "o"})]


ALL = {
    "on_failure": [{"slack": "#a"}],
    "on_retry": [{"webhook": "/b"}],
    "on_queue_timeout": [{"slack": "#e"}],
    "on_success": [{"email": "c@example.com"}],
    "on_missed_deadline": [{"pagerduty": "info"}],
}


def stored(dag: DAG) -> Any:
    """Return the DAG as the scheduler stores it, and reads it back."""
    if AIRFLOW_3:
        from airflow.serialization.serialized_objects import DagSerialization as Serialization
    else:
        from airflow.serialization.serialized_objects import SerializedDAG as Serialization
    return Serialization.from_dict(json.loads(json.dumps(Serialization.to_dict(dag))))


def test_each_occasion_has_its_targets(bucket: Bucket) -> None:
    dag = bucket.dag(job(alerts=ALL, deadline=3600, tasks={"a": task(), "b": task(needs=["a"])}))
    assert dag.on_failure_callback.targets == [("slack", "#a")]
    assert dag.on_success_callback.targets == [("email", "c@example.com")]
    for name in "ab":
        found = dag.get_task(name)
        assert [alert.targets for alert in found.on_retry_callback] == [[("slack", "#e")], [("webhook", "/b")]]
        assert [alert.targets for alert in found.on_failure_callback] == [[("slack", "#e")]]
    assert stored(dag).dag_id == "risk.score"


def test_a_job_without_alerts_has_no_callbacks(bucket: Bucket) -> None:
    dag = bucket.dag(job())
    found = dag.get_task("score")
    assert not (dag.on_failure_callback or dag.on_success_callback or found.on_retry_callback)
    assert not found.on_failure_callback


@pytest.mark.parametrize(
    ("error", "events"),
    [
        (
            PodQueueTimedOutError("the pod has waited"),
            ["waited too long for its team's quota", "failed and is tried again"],
        ),
        (PodNotStartedError("no node"), ["failed and is tried again"]),
        ("killed", ["failed and is tried again"]),
        (None, ["failed and is tried again"]),
    ],
)
def test_a_wait_for_quota_that_took_too_long_is_told_apart(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, error: object, events: list[str]
) -> None:
    sent: list[dict[str, str]] = []
    monkeypatch.setitem(alerts.SENDERS, "webhook", lambda *given: sent.append(given[2]))
    connect(monkeypatch, "webhook", conn_type="http", host="127.0.0.1")
    here = {"on_retry": [{"webhook": "/x"}], "on_queue_timeout": [{"webhook": "/x"}]}
    found = bucket.dag(job(alerts=here)).get_task("score")
    failed = SimpleNamespace(dag_id="risk.score", task_id="score", try_number=2, max_tries=3, log_url="", run_id="r1")
    for callback in found.on_retry_callback:
        callback(context(ti=failed, run_id="r1", exception=error))
    assert [facts["event"] for facts in sent] == events
    assert {facts["try"] for facts in sent} == {"2 of 4"}
    assert {facts.get("reason", "") for facts in sent} == {str(error or "")}


def test_a_deadline_is_airflows_own(bucket: Bucket) -> None:
    dag = bucket.dag(job(alerts=ALL, deadline=3600, tasks={"a": task(), "b": task(needs=["a"])}))
    if AIRFLOW_3:
        [deadline] = dag.deadline if isinstance(dag.deadline, list) else [dag.deadline]
        assert deadline.interval == timedelta(hours=1)
        assert deadline.callback.path == "jobyard.alerts.deadline_missed"
    else:
        assert {name: dag.get_task(name).sla for name in "ab"} == {"a": None, "b": timedelta(hours=1)}
        assert dag.sla_miss_callback.targets == [("pagerduty", "info")]


def test_a_deadline_of_a_job_that_ends_with_many_instances_is_its_last_tasks(bucket: Bucket) -> None:
    several = task(foreach={"items": [1, 2], "output_of": None, "concurrency": None})
    dag = bucket.dag(job(alerts=ALL, deadline=3600, tasks={"a": several}))
    assert "broken" not in dag.tags
    if not AIRFLOW_3:
        assert dag.get_task("job.finished").sla == timedelta(hours=1)


def test_a_missed_deadline_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setitem(alerts.SENDERS, "webhook", lambda *given: sent.append(given))
    connect(monkeypatch, "webhook", conn_type="http", host="127.0.0.1")
    run = {"dag_run": {"dag_run_id": "scheduled__1"}, "deadline": {"id": "x"}}
    deadline_missed(run, team="risk", job="score", owner="o", targets=[{"webhook": "/late"}])
    [(connection, address, told)] = sent
    assert (connection, address) == ("jobyard_webhook_risk", "/late")
    assert told == {"job": "risk.score", "event": "missed its deadline", "run": "scheduled__1", "owner": "o"}


def test_a_kind_of_alert_that_is_unknown_makes_a_broken_job(bucket: Bucket) -> None:
    dag = bucket.dag(job(alerts={"on_failure": [{"pigeon": "x"}]}))
    assert "broken" in dag.tags
    assert (
        "alerts.on_failure.0.pigeon: must be one of slack, email, sns, pagerduty, webhook; got 'pigeon'"
        in dag.description
    )


def test_a_job_that_is_broken_still_tells_when_it_fails(bucket: Bucket) -> None:
    dag = bucket.dag(job(alerts=ALL, tasks={"score": task(node_group="gone")}))
    assert "broken" in dag.tags
    assert dag.on_failure_callback.targets == [("slack", "#a")]
