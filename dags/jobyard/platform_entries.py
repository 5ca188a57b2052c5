"""The fields of `platform.json`, which `jobyard publish-platform` writes beside the library for it to read."""

from typing import Any, NotRequired, TypedDict

SCHEMA_VERSION = 1


class Toleration(TypedDict):
    """A toleration; all four keys are required, since each one left out tolerates more."""

    key: str
    operator: str
    value: str
    effect: str


class NodeGroupEntry(TypedDict):
    """What a pod needs to land on a node group."""

    node_selector: dict[str, str]
    tolerations: list[Toleration]
    startup_timeout: int  # seconds from no node at all to a running pod


class TaskTypeEntry(TypedDict):
    """An operator other than a pod."""

    operator: str  # dotted path of the class
    arguments: list[str]  # those that a task may give
    fixed: NotRequired[dict[str, Any]]  # those that the platform gives


class TeamEntry(TypedDict):
    """What the platform gives a team in Airflow."""

    assets: list[str]  # prefixes of those that it may write
    pools: list[str]  # besides the one that has the team's name
    priority_band: list[int]  # lowest and highest value of its priority classes
    role: NotRequired[str]  # of Airflow's


class PodLimits(TypedDict, total=False):
    """An environment's bounds of a pod; without them the library has its own, and leaves images to the API server."""

    image_registries: list[str]
    longest_task: int  # seconds that a pod may run
    deferred: bool  # the triggerer follows pods
    pod_replacements: int  # pods that a try makes for those that it lost
    fill_machines: bool  # pods prefer the machines that run most others
    queueing: str  # one of `contract.QUEUEING`


class PlatformFile(PodLimits):
    """One environment, as `platform.json` has it."""

    schema_version: int
    environment: str
    kubeconfig: str
    node_groups: dict[str, NodeGroupEntry]
    task_types: NotRequired[dict[str, TaskTypeEntry]]
    cost_centers: NotRequired[dict[str, str]]  # by team; of a team that has none, its own name
    teams: dict[str, TeamEntry]
    variables: list[str]  # of Airflow's, that every team's templates may read
