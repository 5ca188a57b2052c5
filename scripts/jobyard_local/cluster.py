"""The Kubernetes cluster of a platform: one of its own on this machine, or one that the person has already."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import yaml
from jobyard import contract
from jobyard_cli.cli.steps import Steps
from jobyard_cli.system.errors import ProgramError
from jobyard_cli.system.programs import run
from jobyard_cli.system.waiting import PATIENCE_SECONDS, NotYetError, until

from jobyard_local import argocd, bridge, cgroups, control_plane, karpenter, kueue, nodes, prometheus, simulated_nodes
from jobyard_local.certificates import CertificateAuthority, certificate_request
from jobyard_local.control_plane import Kubectl
from jobyard_local.errors import TookTooLongError, UnsupportedError
from jobyard_local.layout import Layout
from jobyard_local.processes import Supervisor
from jobyard_local.settings import REAL_NODE_GROUPS

NODE_GROUP = "jobyard.dev/node-group"
ISSUE_SECONDS = 60


class Cluster(Protocol):
    """What a platform asks of its cluster."""

    @property
    def kubectl(self) -> Kubectl:
        """kubectl with every right."""

    @property
    def queueing(self) -> str:
        """What the teams' pods wait in for quota, as `queueing` of an environment has it."""

    def start(self, steps: Steps) -> None:
        """Start what is ours, and make sure that it serves."""

    def launchers(self, teams: list[str]) -> dict[str, Any]:
        """Return Airflow's kubeconfig, with a user and a context for each team, both named after it."""

    def memory_peaks(self) -> Iterator[tuple[str, int]]:
        """Yield UID and peak memory use so far, in bytes, of each pod on nodes that share this machine's kernel."""

    def forget(self) -> None:
        """Take out what the platform put into a cluster that goes on without it."""

    def clean_up(self) -> None:
        """After all processes have ended: take away what they left on this machine."""


def namespace(team: str) -> str:
    """Return the namespace that charts/bounds makes for a team."""
    return contract.namespace(team)


def user(team: str) -> str:
    """Return Airflow's user name in the cluster; its permissions come with the team's group."""
    return f"airflow-{team}"


def group(team: str) -> str:
    """Return the group that the team's chart permits to start pods."""
    return f"jobyard:{team}:launchers"


class EmbeddedCluster:
    """Control plane, real nodes, Kueue, and Karpenter with simulated machines, all on this machine.

    A `bare` one has neither Kueue nor Karpenter, as that of somebody who does not use them.
    """

    def __init__(
        self, layout: Layout, node_groups: Mapping[str, Any], supervisor: Supervisor, *, bare: bool = False
    ) -> None:
        self.layout = layout
        self.bare = bare
        self.queueing = contract.NO_QUEUEING if bare else contract.KUEUE
        self.node_groups = node_groups
        self.supervisor = supervisor
        self.kubectl = Kubectl(layout)
        self.authority = CertificateAuthority(layout.state / "pki")

    def start(self, steps: Steps) -> None:
        """Raises: ProcessDiedError, ProcessNotReadyError, ProgramError: a part did not start."""
        with steps.step("Kubernetes control plane"):
            for process in control_plane.processes(self.layout, self.authority):
                self.supervisor.start(process)
        with steps.step("nodes"):
            for node in self.real_nodes():
                for process in node.processes(self.authority):
                    self.supervisor.start(process)
            until(self._all_ready, PATIENCE_SECONDS, TookTooLongError.of("the nodes' becoming ready", PATIENCE_SECONDS))
        if not self.bare:
            with steps.step("Kueue"):
                self._start_kueue()
            with steps.step("Karpenter"):
                self._start_karpenter()
        with steps.step("Prometheus"):
            self.kubectl.apply(*prometheus.rights())
            for process in prometheus.processes(self.layout, self.authority, self.real_nodes()):
                self.supervisor.start(process)

    def _start_kueue(self) -> None:
        ours = kueue.beside(self.layout, self.authority)
        kueue.install(self.kubectl, ours)
        self.supervisor.start(kueue.process(self.layout, ours))

    def _start_karpenter(self) -> None:
        self.supervisor.start(simulated_nodes.kwok_process(self.layout, self.authority, pods_end=True))
        karpenter.install(self.kubectl, karpenter.beside(self.layout))
        self.supervisor.start(karpenter.process(self.layout, self.authority, self.node_groups))

    def _all_ready(self) -> None:
        conditions = {
            node["metadata"]["name"]: node.get("status", {}).get("conditions", [])
            for node in self.kubectl.once.json("get", "nodes")["items"]
        }
        waiting = sorted(name for name, each in conditions.items() if not any(map(_is_ready, each)))
        if waiting or not conditions:
            raise NotYetError(f"not ready: {', '.join(waiting) or 'no node at all'}")

    def real_nodes(self) -> list[nodes.RealNode]:
        """Return the nodes that run containers."""
        groups = [(name, self.node_groups[name]) for name in REAL_NODE_GROUPS]
        return [
            nodes.RealNode(self.layout, number, name, nodes.machine_labels(group), group["taints"])
            for number, (name, group) in enumerate(groups)
        ]

    def launchers(self, teams: list[str]) -> dict[str, Any]:
        """Return a kubeconfig with client certificates of the cluster's own authority."""
        users = {team: self.authority.issue(f"launcher-{team}", user(team), [group(team)]) for team in teams}
        return control_plane.kubeconfig(self.layout, self.authority, users, {team: namespace(team) for team in teams})

    def memory_peaks(self) -> Iterator[tuple[str, int]]:
        """Yield those of the pods on the real nodes."""
        for node in self.real_nodes():
            yield from node.memory_peaks()

    def forget(self) -> None:
        """Nothing: the cluster goes away with its state."""

    def clean_up(self) -> None:
        """End the containers that outlive containerd, unless what is named after this platform is another's by now."""
        if bridge.is_anothers(self.layout):
            return
        for node in self.real_nodes():
            nodes.remove_containers(node)
        cgroups.remove(self.layout.bridge)
        bridge.remove(self.layout)


class ExistingCluster:
    """A cluster that the person has already, reached with a copy of their kubeconfig."""

    # Of what the charts make, and the stand-in for Pod Identity, the kinds that belong to no namespace.
    KINDS = (
        "mutatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingadmissionpolicies",
        "clusterrolebindings",
        "clusterroles",
        "priorityclasses",
    )
    QUEUES = ("clusterqueues.kueue.x-k8s.io", "resourceflavors.kueue.x-k8s.io")
    """What they make besides where the cluster has Kueue, which lets one go when nothing is in it any longer."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.kubectl = Kubectl(layout)

    @cached_property
    def queueing(self) -> str:
        """Kueue, where the cluster has its kinds: then its owner runs it, as docs/queues.md says."""
        kinds = self.kubectl("get", "crd", "--output=name")
        return contract.KUEUE if kueue.is_in(kinds) else contract.NO_QUEUEING

    def start(self, steps: Steps) -> None:
        """Raises: UnsupportedError: see `check`."""
        with steps.step("the existing cluster"):
            self.check()

    def check(self) -> None:
        """Check that the cluster answers and has what is needed, and that the kubeconfig gives every permission.

        Raises:
            UnsupportedError: one of these does not hold.
        """
        self._check_rights()
        self._check_kinds()
        self._check_free()

    def _check_rights(self) -> None:
        try:
            allowed = self.kubectl.once("auth", "can-i", "*", "*", "--all-namespaces")
        except ProgramError as error:
            raise UnsupportedError(
                f"the kubeconfig must give administrator permissions on the cluster: {error}"
            ) from error
        if allowed.strip() != "yes":
            raise UnsupportedError("the kubeconfig must give administrator permissions on the cluster")

    def _check_kinds(self) -> None:
        kinds = self.kubectl("api-resources", "--api-group=admissionregistration.k8s.io", "--output=name")
        if "mutatingadmissionpolicies" not in kinds:
            raise UnsupportedError(
                "the cluster must have MutatingAdmissionPolicy (Kubernetes 1.36), which gives jobs their S3 key"
            )

    def _check_free(self) -> None:
        """Two Argo CDs would undo each other's work, and `forget` would take away another's kinds."""
        kinds = self.kubectl("get", "crd", "--output=name")
        if "applications.argoproj.io" in kinds and not argocd.is_ours(self.kubectl):
            raise UnsupportedError("the cluster already has Argo CD; the local platform needs a cluster without it")

    def launchers(self, teams: list[str]) -> dict[str, Any]:
        """Return a kubeconfig with client certificates that the cluster signs on request.

        Raises:
            TookTooLongError: it does not sign them, as EKS does not (there Airflow's AWS role is the user).
        """
        cluster = self.kubectl.json("config", "view", "--flatten")["clusters"][0]["cluster"]
        users = [{"name": team, "user": self._issue(team)} for team in teams]
        contexts = [
            {"name": team, "context": {"cluster": "local", "user": team, "namespace": namespace(team)}}
            for team in teams
        ]
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": teams[0] if teams else "",
            "clusters": [{"name": "local", "cluster": cluster}],
            "users": users,
            "contexts": contexts,
        }

    def _issue(self, team: str) -> dict[str, str]:
        """Return the user's part of a kubeconfig; made once and kept, as each costs a request."""
        kept = self.layout.state / "launchers" / f"{team}.yaml"
        if not kept.exists():
            key, request = certificate_request(user(team), [group(team)])
            certificate = self._sign(f"jobyard-launcher-{team}", request)
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            kept.touch(mode=0o600)
            data = {"client-certificate-data": certificate, "client-key-data": base64.b64encode(key).decode()}
            kept.write_text(yaml.safe_dump(data))
        credentials: dict[str, str] = yaml.safe_load(kept.read_text())
        return credentials

    def _sign(self, name: str, request: bytes) -> str:
        self.kubectl("delete", "certificatesigningrequest", name, "--ignore-not-found")
        spec = {
            "request": base64.b64encode(request).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        }
        kind = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
        self.kubectl.apply({**kind, "metadata": {"name": name}, "spec": spec})
        self.kubectl("certificate", "approve", name)
        unsigned = "the request is approved and unsigned; a cluster without this signer (EKS is one) can't be used here"

        def look() -> str:
            status = self.kubectl.once.json("get", "certificatesigningrequest", name).get("status", {})
            if "certificate" not in status:
                raise NotYetError(unsigned)
            return str(status["certificate"])

        what = f"signing a client certificate for {user(name)}"
        certificate = until(look, ISSUE_SECONDS, TookTooLongError.of(what, ISSUE_SECONDS))
        self.kubectl("delete", "certificatesigningrequest", name)
        return certificate

    def memory_peaks(self) -> Iterator[tuple[str, int]]:
        """Yield nothing: the nodes are on other machines."""
        return iter(())

    def forget(self) -> None:
        """Delete what the charts made, and Argo CD's kinds and namespace where it was this platform that made them.

        Raises:
            ProgramError: the cluster can't be reached, or refuses.
        """
        mine = "--selector=app.kubernetes.io/part-of=jobyard"
        if not argocd.is_ours(self.kubectl.once):
            return
        self._drop_finalizers()
        self.kubectl("delete", ",".join(self.KINDS), mine, "--ignore-not-found")
        self.kubectl("delete", "namespaces", mine, "--ignore-not-found", "--wait=false")
        if self.queueing == contract.KUEUE:
            self.kubectl("delete", ",".join(self.QUEUES), mine, "--ignore-not-found", "--wait=false")
        self.kubectl("delete", "crd", "--selector=app.kubernetes.io/part-of=argocd", "--ignore-not-found")
        # Last, as it says whose the rest is: what is cut short here can be taken up again.
        self.kubectl("delete", "namespace", argocd.NAMESPACE, "--ignore-not-found", "--wait=false")

    def _drop_finalizers(self) -> None:
        """With Argo CD stopped nobody else would, and its objects could never be deleted."""
        there = ("--namespace", argocd.NAMESPACE)
        patch = '{"metadata": {"finalizers": null}}'
        for kind in ("applications.argoproj.io", "appprojects.argoproj.io"):
            try:
                names = self.kubectl("get", kind, *there, "--output=name").split()
            except ProgramError:
                return  # Argo CD's kinds are not there
            for name in names:
                self.kubectl("patch", *there, name, "--type=merge", "--patch", patch)

    def clean_up(self) -> None:
        """Nothing: no container of the cluster runs here."""


def _is_ready(condition: Mapping[str, str]) -> bool:
    return condition["type"] == "Ready" and condition["status"] == "True"


def node_groups(kubectl: Kubectl) -> dict[str, str]:
    """Return the node group of each node, by the node's name."""
    nodes = [node["metadata"] for node in kubectl.json("get", "nodes")["items"]]
    return {node["name"]: node["labels"].get(NODE_GROUP, "") for node in nodes}


def copy_kubeconfig(kubectl: str, source: Path, context: str | None) -> str:
    """Return one context of a kubeconfig with all it refers to, independent of later changes to the file."""
    chosen = [f"--context={context}"] if context else []
    view = [kubectl, f"--kubeconfig={source}", *chosen, "config", "view", "--minify", "--flatten"]
    return run(view, what=f"reading {source}")
