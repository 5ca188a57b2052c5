"""How Airflow's REST API is reached: over HTTP, as Airflow 2 and 3 have it, or through MWAA."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from jobyard_cli.errors import JobyardError, UnavailableError

if TYPE_CHECKING:
    import requests

USERNAME, PASSWORD, TOKEN = "JOBYARD_AIRFLOW_USERNAME", "JOBYARD_AIRFLOW_PASSWORD", "JOBYARD_AIRFLOW_TOKEN"
_SECONDS = 60
"""For one answer: what is slower than that on a busy machine is asked for again, not given up."""


class AirflowError(JobyardError):
    """Airflow refused a call, or could not be reached."""


class AirflowBusyError(AirflowError, UnavailableError):
    """Airflow did not answer, or not now: it may be asked again."""


class AirflowNotFoundError(AirflowError):
    """Airflow has no such thing."""


class AirflowConflictError(AirflowError):
    """Airflow has it already."""


class AirflowPermissionError(AirflowError):
    """Airflow knows who asks, and does not let them."""


@dataclass(frozen=True)
class Login:
    """The credentials for Airflow; empty for anonymous access, which an Airflow may allow."""

    username: str = ""
    password: str = ""
    token: str = ""

    @classmethod
    def from_environment(cls) -> Login:
        """Return the credentials that the environment variables hold."""
        variables = os.environ
        return cls(variables.get(USERNAME, ""), variables.get(PASSWORD, ""), variables.get(TOKEN, ""))


class Transport(Protocol):
    """One Airflow's REST API; paths are what both versions have below /api/v1 and /api/v2.

    A path with a leading slash is one of the whole server's, such as that of an auth manager's own API.
    """

    address: str

    def call(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """Return the parsed answer of one call, or None if it has no content.

        Raises:
            AirflowError: refused, with Airflow's own words.
            AirflowBusyError: no answer, or not now.
            AirflowNotFoundError: no such thing.
        """
        ...


_REFUSALS: Mapping[int, type[AirflowError]] = {
    403: AirflowPermissionError,
    404: AirflowNotFoundError,
    409: AirflowConflictError,
}
"""Errors of a kind of their own, by the answer's status."""


def refusal(address: str, call: str, status: int, words: str, rights: str = "") -> AirflowError:
    """Return the error for an answer with status 400 or above; `rights` says where to look if that is 401 or 403."""
    message = f"Airflow at {address} refused {call} ({status}): {words[:500]}"
    if _is_busy(status):
        return AirflowBusyError(message)
    if status in (401, 403):
        message += f" ({rights or _rights()})"
    return _REFUSALS.get(status, AirflowError)(message)


def _is_busy(status: int) -> bool:
    """Whether a later try may well get another answer."""
    return status >= 500 or status in (408, 425, 429)


def _rights() -> str:
    if os.environ.get(TOKEN) or os.environ.get(USERNAME):
        return f"look at {TOKEN}, or at {USERNAME} and {PASSWORD}, and at that user's role"
    return f"set {USERNAME} and {PASSWORD}, or {TOKEN}"


class RestTransport:
    """Plain HTTP; who it is comes from the environment, and is nobody where an Airflow lets everyone in."""

    def __init__(self, address: str, version: str = "", login: Login | None = None) -> None:
        """Take the address; by default, Airflow reports its version and the environment has the credentials."""
        # It takes longer to import than all else that a release without a wait needs of Airflow.
        import requests

        self.address = address.rstrip("/")
        self._version = version
        self._session = requests.Session()
        self._base = ""
        self._login = login or Login.from_environment()

    def call(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """Return the parsed answer of one call, as `Transport` defines it.

        Raises:
            AirflowError: refused, with Airflow's own words.
            AirflowBusyError: no answer, or not now.
            AirflowNotFoundError: no such thing.
        """
        self._log_in()
        answer = self._send(method, self._full(path), query, body)
        if answer.status_code == 401:
            self._base = ""
            self._log_in()
            answer = self._send(method, self._full(path), query, body)
        return _content(answer, self.address, f"{method} {path}")

    def _full(self, path: str) -> str:
        if path.startswith("/"):
            return path
        return f"{self._base}/{path}"

    def _log_in(self) -> None:
        if self._base:
            return
        version_2 = self._is_2()
        if self._login.token:
            self._session.headers["Authorization"] = f"Bearer {self._login.token}"
        elif version_2:
            self._session.auth = (self._login.username, self._login.password)
        else:
            self._session.headers["Authorization"] = f"Bearer {self._new_token()}"
        self._base = "/api/v1" if version_2 else "/api/v2"

    def _is_2(self) -> bool:
        if not self._version:
            # Airflow 3 tells everyone; Airflow 2 has nothing there. One that can't answer now says neither.
            answer = self._send("GET", "/api/v2/version")
            if _is_busy(answer.status_code):
                raise refusal(self.address, "GET /api/v2/version", answer.status_code, answer.text)
            self._version = "3" if answer.ok else "2"
        return self._version.startswith("2")

    def _new_token(self) -> str:
        if self._login.username:
            credentials = {"username": self._login.username, "password": self._login.password}
            answer = self._send("POST", "/auth/token", None, credentials)
        else:
            answer = self._send("GET", "/auth/token")
        return str(_content(answer, self.address, f"{answer.request.method} /auth/token")["access_token"])

    def _send(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> requests.Response:
        import requests

        headers = {"Accept": "application/json"}
        try:
            return self._session.request(
                method, self.address + path, params=query, json=body, headers=headers, timeout=_SECONDS
            )
        except requests.RequestException as error:
            message = f"Airflow at {self.address} can't be reached: {error}"
            # An address that is none at all is a ValueError too.
            if isinstance(error, ValueError):
                raise AirflowError(message) from error
            raise AirflowBusyError(message) from error


def _content(answer: requests.Response, address: str, call: str) -> Any:
    if answer.status_code >= 400:
        raise refusal(address, call, answer.status_code, answer.text)
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError as error:
        raise AirflowError(f"{address} must answer {call} with JSON: check that it is Airflow's address") from error
