"""Everything that reads the catalogue of node groups agrees: a pod for a group gets in, lands there, and nowhere else.

Pods are made from what the teams' chart and the DAG builder say, machines from what the autoscalers and the local
platform say, and the real scheduler decides. It reads Node objects and no more, so nothing plays their kubelets.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jobyard.quantities import parse_quantity
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.files import node_groups
from jobyard_cli.platform.machines import read_machines
from jobyard_cli.platform.node_groups import eksctl_config
from jobyard_local.processes import Process, Supervisor
from jobyard_local.simulated_nodes import simulated_node

from tests.charts.team_pods import LABELS, changed
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster, Server

Object = dict[str, Any]
Machines = Callable[[str, int], Object]
CATALOGUE = node_groups(ROOT / "values")
KNOWN = read_machines(ROOT)
GROUPS = ["default", "gpu", "graviton", "high-cpu", "high-memory"]
TAINTED = ["gpu", "graviton", "high-cpu", "high-memory"]
ALLOWED = {"odd": GROUPS[0::2], "even": GROUPS[1::2]}
"""Two teams; each group is one's and not the other's."""
GROUP = "jobyard.dev/node-group"
NAMESPACE = "placement"


@pytest.fixture(scope="module")
def teams(cluster: Cluster, render_chart: Callable[..., list[Object]]) -> Cluster:
    """The cluster, with teams odd and even besides."""
    from tests.charts.conftest import PLATFORM, TEAMS

    for team in ALLOWED:
        cluster.apply(render_chart("bounds", values={**PLATFORM, "team": team, **_bounds(TEAMS["risk"], team)}))
    for team, allowed in ALLOWED.items():
        cluster.count_nothing(team)
        own = {**cluster.team_values(team), "allowedNodeGroups": allowed}
        # Policies come into force a moment after they have changed.
        wait_until(lambda team=team, own=own: _applied(cluster, render_chart("team", values=own), team))  # type: ignore[misc]
    return cluster


def _bounds(of_risk: Object, team: str) -> Object:
    return {
        **of_risk,
        "allowedNodeGroups": ALLOWED[team],
        "viewerGroups": [f"oidc:{team}"],
        "iamRoles": {"serviceAccounts": [f"{team}-jobs"]},
    }


def _applied(cluster: Cluster, objects: list[Object], team: str) -> bool:
    command = ["apply", "--server-side", "-f", "-", *cluster.as_team(team)]
    return cluster.kubectl(*command, stdin=yaml.safe_dump_all(objects)).returncode == 0


@pytest.fixture(scope="module")
def placements(teams: Cluster) -> dict[str, Object]:
    """Of each group, the node selector and the tolerations that the teams' ConfigMaps have."""
    found: dict[str, Object] = {}
    for team in ALLOWED:
        text = teams.kubectl("get", "configmap", "node-groups", "-n", f"team-{team}", "-o", "json").stdout
        found |= {group: yaml.safe_load(entry) for group, entry in json.loads(text)["data"].items()}
    return found


def test_the_teams_chart_and_the_dag_builder_say_the_same(placements: dict[str, Object]) -> None:
    """What the builder makes of platform.json is in tests/dags/test_pod.py."""
    built = platform_data(CATALOGUE, "prod", task_types={}, teams={})["node_groups"]
    assert sorted(placements) == sorted(built) == GROUPS
    for group, placement in placements.items():
        assert placement["nodeSelector"] == built[group]["node_selector"]
        assert placement["tolerations"] == built[group]["tolerations"]


@pytest.mark.parametrize("group", GROUPS)
def test_a_pod_of_the_group_is_let_in_for_a_team_that_has_it_and_for_no_other(
    teams: Cluster, placements: dict[str, Object], group: str
) -> None:
    answers = {team: _ask(teams, team, placements[group]) for team in ALLOWED}
    may, may_not = ("odd", "even") if group in ALLOWED["odd"] else ("even", "odd")
    assert answers[may].returncode == 0, answers[may].stderr
    assert answers[may_not].returncode != 0
    assert f"team {may_not} may not use node group {group}" in answers[may_not].stderr


def _ask(cluster: Cluster, team: str, placement: Object) -> CompletedProcess[str]:
    """Ask as Airflow does for a pod that only its node group could be wrong with; nothing is kept."""
    one = changed(
        {
            "metadata.namespace": f"team-{team}",
            "metadata.labels": {**LABELS, "jobyard.dev/team": team, "jobyard.dev/cost-center": team},
            "spec.nodeSelector": placement["nodeSelector"],
            "spec.tolerations": placement["tolerations"],
            "spec.priorityClassName": f"{team}.normal-2000",
        }
    )
    command = ["create", "-f", "-", "--dry-run=server", *cluster.as_group(f"jobyard:{team}:launchers")]
    return cluster.kubectl(*command, stdin=json.dumps(one))


class Scheduling:
    """A scheduler at work in an API server, with the machines and the pods that a test gives it."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def _kubectl(self, *arguments: str, objects: Sequence[Object] = ()) -> str:
        done = self._server.kubectl(*arguments, stdin=yaml.safe_dump_all(objects) if objects else None)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add_machines(self, machines: Machines, groups: Sequence[str]) -> None:
        """Two of each group."""
        nodes = [machines(group, number) for group in groups for number in (1, 2)]
        self._kubectl("create", "-f", "-", objects=nodes)
        # The API server gives each new node this taint, which a controller takes away from one that is ready.
        names = [node["metadata"]["name"] for node in nodes]
        self._kubectl("taint", "nodes", *names, "node.kubernetes.io/not-ready:NoSchedule-")

    def add_pods(self, pods: Mapping[str, Object]) -> None:
        """Pods of these specifications, by name."""
        kind = {"apiVersion": "v1", "kind": "Pod"}
        objects = [{**kind, "metadata": {"name": name}, "spec": spec} for name, spec in pods.items()]
        self._kubectl("create", "-n", NAMESPACE, "-f", "-", objects=objects)

    def wait_for(self, *names: str) -> dict[str, str | None]:
        """Wait until these pods are on machines: each pod's group of its machine, or None where it has none."""
        return self.wait_until(lambda pods: all(pods[name]["spec"].get("nodeName") for name in names))

    def wait_for_all(self) -> dict[str, str | None]:
        """The same once the scheduler has decided on every pod, for or against a machine."""
        return self.wait_until(lambda pods: all("conditions" in pod["status"] for pod in pods.values()))

    def wait_until(self, ready: Callable[[dict[str, Object]], bool]) -> dict[str, str | None]:
        pods: dict[str, Object] = {}

        def is_ready() -> bool:
            found = json.loads(self._kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods"))["items"]
            pods.update({pod["metadata"]["name"]: pod for pod in found})
            return ready(pods)

        wait_until(is_ready)
        nodes = {name: pod["spec"].get("nodeName") for name, pod in pods.items()}
        return {name: node and node.rpartition("-")[0] for name, node in nodes.items()}

    def clear(self) -> None:
        """Take all pods and machines away."""
        self._kubectl("delete", "pods", "--all", "-n", NAMESPACE, "--grace-period=0", "--force", "--wait=false")
        self._kubectl("delete", "nodes", "--all", "--wait=false")


@pytest.fixture(scope="module")
def scheduler(api_server: Server, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduling]:
    """The real one, and a namespace without any bounds."""
    state = tmp_path_factory.mktemp("scheduler")
    (state / "kubeconfig").write_text(api_server.kubectl("config", "view", "--raw").stdout)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [f"--kubeconfig={state}/kubeconfig", "--leader-elect=false"]
    options += ["--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={state}"]
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    # Made by a controller elsewhere; without it no pod is admitted.
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NAMESPACE}}
    made = api_server.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all([namespace, account]))
    assert made.returncode == 0, made.stderr
    supervisor = Supervisor(state)
    try:
        supervisor.start(Process("kube-scheduler", [f"{programs}/kube-scheduler", *options]))
        yield Scheduling(api_server)
    finally:
        supervisor.stop(supervisor.names())


@pytest.fixture
def scheduling(scheduler: Scheduling) -> Iterator[Scheduling]:
    """A cluster without machines and pods, also after a test that failed."""
    yield scheduler
    scheduler.clear()


@pytest.fixture(scope="module")
def karpenter(render_chart: Callable[..., list[Object]]) -> Machines:
    """Machines as Karpenter starts them for the rendered NodePools."""
    files = ["values/node-groups.yaml", "values/environments/prod.yaml"]
    objects = render_chart("platform", files)
    pools = {one["metadata"]["name"]: one["spec"]["template"] for one in objects if one["kind"] == "NodePool"}

    def machine(group: str, number: int) -> Object:
        pool = pools[f"jobyard-{group}"]
        required = {one["key"]: one["values"][0] for one in pool["spec"]["requirements"] if one["operator"] == "In"}
        return _node(group, number, {**required, **pool["metadata"]["labels"]}, pool["spec"].get("taints", []))

    return machine


def eksctl(group: str, number: int) -> Object:
    """A machine as EKS starts it for a managed node group that eksctl made."""
    groups = {one["name"]: one for one in eksctl_config(CATALOGUE, KNOWN, "prod", "eu-central-1")["managedNodeGroups"]}
    managed = groups[group]
    # Amazon names the families of its own, Arm, processors so.
    arm = re.match(r"[a-z]+[0-9]+g", managed["instanceTypes"][0])
    labels = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64" if arm else "amd64", **managed["labels"]}
    return _node(group, number, labels, managed["taints"])


def autoscaler(group: str, number: int) -> Object:
    """The machine that the cluster autoscaler reckons with for such a node group while it has none: from its tags."""
    real = eksctl(group, number)
    groups = {one["name"]: one for one in eksctl_config(CATALOGUE, KNOWN, "prod", "eu-central-1")["managedNodeGroups"]}
    tags: dict[str, str] = groups[group]["tags"]
    prefix = "k8s.io/cluster-autoscaler/node-template"
    labels = {key.removeprefix(f"{prefix}/label/"): value for key, value in tags.items() if "/label/" in key}
    arch = {key: real["metadata"]["labels"][key] for key in ("kubernetes.io/os", "kubernetes.io/arch")}
    parts = {key.removeprefix(f"{prefix}/taint/"): value.split(":") for key, value in tags.items() if "/taint/" in key}
    taints = [{"key": key, "value": value, "effect": effect} for key, (value, effect) in parts.items()]
    resources = {key.removeprefix(f"{prefix}/resources/"): size for key, size in tags.items() if "/resources/" in key}
    node = _node(group, number, {**arch, **labels}, taints)
    # It has an instance type's cores and memory from a table of its own.
    known = {"cpu": CATALOGUE[group]["capacity"]["cpu"], "memory": CATALOGUE[group]["capacity"]["memory"], "pods": "29"}
    return {**node, "status": {"capacity": {**known, **resources}, "allocatable": {**known, **resources}}}


def local(group: str, number: int) -> Object:
    """A machine of the local platform."""
    simulated = simulated_node(group, CATALOGUE[group])
    return {**simulated, "metadata": {**simulated["metadata"], "name": f"{group}-{number}"}}


def _node(group: str, number: int, labels: Object, taints: list[Object]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"{group}-{number}", "labels": labels},
        "spec": {"taints": taints},
        "status": simulated_node(group, CATALOGUE[group])["status"],
    }


def spec(placement: Object, **requests: str) -> Object:
    """A pod's specification with a placement."""
    resources = {"requests": requests, "limits": {key: size for key, size in requests.items() if "/" in key}}
    container = {"name": "main", "image": "registry.example.com/any", "resources": resources}
    return {**placement, "automountServiceAccountToken": False, "containers": [container]}


def small(placement: Object, group: str) -> Object:
    """A pod that any machine of its group has room for, with a GPU where they have some."""
    gpu = {"nvidia.com/gpu": "1"} if group == "gpu" else {}
    return spec(placement, cpu="100m", memory="100Mi", **{"ephemeral-storage": "1Gi"}, **gpu)


@pytest.mark.parametrize("order", [GROUPS, GROUPS[::-1]], ids=["forwards", "backwards"])
def test_a_pod_waits_for_a_machine_of_its_group_whatever_else_there_is(
    scheduling: Scheduling, placements: dict[str, Object], karpenter: Machines, order: list[str]
) -> None:
    """Both orders together: each group's pod waits once while machines of each other group are there."""
    scheduling.add_pods({group: small(placements[group], group) for group in GROUPS})
    for position, group in enumerate(order):
        scheduling.add_machines(karpenter, [group])
        there = order[: position + 1]
        assert scheduling.wait_for(group) == {each: each if each in there else None for each in GROUPS}


@pytest.mark.parametrize("source", ["karpenter", "eksctl", "autoscaler", "local"])
def test_each_group_takes_its_own_pods_and_one_with_taints_no_others(
    scheduling: Scheduling, placements: dict[str, Object], karpenter: Machines, source: str
) -> None:
    """The others have the tolerations of their own group, and the node selector of this one or none at all."""
    sources = {"karpenter": karpenter, "eksctl": eksctl, "autoscaler": autoscaler, "local": local}
    scheduling.add_machines(sources[source], GROUPS)
    scheduling.add_pods({group: small(placements[group], group) for group in GROUPS})
    assert scheduling.wait_for(*GROUPS) == {group: group for group in GROUPS}
    intruders = {
        f"{group}.to.{other}": spec({**placements[group], "nodeSelector": placements[other]["nodeSelector"]}, cpu="1m")
        for group in GROUPS
        for other in TAINTED
        if other != group
    }
    free = {f"{group}.to.any": spec({**placements[group], "nodeSelector": {}}, cpu="1m") for group in GROUPS}
    scheduling.add_pods({**intruders, **free})
    groups = scheduling.wait_for_all()
    assert {groups[name] for name in intruders} == {None}
    assert len(intruders) == 16
    for name in free:
        assert groups[name] in (name.removesuffix(".to.any"), "default")


def test_all_that_is_allocatable_fits_and_more_of_anything_does_not(
    scheduling: Scheduling, placements: dict[str, Object], karpenter: Machines
) -> None:
    """One machine of each group is full then, and the other empty: what does not fit there fits on none."""
    scheduling.add_machines(karpenter, GROUPS)
    scheduling.add_pods({group: spec(placements[group], **whole(group)) for group in GROUPS})
    assert scheduling.wait_for(*GROUPS) == {group: group for group in GROUPS}
    larger = {
        f"{group}.{resource.rpartition('/')[2]}": spec(placements[group], **{resource: one_more(resource, size)})
        for group in GROUPS
        for resource, size in whole(group).items()
    }
    assert len(larger) == 16
    scheduling.add_pods(larger)
    groups = scheduling.wait_for_all()
    assert {groups[name] for name in larger} == {None}


def whole(group: str) -> dict[str, str]:
    """What a pod gets at most on a machine of the group."""
    names = {"cpu": "cpu", "memory": "memory", "ephemeralStorage": "ephemeral-storage", "gpu": "nvidia.com/gpu"}
    return {names[name]: str(size) for name, size in CATALOGUE[group]["allocatable"].items()}


def one_more(resource: str, size: str) -> str:
    """A little more than that: a thousandth of a core, one GPU, one byte."""
    if resource == "cpu":
        return f"{int(parse_quantity(size) * 1000) + 1}m"
    return str(int(parse_quantity(size)) + 1)
