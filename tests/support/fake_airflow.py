"""A small Airflow over HTTP, with the answers of the real ones' REST APIs: v1 of Airflow 2, and v2 of Airflow 3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote

from tests.support.json_api import Answer, JsonServer

NEVER = "0001-01-01T00:00:00Z"
VERSIONS = {2: "2.10.3", 3: "3.3.1"}
FORBIDDEN = {"detail": "Forbidden", "status": 403}
_UNIQUE = {"detail": {"reason": "Unique constraint violation", "statement": "hidden"}}


@dataclass
class FakeAirflow:
    """One Airflow, of the generation 2 or 3."""

    generation: int
    dags: dict[str, bool] = field(default_factory=dict)
    """Each DAG, and whether it is paused."""
    runs: list[dict[str, Any]] = field(default_factory=list)
    """The oldest first."""
    tasks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By the run's id."""
    logs: dict[tuple[str, str, int, int], list[str]] = field(default_factory=dict)
    """Lines, by the run's id, task, index and try."""
    backfills: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    """Method, path below the API's root, and body of each call."""
    forbidden: set[str] = field(default_factory=set)
    """Ends of paths that this user may not use."""
    lose: set[str] = field(default_factory=set)
    """Ends of paths: a POST there is carried out, and its connection breaks before the answer."""
    refuse: dict[str, Answer] = field(default_factory=dict)
    """By end of path: what a POST there is answered instead."""
    then: list[Callable[[], None]] = field(default_factory=list)
    """What happens after each look at the list of runs, one after the other."""
    url: str = ""

    @property
    def root(self) -> str:
        """The path of the API."""
        return "/api/v1/" if self.generation == 2 else "/api/v2/"

    def posts(self, end: str) -> list[Any]:
        """The bodies of the POSTs to paths with this end."""
        return [body for method, path, body in self.asked if method == "POST" and path.endswith(end)]

    def add_run(self, dag: str, run_id: str, logical: str | None, **more: Any) -> dict[str, Any]:
        """A run, with the fields of the real one that are looked at."""
        run: dict[str, Any] = {
            "dag_id": dag,
            "dag_run_id": run_id,
            "logical_date": logical,
            "run_type": "manual",
            "state": "queued",
            "start_date": None,
            "end_date": None,
            "data_interval_start": None,
            "data_interval_end": None,
            "conf": {},
            **more,
        }
        self.runs.append(run)
        return run

    def add_task(self, run_id: str, task: str, state: str | None, attempt: int = 1, index: int = -1) -> dict[str, Any]:
        """A task of a run."""
        entry = {
            "task_id": task,
            "dag_run_id": run_id,
            "map_index": index,
            "state": state,
            "try_number": attempt,
            "start_date": "2026-11-20T19:00:01+00:00" if attempt else None,
            "end_date": "2026-11-20T19:03:21+00:00" if state in ("success", "failed") else None,
        }
        self.tasks.setdefault(run_id, []).append(entry)
        return entry

    def call(self, method: str, address: SplitResult, body: Any) -> Answer | None:
        """Answer one call, whatever its address."""
        if address.path == "/auth/token":
            return 201, {"access_token": "everyone"}
        if not address.path.startswith(self.root):
            return 404, {"detail": "Not Found"}
        path = address.path.removeprefix(self.root)
        self.asked.append((method, path, body))
        answer = self.answer(method, path, dict(parse_qsl(address.query)), body)
        lost = method == "POST" and any(path.endswith(end) for end in self.lose)
        return None if lost else answer

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Answer:
        """Status and content of one call below the API's root."""
        if any(path.endswith(end) for end in self.forbidden):
            return 403, FORBIDDEN
        if method == "POST":
            for end, instead in self.refuse.items():
                if path.endswith(end):
                    return instead
        match [method, *path.split("/")]:
            case ["GET", "version"]:
                return 200, {"version": VERSIONS[self.generation]}
            case ["GET", "dags"]:
                dags = [_dag(dag, paused) for dag, paused in self.dags.items() if query["dag_id_pattern"] in dag]
                return 200, {"dags": dags, "total_entries": len(dags)}
            case [_, "dags", dag] if dag in self.dags:
                if method == "PATCH":
                    self.dags[dag] = body["is_paused"]
                return 200, _dag(dag, self.dags[dag])
            case ["POST", "dags", "~", "dagRuns", "list"]:
                return self._list_runs(body)
            case ["POST", "dags", "~", "dagRuns", "~", "taskInstances", "list"]:
                return _page("task_instances", self.tasks.get(body["dag_run_ids"][0], []), body)
            case ["POST", "dags", dag, "dagRuns"] if dag in self.dags:
                return self._trigger(dag, body)
            case ["POST", "dags", dag, "clearTaskInstances"] if dag in self.dags:
                return self._clear(body)
            case ["GET", "dags", _, "dagRuns", run, "taskInstances", task, "logs", attempt]:
                return self._log(run, task, int(query["map_index"]), int(attempt))
            case [_, "backfills", *rest] if self.generation == 3:
                return self._backfill(method, rest, body)
        return 404, {"detail": f"{method} {path}", "status": 404, "title": "Not Found"}

    def _list_runs(self, body: Mapping[str, Any]) -> Answer:
        date = "execution_date" if self.generation == 2 else "logical_date"
        found = [run for run in reversed(self.runs) if run["dag_id"] in body["dag_ids"]]
        if states := body.get("states"):
            found = [run for run in found if run["state"] in states]
        if first := body.get(f"{date}_gte"):
            last = _moment(body[f"{date}_lte"])
            dated = [run for run in found if run["logical_date"]]
            found = [run for run in dated if _moment(first) <= _moment(run["logical_date"]) <= last]
        answer = _page("dag_runs", found, body)
        if self.then:
            self.then.pop(0)()
        return answer

    def _trigger(self, dag: str, body: Mapping[str, Any]) -> Answer:
        taken = [_moment(run["logical_date"]) for run in self.runs if run["dag_id"] == dag and run["logical_date"]]
        if _moment(body["logical_date"]) in taken:
            return 409, _UNIQUE if self.generation == 3 else {"detail": "already exists", "status": 409}
        intervals = {key: value for key, value in body.items() if key.startswith("data_interval")}
        return 200, self.add_run(dag, body["dag_run_id"], body["logical_date"], conf=body["conf"], **intervals)

    def _clear(self, body: Mapping[str, Any]) -> Answer:
        tasks = self.tasks[body["dag_run_id"]]
        if "task_ids" in body and not body["include_downstream"]:
            tasks = [task for task in tasks if task["task_id"] in body["task_ids"]]
        if body["only_failed"]:
            tasks = [task for task in tasks if task["state"] in ("failed", "upstream_failed")]
        answer = json.loads(json.dumps(tasks))
        if not body["dry_run"]:
            for task in tasks:
                task["state"] = None
        if self.generation == 2:
            answer = [{"task_id": task["task_id"], "dag_run_id": task["dag_run_id"]} for task in answer]
        return 200, {"task_instances": answer, "total_entries": len(answer)}

    def _log(self, run: str, task: str, index: int, attempt: int) -> Answer:
        lines = self.logs.get((unquote(run), task, index, attempt))
        if lines is None:
            return 404, {"detail": "TaskInstance not found"}
        if self.generation == 2:
            text = "*** Found local files:\n***   * attempt=1.log\n" + "".join(f"{line}\n" for line in lines)
            return 200, {"content": str([("host", text)]), "continuation_token": "e30"}
        events = ["::group::Log message source details", "attempt=1.log", "::endgroup::", *lines]
        return 200, {"content": [{"event": event} for event in events], "continuation_token": None}

    def _backfill(self, method: str, rest: list[str], body: Any) -> Answer:
        if method == "GET":
            return 200, {"backfills": self.backfills, "total_entries": len(self.backfills)}
        dates = ["2026-11-19T19:00:00Z", "2026-11-20T19:00:00Z"]
        if rest == ["dry_run"]:
            entries = [{"logical_date": date, "partition_key": None} for date in dates]
            return 200, {"backfills": entries, "total_entries": len(entries)}
        if [backfill for backfill in self.backfills if not backfill["completed_at"]]:
            return 409, {"detail": f"There is already a running backfill for dag {body['dag_id']}"}
        self.backfills.append({"id": len(self.backfills) + 1, "completed_at": None, **body})
        for date in dates:
            self.runs = [run for run in self.runs if _moment(run["logical_date"] or NEVER) != _moment(date)]
            self.add_run(body["dag_id"], f"backfill__{date}", date, run_type="backfill")
        return 200, self.backfills[-1]


def _dag(dag: str, paused: bool) -> dict[str, Any]:
    return {"dag_id": dag, "is_paused": paused, "tags": []}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _page(key: str, entries: list[dict[str, Any]], body: Mapping[str, Any]) -> Answer:
    first = body["page_offset"]
    return 200, {key: entries[first : first + body["page_limit"]], "total_entries": len(entries)}


@contextmanager
def served(airflow: FakeAirflow) -> Iterator[FakeAirflow]:
    """Serve it on a port of its own."""
    server = JsonServer(airflow.call)
    airflow.url = server.url
    try:
        yield airflow
    finally:
        server.close()
