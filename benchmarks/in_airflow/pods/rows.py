"""The rows of deferred tasks in Airflow's database, as a worker's deferral leaves them.

A worker takes seconds of a processor to start. So a few tasks are deferred by workers, and the rows of all others are
copies of those, in which the names of the job, the task and the pod are others.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg2  # type: ignore[import-untyped]
from cryptography.fernet import Fernet
from psycopg2.extras import Json, RealDictCursor  # type: ignore[import-untyped]

from .cluster import Place


@dataclass(frozen=True)
class Pattern:
    """What one deferral left."""

    place: Place
    run: dict[str, Any]
    instance: dict[str, Any]
    trigger: dict[str, Any]


class Rows:
    """Airflow's database."""

    def __init__(self, address: str, key: str) -> None:
        """`key` is the one with which Airflow encrypts what triggers are made of."""
        self._address = address
        self._fernet = Fernet(key)

    def patterns(self, dag_id: str) -> list[Pattern]:
        """Return what the deferred tasks of the DAG left."""
        found = []
        for instance in self._ask("SELECT * FROM task_instance WHERE dag_id = %s AND state = 'deferred'", dag_id):
            [run] = self._ask("SELECT * FROM dag_run WHERE dag_id = %s", dag_id)
            [trigger] = self._ask("SELECT * FROM trigger WHERE id = %s", instance["trigger_id"])
            found.append(Pattern(self._place(instance, trigger), run, instance, trigger))
        return found

    def _place(self, instance: Mapping[str, Any], trigger: Mapping[str, Any]) -> Place:
        kwargs = self._kwargs(trigger)
        team, job = instance["dag_id"].split(".")
        pod = kwargs.get("pod") or kwargs["pod_name"]
        return Place(team, job, instance["task_id"], pod, kwargs.get("uid", ""))

    def _kwargs(self, trigger: Mapping[str, Any]) -> dict[str, Any]:
        text = trigger["kwargs"]
        found: dict[str, Any] = json.loads(text if text.startswith("{") else self._fernet.decrypt(text.encode()))
        return found

    def _stored(self, kwargs: Mapping[str, Any], like: Mapping[str, Any]) -> str:
        """Return what a trigger is made of as that other one has it: a worker's is not encrypted."""
        text = json.dumps(kwargs)
        return text if like["kwargs"].startswith("{") else self._fernet.encrypt(text.encode()).decode()

    def with_argument(self, trigger: Mapping[str, Any], name: str, value: object) -> str:
        """Return what the trigger is made of, with another value of one argument, as Airflow stores it."""
        return self._stored({**self._kwargs(trigger), name: value}, trigger)

    def is_like(self, pattern: Pattern, other: Pattern) -> bool:
        """Return whether a copy of the pattern has the other's names, and the form that the other has."""
        names = _names(pattern.place, other.place)
        pairs = [(self._kwargs(one.trigger), one.instance["next_kwargs"]) for one in (pattern, other)]
        ours, theirs = [_form(_renamed(part, names)) for part in pairs[0]], [_form(part) for part in pairs[1]]
        same = ("next_method", "trigger_timeout", "state", "try_number", "queue")
        return ours == theirs and all(pattern.instance[name] == other.instance[name] for name in same)

    def copy(self, pattern: Pattern, places: Iterable[Place]) -> None:
        """Make the rows for each place: its run, if it does not exist, the task's instance and its trigger."""
        with closing(psycopg2.connect(self._address)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("SELECT dag_id, id FROM dag_version ORDER BY version_number")
            versions = dict(cursor.fetchall())
            cursor.execute("SELECT dag_id FROM dag_run WHERE run_id = %s", [pattern.run["run_id"]])
            runs = {dag_id for (dag_id,) in cursor.fetchall()}
            for place in places:
                version = {"dag_version_id": versions[place.dag_id]}
                if place.dag_id not in runs:
                    runs.add(place.dag_id)
                    run = {name: value for name, value in pattern.run.items() if name != "id"}
                    run |= {"dag_id": place.dag_id, "created_dag_version_id": version["dag_version_id"]}
                    _insert(cursor, "dag_run", run)
                names = _names(pattern.place, place)
                kwargs = self._stored(_renamed(self._kwargs(pattern.trigger), names), pattern.trigger)
                trigger = {name: value for name, value in pattern.trigger.items() if name != "id"}
                trigger |= {"kwargs": kwargs, "triggerer_id": None}
                number = _insert(cursor, "trigger", trigger)
                instance = {**pattern.instance, **version, "id": str(uuid4()), "trigger_id": number}
                instance |= {"dag_id": place.dag_id, "task_id": place.task}
                instance["next_kwargs"] = _renamed(pattern.instance["next_kwargs"], names)
                _insert(cursor, "task_instance", instance)

    def clear(self, jobs: str) -> None:
        """Take away all runs of the DAGs whose names are like that; their triggers are ended."""
        with closing(psycopg2.connect(self._address)) as connection, connection, connection.cursor() as cursor:
            for table in ("task_instance", "dag_run"):
                cursor.execute(f"DELETE FROM {table} WHERE dag_id LIKE %s", [jobs])  # noqa: S608

    def _ask(self, query: str, *values: object) -> list[dict[str, Any]]:
        connection = psycopg2.connect(self._address)
        with closing(connection), connection.cursor(cursor_factory=RealDictCursor) as cursor:
            cursor.execute(query, values)
            return [dict(row) for row in cursor.fetchall()]


def _names(old: Place, new: Place) -> dict[str, str]:
    names = {getattr(old, name): getattr(new, name) for name in ("team", "namespace", "dag_id", "task", "pod", "uid")}
    names.pop("", None)
    return names


def _renamed(data: Any, names: Mapping[str, str]) -> Any:
    """Return the data with other names, except in a kubeconfig, which has all teams."""
    if isinstance(data, dict):
        return {key: data[key] if key == "config_dict" else _renamed(data[key], names) for key in data}
    if isinstance(data, list):
        return [_renamed(value, names) for value in data]
    return names.get(data, data) if isinstance(data, str) else data


def _form(data: Any) -> Any:
    """Return the data with only the kinds of what differs from pod to pod: times, and the uids of events."""
    if isinstance(data, dict):
        return {key: type(value).__name__ if key in ("events", "log") else _form(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_form(value) for value in data]
    return "number" if isinstance(data, int | float) and data > 1e9 else data


def _insert(cursor: Any, table: str, row: Mapping[str, Any]) -> Any:
    values = [Json(value) if isinstance(value, dict) else value for value in row.values()]
    columns, marks = ", ".join(f'"{name}"' for name in row), ", ".join(["%s"] * len(values))
    cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING id", values)  # noqa: S608
    return cursor.fetchone()[0]


def places(jobs: int, teams: int, count: int, mark: str) -> Iterator[Place]:
    """Yield the places of so many tasks, of all teams in turn and of all their jobs in turn."""
    for number in range(count):
        team, job, task = number % teams, number // teams % jobs, number // teams // jobs
        yield Place(f"team{team}", f"job{job}", f"t{task}", f"job{job}-t{task}-{mark}{number}")
