"""How the sources are reached: logins, versions, refusals, and answers that break off."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError
from jobyard_metrics.errors import (
    NotFoundError,
    SourceError,
    SourceUnavailableError,
    TooLargeError,
    UnknownVersionError,
    UnreadableAnswerError,
)
from jobyard_metrics.patience import Patience
from jobyard_metrics.sources.airflow_api import Login, MwaaApi, RestApi
from jobyard_metrics.sources.prometheus_api import PrometheusApi, SigV4

from tests.metrics.fake_airflow import NOON
from tests.support.ports import free_ports

Answer = tuple[int, Any]


class Server:
    """Answers with what `answer` returns: a status and JSON, or bytes as they are."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Callable[[str, str], Answer] = lambda method, path: (404, {})
        self.length = 0
        """By how many bytes an answer is shorter than its header says."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.requests.append((self.command, self.path, dict(self.headers), body))
            status, content = server.answer(self.command, self.path)
            encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(encoded) + server.length))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = _any

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of its own for each test."""
    running = Server()
    yield running
    running.close()


def airflow(major: int, server: Server, token: str = "") -> Callable[[str, str], Answer]:
    """Return the answers of an Airflow that wants a login."""

    def answer(method: str, path: str) -> Answer:
        base = "/api/v1/" if major == 2 else "/api/v2/"
        if path == f"{base}version":
            return 200, {"version": f"{major}.3.1"}
        if path == "/auth/token" and major == 3:
            return 201, {"access_token": f"token-{len(server.requests)}"}
        if path.startswith(base):
            given = server.requests[-1][2].get("Authorization", "")
            return (200, {"dags": [], "total_entries": 0}) if given.startswith(("Basic", "Bearer")) else (401, {})
        return 404, b"<html>"

    return answer


def authorizations(server: Server) -> list[str]:
    return [headers["Authorization"] for _, path, headers, _ in server.requests if path.endswith("/dags")]


@pytest.mark.parametrize("major", [2, 3])
def test_a_user_logs_in_as_the_version_wants(server: Server, major: int) -> None:
    server.answer = airflow(major, server)
    api = RestApi(f"{server.url}/", Login("admin", "secret"))
    assert api.major() == major
    assert api.call("GET", "dags") == {"dags": [], "total_entries": 0}
    [authorization] = authorizations(server)
    assert authorization == {2: "Basic YWRtaW46c2VjcmV0", 3: "Bearer token-2"}[major]
    assert api.requests_made == len(server.requests) == 3
    if major == 3:
        assert [json.loads(body) for _, path, _, body in server.requests if path == "/auth/token"] == [
            {"username": "admin", "password": "secret"}
        ]


def test_a_token_that_expires_is_renewed(server: Server) -> None:
    right = airflow(3, server)
    server.answer = lambda method, path: (401, {}) if len(server.requests) == 3 else right(method, path)
    assert RestApi(server.url, Login("admin", "secret")).call("GET", "dags")
    assert authorizations(server) == ["Bearer token-2", "Bearer token-4"]


def test_a_given_token_is_sent_as_it_is(server: Server) -> None:
    server.answer = airflow(3, server)
    RestApi(server.url, Login(token="mine")).call("GET", "dags")
    assert authorizations(server) == ["Bearer mine"]


def test_without_a_login_airflow_3_gives_a_token(server: Server) -> None:
    server.answer = airflow(3, server)
    RestApi(server.url).call("GET", "dags")
    assert [(method, path) for method, path, _, _ in server.requests][1] == ("GET", "/auth/token")


@pytest.mark.parametrize(
    ("answer", "got"), [((200, {"version": "4.0.0"}), "4.0.0"), ((200, {"x": 1}), "None"), ((404, {}), "404 Not Found")]
)
def test_an_unknown_version_is_refused(server: Server, answer: Answer, got: str) -> None:
    server.answer = lambda method, path: answer
    with pytest.raises(UnknownVersionError, match=rf"must be 2.x \(from 2.10\) or 3.x; got '{got}'"):
        RestApi(server.url).major()


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, SourceError), (403, SourceError), (404, NotFoundError), (413, TooLargeError)]
    + [(status, SourceUnavailableError) for status in (408, 429, 500, 502, 503, 504)],
)
def test_each_status_is_an_error_of_its_own(server: Server, status: int, error: type[SourceError]) -> None:
    right = airflow(3, server)
    server.answer = lambda method, path: (status, {"detail": "no"}) if path.endswith("/dags") else right(method, path)
    with pytest.raises(error) as raised:
        RestApi(server.url).call("GET", "dags")
    assert type(raised.value) is error
    assert str(raised.value) == f'Airflow at {server.url} refused GET dags ({status}): {{"detail": "no"}}'


def test_a_page_instead_of_json_is_refused(server: Server) -> None:
    server.answer = lambda method, path: (200, b"<html>Sign in</html>")
    with pytest.raises(UnreadableAnswerError, match="must answer GET /api/v2/version with JSON; got '<html>Sign in"):
        RestApi(server.url).major()


def test_an_answer_that_breaks_off_may_be_asked_for_again(server: Server) -> None:
    server.answer = airflow(3, server)
    server.length = 10
    with pytest.raises(SourceUnavailableError, match="can't be reached"):
        RestApi(server.url).major()


def test_nobody_there() -> None:
    with pytest.raises(SourceUnavailableError, match="can't be reached"):
        RestApi(f"http://127.0.0.1:{free_ports(1)[0]}").major()
    with pytest.raises(SourceError, match="can't be reached"):
        RestApi("http://[").major()


class Mwaa:
    """Boto3's client for MWAA, which answers or raises."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: dict[str, Any] = {}

    def invoke_rest_api(self, **asked: Any) -> Any:
        """One call."""
        self.asked = asked
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"RestApiStatusCode": 200, "RestApiResponse": self.answer}


def refused(code: str, status: int = 0, http: int = 400, words: str = "") -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": words}, "ResponseMetadata": {"HTTPStatusCode": http}}
    if status:
        response |= {"RestApiStatusCode": status, "RestApiResponse": {"detail": words}}
    return ClientError(response, "InvokeRestApi")


def test_mwaa_forwards_a_call() -> None:
    client = Mwaa({"version": "2.10.3"})
    api = MwaaApi(client, "prod")
    assert (api.major(), api.requests_made) == (2, 1)
    api.call("POST", "dags/~/dagRuns/list", body={"page_limit": 100})
    expected = {"Name": "prod", "Path": "/dags/~/dagRuns/list", "Method": "POST", "Body": {"page_limit": 100}}
    assert client.asked == expected


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (refused("RestApiClientException", 404), NotFoundError),
        (refused("RestApiClientException", 403), SourceError),
        (refused("RestApiServerException", 503), SourceUnavailableError),
        (refused("AccessDeniedException", http=403), SourceError),
        (refused("ResourceNotFoundException", http=404), NotFoundError),
        (refused("InternalServerException", http=500), SourceUnavailableError),
        (refused("ThrottlingException", http=400), SourceUnavailableError),
        (refused("ValidationException", words="response exceeds the maximum size"), TooLargeError),
        (ReadTimeoutError(endpoint_url="https://x"), SourceUnavailableError),
        (NoCredentialsError(), SourceError),
    ],
)
def test_what_mwaa_refuses(raised: Exception, error: type[SourceError]) -> None:
    with pytest.raises(SourceError, match="MWAA's prod") as found:
        MwaaApi(Mwaa(raised), "prod").call("GET", "dags")
    assert type(found.value) is error


def test_each_request_to_amazons_prometheus_is_signed(server: Server) -> None:
    from botocore.credentials import Credentials

    server.answer = lambda method, path: (200, {"status": "success", "data": {"resultType": "vector", "result": []}})
    signer = SigV4(Credentials("AKID", "secret", "session"), "eu-west-1")
    assert PrometheusApi(server.url, Patience(1), signer).query("up{a=~'b +'}", NOON) == []
    [(method, path, headers, body)] = server.requests
    assert (method, path) == ("POST", "/api/v1/query")
    assert b"query=up%7Ba%3D~%27b+%2B%27%7D" in body
    assert "/eu-west-1/aps/aws4_request, SignedHeaders=" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == "session"
    assert "x-amz-date" in headers["Authorization"]


@pytest.mark.parametrize(
    "content",
    [[], {"status": "success"}, {"status": "success", "data": {"result": [{}]}}]
    + [{"status": "success", "data": {"result": [{"metric": {}, "value": [1]}]}}, {"data": None}],
)
def test_garbage_of_prometheus_is_refused(server: Server, content: Any) -> None:
    server.answer = lambda method, path: (200, content)
    with pytest.raises(UnreadableAnswerError, match="must answer POST /api/v1/query with an? "):
        PrometheusApi(server.url, Patience(1)).query("up", NOON)


@pytest.mark.parametrize(
    ("status", "content"), [(422, {"error": "too many samples"}), (503, {"errorType": "timeout", "error": "timed out"})]
)
def test_a_query_that_is_too_large_says_so(server: Server, status: int, content: Any) -> None:
    server.answer = lambda method, path: (status, content)
    with pytest.raises(TooLargeError):
        PrometheusApi(server.url, Patience(1)).query("up", NOON)


def test_what_is_not_a_number_is_null(server: Server) -> None:
    values = ["NaN", "+Inf", "-Inf", "1e400", "1.5", "x"]
    result = [{"metric": {"a": "<script>"}, "values": [[number, value] for number, value in enumerate(values)]}]
    server.answer = lambda method, path: (200, {"status": "success", "data": {"result": result}})
    [series] = PrometheusApi(server.url, Patience(1)).query("up", NOON)
    assert [value for _, value in series.samples] == [None, None, None, None, 1.5, None]
