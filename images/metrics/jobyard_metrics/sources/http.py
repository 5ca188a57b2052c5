"""JSON over HTTP: one session, its requests counted, and each failure as one of the errors of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import requests
from requests.auth import AuthBase

from jobyard_metrics.errors import (
    NotFoundError,
    SourceError,
    SourceUnavailableError,
    TooLargeError,
    UnreadableAnswerError,
)

SECONDS = 120
"""For one answer: a busy server is slower, not broken."""
_BUSY = frozenset({408, 425, 429})
_LARGE = frozenset({413, 422})

Refusal = Callable[[int, str], SourceError | None]


class Http:
    """One server."""

    def __init__(self, name: str, address: str, auth: AuthBase | tuple[str, str] | None = None) -> None:
        """Take the server's name in messages, its address, and how each request is authenticated."""
        self.address = address.rstrip("/")
        self.name = f"{name} at {self.address}"
        self.requests_made = 0
        self.session = requests.Session()
        # Credentials come from the settings alone, never from a .netrc file.
        self.session.trust_env = False
        self.session.auth = auth
        self.session.headers["Accept"] = "application/json"

    def send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Return the answer, whatever its status; `arguments` are those of `requests`.

        Raises:
            SourceUnavailableError: no answer, or not a whole one.
            SourceError: the address is invalid.
        """
        self.requests_made += 1
        try:
            return self.session.request(method, self.address + path, timeout=SECONDS, **arguments)
        except requests.RequestException as error:
            # An invalid address is a ValueError too.
            kind = SourceError if isinstance(error, ValueError) else SourceUnavailableError
            raise kind(f"{self.name} can't be reached: {error}") from error

    def content(self, answer: requests.Response, request: str) -> Any:
        """Return the JSON of an answer.

        Raises:
            SourceUnavailableError: the server is busy.
            NotFoundError: status 404.
            TooLargeError: status 413 or 422.
            SourceError: any other status from 400.
            UnreadableAnswerError: not JSON.
        """
        if answer.status_code >= 400:
            raise refusal(self.name, request, answer.status_code, answer.text)
        try:
            return answer.json()
        except (ValueError, RecursionError) as error:
            raise UnreadableAnswerError(self.name, request, "JSON", answer.text[:200]) from error


def refusal(name: str, request: str, status: int, words: str) -> SourceError:
    """Return the error for an answer with status 400 or above."""
    text = f"{name} refused {request} ({status}): {words[:500]}"
    if status == 404:
        return NotFoundError(text)
    if status in _LARGE:
        return TooLargeError(text)
    if status >= 500 or status in _BUSY:
        return SourceUnavailableError(text)
    return SourceError(text)


def fields(value: Any, name: str, request: str) -> Mapping[str, Any]:
    """Return an answer that must be a JSON object.

    Raises:
        UnreadableAnswerError: it is something else.
    """
    if not isinstance(value, dict):
        raise UnreadableAnswerError(name, request, "an object", value)
    return value
