"""How Airflow's REST API is reached: over HTTP, as Airflow 2 and 3 have it, or through MWAA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from jobyard_metrics.errors import (
    NotFoundError,
    SourceError,
    SourceUnavailableError,
    TooLargeError,
    UnknownVersionError,
)
from jobyard_metrics.sources.http import Http, fields, refusal


@dataclass(frozen=True)
class Login:
    """The credentials for Airflow; empty for anonymous access."""

    username: str = ""
    password: str = ""
    token: str = ""


class AirflowApi(Protocol):
    """One Airflow; paths are those that both versions have below /api/v1 and /api/v2."""

    name: str

    @property
    def requests_made(self) -> int:
        """Return the number of requests so far, those of a login included."""
        ...

    def major(self) -> int:
        """Return the major version, 2 or 3.

        Raises:
            UnknownVersionError: it is another, or not an Airflow.
            SourceError: unreachable, or refused.
        """
        ...

    def call(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """Return the parsed answer of one request.

        Raises:
            SourceError: unreachable, or refused, with Airflow's own words.
        """
        ...


def major_of(name: str, answer: Any) -> int:
    """Return the major version in an answer of `version`.

    Raises:
        UnknownVersionError: it is not 2 or 3.
    """
    version = answer.get("version") if isinstance(answer, dict) else answer
    first = str(version).partition(".")[0]
    if first not in ("2", "3"):
        raise UnknownVersionError(name, version)
    return int(first)


class RestApi:
    """Plain HTTP. Airflow 2 takes a user name and password as they are; Airflow 3 gives a token for them."""

    def __init__(self, address: str, login: Login | None = None) -> None:
        """Take the address of the web server (Airflow 2) or API server (Airflow 3)."""
        self._http = Http("Airflow", address)
        self._login = login or Login()
        self._major = 0
        self._has_credentials = False
        self.name = self._http.name

    @property
    def requests_made(self) -> int:
        """Return the number of requests, as `AirflowApi` defines it."""
        return self._http.requests_made

    def major(self) -> int:
        """Return the major version, as `AirflowApi` defines it."""
        if not self._major:
            # Both versions answer this to everyone.
            for path in ("/api/v2/version", "/api/v1/version"):
                answer = self._http.send("GET", path)
                if answer.status_code != 404:
                    self._major = major_of(self.name, self._http.content(answer, f"GET {path}"))
                    break
            else:
                raise UnknownVersionError(self.name, "404 Not Found")
        return self._major

    def call(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """Return the parsed answer of one request, as `AirflowApi` defines it."""
        base = "/api/v1" if self.major() == 2 else "/api/v2"
        if not self._has_credentials:
            self._log_in()
        answer = self._http.send(method, f"{base}/{path}", params=query, json=body)
        if answer.status_code == 401:
            # Tokens expire.
            self._log_in()
            answer = self._http.send(method, f"{base}/{path}", params=query, json=body)
        return self._http.content(answer, f"{method} {path}")

    def _log_in(self) -> None:
        session, login = self._http.session, self._login
        if login.token:
            session.headers["Authorization"] = f"Bearer {login.token}"
        elif self.major() == 3:
            session.headers["Authorization"] = f"Bearer {self._new_token()}"
        elif login.username:
            session.auth = (login.username, login.password)
        self._has_credentials = True

    def _new_token(self) -> str:
        if self._login.username:
            who = {"username": self._login.username, "password": self._login.password}
            request, answer = "POST /auth/token", self._http.send("POST", "/auth/token", json=who)
        else:
            request, answer = "GET /auth/token", self._http.send("GET", "/auth/token")
        return str(fields(self._http.content(answer, request), self.name, request).get("access_token", ""))


class MwaaApi:
    """The API of one environment of MWAA, through boto3's `invoke_rest_api`.

    https://docs.aws.amazon.com/mwaa/latest/userguide/access-mwaa-apache-airflow-rest-api.html
    """

    def __init__(self, client: Any, environment: str) -> None:
        """Take boto3's client for MWAA, and the environment's name."""
        self._client = client
        self._environment = environment
        self._major = 0
        self.name = f"MWAA's {environment}"
        self._requests = 0

    @property
    def requests_made(self) -> int:
        """Return the number of requests, as `AirflowApi` defines it."""
        return self._requests

    def major(self) -> int:
        """Return the major version, as `AirflowApi` defines it."""
        if not self._major:
            self._major = major_of(self.name, self.call("GET", "version"))
        return self._major

    def call(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """Return the parsed answer of one request, as `AirflowApi` defines it."""
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        self._requests += 1
        optional = {key: value for key, value in (("QueryParameters", query), ("Body", body)) if value is not None}
        try:
            answer = self._client.invoke_rest_api(Name=self._environment, Path=f"/{path}", Method=method, **optional)
        except ClientError as error:
            raise self._refusal(f"{method} {path}", error) from error
        except BotoCoreError as error:
            kind = SourceUnavailableError if isinstance(error, HTTPClientError) else SourceError
            raise kind(f"{self.name} can't be reached: {error}") from error
        return answer.get("RestApiResponse")

    def _refusal(self, request: str, error: Any) -> SourceError:
        """Airflow's own answer where it gave one, else AWS's."""
        response = error.response
        if status := response.get("RestApiStatusCode"):
            return refusal(self.name, request, int(status), str(response.get("RestApiResponse")))
        code = str(response.get("Error", {}).get("Code", ""))
        text = f"{self.name}: {request}: {error}"
        if code == "ResourceNotFoundException":
            return NotFoundError(text)
        if "size" in str(error).lower():
            return TooLargeError(text)
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        is_busy = status >= 500 or status == 429 or "Throttl" in code
        return SourceUnavailableError(text) if is_busy else SourceError(text)
