"""Requests to the API server as one team, from one event loop. Nothing is shared with other teams, and nothing is
global.

The kubeconfig is read by Kubernetes' own client, so every way to authenticate that it knows works; the requests
themselves are aiohttp's, as that client blocks, and its asynchronous sibling makes a TLS context a request.
"""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

CREDENTIALS_SECONDS = 600
"""A token is asked for again after that time. One that has expired earlier is renewed by the answer 401."""
RENEW_SECONDS = 5
"""A token that is refused although it is younger than that won't be better for asking again."""
READ_SECONDS = 60
"""How long the kubeconfig's plugin may take."""
CONNECT_SECONDS = 20
ANSWER_SECONDS = 60
MESSAGE_CHARACTERS = 500
KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Of a connection on which nothing may come for hours: load balancers forget one after minutes of silence (those of EKS
after 350 s), and a server that was stopped says nothing."""


class RequestError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(f"{status}: {message}")


class AccessError(OSError):
    """The kubeconfig, or the program that it names, gives no access."""


FAILURES = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)
"""What a request raises where the network or the server fails, not the request."""


@dataclass(frozen=True)
class _Access:
    """How to reach the server, as the kubeconfig says now."""

    host: str
    headers: dict[str, str]
    tls: dict[str, Any]
    proxy: str | None
    read: float  # seconds of the monotonic clock

    @property
    def is_identified(self) -> bool:
        """Whether it says who asks: somebody unknown may see nothing."""
        return bool(self.headers or self.tls["certificate"])


class Cluster:
    """The API server, for one context of a kubeconfig."""

    def __init__(self, kubeconfig: str, context: str, configuration: Any = None) -> None:
        """Use the context of the kubeconfig; `configuration` is what Kubernetes' client has read of it already.

        With a hundred teams, reading a kubeconfig takes 160 ms.
        """
        self._kubeconfig = kubeconfig
        self._context = context
        access = None if configuration is None else _access(configuration)
        self._access: _Access | None = access if access and access.is_identified else None
        self._session: aiohttp.ClientSession | None = None
        self._tls: tuple[dict[str, Any], ssl.SSLContext | bool] | None = None
        self._lock = asyncio.Lock()
        # Not the loop's own threads, which all that runs in the triggerer share: a plugin may hang.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="kubeconfig")

    async def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Return the object at a path.

        Raises:
            RequestError: the server refused the request.
            Exception: one of `FAILURES`.
        """
        async with self._answer("GET", path, parameters, ANSWER_SECONDS) as answer:
            found: dict[str, Any] = json.loads(await answer.read())
            return found

    async def post(self, path: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object at a path; return it as the server has it.

        Raises:
            RequestError: the server refused the request.
            Exception: one of `FAILURES`.
        """
        async with self._answer("POST", path, {}, ANSWER_SECONDS, content) as answer:
            made: dict[str, Any] = json.loads(await answer.read())
            return made

    async def delete(self, path: str) -> None:
        """Delete the object at a path; one that was deleted already is as good.

        Raises:
            RequestError: the server refused the request.
            Exception: one of `FAILURES`.
        """
        try:
            async with self._answer("DELETE", path, {}, ANSWER_SECONDS) as answer:
                await answer.read()
        except RequestError as error:
            if error.status != 404:
                raise

    @asynccontextmanager
    async def stream(
        self, path: str, silence: float, parameters: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """Yield an answer that comes bit by bit; `silence` is how many seconds may pass without a byte.

        Raises:
            RequestError: the server refused the request.
            Exception: one of `FAILURES`.
        """
        async with self._answer("GET", path, parameters, silence) as answer:
            _keep_alive(answer)
            yield answer.content

    async def close(self) -> None:
        """Close all connections."""
        self._reader.shutdown(wait=False, cancel_futures=True)
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        silence: float,
        content: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        access = await self._current(None)
        answer = await self._send(access, method, path, parameters, silence, content)
        if answer.status == 401 and (renewed := await self._renewed(access, answer)):
            answer = await self._send(renewed, method, path, parameters, silence, content)
        try:
            if answer.status >= 400:
                raise RequestError(answer.status, await _message(answer))
            yield answer
        finally:
            # What has not been read of a stream can't be read by the next request.
            answer.close()

    async def _send(
        self,
        access: _Access,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        silence: float,
        content: Mapping[str, Any] | None,
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(connector=connector, headers=_headers(), trust_env=False)
        return await self._session.request(
            method,
            f"{access.host}{path}",
            params=parameters,
            json=content,
            headers=access.headers,
            proxy=access.proxy,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence),
            server_hostname=access.tls.get("server_name"),
            ssl=self._context_of(access.tls) if access.host.startswith("https:") else True,
        )

    def _context_of(self, tls: dict[str, Any]) -> ssl.SSLContext | bool:
        """Return the TLS context, which is made once for the same files: it takes longer than a request."""
        if self._tls is None or self._tls[0] != tls:
            self._tls = tls, _tls_context(tls)
        return self._tls[1]

    async def _renewed(self, refused: _Access, answer: aiohttp.ClientResponse) -> _Access | None:
        """Return how to reach the server after what was known has been refused; None if it was known for a moment."""
        if self._access is refused and time.monotonic() - refused.read < RENEW_SECONDS:
            return None
        answer.close()
        return await self._current(refused)

    async def _current(self, refused: _Access | None) -> _Access:
        """Return how to reach the server; read again if what is known is old or was `refused`."""
        async with self._lock:
            known = self._access
            if known is None or known is refused or time.monotonic() - known.read > CREDENTIALS_SECONDS:
                # The exec plugin of a kubeconfig is a program to wait for.
                reading = asyncio.get_running_loop().run_in_executor(
                    self._reader, _read, self._kubeconfig, self._context
                )
                async with asyncio.timeout(READ_SECONDS):
                    self._access = await reading
            assert self._access is not None
            return self._access


def _read(kubeconfig: str, context: str) -> _Access:
    """Return what the kubeconfig says.

    Raises:
        AccessError: it can't be read, or its plugin failed.
    """
    try:
        found = _read_kubeconfig(kubeconfig, context)
    except Exception as error:  # the client's own kind of error, and those of the parsers that it uses
        raise AccessError(f"{kubeconfig}: {type(error).__name__}: {error}") from error
    # Where a plugin fails, the client says so in its own log, and goes on without a token.
    if not found.is_identified:
        raise AccessError(f"{kubeconfig}: no credentials for context {context!r}")
    return found


def _read_kubeconfig(kubeconfig: str, context: str) -> _Access:
    from kubernetes.client import Configuration  # type: ignore[import-untyped]
    from kubernetes.config import load_kube_config  # type: ignore[import-untyped]

    found = Configuration()
    load_kube_config(config_file=kubeconfig, context=context, client_configuration=found, persist_config=False)
    return _access(found)


def _access(found: Any) -> _Access:
    """Return what a configuration of Kubernetes' client says."""
    from requests.utils import should_bypass_proxies

    headers: dict[str, str] = {}
    for setting in found.auth_settings().values():
        headers[setting["key"]] = setting["value"]
    tls = {
        "verify": found.verify_ssl,
        "authority": found.ssl_ca_cert,
        "certificate": found.cert_file,
        "key": found.key_file,
        "server_name": getattr(found, "tls_server_name", None),
    }
    proxy = None if should_bypass_proxies(found.host, no_proxy=found.no_proxy or "") else found.proxy
    return _Access(found.host.rstrip("/"), headers, tls, proxy, time.monotonic())


def _headers() -> dict[str, str]:
    """Return what each request has: an audit log shows by it which requests are these, and which the provider's."""
    from kubernetes import __version__ as version  # type: ignore[import-untyped]

    return {"User-Agent": f"jobyard (kubernetes {version})"}


def _tls_context(tls: Mapping[str, Any]) -> ssl.SSLContext | bool:
    context = ssl.create_default_context(cafile=tls["authority"])
    if not tls["verify"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls["certificate"]:
        context.load_cert_chain(tls["certificate"], tls["key"])
    return context


def _keep_alive(answer: aiohttp.ClientResponse) -> None:
    """Have the network say now and then that the other end is still there."""
    transport = answer.connection.transport if answer.connection else None
    if transport is None or not (found := transport.get_extra_info("socket")):
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        # Not every system has all.
        if hasattr(socket, name):
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _message(answer: aiohttp.ClientResponse) -> str:
    """Return what the server says of a refusal: the message of a Status, or the beginning of a text."""
    text = (await answer.content.read(16 * 1024)).decode(errors="replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:MESSAGE_CHARACTERS].strip() or str(answer.reason)
