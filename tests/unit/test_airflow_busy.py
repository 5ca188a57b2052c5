"""An Airflow that is slow, restarts or throttles: every call and wait goes on until its own deadline."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from jobyard_cli.airflow.api import AirflowClient, AirflowTimeoutError
from jobyard_cli.airflow.mwaa import MwaaTransport
from jobyard_cli.airflow.transport import (
    AirflowBusyError,
    AirflowConflictError,
    AirflowError,
    AirflowNotFoundError,
    RestTransport,
)
from jobyard_cli.system.waiting import Clock

BUSY = AirflowBusyError("Read timed out")
URL = "http://airflow.example.com"


class Airflow:
    """Does not answer for a while, or loses an answer; its clock goes as one sleeps."""

    address = URL

    def __init__(self) -> None:
        self.time = 0.0
        self.away_until = 0.0
        self.lost = 0
        """So many answers to calls that were carried out."""
        self.variables: dict[str, str] = {}
        self.runs: list[str] = []
        self.backfills = 0
        self.dags: dict[float, str] = {}
        self.ends = 0.0
        self.asked: list[str] = []

    @property
    def client(self) -> AirflowClient:
        """A client with five minutes of patience."""
        return AirflowClient(self, 300, Clock(lambda: self.time, self._sleep))

    def _sleep(self, seconds: float) -> None:
        self.time += seconds

    def call(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """One call of the REST API."""
        self.asked.append(f"{method} {path}")
        if self.time < self.away_until:
            raise BUSY
        answer = self._answer(method, path, body)
        if method == "POST" and self.lost:
            self.lost -= 1
            raise BUSY
        return answer

    def _answer(self, method: str, path: str, body: Any) -> Any:
        match [method, *path.split("/")]:
            case ["GET", "variables", key]:
                if key not in self.variables:
                    raise AirflowNotFoundError(path)
                return {"value": self.variables[key]}
            case ["POST", "variables"]:
                if body["key"] in self.variables:
                    raise AirflowConflictError(path)
                self.variables[body["key"]] = body["value"]
            case ["PATCH", "variables", key]:
                self.variables[key] = body["value"]
            case ["POST", "dags", _, "dagRuns"]:
                if body["dag_run_id"] in self.runs:
                    raise AirflowConflictError(path)
                self.runs.append(body["dag_run_id"])
                return body
            case ["POST", "backfills"]:
                if self.backfills:
                    raise AirflowConflictError(path)
                self.backfills += 1
                return {"id": 1}
            case ["GET", "dags"]:
                there = [{"dag_id": dag} for when, dag in self.dags.items() if when <= self.time]
                return {"dags": there, "total_entries": len(there)}
            case ["GET", "importErrors"]:
                return {"import_errors": [{"filename": "risk.py", "stack_trace": "ReleaseError"}], "total_entries": 1}
            case ["GET", "dags", _, "dagRuns"]:
                return {"dag_runs": [{"dag_run_id": run} for run in self.runs]}
            case ["GET", "dags", _, "dagRuns", _]:
                return {"state": "success" if self.time >= self.ends else "running"}
            case ["GET", "dags", _, "dagRuns", _, "taskInstances"]:
                return {"task_instances": [{"task_id": "train"}]}
        return {}


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


CALLS: dict[str, Callable[[AirflowClient], object]] = {
    "variable": lambda client: client.variable("x"),
    "set_variable": lambda client: client.set_variable("x", "1"),
    "dag_ids": lambda client: client.dag_ids(),
    "trigger": lambda client: client.trigger("risk.train", "first", None),
    "backfill": lambda client: client.backfill("risk.train", "2026-11-01", "2026-11-02"),
    "runs": lambda client: client.runs("risk.train"),
    "tasks": lambda client: client.tasks("risk.train", "first"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_is_repeated_until_airflow_is_back(airflow: Airflow, call: Callable[[AirflowClient], object]) -> None:
    airflow.away_until = 250
    call(airflow.client)
    assert 250 <= airflow.time < 261


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_to_an_airflow_that_stays_away_ends(airflow: Airflow, call: Callable[[AirflowClient], object]) -> None:
    airflow.away_until = 10_000
    with pytest.raises(AirflowBusyError, match="Read timed out"):
        call(airflow.client)
    assert 300 <= airflow.time < 311


def test_asked_once_it_is_not_asked_again(airflow: Airflow) -> None:
    airflow.away_until = 1
    with pytest.raises(AirflowBusyError):
        airflow.client.once.variable("x")
    assert airflow.asked == ["GET variables/x"]


def test_a_run_whose_answer_was_lost_is_started_once(airflow: Airflow) -> None:
    airflow.lost = 2
    assert airflow.client.trigger("risk.train", "first", None) == "first"
    assert airflow.runs == ["first"]


def test_a_backfill_whose_answer_was_lost_is_started_once(airflow: Airflow) -> None:
    airflow.lost = 1
    airflow.client.backfill("risk.train", "2026-11-01", "2026-11-02")
    assert airflow.backfills == 1


def test_a_run_that_somebody_else_started_under_that_name_is_told(airflow: Airflow) -> None:
    airflow.runs = ["first"]
    with pytest.raises(AirflowConflictError):
        airflow.client.trigger("risk.train", "first", None)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_variable_is_set_whatever_befalls_its_creation(
    airflow: Airflow, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow.lost = lost
    ask = airflow.call

    def call(method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        if method == "POST" and not lost:
            airflow.variables["x"] = "somebody else's"
        return ask(method, path, query, body)

    monkeypatch.setattr(airflow, "call", call)
    airflow.client.set_variable("x", "1")
    assert airflow.variables == {"x": "1"}


def test_dags_are_waited_for_through_what_airflow_cant_answer_or_import(airflow: Airflow) -> None:
    airflow.away_until, airflow.dags = 50, {100: "risk.train"}
    airflow.client.wait_for_dags({"risk.train"}, 120)
    assert 100 <= airflow.time < 101
    with pytest.raises(AirflowTimeoutError) as caught:
        airflow.client.wait_for_dags({"risk.train", "risk.score"}, 120)
    assert str(caught.value).splitlines() == [
        "Airflow does not have all of risk.score, risk.train after 120 s; last seen: risk.score is missing",
        "Airflow can't import risk.py:",
        "ReleaseError",
    ]


def test_a_first_run_is_waited_for_through_what_airflow_cant_answer(airflow: Airflow) -> None:
    airflow.away_until, airflow.runs = 50, ["scheduled"]
    assert airflow.client.wait_for_first_run("risk.train", 60)["dag_run_id"] == "scheduled"


def test_a_run_is_followed_through_what_airflow_cant_answer(airflow: Airflow) -> None:
    airflow.away_until, airflow.ends = 50, 100
    seen = list(airflow.client.wait_for_run("risk.train", "first", 120))
    assert seen == [[{"task_id": "train"}]] * len(seen)
    assert 100 <= airflow.time < 102


def test_a_run_that_does_not_end_is_told_with_what_was_seen_last(airflow: Airflow) -> None:
    airflow.ends = 1000
    with pytest.raises(AirflowTimeoutError, match="risk.train run first has not ended after 60 s; last seen: running"):
        list(airflow.client.wait_for_run("risk.train", "first", 60))
    airflow.away_until = 1000
    with pytest.raises(AirflowTimeoutError, match="last seen: Read timed out"):
        list(airflow.client.wait_for_run("risk.train", "first", 60))


class Http:
    """In place of `requests.Session.request`: answers with a status, or not at all."""

    def __init__(self, *answers: int | requests.RequestException) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def request(self, _session: requests.Session, method: str, url: str, **_: Any) -> requests.Response:
        """One request."""
        self.asked.append(url.removeprefix(URL))
        answer = self.answers.pop(0)
        if isinstance(answer, requests.RequestException):
            raise answer
        response = requests.Response()
        response.status_code = answer
        response._content = json.dumps({"value": "1", "access_token": "t"}).encode()
        response.request = requests.Request(method, url)  # type: ignore[assignment]
        return response


@pytest.mark.parametrize(
    "answer", [408, 429, 500, 502, 503, 504, requests.ReadTimeout("30"), requests.ConnectionError("reset")]
)
@pytest.mark.parametrize("before", [[], [200], [200, 201]])
def test_one_answer_that_is_late_or_none_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, before: list[int], answer: int | requests.RequestException
) -> None:
    """Not the question for the version, either: a busy Airflow 3 is not taken for an Airflow 2."""
    http = Http(*before, answer, *[200, 201, 200][len(before) :])
    monkeypatch.setattr(requests.Session, "request", lambda *given, **named: http.request(*given, **named))
    client = AirflowClient(RestTransport(URL), 300, Clock(lambda: 0.0, lambda _: None))
    assert client.variable("x") == "1"
    assert http.asked[-1] == "/api/v2/variables/x"


def test_an_address_that_is_none_is_told_at_once() -> None:
    with pytest.raises(AirflowError) as caught:
        AirflowClient(RestTransport("airflow.example.com", "3")).variable("x")
    assert not isinstance(caught.value, AirflowBusyError)


class Mwaa:
    """A stand-in for boto3's client of MWAA that fails once."""

    def __init__(self, error: Exception) -> None:
        self._errors = [error]

    def invoke_rest_api(self, **_: Any) -> Any:
        """One call."""
        if self._errors:
            raise self._errors.pop()
        return {"RestApiResponse": {"value": "1"}}


def refused(**response: Any) -> ClientError:
    answer: Any = {"Error": {"Code": "RestApiServerException", "Message": ""}, **response}
    return ClientError(answer, "InvokeRestApi")


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url=URL),
        EndpointConnectionError(endpoint_url=URL, error="Connection refused"),
        ReadTimeoutError(endpoint_url=URL),
        refused(RestApiStatusCode=504, RestApiResponse=""),
        refused(Error={"Code": "ThrottlingException", "Message": "Rate exceeded"}),
        refused(Error={"Code": "InternalServerException", "Message": ""}),
    ],
)
def test_one_answer_of_mwaas_that_is_late_or_none_ends_nothing(error: BotoCoreError | ClientError) -> None:
    client = AirflowClient(MwaaTransport(Mwaa(error), "prod"), 300, Clock(lambda: 0.0, lambda _: None))
    assert client.variable("x") == "1"


def test_what_lacks_on_this_machine_is_told_at_once() -> None:
    with pytest.raises(AirflowError, match="there are no AWS credentials"):
        AirflowClient(MwaaTransport(Mwaa(NoCredentialsError()), "prod")).variable("x")
