"""Requests as one team: who asks, by which connection."""

import asyncio
import base64
import ipaddress
import logging
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_server import ApiServer
from following_support import pod, run, until, write_kubeconfig
from jobyard.following import cluster as module
from jobyard.following.cluster import FAILURES, AccessError, Cluster, RequestError

PODS = "/api/v1/namespaces/team-risk/pods"


class Plugin:
    """A program that gives tokens, and counts its runs."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / f"{name}.py"
        self.runs_file = folder / f"{name}.runs"
        self.token_file = folder / f"{name}.token"
        self.token_file.write_text(f"token-of-{name}")
        self.write("")

    def write(self, first: str) -> None:
        """Let the program do that first."""
        self.file.write_text(
            f"import json, sys, time\nopen({str(self.runs_file)!r}, 'a').write('.')\n{first}\n"
            f"token = open({str(self.token_file)!r}).read()\n"
            "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential',"
            " 'status': {'token': token}}))\n"
        )

    @property
    def runs(self) -> int:
        return len(self.runs_file.read_text()) if self.runs_file.exists() else 0

    @property
    def user(self) -> dict[str, Any]:
        """The user of a kubeconfig that has its token."""
        command = {"command": sys.executable, "args": ["-S", str(self.file)], "interactiveMode": "Never"}
        return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", **command}}


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path, "risk")


@pytest.fixture
def by_plugin(server: ApiServer, plugin: Plugin, tmp_path: Path) -> str:
    """A kubeconfig whose token comes from the plugin."""
    return write_kubeconfig(tmp_path / "kubeconfig", server.url, {"risk": plugin.user})


def ask(kubeconfig: str, act: Callable[[Cluster], Any], context: str = "risk") -> Any:
    """Return what comes of asking as that team."""

    async def all_of_it() -> Any:
        cluster = Cluster(kubeconfig, context)
        try:
            return await act(cluster)
        finally:
            await cluster.close()

    return run(all_of_it)


def get(kubeconfig: str, context: str = "risk") -> dict[str, Any]:
    """Return the pods."""
    found: dict[str, Any] = ask(kubeconfig, lambda cluster: cluster.get(PODS), context)
    return found


def test_fifty_requests_at_once_run_the_plugin_once(server: ApiServer, plugin: Plugin, by_plugin: str) -> None:
    ask(by_plugin, lambda cluster: asyncio.gather(*[cluster.get(PODS) for _ in range(50)]))
    assert plugin.runs == 1
    assert [one.token for one in server.requests] == ["token-of-risk"] * 50


def test_fifty_requests_that_are_refused_at_once_renew_the_token_once(
    server: ApiServer, plugin: Plugin, by_plugin: str, quick: Callable[..., None]
) -> None:
    quick(module, RENEW_SECONDS=0)

    async def act(cluster: Cluster) -> None:
        await cluster.get(PODS)
        plugin.token_file.write_text("second")
        server.tokens = {"second"}
        await asyncio.gather(*[cluster.get(PODS) for _ in range(50)])

    ask(by_plugin, act)
    assert plugin.runs == 2
    assert {one.token for one in server.requests[-50:]} == {"second"}


def test_a_token_is_asked_for_anew_after_its_time(
    server: ApiServer, plugin: Plugin, by_plugin: str, quick: Callable[..., None]
) -> None:
    async def act(cluster: Cluster) -> None:
        await cluster.get(PODS)
        plugin.token_file.write_text("second")
        await cluster.get(PODS)
        quick(module, CREDENTIALS_SECONDS=0)
        await cluster.get(PODS)

    ask(by_plugin, act)
    assert [one.token for one in server.requests] == ["token-of-risk", "token-of-risk", "second"]
    assert plugin.runs == 2


def test_a_token_that_stays_refused_does_not_run_the_plugin_at_every_request(
    server: ApiServer, plugin: Plugin, by_plugin: str
) -> None:
    server.tokens = {"another"}

    async def act(cluster: Cluster) -> list[Any]:
        return await asyncio.gather(*[cluster.get(PODS) for _ in range(20)], return_exceptions=True)

    found = ask(by_plugin, act)
    assert {(type(error), str(error)) for error in found} == {(RequestError, "401: Unauthorized")}
    assert plugin.runs == 1


def test_a_stream_is_opened_with_the_renewed_token(
    server: ApiServer, plugin: Plugin, by_plugin: str, quick: Callable[..., None]
) -> None:
    quick(module, RENEW_SECONDS=0)
    parameters = {"watch": "true", "resourceVersion": "1", "timeoutSeconds": "5"}

    async def act(cluster: Cluster) -> bytes:
        await cluster.get(PODS)
        plugin.token_file.write_text("second")
        server.tokens = {"second"}
        async with cluster.stream(PODS, 5, parameters) as content:
            server.put(pod("a"))
            return await content.readline()

    assert b'"ADDED"' in ask(by_plugin, act)


def test_a_plugin_that_fails_is_no_request_without_a_name(
    server: ApiServer, plugin: Plugin, by_plugin: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The client's own answer is a request as `system:anonymous`, which is refused with 403 rather than 401."""
    plugin.write("sys.exit('throttled')")
    with pytest.raises(AccessError, match=r"kubeconfig: no credentials for context 'risk'"):
        get(by_plugin)
    assert server.requests == []

    async def act(cluster: Cluster) -> None:
        with pytest.raises(FAILURES):
            await cluster.get(PODS)
        plugin.write("")
        await cluster.get(PODS)

    ask(by_plugin, act)
    assert [one.token for one in server.requests] == ["token-of-risk"]


def test_a_plugin_that_hangs_holds_its_own_team_alone(
    server: ApiServer, plugin: Plugin, by_plugin: str, quick: Callable[..., None]
) -> None:
    plugin.write("time.sleep(0.7)")
    quick(module, READ_SECONDS=0.1)

    async def act(cluster: Cluster) -> None:
        with pytest.raises(FAILURES):
            await cluster.get(PODS)
        with pytest.raises(FAILURES):
            await cluster.get(PODS)
        # All that runs in the triggerer shares the loop's threads.
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 1), 0.5) == 1

    ask(by_plugin, act)
    assert plugin.runs <= 1


@pytest.mark.parametrize("text", ["", "{", "- a list", "apiVersion: v1\nkind: Config\n"])
def test_a_kubeconfig_that_is_here_in_part_is_a_failure_that_passes(
    server: ApiServer, kubeconfig: str, text: str
) -> None:
    whole = Path(kubeconfig).read_text()
    Path(kubeconfig).write_text(text)

    async def act(cluster: Cluster) -> None:
        with pytest.raises(AccessError):
            await cluster.get(PODS)
        Path(kubeconfig).write_text(whole)
        await cluster.get(PODS)

    ask(kubeconfig, act)


def test_a_kubeconfig_that_is_missing_and_a_context_that_is_not_in_it(kubeconfig: str, tmp_path: Path) -> None:
    with pytest.raises(AccessError):
        get(str(tmp_path / "missing"))
    with pytest.raises(AccessError, match="care"):
        get(kubeconfig, "care")


def test_two_teams_share_neither_token_nor_connection(server: ApiServer, tmp_path: Path) -> None:
    plugins = {name: Plugin(tmp_path, name) for name in ("risk", "care")}
    users = {name: plugin.user for name, plugin in plugins.items()}
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", server.url, users)

    async def all_of_it() -> None:
        teams = {name: Cluster(kubeconfig, name) for name in plugins}
        for _ in range(20):
            await asyncio.gather(*[team.get(f"/api/v1/namespaces/team-{name}/pods") for name, team in teams.items()])
        for team in teams.values():
            await team.close()

    run(all_of_it)
    seen: dict[str, set[int]] = {}
    for one in server.requests:
        name = one.path.split("/")[4].removeprefix("team-")
        assert one.token == f"token-of-{name}"
        seen.setdefault(name, set()).add(one.connection)
    assert not seen["risk"] & seen["care"]
    assert [plugin.runs for plugin in plugins.values()] == [1, 1]


def test_nothing_global_is_changed(by_plugin: str) -> None:
    from kubernetes.client import Configuration

    before = Configuration._default
    levels = {name: logging.getLogger(name).level for name in ("urllib3", "client", "")}
    get(by_plugin)
    assert Configuration._default is before
    assert {name: logging.getLogger(name).level for name in levels} in (
        levels,
        # Kubernetes' own client sets those of its two whenever a Configuration is made.
        {**levels, "urllib3": logging.WARNING, "client": logging.WARNING},
    )


def test_requests_one_after_the_other_use_one_connection(server: ApiServer, kubeconfig: str) -> None:
    async def act(cluster: Cluster) -> None:
        for _ in range(10):
            await cluster.get(PODS)

    ask(kubeconfig, act)
    assert server.connections == 1


def test_a_stream_that_was_left_is_not_read_by_the_next_request(server: ApiServer, kubeconfig: str) -> None:
    parameters = {"watch": "true", "resourceVersion": "1", "timeoutSeconds": "5"}

    async def act(cluster: Cluster) -> dict[str, Any]:
        server.put(pod("a"))
        async with cluster.stream(PODS, 5, parameters) as content:
            await content.readany()
        return await cluster.get(f"{PODS}/a")

    assert ask(kubeconfig, act)["metadata"]["name"] == "a"


def test_a_stream_without_a_word_is_kept_alive_by_the_network(
    server: ApiServer, kubeconfig: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []
    keep = module._keep_alive
    monkeypatch.setattr(module, "_keep_alive", lambda answer: (keep(answer), kept.append(answer)))
    parameters = {"watch": "true", "resourceVersion": "1", "timeoutSeconds": "5"}

    async def act(cluster: Cluster) -> tuple[int, int]:
        async with cluster.stream(PODS, 5, parameters):
            found = kept[0].connection.transport.get_extra_info("socket")
            is_kept = found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            return is_kept, found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)

    assert ask(kubeconfig, act) == (1, 60)


@pytest.mark.parametrize(("status", "words"), [(403, "forbidden"), (404, "not found"), (429, "busy"), (500, "etcd")])
def test_a_refusal_says_what_the_server_says(server: ApiServer, kubeconfig: str, status: int, words: str) -> None:
    server.fail(status, message=words)
    with pytest.raises(RequestError) as refused:
        get(kubeconfig)
    assert (refused.value.status, str(refused.value)) == (status, f"{status}: {words}")


def test_deleting_what_has_gone_is_as_good(server: ApiServer, kubeconfig: str) -> None:
    server.put(pod("a"))
    ask(kubeconfig, lambda cluster: cluster.delete(f"{PODS}/a"))
    assert not server.has("a")
    ask(kubeconfig, lambda cluster: cluster.delete(f"{PODS}/a"))
    server.denied.add(("delete", "pods"))
    server.put(pod("a"))
    with pytest.raises(RequestError):
        ask(kubeconfig, lambda cluster: cluster.delete(f"{PODS}/a"))


def test_a_server_that_is_away_or_silent_is_a_failure(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    server.away = True
    with pytest.raises(FAILURES):
        get(kubeconfig)
    server.away = False
    server.delay = 1
    quick(module, ANSWER_SECONDS=0.1)
    with pytest.raises(FAILURES):
        get(kubeconfig)


def test_a_proxy_of_the_environment_is_not_used_for_whom_it_excludes(
    server: ApiServer, kubeconfig: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("kubernetes.client.Configuration.__init__", _with_proxy())
    assert get(kubeconfig)["items"] == []


def _with_proxy() -> Any:
    """Return the constructor, with what all versions but one read of the environment."""
    from kubernetes.client import Configuration

    original = Configuration.__init__

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        self.proxy, self.no_proxy = "http://127.0.0.1:9", "127.0.0.1"

    return init


class Certificates:
    """An authority, with what it has signed for a server and a client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority_key, self.authority = self._make("authority", None)
        self.server = self._write("server", *self._make("127.0.0.1", self))
        self.client = self._write("client", *self._make("risk", self))
        self.file = folder / "authority.pem"
        self.file.write_bytes(self._pem(self.authority))

    def _make(self, name: str, signer: "Certificates | None") -> Any:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = signer.authority.subject if signer else subject
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
        builder = builder.add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("kubernetes")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return key, builder.sign(signer.authority_key if signer else key, hashes.SHA256())

    def _write(self, name: str, key: Any, certificate: Any) -> tuple[Path, Path]:
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        files[0].write_bytes(self._pem(certificate))
        files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return files

    def _pem(self, certificate: Any) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding

        return bytes(certificate.public_bytes(Encoding.PEM))

    def data(self, path: Path) -> str:
        """Return a file as a kubeconfig has it inline."""
        return base64.b64encode(path.read_bytes()).decode()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def safe_server(certificates: Certificates) -> Iterator[ApiServer]:
    """A server that asks for a client's certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.file))
    context.load_cert_chain(*certificates.server)
    context.verify_mode = ssl.CERT_REQUIRED
    running = ApiServer(context)
    yield running
    running.close()


def test_client_certificates_inline_and_one_tls_context_for_all(
    safe_server: ApiServer, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    make = module._tls_context
    monkeypatch.setattr(module, "_tls_context", lambda tls: made.append(make(tls)) or made[-1])
    monkeypatch.setattr(module, "CREDENTIALS_SECONDS", 0)
    user = {
        "client-certificate-data": certificates.data(certificates.client[0]),
        "client-key-data": certificates.data(certificates.client[1]),
    }
    authority = {"certificate-authority-data": certificates.data(certificates.file)}
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", safe_server.url, {"risk": user}, **authority)

    async def act(cluster: Cluster) -> None:
        for _ in range(5):
            await cluster.get(PODS)

    ask(kubeconfig, act)
    assert len(made) == 1
    assert safe_server.connections == 1


def test_a_client_without_a_certificate_and_a_server_that_nobody_vouches_for(
    safe_server: ApiServer, certificates: Certificates, tmp_path: Path
) -> None:
    users = {"risk": {"token": "x"}}
    authority = {"certificate-authority": str(certificates.file)}
    with pytest.raises(FAILURES):
        get(write_kubeconfig(tmp_path / "without", safe_server.url, users, **authority))
    with pytest.raises(FAILURES):
        get(write_kubeconfig(tmp_path / "unknown", safe_server.url, users))
    assert safe_server.requests == []


def test_the_server_s_other_name_and_no_check_of_it(
    safe_server: ApiServer, certificates: Certificates, tmp_path: Path
) -> None:
    files = {"client-certificate": str(certificates.client[0]), "client-key": str(certificates.client[1])}
    authority = {"certificate-authority": str(certificates.file)}
    named = {**authority, "tls-server-name": "kubernetes"}
    assert get(write_kubeconfig(tmp_path / "named", safe_server.url, {"risk": files}, **named))["items"] == []
    wrong = {**authority, "tls-server-name": "elsewhere"}
    with pytest.raises(FAILURES):
        get(write_kubeconfig(tmp_path / "wrong", safe_server.url, {"risk": files}, **wrong))
    unsafe = {"insecure-skip-tls-verify": True}
    assert get(write_kubeconfig(tmp_path / "unsafe", safe_server.url, {"risk": files}, **unsafe))["items"] == []


def test_the_other_end_of_a_stream_that_was_left_is_free(server: ApiServer, kubeconfig: str) -> None:
    parameters = {"watch": "true", "resourceVersion": "1", "timeoutSeconds": "60"}

    async def act(cluster: Cluster) -> None:
        async with cluster.stream(PODS, 60, parameters):
            await until(lambda: server.streams == 1)
        await until(lambda: server.streams == 0)

    ask(kubeconfig, act)
