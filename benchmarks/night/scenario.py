"""What is compared: the node groups and the policy of each side, and what the platform's charts make of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jobyard_cli.platform.machines import largest, read_machines
from jobyard_cli.system.programs import run
from jobyard_local.karpenter import NODE_CLASS

ROOT = Path(__file__).resolve().parents[2]
Object = dict[str, Any]
Groups = Mapping[str, Any]
TEAM_QUOTA = {"pods": 50, "cpu": "16", "memory": "64Gi", "ephemeralStorage": "200Gi", "gpu": 1}
"""Of each team, in each of its node groups; what it does not use is lent to the others."""
MACHINES_PER_TEAM = 1
"""The most that a node group may have, so that its limit is not what pods wait for."""
ONE_TYPE = {
    "default": ["m7i.large"],
    "high-cpu": ["c7i.4xlarge"],
    "high-memory": ["r7i.4xlarge"],
    "gpu": ["g5.2xlarge"],
    "graviton": ["m7g.2xlarge"],
}
"""Node groups of one instance type."""
MODEL = "team-of-the-bench"
"""A name that is replaced by each team's, as to render a chart for each would take minutes."""


@dataclass(frozen=True)
class Scenario:
    """One side: node groups, when a machine goes, where pods go, how many teams, and how many times as fast."""

    name: str
    groups: Groups
    policy: str
    after: int  # seconds
    fills: bool  # pods prefer machines that run others, as the builder's do
    teams: int
    speed: int

    @property
    def limited(self) -> dict[str, Any]:
        """The node groups with a limit that grows with the teams."""
        most = {"maxNodes": max(4, MACHINES_PER_TEAM * self.teams)}
        return {name: {**group, **most} for name, group in self.groups.items()}


def catalogue() -> dict[str, Any]:
    """Return the platform's node groups."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "values" / "node-groups.yaml").read_text())["nodeGroups"]
    return found


def render(chart: str, values: Mapping[str, Any]) -> list[Object]:
    """Return the objects of one of the platform's charts.

    Raises:
        ProgramError: Helm can't render it.
    """
    helm = Path(sys.executable).parent / "helm"
    command: list[str | Path] = [helm, "template", ROOT / "charts" / chart, "-f", "-"]
    return [one for one in yaml.safe_load_all(run(command, stdin=yaml.safe_dump(dict(values)))) if one]


def node_pools_and_queues(scenario: Scenario) -> list[Object]:
    """Return what the platform's charts make for the cluster, and for the teams: node pools, flavors and queues."""
    environment = {"name": "bench", "account": "111122223333", "queueing": "kueue"}
    values: Object = {"nodeGroups": scenario.limited}
    karpenter = {"nodeClass": NODE_CLASS}
    region, cluster = "us-east-1", {"name": "bench"}
    of_platform = {**environment, "region": region, "cluster": cluster, "karpenter": karpenter}
    shared = [one for one in render("platform", {**values, "environment": of_platform}) if _is_wanted(one)]
    bounds = {
        "team": MODEL,
        "repo": "https://git.example.com/bench/jobs.git",
        "allowedNodeGroups": sorted(scenario.groups),
        "priorityBand": {"min": 1000, "max": 9999},
        "quota": TEAM_QUOTA,
    }
    model = [one for one in render("bounds", {**values, **bounds, "environment": environment}) if _is_wanted(one)]
    text = yaml.safe_dump_all(model)
    teams = [text.replace(MODEL, team_name(number)) for number in range(scenario.teams)]
    return [*(_faster(one, scenario) for one in shared), *(one for team in teams for one in yaml.safe_load_all(team))]


def team_name(number: int) -> str:
    """Return a team's name, by which its namespace is called too."""
    return f"t{number:03}"


def _is_wanted(one: Object) -> bool:
    return one["kind"] in ("NodePool", "ResourceFlavor", "Namespace", "ClusterQueue", "LocalQueue")


def _faster(one: Object, scenario: Scenario) -> Object:
    if one["kind"] != "NodePool":
        return one
    spec = one["spec"]
    disruption = {
        **spec["disruption"],
        "consolidationPolicy": scenario.policy,
        "consolidateAfter": f"{scenario.after // scenario.speed}s",
    }
    return {**one, "spec": {**spec, "disruption": disruption}}


def of_types(types: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the platform's node groups with other instance types."""
    known = read_machines(ROOT)
    groups = catalogue()
    for name, names in types.items():
        most, disk = largest([known[one] for one in names]), groups[name]["capacity"]["ephemeralStorage"]
        size = int(disk.removesuffix("Gi"))
        sizes = {"capacity": most.capacity(size), "allocatable": most.allocatable(size)}
        groups[name] = {**groups[name], "instanceTypes": [*names], **sizes}
    return groups
