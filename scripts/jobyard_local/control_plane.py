"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jobyard_cli.system.errors import ProgramError, UnansweredError
from jobyard_cli.system.programs import Running, run, start
from jobyard_cli.system.waiting import PATIENCE_SECONDS, NotYetError, insist, until

from jobyard_local.certificates import CertificateAuthority, KeyPair
from jobyard_local.errors import TookTooLongError
from jobyard_local.layout import SERVICE_NETWORK, Layout
from jobyard_local.processes import PROBE_SECONDS, Process, listens_on_socket

ADMIN_GROUP = "system:masters"
MANAGER, SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"
PROMETHEUS, KUBE_STATE_METRICS = "jobyard-prometheus", "jobyard-kube-state-metrics"
# A policy can't name users by a pattern, and teams join later: it leaves out all who are not a team's launcher.
AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    # Each request is logged once, with how it ended; a log that is followed has an end too.
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {
            "level": "None",
            "userGroups": [ADMIN_GROUP, "system:nodes", "system:serviceaccounts", "system:unauthenticated"],
        },
        {"level": "None", "users": [MANAGER, SCHEDULER, PROMETHEUS, KUBE_STATE_METRICS]},
        {"level": "Metadata"},
    ],
}


def processes(layout: Layout, authority: CertificateAuthority) -> list[Process]:
    """Return the control plane, in the order in which it starts."""
    return [_etcd(layout), _api_server(layout, authority), *_controllers(layout, authority)]


def _etcd(layout: Layout) -> Process:
    # A socket in the state folder: only root reaches it, and it takes no port.
    socket = layout.state / "etcd.sock"
    command = [
        layout.tool("etcd"),
        f"--data-dir={layout.state / 'etcd'}",
        f"--listen-client-urls=unix://{socket}",
        f"--advertise-client-urls=unix://{socket}",
        f"--listen-peer-urls=unix://{layout.state / 'etcd-peer.sock'}",
        "--log-level=warn",
        # The state is thrown away with the platform, so it need not survive a power cut.
        "--unsafe-no-fsync",
    ]
    return Process("etcd", command, ready=listens_on_socket(socket))


def _api_server(layout: Layout, authority: CertificateAuthority) -> Process:
    first_service = str(ipaddress.ip_network(SERVICE_NETWORK)[1])
    hosts = ["127.0.0.1", "localhost", layout.host, first_service, "kubernetes.default.svc"]
    serving = authority.issue("api-server", "kube-apiserver", hosts=hosts)
    kubelet = authority.issue("api-server-kubelet", "kube-apiserver-kubelet-client", [ADMIN_GROUP])
    signing = authority.key_pair("service-accounts")
    admin = write_kubeconfig(layout, authority, "admin", "jobyard-admin", [ADMIN_GROUP])
    command = [
        layout.tool("kube-apiserver"),
        f"--etcd-servers=unix://{layout.state / 'etcd.sock'}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.ports['api']}",
        f"--client-ca-file={authority.root.certificate}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--kubelet-client-certificate={kubelet.certificate}",
        f"--kubelet-client-key={kubelet.key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        # As on EKS, where the latter lets a pod that asks for GPUs tolerate the taint named after them.
        "--enable-admission-plugins=NodeRestriction,ExtendedResourceToleration",
        *_audit(layout),
        f"--service-account-key-file={signing.certificate}",
        f"--service-account-signing-key-file={signing.key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--endpoint-reconciler-type=none",
        "--profiling=false",
    ]
    return Process("kube-apiserver", command, ready=_api_answers(layout, authority, admin))


def _audit(layout: Layout) -> list[str]:
    """Return the API server's options to log the launchers' requests: at most three files of 10 MB."""
    policy = layout.state / "audit-policy.yaml"
    policy.write_text(yaml.safe_dump(AUDIT_POLICY, sort_keys=False))
    return [
        f"--audit-policy-file={policy}",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-maxsize=10",
        "--audit-log-maxbackup=2",
    ]


def _api_answers(layout: Layout, authority: CertificateAuthority, kubeconfig: Path) -> Callable[[], bool]:
    def ready() -> bool:
        context = ssl.create_default_context(cafile=str(authority.root.certificate))
        pair = KeyPair(authority.folder / "admin.crt", authority.folder / "admin.key")
        context.load_cert_chain(pair.certificate, pair.key)
        url = f"{layout.api_url}/readyz"
        with urllib.request.urlopen(url, context=context, timeout=PROBE_SECONDS) as answer:  # noqa: S310
            return bool(answer.status == 200)

    return ready


def _controllers(layout: Layout, authority: CertificateAuthority) -> list[Process]:
    manager = write_kubeconfig(layout, authority, "controller-manager", MANAGER)
    scheduler = write_kubeconfig(layout, authority, "scheduler", SCHEDULER)
    signing = authority.key_pair("service-accounts")
    return [
        Process(
            "kube-controller-manager",
            [
                layout.tool("kube-controller-manager"),
                f"--kubeconfig={manager}",
                f"--secure-port={layout.ports['controller-manager']}",
                "--bind-address=127.0.0.1",
                f"--root-ca-file={authority.root.certificate}",
                f"--service-account-private-key-file={signing.key}",
                f"--cluster-signing-cert-file={authority.root.certificate}",
                f"--cluster-signing-key-file={authority.root.key}",
                "--use-service-account-credentials",
                "--leader-elect=false",
            ],
        ),
        Process(
            "kube-scheduler",
            [
                layout.tool("kube-scheduler"),
                f"--kubeconfig={scheduler}",
                f"--secure-port={layout.ports['scheduler']}",
                "--bind-address=127.0.0.1",
                "--leader-elect=false",
            ],
        ),
    ]


def write_kubeconfig(
    layout: Layout, authority: CertificateAuthority, name: str, user: str, groups: list[str] | None = None
) -> Path:
    """Write a kubeconfig with a new certificate for `user` in `groups`, readable by root only; return its path."""
    pair = authority.issue(name, user, groups or [])
    path = layout.state / "kubeconfig" / f"{name}.yaml"
    write_private(path, yaml.safe_dump(kubeconfig(layout, authority, {user: pair}, {}), sort_keys=False))
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_text(text)


def kubeconfig(
    layout: Layout,
    authority: CertificateAuthority,
    users: Mapping[str, KeyPair],
    namespaces: Mapping[str, str],
) -> dict[str, Any]:
    """Return the content of such a kubeconfig, with certificates inline, so that it can be copied elsewhere."""
    cluster = {"server": layout.api_url, "certificate-authority-data": authority.bundle()}
    entries, contexts = [], []
    for user, pair in users.items():
        context = {"cluster": "local", "user": user, "namespace": namespaces.get(user, "default")}
        entries.append({"name": user, "user": _credentials(pair)})
        contexts.append({"name": user, "context": context})
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(users), ""),
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": entries,
        "contexts": contexts,
    }


def _credentials(pair: KeyPair) -> dict[str, str]:
    return {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


_UNANSWERED = re.compile(
    r"Unable to connect to the server|The connection to the server \S+ was refused|connection reset by peer"
    r"|unexpected EOF|connection lost|TLS handshake timeout|i/o timeout|context deadline exceeded|etcdserver: "
    r"|Error from server \((Timeout|ServerTimeout|ServiceUnavailable|TooManyRequests)\)"
    r"|the server (was|is currently) unable to|request did not complete within"
)
"""What kubectl says where the API server did not answer, or not now."""


class Kubectl:
    """kubectl with one kubeconfig; while the API server does not answer, a call is repeated for `patience` seconds."""

    def __init__(self, layout: Layout, kubeconfig: Path | None = None, patience: float = PATIENCE_SECONDS) -> None:
        self._layout = layout
        self._kubeconfig = kubeconfig
        self._patience = patience
        self._command = [layout.tool("kubectl"), f"--kubeconfig={kubeconfig or layout.admin_kubeconfig}"]

    @property
    def once(self) -> Kubectl:
        """The same, whose calls are made once: for waits that have a deadline of their own."""
        return Kubectl(self._layout, self._kubeconfig, 0)

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Return the standard output of one call.

        Raises:
            ProgramError: kubectl refused; the message carries its words.
            UnansweredError: the API server stayed away.
        """
        return insist(lambda: self._run(arguments, stdin), self._patience)

    def _run(self, arguments: tuple[str, ...], stdin: str) -> str:
        what = f"kubectl {' '.join(arguments[:3])}"
        try:
            return run([*self._command, *arguments], what=what, stdin=stdin)
        except ProgramError as error:
            if _UNANSWERED.search(error.output):
                raise UnansweredError(what, error.output) from error
            raise

    def start(self, *arguments: str) -> Running:
        """Start a call that goes on until it is ended; its output is read line by line."""
        return start([*self._command, *arguments])

    def json(self, *arguments: str) -> Any:
        """Return the parsed answer of one call with `-o json`."""
        return json.loads(self(*arguments, "-o", "json"))

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Server-side apply of these objects."""
        # As JSON: megabytes of YAML take Python seconds.
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": [*map(dict, objects)]})
        self("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=items)


def wait_established(kubectl: Kubectl, whose: str) -> None:
    """Wait until the API server serves every custom resource (`kubectl wait` fails on one with no condition yet).

    Raises:
        TookTooLongError: it does not; `whose` are those that were installed last.
    """

    def look() -> None:
        there = kubectl.once.json("get", "crd")["items"]
        if waiting := [crd["metadata"]["name"] for crd in there if not _established(crd)]:
            raise NotYetError(f"not yet {', '.join(waiting)}")

    late = TookTooLongError.of(f"serving {whose} custom resources", PATIENCE_SECONDS)
    until(look, PATIENCE_SECONDS, late, pause=0.2)


def _established(crd: dict[str, Any]) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
