"""How Airflow's REST API is logged in to, by version and by what the environment has."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.transport import AirflowError, RestTransport

URL = "http://airflow.example.com"


class Server:
    """Answers by path, in order; notes how it was asked."""

    def __init__(self, **answers: list[tuple[int, Any]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []

    def request(self, session: requests.Session, method: str, url: str, **arguments: Any) -> requests.Response:
        """In place of `requests.Session.request`."""
        path = url.removeprefix(URL)
        who = session.auth or session.headers.get("Authorization") or arguments["json"]
        self.asked.append((f"{method} {path}", who))
        status, content = self.answers[path.rpartition("/")[2]].pop(0)
        answer = requests.Response()
        answer.status_code = status
        answer._content = json.dumps(content).encode()
        answer.request = requests.Request(method, url)  # type: ignore[assignment]
        return answer


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"JOBYARD_AIRFLOW_{name}", raising=False)

    def start(**answers: list[tuple[int, Any]]) -> Server:
        server = Server(**answers)
        monkeypatch.setattr(requests.Session, "request", lambda *given, **named: server.request(*given, **named))
        return server

    return start


def test_airflow_2_is_asked_with_name_and_password(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBYARD_AIRFLOW_USERNAME", "ann")
    monkeypatch.setenv("JOBYARD_AIRFLOW_PASSWORD", "secret")
    server = serve(version=[(404, {})], x=[(200, {"value": "1"})])
    assert AirflowClient(URL).variable("x") == "1"
    assert server.asked == [("GET /api/v2/version", None), ("GET /api/v1/variables/x", ("ann", "secret"))]


def test_airflow_3_gives_a_token_for_name_and_password(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBYARD_AIRFLOW_USERNAME", "ann")
    monkeypatch.setenv("JOBYARD_AIRFLOW_PASSWORD", "secret")
    server = serve(token=[(201, {"access_token": "t"})], x=[(200, {"value": "1"})])
    assert AirflowClient(RestTransport(URL, "3.3.1")).variable("x") == "1"
    assert server.asked == [
        ("POST /auth/token", {"username": "ann", "password": "secret"}),
        ("GET /api/v2/variables/x", "Bearer t"),
    ]


@pytest.mark.parametrize(("version", "path"), [("3.3.1", "/api/v2"), ("2.11.2", "/api/v1")])
def test_a_token_of_ones_own_is_used_as_it_is(
    serve: Any, monkeypatch: pytest.MonkeyPatch, version: str, path: str
) -> None:
    monkeypatch.setenv("JOBYARD_AIRFLOW_TOKEN", "mine")
    server = serve(x=[(200, {"value": "1"})])
    AirflowClient(RestTransport(URL, version)).variable("x")
    assert server.asked == [(f"GET {path}/variables/x", "Bearer mine")]


def test_a_token_that_has_expired_meanwhile_is_replaced(serve: Any) -> None:
    tokens = [(201, {"access_token": "old"}), (201, {"access_token": "new"})]
    server = serve(token=tokens, x=[(401, {}), (200, {"value": "1"})])
    assert AirflowClient(RestTransport(URL, "3")).variable("x") == "1"
    assert [who for call, who in server.asked if call.endswith("/x")] == ["Bearer old", "Bearer new"]


def test_whom_airflow_does_not_know_is_told_what_to_set(serve: Any) -> None:
    serve(x=[(401, {"detail": "who?"}), (401, {"detail": "who?"})])
    with pytest.raises(AirflowError) as caught:
        AirflowClient(RestTransport(URL, "2")).variable("x")
    assert str(caught.value) == (
        f'Airflow at {URL} refused GET variables/x (401): {{"detail": "who?"}} '
        "(set JOBYARD_AIRFLOW_USERNAME and JOBYARD_AIRFLOW_PASSWORD, or JOBYARD_AIRFLOW_TOKEN)"
    )


def test_an_address_of_something_else_is_told(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(x=[(200, None)])
    monkeypatch.setattr(requests.Response, "json", lambda _: json.loads("<html>"))
    with pytest.raises(AirflowError, match="must answer GET variables/x with JSON: check that it is Airflow's address"):
        AirflowClient(RestTransport(URL, "2")).variable("x")
