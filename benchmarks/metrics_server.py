"""A drawn day of many teams, served as Airflow 3 and Prometheus answer; a process of its own, to be measured beside.

Prints its address, and serves until it is ended.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TEAMS, JOBS, TASKS, NODES = 200, 5, 4, 60
"""Jobs of each team, and tasks of each job."""
DAY = datetime(2026, 11, 25, tzinfo=UTC)
SCRAPE = 2
RETRIED = 0.02
"""The part of the tries that are a second one."""
GIB = 2**30
ENVIRONMENT = {f"VARIABLE_{number}": "a value of usual length" for number in range(20)}


@dataclass(frozen=True)
class Attempt:
    """A task instance and its pod; times are seconds after the day began."""

    team: str
    job: str
    task: str
    number: int
    begin: int
    seconds: int
    cpu: float
    memory: int
    node: str

    @property
    def end(self) -> int:
        """When it ended."""
        return self.begin + self.seconds

    @property
    def name(self) -> str:
        """The pod's name."""
        return f"{self.job}-{self.task}-{self.team}"


class Day:
    """Everything that both servers know."""

    def __init__(self) -> None:
        draw = random.Random(25)  # noqa: S311
        self.attempts = [*_attempts(draw)]

    @cached_property
    def runs(self) -> list[dict[str, Any]]:
        """Airflow's runs: the last task ends one."""
        last = [attempt for attempt in self.attempts if attempt.task == f"task{TASKS - 1}"]
        return sorted(map(_run, last), key=lambda run: str(run["end_date"]))

    @cached_property
    def instances(self) -> list[dict[str, Any]]:
        """Airflow's task instances."""
        return sorted(map(_instance, self.attempts), key=lambda one: str(one["end_date"]))

    @cached_property
    def dags(self) -> list[dict[str, Any]]:
        """Airflow's DAGs."""
        names = sorted({f"{attempt.team}.{attempt.job}" for attempt in self.attempts})
        return [{"dag_id": name, "is_paused": False, "timetable_description": "At 02:00"} for name in names]

    def alive(self, first: float, last: float) -> list[Attempt]:
        """Pods that existed in the time."""
        return [attempt for attempt in self.attempts if attempt.begin < last and attempt.end + 30 > first]


def _attempts(draw: random.Random) -> Iterator[Attempt]:
    for team in range(TEAMS):
        for job in range(JOBS):
            # Half of all jobs begin at the same hour.
            begin = 7200 if draw.random() < 0.5 else draw.randrange(0, 70_000)
            for task in range(TASKS):
                seconds = min(int(draw.lognormvariate(6, 0.8)), 3000)
                number = 2 if draw.random() < RETRIED else 1
                shape = draw.choice((0.5, 1, 2, 4)), draw.choice((1, 2, 4, 8)) * GIB
                node = f"node-{draw.randrange(NODES)}"
                yield Attempt(f"team{team:03}", f"job{job}", f"task{task}", number, begin, seconds, *shape, node)
                begin += seconds + 20


def _time(seconds: float) -> str:
    return (DAY + timedelta(seconds=seconds)).isoformat()


def _run(last: Attempt) -> dict[str, Any]:
    return {
        "dag_id": f"{last.team}.{last.job}",
        "dag_run_id": "scheduled__2026-11-25T00:00:00+00:00",
        "run_type": "scheduled",
        "state": "success",
        "data_interval_start": _time(-86_400),
        "data_interval_end": _time(0),
        "run_after": _time(0),
        "queued_at": _time(0),
        "start_date": _time(0),
        "end_date": _time(last.end),
    }


def _instance(attempt: Attempt) -> dict[str, Any]:
    return {
        "dag_id": f"{attempt.team}.{attempt.job}",
        "dag_run_id": "scheduled__2026-11-25T00:00:00+00:00",
        "task_id": attempt.task,
        "map_index": -1,
        "try_number": attempt.number,
        "state": "success",
        "logical_date": _time(-86_400),
        "run_after": _time(0),
        "queued_when": _time(attempt.begin - 5),
        "start_date": _time(attempt.begin),
        "end_date": _time(attempt.end),
        "rendered_fields": {"measured": {"auc": 0.9, "rows": 12_000}, "env_vars": ENVIRONMENT, "image": "x" * 80},
    }


class Prometheus:
    """Answers to the queries of the metrics job, known by what is in them."""

    def __init__(self, day: Day) -> None:
        self._day = day

    def answer(self, query: str, at: float) -> list[dict[str, Any]]:
        """Return the series."""
        length = int(re.findall(r"\[(\d+)ms", query)[0]) / 1000
        last = at - DAY.timestamp()
        first = last - length
        alive = [attempt for attempt in self._day.alive(first, last) if "node" not in query.partition("[")[0]]
        if "kube_node_info|" in query:
            return [*_node_facts(at)]
        if "timestamp(kube_node_info" in query:
            return [_vector({"node": f"node-{number}"}, at, at) for number in range(NODES)]
        if "kube_pod_info|" in query:
            return [series for attempt in self._day.alive(first, last) for series in _facts(attempt, at, last)]
        if "timestamp(kube_pod_info" in query:
            return [_vector(_of(attempt), at, DAY.timestamp() + min(attempt.end, last)) for attempt in alive]
        if "label_replace" in query:
            return [series for attempt in alive for series in _figures(attempt, at, first, last)]
        if query.startswith("container_cpu_usage_seconds_total"):
            return [_matrix(attempt, first, last) for attempt in alive]
        return []


def _of(attempt: Attempt) -> dict[str, str]:
    return {"namespace": f"team-{attempt.team}", "pod": attempt.name, "uid": f"uid-{attempt.name}"}


def _vector(labels: dict[str, str], at: float, value: float) -> dict[str, Any]:
    return {"metric": labels, "value": [at, str(value)]}


def _facts(attempt: Attempt, at: float, last: float) -> Iterator[dict[str, Any]]:
    of = {**_of(attempt), "instance": "10.0.0.1:8080", "job": "kube-state-metrics"}
    container = {**of, "container": "base"}
    begin = DAY.timestamp() + attempt.begin
    labels = {
        "label_jobyard_dev_team": attempt.team,
        "label_jobyard_dev_job": attempt.job,
        "label_jobyard_dev_task": attempt.task,
        "label_run_id": "scheduled__2026-11-25T0000000000-8d6d6a2e2",
        "label_try_number": str(attempt.number),
    }
    values: list[tuple[str, dict[str, str], float]] = [
        ("kube_pod_info", {**of, "node": attempt.node, "host_ip": "10.0.0.1", "pod_ip": "10.0.0.2"}, 1),
        ("kube_pod_labels", {**of, **labels}, 1),
        ("kube_pod_created", of, begin),
        ("kube_pod_status_scheduled_time", of, begin + 2),
        ("kube_pod_container_info", {**container, "image_spec": "registry/team/image@sha256:" + "0" * 64}, 1),
        ("kube_pod_container_state_started", container, begin + 10),
    ]
    for resource, value in (("cpu", attempt.cpu), ("memory", attempt.memory)):
        placed = {**container, "node": attempt.node, "resource": resource}
        values.append(("kube_pod_container_resource_requests", placed, value))
        values.append(("kube_pod_container_resource_limits", placed, value))
    if attempt.end < last:
        values.append(("kube_pod_completion_time", of, DAY.timestamp() + attempt.end))
        ended = {**container, "reason": "Completed"}
        values.append(("kube_pod_container_status_terminated_reason", ended, 1))
    for metric, labels, value in values:
        yield _vector({"__name__": metric, **labels}, at, value)


def _figures(attempt: Attempt, at: float, first: float, last: float) -> Iterator[dict[str, Any]]:
    seconds = min(attempt.end, last) - max(attempt.begin, first)
    if seconds < SCRAPE:
        return
    values = {
        "memory_peak": attempt.memory * 0.4,
        "memory_working_set": attempt.memory * 0.3,
        "samples": seconds // SCRAPE,
        "throttled_first": 0,
        "throttled_last": 1,
        "started": DAY.timestamp() + attempt.begin + 10,
    }
    of = {"namespace": f"team-{attempt.team}", "pod": attempt.name, "container": "base"}
    for name, value in values.items():
        yield _vector({**of, "figure": name}, at, value)


def _matrix(attempt: Attempt, first: float, last: float) -> dict[str, Any]:
    labels = {"namespace": f"team-{attempt.team}", "pod": attempt.name, "container": "base", "id": f"/{attempt.name}"}
    begin, end = int(max(attempt.begin + 12, first)), int(min(attempt.end, last))
    times = range(-(-begin // SCRAPE) * SCRAPE, end, SCRAPE)
    values = [[DAY.timestamp() + time, str((time - attempt.begin) * attempt.cpu * 0.6)] for time in times]
    metric = {**labels, "__name__": "container_cpu_usage_seconds_total", "image": "registry/team/image", "cpu": "total"}
    return {"metric": metric, "values": values}


def _node_facts(at: float) -> Iterator[dict[str, Any]]:
    for number in range(NODES):
        of = {"node": f"node-{number}"}
        labels = {
            "label_jobyard_dev_node_group": ("default", "high-cpu", "high-memory")[number % 3],
            "label_node_kubernetes_io_instance_type": ("m6i.4xlarge", "c6i.4xlarge", "r6i.4xlarge")[number % 3],
            "label_karpenter_sh_capacity_type": ("on-demand", "spot")[number % 2],
        }
        yield _vector({"__name__": "kube_node_info", **of}, at, 1)
        yield _vector({"__name__": "kube_node_labels", **of, **labels}, at, 1)
        yield _vector({"__name__": "kube_node_created", **of}, at, DAY.timestamp() - 100)
        for resource, value in (("cpu", 16), ("memory", 64 * GIB)):
            yield _vector({"__name__": "kube_node_status_allocatable", **of, "resource": resource}, at, value)


def _airflow(day: Day, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> Any:
    if path == "/api/v2/version":
        return {"version": "3.3.1"}
    if path == "/auth/token":
        return {"access_token": "x"}
    if path == "/api/v2/dags":
        return _slice("dags", day.dags, int(query["offset"][0]), int(query["limit"][0]))
    if path.endswith("/tries"):
        return {"task_instances": []}
    key, rows = ("dag_runs", day.runs) if path.endswith("dagRuns/list") else ("task_instances", day.instances)
    if "state" in body or body["end_date_gte"] >= _time(86_400):
        rows = []
    return _slice(key, rows, body["page_offset"], body["page_limit"])


def _slice(key: str, rows: list[dict[str, Any]], offset: int, limit: int) -> dict[str, Any]:
    return {key: rows[offset : offset + limit], "total_entries": len(rows)}


def _handler(day: Day) -> type[BaseHTTPRequestHandler]:
    prometheus = Prometheus(day)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            if address.path == "/api/v1/query":
                given = parse_qs(body)
                found = prometheus.answer(given["query"][0], float(given["time"][0]))
                self._send({"status": "success", "data": {"resultType": "vector", "result": found}})
            else:
                self._send(_airflow(day, address.path, parse_qs(address.query), json.loads(body or "{}")))

        do_GET = do_POST = _any

        def _send(self, content: Any) -> None:
            encoded = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(Day()))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
