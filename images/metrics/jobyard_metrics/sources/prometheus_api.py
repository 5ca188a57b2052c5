"""Prometheus' HTTP API: https://prometheus.io/docs/prometheus/latest/querying/api/. Plain, or signed for Amazon's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from requests import PreparedRequest
from requests.auth import AuthBase

from jobyard_metrics.errors import SourceUnavailableError, TooLargeError, UnreadableAnswerError
from jobyard_metrics.patience import Patience
from jobyard_metrics.sources.http import Http, fields
from jobyard_metrics.values import number

PATH = "/api/v1/query"
SHORTEST = timedelta(minutes=1)
"""A stretch of time that is not split further."""
_TICK = timedelta(milliseconds=1)
"""The resolution of Prometheus' times."""

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Series:
    """One series of an answer: its labels, and its samples as (seconds after 1970 began, value)."""

    labels: Labels
    samples: list[tuple[float, float | None]]

    @property
    def value(self) -> float | None:
        """Return the last value."""
        return self.samples[-1][1] if self.samples else None


class SigV4(AuthBase):
    """Signs requests for Amazon Managed Service for Prometheus.

    https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-onboard-query-APIs.html
    """

    def __init__(self, credentials: Any, region: str) -> None:
        """Take botocore's credentials, which it renews itself."""
        self._credentials = credentials
        self._region = region

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the signature."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        kind = request.headers.get("Content-Type", "")
        unsigned = AWSRequest(request.method, request.url, data=request.body, headers={"Content-Type": kind})
        SigV4Auth(self._credentials.get_frozen_credentials(), "aps", self._region).add_auth(unsigned)
        request.headers.update(dict(unsigned.headers.items()))
        return request


class PrometheusApi:
    """One Prometheus."""

    def __init__(self, address: str, patience: Patience, auth: AuthBase | tuple[str, str] | None = None) -> None:
        """Take the address below which /api/v1 is, and the time for all requests."""
        self._http = Http("Prometheus", address, auth)
        self._patience = patience

    @property
    def requests_made(self) -> int:
        """Return the number of requests so far."""
        return self._http.requests_made

    def stretches(self, query: str, start: datetime, end: datetime, length: timedelta) -> Iterator[list[Series]]:
        """Yield the answers to a query with `$range` in it, over [start, end) in stretches of at most that length.

        Each stretch is evaluated at its last millisecond, so that every sample is in one stretch alone. One whose
        answer exceeds a limit of the server is split.

        Raises:
            SourceError: refused, unreadable, or unavailable until the deadline.
        """
        while start < end:
            stop = min(start + length, end)
            yield from self._stretch(query, start, stop)
            start = stop

    def _stretch(self, query: str, start: datetime, end: datetime) -> Iterator[list[Series]]:
        milliseconds = round((end - start) / _TICK)
        try:
            yield self.query(query.replace("$range", f"{milliseconds}ms"), end - _TICK)
        except TooLargeError:
            if end - start <= SHORTEST:
                raise
            middle = start + (end - start) / 2
            yield from self._stretch(query, start, middle)
            yield from self._stretch(query, middle, end)

    def query(self, query: str, at: datetime) -> list[Series]:
        """Return the answer to an instant query, a vector or a matrix.

        Raises:
            SourceError: refused, unreadable, or unavailable until the deadline.
        """
        return self._patience.call(partial(self._ask, query, at))

    def _ask(self, query: str, at: datetime) -> list[Series]:
        request = f"POST {PATH}"
        answer = self._http.send("POST", PATH, data={"query": query, "time": f"{at.timestamp():.3f}"})
        if answer.status_code == 503 and '"timeout"' in answer.text:
            raise TooLargeError(f"{self._http.name} took too long for {query[:200]}: {answer.text[:200]}")
        content = fields(self._http.content(answer, request), self._http.name, request)
        try:
            if content["status"] != "success":
                raise SourceUnavailableError(f"{self._http.name} failed {request}: {content.get('error')}")
            return [*map(_series, content["data"]["result"])]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            expected = "a vector or a matrix"
            raise UnreadableAnswerError(self._http.name, request, expected, content) from error


def _series(entry: Any) -> Series:
    """Read one series.

    Raises:
        KeyError: it has neither a value nor values; likewise TypeError, ValueError.
    """
    labels = {str(name): str(value) for name, value in entry["metric"].items()}
    pairs = entry["values"] if "values" in entry else [entry["value"]]
    return Series(labels, [(float(time), number(value)) for time, value in pairs])
