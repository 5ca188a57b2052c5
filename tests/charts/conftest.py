"""Rendering the charts with the real Helm, and an API server to try them on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml
from jobyard_local.certificates import CertificateAuthority
from jobyard_local.processes import Process, Supervisor

from tests.charts.kueue_server import TOKEN_LINE, RunningKueue, with_kueue
from tests.support.paths import ROOT
from tests.support.ports import free_ports
from tests.support.waiting import wait_until

Object = dict[str, Any]


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Helm with some arguments, in the root of this repository."""
    program = str(Path(sys.executable).parent / "helm")

    def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [program, *arguments]
        return subprocess.run(command, input=stdin, cwd=ROOT, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def render_text(
    helm: Callable[..., subprocess.CompletedProcess[str]],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`helm template` of a chart with value files (from the root) and, after them, values of a test's own."""

    def render(chart: str, files: Sequence[str] = (), values: Object | None = None) -> subprocess.CompletedProcess[str]:
        chosen = [argument for file in files for argument in ("-f", file)]
        return helm("template", f"charts/{chart}", *chosen, "-f", "-", stdin=yaml.safe_dump(values or {}))

    return render


@pytest.fixture(scope="session")
def render_chart(
    render_text: Callable[..., subprocess.CompletedProcess[str]],
) -> Callable[..., list[Object]]:
    """The objects that a chart renders; a render that fails, fails the test with Helm's words."""

    def render(chart: str, files: Sequence[str] = (), values: Object | None = None) -> list[Object]:
        answer = render_text(chart, files, values)
        assert answer.returncode == 0, answer.stderr
        return [one for one in yaml.safe_load_all(answer.stdout) if one]

    return render


CATALOGUE = yaml.safe_load((ROOT / "values" / "node-groups.yaml").read_text())["nodeGroups"]
ACCOUNT = "111122223333"
TEAMS = {
    team: {
        "repo": f"https://git.example.com/{team}/{team}-jobs.git",
        "allowedNodeGroups": ["default", "high-cpu"],
        "priorityBand": {"min": 1000, "max": 9999},
        "priorities": {"normal": 2000, "high": 9999, "spare": 1500, "edge": 1000},
        "quota": {"pods": 5, "cpu": "4", "memory": "8Gi", "ephemeralStorage": "10Gi"},
        "viewerGroups": [f"oidc:{team}"],
        "iamRoles": {"serviceAccounts": [f"{team}-jobs"]},
    }
    for team in ("risk", "fraud")
}
TOKENS = {
    "admin": "system:masters",
    "risk-launcher": "jobyard:risk:launchers",
    "fraud-launcher": "jobyard:fraud:launchers",
    "risk-viewer": "jobyard:risk:viewers",
}
"""Bearer token, which is the user's name too -> the user's group."""
REGISTRY = "registry.example.com"
PLATFORM: Object = {
    "environment": {"name": "prod", "account": ACCOUNT, "registry": REGISTRY},
    "nodeGroups": CATALOGUE,
}
QUEUEING: Object = {**PLATFORM, "environment": {**PLATFORM["environment"], "queueing": "kueue"}}
"""The same environment, in which pods wait in Kueue's queues."""


class Server(Protocol):
    """What these tests need of the API server's fixture."""

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """One call as an administrator, whether it succeeds or not."""


class Cluster:
    """An API server with the platform's chart, the bounds of teams risk and fraud, and these teams' charts."""

    def __init__(self, server: Server) -> None:
        self.kubectl = server.kubectl

    @staticmethod
    def as_team(team: str) -> list[str]:
        """kubectl's options to act as Argo CD does when it syncs that team."""
        return ["--as", f"system:serviceaccount:jobyard-teams:{team}"]

    @staticmethod
    def as_group(group: str) -> list[str]:
        """kubectl's options to act as somebody in that group."""
        return ["--as", "somebody", "--as-group", group, "--as-group", "system:authenticated"]

    @staticmethod
    def team_values(team: str) -> Object:
        """Values of that team's chart."""
        return {
            "team": team,
            "allowedNodeGroups": ["default", "high-cpu"],
            "serviceAccounts": {"jobs": {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/{team}-jobs"}},
            "priorities": {"normal": 2000, "high": 9999},
            "viewerGroups": [f"jobyard:{team}:viewers", f"oidc:{team}"],
            "nodeGroups": CATALOGUE,
        }

    def apply(self, objects: list[Object], *options: str) -> None:
        """Server-side apply, as Argo CD does it; an unknown field fails the test too."""
        command = ["apply", "--server-side", "--validate=strict", "-f", "-", *options]
        applied = self.kubectl(*command, stdin=yaml.safe_dump_all(objects))
        assert applied.returncode == 0, applied.stderr

    def wait_for_policies(self) -> None:
        """Admission policies come into force a moment after they are made."""
        probe = {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "probe"},
            "value": 1,
        }
        command = ["create", "--dry-run=server", "-f", "-", *self.as_team("risk")]
        wait_until(lambda: "ValidatingAdmissionPolicy" in self.kubectl(*command, stdin=yaml.safe_dump(probe)).stderr)

    def count_nothing(self, team: str) -> None:
        """Write the status as the quotas' controller would: nothing that they count is admitted while it is missing."""
        there = ["-n", f"team-{team}"]
        for quota in json.loads(self.kubectl("get", "resourcequotas", *there, "-o", "json").stdout)["items"]:
            hard = quota["spec"]["hard"]
            status = {"hard": hard, "used": dict.fromkeys(hard, "0")}
            whole = json.dumps([{"op": "add", "path": "/status", "value": status}])
            target = [f"resourcequota/{quota['metadata']['name']}", *there, "--subresource=status"]
            patched = self.kubectl("patch", *target, "--type=json", "-p", whole)
            assert patched.returncode == 0, patched.stderr


@pytest.fixture(scope="session")
def cluster(api_server: Server, render_chart: Callable[..., list[Object]]) -> Cluster:
    """The charts on a real API server; each team's own is applied as that team's sync identity."""
    return with_charts(api_server, render_chart)


@pytest.fixture(scope="session")
def queueing(
    programs: Path,
    render_chart: Callable[..., list[Object]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    """An API server of its own, with Kueue's kinds and the same charts where pods wait in queues; no Kueue runs."""
    with serving(programs, tmp_path_factory.mktemp("queueing")) as server:
        install_kueue_kinds(server, programs)
        yield with_charts(server, render_chart, QUEUEING)


def install_kueue_kinds(server: Server, programs: Path) -> None:
    """Make Kueue's kinds, and wait until they are served."""
    folder = programs / "kueue-config" / "components" / "crd" / "bases"
    applied = server.kubectl("apply", "--server-side", "-f", str(folder))
    assert applied.returncode == 0, applied.stderr
    wait_until(lambda: server.kubectl("get", "clusterqueues,localqueues,resourceflavors,workloads").returncode == 0)


def with_charts(server: Server, render_chart: Callable[..., list[Object]], platform: Object = PLATFORM) -> Cluster:
    """Apply the charts, and wait until the policies are in force."""
    made = Cluster(server)
    made.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}}])
    made.apply(render_chart("platform", values=platform))
    for team, values in TEAMS.items():
        made.apply(render_chart("bounds", values={**platform, "team": team, **values}))
    made.wait_for_policies()
    for team in TEAMS:
        made.apply(_of_the_cluster(f"team-{team}"))
        made.count_nothing(team)
        made.apply(render_chart("team", values=made.team_values(team)), *made.as_team(team))
    return made


def _of_the_cluster(namespace: str) -> list[Object]:
    """What the controller manager, which does not run here, makes in each namespace."""
    of_all = {"apiVersion": "v1", "metadata": {"namespace": namespace, "name": "default"}}
    certificate = {"namespace": namespace, "name": "kube-root-ca.crt"}
    return [{**of_all, "kind": "ServiceAccount"}, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": certificate}]


class ApiServer:
    """kubectl, as an administrator, against an API server of this test run's own."""

    def __init__(self, kubectl: str, kubeconfig: Path, certificate: Path) -> None:
        self.program = kubectl
        self.kubeconfig = kubeconfig
        self.certificate = certificate
        self._command = [kubectl, f"--kubeconfig={kubeconfig}"]

    def answers(self) -> bool:
        """Whether it serves yet."""
        return self.kubectl("get", "--raw=/readyz").stdout == "ok"

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """One call, whether it succeeds or not."""
        command = [*self._command, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[ApiServer]:
    """One with Argo CD's kinds."""
    with serving(programs, tmp_path_factory.mktemp("api-server")) as server:
        yield server


@pytest.fixture(scope="session")
def kueue(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[RunningKueue]:
    """An API server with Argo CD's kinds and Kueue; not that of the other tests, whose pods wait for no quota."""
    state = tmp_path_factory.mktemp("kueue")
    with serving(programs, state) as server, with_kueue(programs, state, server) as running:
        yield running


@contextmanager
def serving(folder: Path, state: Path) -> Iterator[ApiServer]:
    """etcd and kube-apiserver of these programs, with Argo CD's kinds, stopped at the end."""
    with running(folder, state) as server:
        _install_argocd_kinds(server, folder / "argocd-crds")
        yield server


@contextmanager
def running(folder: Path, state: Path) -> Iterator[ApiServer]:
    """etcd and kube-apiserver of these programs, with nothing of Jobyard's in it, stopped at the end."""
    etcd_port, peer_port, port = free_ports(3)
    signing = CertificateAuthority(state / "pki").key_pair("service-accounts")
    lines = [f'{token},{token},{token},"{group}"\n' for token, group in TOKENS.items()]
    (state / "tokens.csv").write_text("".join([*lines, TOKEN_LINE]))
    (state / "kubeconfig").write_text(yaml.safe_dump(_kubeconfig(port)))
    etcd = [
        f"{folder}/etcd",
        f"--data-dir={state}/etcd",
        f"--listen-client-urls=http://127.0.0.1:{etcd_port}",
        f"--advertise-client-urls=http://127.0.0.1:{etcd_port}",
        f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
        "--unsafe-no-fsync",
    ]
    kube_apiserver = [
        f"{folder}/kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--cert-dir={state}/certificates",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--allow-privileged",  # as EKS has it: Pod Security decides
        "--authorization-mode=Node,RBAC",
        f"--token-auth-file={state}/tokens.csv",
        f"--service-account-key-file={signing.certificate}",
        f"--service-account-signing-key-file={signing.key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.212.0.0/16",
        "--endpoint-reconciler-type=none",
    ]
    server = ApiServer(str(folder / "kubectl"), state / "kubeconfig", state / "certificates" / "apiserver.crt")
    supervisor = Supervisor(state)
    try:
        supervisor.start(Process("etcd", etcd))
        supervisor.start(Process("kube-apiserver", kube_apiserver, ready=server.answers))
        yield server
    finally:
        supervisor.stop(supervisor.names())


def _kubeconfig(port: int) -> Object:
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": "admin"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
    }


def _install_argocd_kinds(server: ApiServer, folder: Path) -> None:
    for crd in folder.glob("*.yaml"):
        applied = server.kubectl("apply", "--server-side", "-f", str(crd))
        assert applied.returncode == 0, applied.stderr
    # A new kind is served a moment after its definition is there.
    wait_until(lambda: server.kubectl("get", "applications,appprojects,applicationsets").returncode == 0)
