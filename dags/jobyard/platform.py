"""What the builder needs to know of the platform: `platform.json`, beside this library in the bucket."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from kubernetes.client import V1Toleration  # type: ignore[import-untyped]

from jobyard.contract import LONGEST_TASK, NO_QUEUEING, POD_REPLACEMENTS, QUEUEING
from jobyard.errors import ReleaseError, UnknownNameError
from jobyard.platform_entries import NodeGroupEntry, PlatformFile, TaskTypeEntry, TeamEntry, Toleration
from jobyard.release import read_json

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
PLUGIN = "jobyard_trigger"
"""The plugin's module, in the plugins folder, which every process of Airflow's has on its path."""


@dataclass(frozen=True)
class NodeGroup:
    """A named machine type."""

    node_selector: dict[str, str]
    tolerations: list[V1Toleration]
    startup_timeout: int  # seconds from no node at all to a running pod


@dataclass(frozen=True)
class TaskType:
    """An operator other than a pod that the platform lets teams use."""

    operator: str  # dotted path of the class
    arguments: frozenset[str]  # those that a task may give
    fixed: dict[str, Any]  # those that the platform gives


@dataclass(frozen=True)
class Team:
    """What the platform gives a team in Airflow."""

    name: str
    assets: tuple[str, ...]  # prefixes of those that it may write; one without "/" at its end is a whole asset
    pools: frozenset[str]  # besides the one that has the team's name
    priority_band: tuple[int, int]  # lowest and highest value of its priority classes
    role: str | None  # of Airflow's, whose people may see the team's DAGs; None where nothing but Airflow says who may


@dataclass(frozen=True)
class Platform:
    """One environment, as a DAG sees it."""

    dags: Path  # the folder of the loaders, with a folder beside it for each team's release
    environment: str
    kubeconfig: str  # absolute path; one context for each team
    node_groups: dict[str, NodeGroup]
    task_types: dict[str, TaskType]
    cost_centers: dict[str, str]  # by team; of a team that has none, its own name
    longest_task: int  # seconds that a pod may run
    deferred: bool  # the triggerer follows pods, where it has the plugin
    has_plugin: bool
    pod_replacements: int  # pods that a try makes for those that it lost
    fill_machines: bool  # pods prefer the machines that run most others
    queueing: str  # what a pod waits in for its team's quota, one of `contract.QUEUEING`
    image_registries: list[str] | None  # where images may come from; None where the file does not say
    teams: dict[str, Team]
    variables: frozenset[str]  # of Airflow's, that every team's templates may read

    def team(self, name: str) -> Team:
        """Return the team.

        Raises:
            UnknownNameError: the environment has no such team.
        """
        if name not in self.teams:
            raise UnknownNameError(f"team in environment {self.environment!r}:", name, self.teams)
        return self.teams[name]

    def node_group(self, name: str) -> NodeGroup:
        """Return the node group.

        Raises:
            UnknownNameError: the environment has no such node group.
        """
        if name not in self.node_groups:
            raise UnknownNameError("node group", name, self.node_groups)
        return self.node_groups[name]

    def task_type(self, name: str) -> TaskType:
        """Return the task type.

        Raises:
            UnknownNameError: the environment has no such task type.
        """
        if name not in self.task_types:
            raise UnknownNameError("task type", name, self.task_types)
        return self.task_types[name]


def has_plugin() -> bool:
    """Return whether this process, and so each of the environment, has the plugin with which triggers follow pods."""
    return find_spec(PLUGIN) is not None


def read_platform(dags: Path, version: str = "") -> Platform:
    """Return the platform as the library's version describes it; `dags` is the folder of the loaders.

    The kubeconfig is the same file for all versions: its path is in every stored DAG, and what is in it is only read
    when a task starts.

    Raises:
        ReleaseError: the file is missing or lacks something.
    """
    library = dags.absolute() / "jobyard"
    path = library / version / "platform.json"
    data = read_json(path)
    try:
        platform = _platform(library, cast(PlatformFile, data))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReleaseError(path, f"is malformed: {type(error).__name__}: {error}") from error
    _check_label(path, "environment", platform.environment)
    for team, cost_center in platform.cost_centers.items():
        _check_label(path, f"cost center of team {team}", cost_center)
    return platform


def _check_label(path: Path, field: str, value: str) -> None:
    if not LABEL_VALUE.fullmatch(value):
        raise ReleaseError(path, f"{field} {value!r} cannot be the value of a label")


def _platform(library: Path, data: PlatformFile) -> Platform:
    node_groups = {name: _node_group(entry) for name, entry in data["node_groups"].items()}
    task_types = {name: _task_type(entry) for name, entry in data.get("task_types", {}).items()}
    teams = {name: _team(name, entry) for name, entry in data["teams"].items()}
    return Platform(
        dags=library.parent,
        environment=data["environment"],
        kubeconfig=str(library / data["kubeconfig"]),
        node_groups=node_groups,
        task_types=task_types,
        cost_centers=dict(data.get("cost_centers", {})),
        longest_task=int(data.get("longest_task", LONGEST_TASK)),
        deferred=bool(data.get("deferred", True)),
        has_plugin=has_plugin(),
        pod_replacements=int(data.get("pod_replacements", POD_REPLACEMENTS)),
        fill_machines=bool(data.get("fill_machines", False)),
        queueing=_queueing(data.get("queueing", NO_QUEUEING)),
        image_registries=data.get("image_registries"),
        teams=teams,
        variables=frozenset(data["variables"]),
    )


def _queueing(stated: str) -> str:
    """Return what pods wait in. With one that this library does not know, its pods would be refused, or not wait."""
    if stated not in QUEUEING:
        raise ValueError(f"queueing {stated!r} is none of {', '.join(QUEUEING)}")
    return stated


def _team(name: str, entry: TeamEntry) -> Team:
    low, high = entry["priority_band"]
    return Team(
        name=name,
        assets=tuple(entry["assets"]),
        pools=frozenset(entry["pools"]),
        priority_band=(low, high),
        role=entry.get("role"),
    )


def _task_type(entry: TaskTypeEntry) -> TaskType:
    return TaskType(
        operator=entry["operator"], arguments=frozenset(entry["arguments"]), fixed=dict(entry.get("fixed", {}))
    )


def _node_group(group: NodeGroupEntry) -> NodeGroup:
    """Return the group with typed tolerations: a misspelt key fails here instead of tolerating everything."""
    return NodeGroup(
        node_selector=group["node_selector"],
        tolerations=[_toleration(toleration) for toleration in group["tolerations"]],
        startup_timeout=group["startup_timeout"],
    )


def _toleration(toleration: Toleration) -> V1Toleration:
    """Return the toleration; all four keys are required, since each one left out tolerates more."""
    typed = V1Toleration(**toleration)
    missing = [key for key in ("key", "operator", "value", "effect") if not getattr(typed, key)]
    if missing:
        raise KeyError(f"toleration {toleration} lacks {', '.join(missing)}")
    return typed
