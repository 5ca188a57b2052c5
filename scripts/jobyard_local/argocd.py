"""Argo CD beside the cluster: three of its processes, the objects it expects, and how its Applications stand."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobyard_cli.system.programs import run
from jobyard_cli.system.waiting import PATIENCE_SECONDS, NotYetError, until

from jobyard_local import repo_server
from jobyard_local.control_plane import Kubectl, wait_established
from jobyard_local.errors import TookTooLongError
from jobyard_local.layout import Layout
from jobyard_local.processes import Process, listens

NAMESPACE = "argocd"
OURS = {"jobyard.dev/local-platform": "true"}
"""Label of the namespace where the local platform made it, and with it Argo CD's kinds."""
POLL_SECONDS = 10
LOOK_AGAIN_SECONDS = 5
WOULD_EMPTY = "auto-sync will wipe out all resources"
"""What Argo CD says of an Application whose files are gone; it deletes nothing by itself."""


def processes(layout: Layout, poll_seconds: int = POLL_SECONDS) -> list[Process]:
    """Return repository server, application controller and ApplicationSet controller.

    Argo CD's own web page is not part of its Go module, so there is no server process: `status` reads the Applications.
    """
    ports = layout.ports
    renderer = f"127.0.0.1:{ports['repo-server']}"
    redis = f"--redis=127.0.0.1:{ports['redis']}"
    client = [f"--kubeconfig={layout.admin_kubeconfig}", f"--namespace={NAMESPACE}", "--loglevel=warn"]
    controller_command = [
        layout.tool("argocd-application-controller"),
        *client,
        f"--repo-server={renderer}",
        "--repo-server-plaintext",
        f"--metrics-port={ports['application-metrics']}",
        f"--app-resync={poll_seconds}",
        "--app-resync-jitter=0",
        redis,
    ]
    sets_command = [
        layout.tool("argocd-applicationset-controller"),
        *client,
        f"--argocd-repo-server={renderer}",
        "--repo-server-plaintext",
        f"--metrics-addr=127.0.0.1:{ports['applicationset-metrics']}",
        f"--probe-addr=127.0.0.1:{ports['applicationset-probe']}",
        f"--webhook-addr=127.0.0.1:{ports['applicationset-webhook']}",
    ]
    # It assumes that it runs in the cluster, as in production, and so syncs with the kubeconfig's permissions.
    parameters = repo_server.settings("argocd-cmd-params-cm")
    environment = {
        **repo_server.environment(layout),
        repo_server.SUBMODULES: parameters["applicationsetcontroller.enable.git.submodule"],
        "KUBECONFIG": str(layout.admin_kubeconfig),
        "ARGOCD_FAKE_IN_CLUSTER": "true",
    }
    controllers = {
        "argocd-application-controller": (controller_command, "application-metrics"),
        "argocd-applicationset-controller": (sets_command, "applicationset-probe"),
    }
    return [
        repo_server.process(layout),
        *(
            Process(name, command, listens("127.0.0.1", ports[port]), environment)
            for name, (command, port) in controllers.items()
        ),
    ]


def install(kubectl: Kubectl, crds: Path, poll_seconds: int = POLL_SECONDS) -> None:
    """Create the custom resource definitions, and the settings that Argo CD needs before it starts."""
    # First, as it says whose the rest is.
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": OURS}})
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(crds.resolve()))
    settings = {**repo_server.settings("argocd-cm"), "timeout.reconciliation": f"{poll_seconds}s"}
    kubectl.apply(
        _config_map("argocd-cm", settings),
        *(_config_map(f"argocd-{name}-cm", {}) for name in ("rbac", "gpg-keys", "tls-certs")),
        _secret("argocd-secret", {"server.secretkey": os.urandom(32).hex()}),
    )
    wait_established(kubectl, "Argo CD's")


def is_ours(kubectl: Kubectl) -> bool:
    """Return whether a local platform installed Argo CD in this cluster."""
    (label,) = OURS
    return f"namespace/{NAMESPACE}" in kubectl("get", "namespaces", f"--selector={label}", "--output=name").split()


def _metadata(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": "argocd"}}


def _config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(name), "data": data}


def _secret(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(name), "stringData": data}


def render(chart: Path, *arguments: str) -> str:
    """Return the output of `helm template` for a chart that must exist before Argo CD can sync anything."""
    helm = str(Path(sys.executable).parent / "helm")
    return run([helm, "template", chart.name, chart, *arguments], what=f"rendering {chart.name}")


@dataclass(frozen=True)
class ApplicationStatus:
    """How one Application stands, in Argo CD's own words."""

    name: str
    sync: str
    health: str
    revision: str
    phase: str
    messages: tuple[str, ...]

    @property
    def settled(self) -> bool:
        return self.sync == "Synced" and self.health == "Healthy" and self.phase == "Succeeded"

    def __str__(self) -> str:
        return f"{self.name}: {self.sync}, {self.health}" + "".join(f"; {message}" for message in self.messages)


def statuses(kubectl: Kubectl) -> list[ApplicationStatus]:
    """Return every Application, sorted by name."""
    items = kubectl.json("get", "applications.argoproj.io", "--namespace", NAMESPACE)["items"]
    return sorted((_status(item) for item in items), key=lambda status: status.name)


def _status(item: dict[str, Any]) -> ApplicationStatus:
    status = item.get("status", {})
    sync, operation = status.get("sync", {}), status.get("operationState", {})
    phase = operation.get("phase", "")
    messages = [condition["message"] for condition in status.get("conditions", [])]
    if phase not in ("Succeeded", "") and operation.get("message"):
        messages.append(operation["message"])
    return ApplicationStatus(
        name=item["metadata"]["name"],
        sync=sync.get("status", "Unknown"),
        health=status.get("health", {}).get("status", "Unknown"),
        revision=sync.get("revision", ""),
        phase=phase,
        messages=tuple(messages),
    )


_ANNOTATE = ("annotate", "--overwrite", "--namespace", NAMESPACE)


def refresh(kubectl: Kubectl, *applications: str) -> None:
    """Ask Argo CD to look at the Applications' repositories now, as a webhook from the git host does."""
    kubectl(*_ANNOTATE, "applications.argoproj.io", *applications, "argocd.argoproj.io/refresh=normal")


def announce(kubectl: Kubectl, changed: Collection[str]) -> None:
    """Tell Argo CD of a push to the platform's repository that changed these files, as a git host's webhook does.

    The ApplicationSet looks for files of teams. Of the Applications, only those are refreshed that have one of the
    files in their `manifest-generate-paths`: the others are what they were, and looking at each takes longer.
    """
    kubectl(*_ANNOTATE, "applicationsets.argoproj.io", "teams", "argocd.argoproj.io/application-set-refresh=true")
    items = kubectl.json("get", "applications.argoproj.io", "--namespace", NAMESPACE)["items"]
    bounds = [item for item in items if item["metadata"]["name"].startswith("bounds-")]
    if touched := [item["metadata"]["name"] for item in bounds if _is_touched(item, changed)]:
        refresh(kubectl, *touched)


def _is_touched(application: dict[str, Any], changed: Collection[str]) -> bool:
    """Return whether one of the files is, or is in, one of the paths that an Application is rendered from."""
    stated = application["metadata"]["annotations"]["argocd.argoproj.io/manifest-generate-paths"]
    folder = f"/{application['spec']['source']['path']}"
    paths = [os.path.normpath(os.path.join(folder, path)) for path in map(str.strip, stated.split(";"))]
    return any(f"/{file}" == path or f"/{file}".startswith(f"{path}/") for file in changed for path in paths)


def wait_settled(
    kubectl: Kubectl, application: str, revision: str, timeout: float = PATIENCE_SECONDS
) -> ApplicationStatus:
    """Wait until an Application is Synced and Healthy at a commit.

    Raises:
        TookTooLongError: it is not, with how it stands and Argo CD's messages.
    """
    once, look_again = kubectl.once, time.monotonic() + LOOK_AGAIN_SECONDS

    def look() -> ApplicationStatus:
        nonlocal look_again
        found = next((status for status in statuses(once) if status.name == application), None)
        if found is None:
            raise NotYetError("no such Application yet")
        if found.settled and found.revision == revision:
            return found
        # Argo CD may have looked at it before its project was there; by itself it looks again when it next polls.
        if found.sync == "Unknown" and time.monotonic() > look_again:
            refresh(once, application)
            look_again = time.monotonic() + LOOK_AGAIN_SECONDS
        raise NotYetError(str(found))

    return until(look, timeout, TookTooLongError.of(f"Argo CD's sync of {application}", timeout))


def exists(kubectl: Kubectl, application: str) -> bool:
    """Return whether there is an Application of this name, be it on its way out."""
    return any(status.name == application for status in statuses(kubectl))


def remove(kubectl: Kubectl, application: str, timeout: float = PATIENCE_SECONDS) -> None:
    """Delete an Application, from whose repository the files are gone already, with all that it made.

    As `argocd app delete` and then `argocd app confirm-deletion` do, which `docs/bounds.md` asks of a person.

    Raises:
        TookTooLongError: it, or something that it made, is still there.
    """
    if not exists(kubectl, application):
        return
    # An ApplicationSet that has not seen the commit without the files would make the Application again.
    _wait_emptied(kubectl.once, application, timeout)
    there = ("--namespace", NAMESPACE, "application", application)
    patch = json.dumps({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}})
    kubectl("patch", *there, "--type=merge", "--patch", patch)
    kubectl("delete", *there, "--wait=false", "--ignore-not-found")
    # Argo CD wants a word given after the deletion.
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kubectl(*_ANNOTATE, "applications.argoproj.io", application, f"argocd.argoproj.io/deletion-approved={now}")

    def look() -> None:
        if exists(kubectl.once, application):
            raise NotYetError("it is still there")

    until(look, timeout, TookTooLongError.of(f"the removal of {application}", timeout))


def _wait_emptied(kubectl: Kubectl, application: str, timeout: float) -> None:
    """Wait until Argo CD has seen that the Application would have nothing, or somebody is deleting it already."""

    def look() -> None:
        item = kubectl.json("get", "--namespace", NAMESPACE, "application", application)
        messages = " ".join(_status(item).messages)
        if "deletionTimestamp" not in item["metadata"] and WOULD_EMPTY not in messages:
            raise NotYetError(messages or "it says nothing")

    until(look, timeout, TookTooLongError.of(f"Argo CD's look at {application} without its files", timeout))
