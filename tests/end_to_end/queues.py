"""Teams whose pods wait in Kueue's queues for the simulated machines of one node group, and how these pods fare."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from jobyard_cli.system.errors import ProgramError
from jobyard_local import argocd
from jobyard_local.cluster import group, namespace, user
from jobyard_local.control_plane import Kubectl
from jobyard_local.platform import ENVIRONMENT, LocalPlatform
from jobyard_local.settings import Source
from jobyard_local.simulated_nodes import SECONDS_VARIABLE

from tests.charts.team_pods import BASE, LABELS, changed
from tests.support.waiting import wait_until

Object = dict[str, Any]
NODE_GROUP = "graviton"
"""Its machines are simulated, and no other team may use them."""
GATE = "kueue.x-k8s.io/admission"
CPU = "100m"
"""What each pod requests."""
OWN = 2
"""So many pods fit in each team's own quota."""
GRANT: Mapping[str, Any] = {
    "allowedNodeGroups": [NODE_GROUP],
    "priorityBand": {"min": 1000, "max": 9999},
    "quota": {"pods": 100, "cpu": "200m", "memory": "16Gi", "ephemeralStorage": "64Gi"},
}
"""What the platform gives each of the teams: the cores that `OWN` pods request, and more than enough of the rest."""
PRIORITIES = {"normal": 2000, "high": 3000}


class Queues:
    """The teams' pods, made as Airflow makes them."""

    def __init__(self, kubectl: Kubectl, registry: str, selectors: Mapping[str, Any]) -> None:
        self.kubectl = kubectl
        self._registry = registry
        self._machine = selectors

    def start(self, team: str, *names: str, priority: str = "normal") -> None:
        """Have pods made, the first one first."""
        self._create(team, *(self._pod(team, name, priority) for name in names))

    def takes_pods_of(self, team: str) -> bool:
        """Whether a pod of the team would be made: Kueue, whose webhook is asked, knows its namespace."""
        try:
            self._create(team, self._pod(team, "first", "normal"), options=["--dry-run=server"])
        except ProgramError:
            return False
        return True

    def _create(self, team: str, *pods: Object, options: Sequence[str] = ()) -> None:
        launcher = ["--as", user(team), "--as-group", group(team), "--as-group", "system:authenticated"]
        self.kubectl("create", "-f", "-", *launcher, *options, stdin=yaml.safe_dump_all(pods))

    def _pod(self, team: str, name: str, priority: str) -> Object:
        owner = {"jobyard.dev/team": team, "jobyard.dev/environment": ENVIRONMENT, "jobyard.dev/cost-center": team}
        requests = {"cpu": CPU, "memory": "64Mi", "ephemeral-storage": "64Mi"}
        limits = {"memory": "64Mi", "ephemeral-storage": "64Mi"}
        taint = {"key": "jobyard.dev/node-group", "value": NODE_GROUP, "effect": "NoSchedule", "operator": "Equal"}
        return changed(
            {
                "metadata.name": name,
                "metadata.namespace": namespace(team),
                "metadata.labels": {**LABELS, **owner, "kueue.x-k8s.io/queue-name": "jobs"},
                "spec.nodeSelector": {"jobyard.dev/node-group": NODE_GROUP, **self._machine},
                "spec.tolerations": [taint],
                "spec.priorityClassName": f"{team}.{priority}-{PRIORITIES[priority]}",
                "spec.volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "32Mi"}}],
                f"{BASE}.env": [{"name": SECONDS_VARIABLE, "value": "3600"}],
                f"{BASE}.image": f"{self._registry}/{team}/inference@sha256:{64 * '0'}",
                f"{BASE}.resources": {"requests": requests, "limits": limits},
            }
        )

    def pods(self, team: str) -> dict[str, Object]:
        """The team's pods, by name."""
        listed = self.kubectl.json("get", "pods", "--namespace", namespace(team))["items"]
        return {pod["metadata"]["name"]: pod for pod in listed}

    def waiting(self, team: str) -> list[str]:
        """The names of those that wait for quota."""
        return sorted(name for name, pod in self.pods(team).items() if is_waiting(pod))

    def running(self, team: str) -> list[str]:
        """The names of those that run on a machine."""
        return sorted(name for name, pod in self.pods(team).items() if pod["status"].get("phase") == "Running")

    def end(self, team: str, names: Collection[str]) -> None:
        """Have pods succeed, as their kubelet would say."""
        if names:
            status = json.dumps({"status": {"phase": "Succeeded"}})
            there = ("--namespace", namespace(team), "--subresource=status")
            self.kubectl("patch", "pods", *names, *there, "--type=merge", "--patch", status)

    def clear(self, teams: Collection[str]) -> None:
        """Delete all their pods, and wait until none is left."""
        for team in teams:
            there = ("--namespace", namespace(team))
            self.kubectl("delete", "pods", "--all", *there, "--grace-period=0", "--force", "--wait=false")
        wait_until(lambda: not any(self.pods(team) for team in teams))


def is_waiting(pod: Object) -> bool:
    """Whether it waits for quota."""
    gates = [gate["name"] for gate in pod["spec"].get("schedulingGates", [])]
    return GATE in gates and pod["status"].get("phase") != "Succeeded"


@contextmanager
def teams_of_their_own(platform: LocalPlatform, teams: Collection[str], folder: Path) -> Iterator[Queues]:
    """Teams with what the charts make for them, in the cluster while this is entered.

    Argo CD does not know of them: what it syncs of queues is seen with the demo's team.
    """
    environment = {"environment": platform.environment().values, "nodeGroups": platform.node_groups}
    objects = [one for team in teams for one in _rendered(platform.source, environment, team, folder)]
    platform.kubectl.apply(*objects)
    machine = platform.node_groups[NODE_GROUP]
    queues = Queues(platform.kubectl, platform.layout.registry, {"kubernetes.io/arch": machine["architecture"]})
    # It may have just lost the API server, in an earlier test.
    wait_until(lambda: all(queues.takes_pods_of(team) for team in teams))
    yield queues
    queues.clear(teams)
    platform.kubectl("delete", "--wait=false", "-f", "-", stdin=yaml.safe_dump_all(objects))
    spaces = {f"namespace/{namespace(team)}" for team in teams}
    wait_until(lambda: not spaces & set(platform.kubectl("get", "namespaces", "--output=name").split()))


def _rendered(source: Source, environment: Object, team: str, folder: Path) -> Iterator[Object]:
    """Yield what the charts make for a team, except for what has Argo CD sync it."""
    bounds = {**environment, "team": team, "repo": "https://git.example.com/team.git", **GRANT}
    own = {"team": team, "allowedNodeGroups": [NODE_GROUP], "priorities": PRIORITIES}
    accounts = {"serviceAccounts": {"jobs": {"roleArn": ""}}, "viewerGroups": []}
    catalogue = {"nodeGroups": environment["nodeGroups"]}
    for chart, values in {"bounds": bounds, "team": {**own, **accounts, **catalogue}}.items():
        file = folder / f"{team}-{chart}.yaml"
        file.write_text(yaml.safe_dump(values))
        rendered = yaml.safe_load_all(argocd.render(source.charts / chart, "-f", str(file)))
        yield from (one for one in rendered if one and not one["apiVersion"].startswith("argoproj.io/"))
