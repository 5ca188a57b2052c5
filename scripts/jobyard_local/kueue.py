"""Kueue beside the cluster: the teams' pods wait in it for quota.

What the cluster gets are Kueue's own manifests with the component in `kueue/`, as on a real one, without what would run
Kueue there: it is a process on this machine, with the rights that its service account would have.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jobyard_cli.system.programs import run

from jobyard_local.certificates import CertificateAuthority
from jobyard_local.control_plane import Kubectl, wait_established, write_kubeconfig, write_private
from jobyard_local.layout import Layout
from jobyard_local.processes import Process, answers

NAMESPACE = "kueue-system"
USER = f"system:serviceaccount:{NAMESPACE}:kueue-controller-manager"
"""Kueue's service account on a real cluster, whose name policies know and whose rights its manifests have."""
GROUPS = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"]
SETTINGS = Path(__file__).resolve().parents[2] / "kueue"
"""How every Kueue with Jobyard's teams is set up: a component over Kueue's own manifests."""
CERTIFICATES = Path("/etc/kueue/metrics/certs")
"""Where Kueue looks for a certificate if it does not make its own; no setting names another place."""
NOT_HERE = ("APIService", "ConfigMap", "Deployment", "Secret", "Service")
"""Kinds of what runs Kueue in a cluster, and leads to it there."""


@dataclass(frozen=True)
class Kueue:
    """One Kueue: the folder of the built programs, one of its own, and its ports on loopback."""

    tools: Path
    folder: Path
    webhook_port: int
    probe_port: int
    authority: CertificateAuthority

    def objects(self) -> list[dict[str, Any]]:
        """Return what the cluster needs: kinds, rights and webhooks, which lead to this process."""
        return [self._led_here(one) for one in self._manifests() if _is_for_here(one)]

    def process(self, kubeconfig: Path) -> Process:
        """Write what the process reads, and return it; the kubeconfig is that of `USER`.

        The folder is its root, as one path of a certificate is fixed.
        """
        self._write_certificate()
        write_private(self.folder / "kubeconfig", kubeconfig.read_text())
        write_private(self.folder / "configuration.yaml", yaml.safe_dump(self._configuration(), sort_keys=False))
        _link(self.tools / "kueue", self.folder / "kueue")
        command = ["chroot", str(self.folder), "/kueue", "--config=/configuration.yaml", "--kubeconfig=/kubeconfig"]
        # Who is not root may be it in a namespace of users.
        prefix = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
        return Process("kueue", [*prefix, *command], ready=answers(f"http://127.0.0.1:{self.probe_port}/readyz"))

    def _manifests(self) -> list[dict[str, Any]]:
        """Return Kueue's own manifests with our component, as kustomize makes them for every cluster."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        manifests = self.tools / "kueue-config" / "default"
        chosen = {"resources": [_from(self.folder, manifests)], "components": [_from(self.folder, SETTINGS)]}
        (self.folder / "kustomization.yaml").write_text(yaml.safe_dump(chosen))
        printed = run([self.tools / "kubectl", "kustomize", self.folder], what="rendering Kueue's manifests")
        return list(yaml.load_all(printed, Loader=yaml.CSafeLoader))

    def _led_here(self, one: dict[str, Any]) -> dict[str, Any]:
        """Return the object with this process in place of Kueue's Service."""
        clients = [webhook["clientConfig"] for webhook in one.get("webhooks", [])]
        if (conversion := one.get("spec", {}).get("conversion", {}).get("webhook")) is not None:
            clients.append(conversion["clientConfig"])
        for client in clients:
            client["url"] = f"https://127.0.0.1:{self.webhook_port}{client.pop('service')['path']}"
            client["caBundle"] = self.authority.bundle()
        return one

    def _configuration(self) -> dict[str, Any]:
        """Return Kueue's configuration as every cluster has it, but for what a single process does otherwise."""
        config_map = yaml.safe_load((SETTINGS / "manager-config.yaml").read_text())
        configuration: dict[str, Any] = yaml.safe_load(config_map["data"]["controller_manager_config.yaml"])
        return {
            **configuration,
            "health": {"healthProbeBindAddress": f"127.0.0.1:{self.probe_port}"},
            "metrics": {"bindAddress": "0"},
            "webhook": {"host": "127.0.0.1", "port": self.webhook_port, "certDir": str(CERTIFICATES)},
            "leaderElection": {"leaderElect": False},
            "internalCertManagement": {"enable": False},
            # An API of its own for who waits where, which would take a certificate and a port more.
            "featureGates": {"VisibilityOnDemand": False},
        }

    def _write_certificate(self) -> None:
        pair = self.authority.issue("kueue", "kueue-webhook-service", hosts=["127.0.0.1"])
        there = self.folder / CERTIFICATES.relative_to("/")
        write_private(there / "tls.crt", pair.certificate.read_text())
        write_private(there / "tls.key", pair.key.read_text())


def beside(layout: Layout, authority: CertificateAuthority) -> Kueue:
    """Return the Kueue of a platform with a cluster of its own."""
    ports = layout.ports
    return Kueue(layout.tools, layout.state / "kueue", ports["kueue-webhook"], ports["kueue-probe"], authority)


def install(kubectl: Kubectl, kueue: Kueue) -> None:
    """Apply what the cluster needs, and wait until it serves Kueue's kinds."""
    kubectl.apply(*kueue.objects())
    wait_established(kubectl, "Kueue's")


def process(layout: Layout, kueue: Kueue) -> Process:
    """Return the process on a platform with a cluster of its own."""
    return kueue.process(write_kubeconfig(layout, kueue.authority, "kueue-client", USER, GROUPS))


def is_in(kinds: str) -> bool:
    """Return whether Kueue's kinds are among a cluster's, as `kubectl get crd --output=name` prints them."""
    return "clusterqueues.kueue.x-k8s.io" in kinds


def _is_for_here(one: Mapping[str, Any]) -> bool:
    return one["kind"] not in NOT_HERE and one["metadata"].get("namespace", NAMESPACE) == NAMESPACE


def _from(folder: Path, target: Path) -> str:
    """Return the path from a folder, as kustomize takes no absolute one."""
    return os.path.relpath(target.resolve(), folder.resolve())


def _link(program: Path, target: Path) -> None:
    """Put the program into the folder that is its root; without a copy where both are on one file system."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(program)
    except OSError:
        shutil.copy2(program, target)
