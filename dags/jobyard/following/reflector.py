"""A list of objects that is kept up to date by a watch:
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes

The watch goes on from the last resource version where it was cut; bookmarks keep that version recent. Where the server
has forgotten it (410 Gone) the list is read again. Where a watch is refused, the list is read every `POLL_SECONDS`.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from .cluster import FAILURES, Cluster, RequestError

WATCH_SECONDS = 150
"""How long a watch lasts, give or take a fifth, so that those of many teams do not end together."""
SILENCE_SECONDS = 30
"""By how much a connection may outlast that before it is taken for dead."""
POLL_SECONDS = 20
POLLS = 15
"""So many lists after a watch was refused, it is tried again: rights change."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
SHORT_SECONDS = 1
"""A watch that ends sooner, and has reported nothing, has failed."""
PAGE = 500
GONE = 410
REFUSED = (403, 405, 501)
LINE_BYTES = 8 * 1024 * 1024
"""No object is longer: etcd's limit is 1.5 MiB."""
CHANGES = ("ADDED", "MODIFIED", "DELETED")
LOG = logging.getLogger(__name__)
Trim = Callable[[dict[str, Any]], dict[str, Any]]


class ExpiredError(Exception):
    """The server has forgotten the resource version."""


class Reflector:
    """Tells of the objects at a path: all of them first, then each change."""

    def __init__(
        self,
        cluster: Cluster,
        path: str,
        parameters: Mapping[str, str],
        on_list: Callable[[list[dict[str, Any]]], None],
        on_change: Callable[[str, dict[str, Any]], None],
        *,
        on_refusal: Callable[[], None] = lambda: None,
        trim: Trim = lambda found: found,
        pages: bool = True,
    ) -> None:
        """`on_list` gets all objects, `on_change` the kind of a change (one of `CHANGES`) and the object.

        `on_refusal` is called where the list may not be read: the current content is not known then. `trim` makes of
        each object what is kept of it. Without `pages` only the first objects of the list are read: enough to begin a
        watch.
        """
        self._cluster = cluster
        self._path = path
        self._parameters = dict(parameters)
        self._on_list = on_list
        self._on_change = on_change
        self._on_refusal = on_refusal
        self._trim = trim
        self._pages = pages
        self._version = ""
        self._pause = FIRST_PAUSE
        self._polls = 0
        self.refusal = ""
        """Why the list can't be read at all; "" as long as it can."""
        self.is_listed = False
        """Whether the list has been read."""

    async def run(self) -> None:
        """Tell of changes until cancelled."""
        while True:
            try:
                await self._step()
            except ExpiredError:
                self._version = ""
                await self._rest()
            except (RequestError, *FAILURES) as error:
                LOG.info("%s: %s: %s", self._path, type(error).__name__, error)
                await self._rest()
            except Exception:  # an answer of a form that nothing here expects must not leave pods without a watch
                LOG.exception("%s", self._path)
                self._version = ""
                await self._rest()

    async def _rest(self) -> None:
        await asyncio.sleep(random.uniform(self._pause / 2, self._pause))  # noqa: S311
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def _step(self) -> None:
        if not self._version:
            await self._list()
        elif self._polls:
            await asyncio.sleep(POLL_SECONDS)
            await self._list()
            self._polls -= 1
        else:
            await self._watch()

    async def _list(self) -> None:
        try:
            found, version = await self._read_list()
        except RequestError as error:
            if error.status == GONE:
                raise ExpiredError from error
            if error.status in REFUSED:
                self.refusal = str(error)
                self._on_refusal()
            raise
        self.refusal = ""
        self.is_listed = True
        self._version = version
        if self._polls:
            self._pause = FIRST_PAUSE
        self._on_list(found)

    async def _read_list(self) -> tuple[list[dict[str, Any]], str]:
        """Return the objects and the version of the list."""
        found: list[dict[str, Any]] = []
        parameters = {**self._parameters, "limit": str(PAGE)}
        while True:
            page = await self._cluster.get(self._path, **parameters)
            found += map(self._trim, page.get("items") or [])
            parameters["continue"] = page["metadata"].get("continue") or ""
            if not parameters["continue"] or not self._pages:
                return found, page["metadata"]["resourceVersion"]

    async def _watch(self) -> None:
        begin = time.monotonic()
        try:
            await self._read_watch()
        except RequestError as error:
            if error.status == GONE:
                raise ExpiredError from error
            if error.status in REFUSED:
                LOG.info("%s: the list is read now and then, as it can't be watched: %s", self._path, error)
                self._polls = POLLS
                return
            raise
        finally:
            is_short = time.monotonic() - begin < SHORT_SECONDS
            if not is_short:
                self._pause = FIRST_PAUSE
        if is_short:
            await self._rest()

    async def _read_watch(self) -> None:
        seconds = round(random.uniform(0.8, 1.2) * WATCH_SECONDS)  # noqa: S311
        parameters = {
            **self._parameters,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(seconds),
        }
        async with self._cluster.stream(self._path, seconds + SILENCE_SECONDS, parameters) as content:
            async for line in _lines(content):
                self._take(json.loads(line))
                self._pause = FIRST_PAUSE

    def _take(self, change: Mapping[str, Any]) -> None:
        kind, found = change["type"], change["object"]
        if kind == "ERROR":
            if found.get("code") == GONE:
                raise ExpiredError
            raise RequestError(int(found.get("code") or 500), str(found.get("message")))
        version = found["metadata"]["resourceVersion"]
        if kind in CHANGES:
            self._on_change(kind, self._trim(found))
        self._version = version


async def _lines(content: Any) -> AsyncIterator[bytes]:
    """Yield the lines of an answer; one that is cut is left out."""
    rest = b""
    async for part in content.iter_any():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if line:
                yield line
        if len(rest) > LINE_BYTES:
            raise ValueError(f"an object of more than {LINE_BYTES} bytes")
