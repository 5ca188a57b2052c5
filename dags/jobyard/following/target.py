"""What is followed, and how it ended: plain data, as both are stored in Airflow's database."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True)
class TaskKey:
    """The instance of a task to which a pod belongs."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "TaskKey":
        """Return the key that `arguments` described; what a newer version has added is ignored."""
        return cls(**known(cls, arguments))


@dataclass(frozen=True)
class LogPosition:
    """How far a pod's log has been read: the latest time of a line, and how many lines of that time's second."""

    time: str = ""  # RFC 3339 with nanoseconds, as the kubelet writes it; "" = nothing has been read
    lines: int = 0
    part: int = 0  # bytes that have been read of the line after those, which has not ended

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "LogPosition":
        """Return the position that `arguments` described; what a newer version has added is ignored."""
        return cls(**known(cls, arguments))


@dataclass(frozen=True)
class Target:
    """One pod to follow."""

    kubeconfig: str
    context: str  # of the kubeconfig: the team
    namespace: str
    environment: str
    pod: str
    uid: str  # "" of a pod that is still to be made
    container: str
    timeout: int | None  # seconds from the container's start
    startup_timeout: int  # seconds from when the pod may be scheduled until its container runs
    task: TaskKey
    manifest: dict[str, Any] | None = None  # of a pod that is still to be made
    log: LogPosition = field(default_factory=LogPosition)  # how far its log has been written
    events: tuple[str, ...] = ()  # uids of those that have been written
    deferred_at: float = 0.0  # second of the epoch at which a worker deferred its task
    queue_timeout: int | None = None  # seconds from when the pod was made until its quota has room for it

    @property
    def path(self) -> str:
        """Where the API server has the pod."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}"

    def arguments(self) -> dict[str, Any]:
        """Return the target as JSON values."""
        return {**asdict(self), "events": list(self.events)}

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Target":
        """Return the target that `arguments` described; what a newer version has added is ignored."""
        found = known(cls, arguments)
        log, events = LogPosition.of(found.get("log", {})), tuple(found.get("events", ()))
        return cls(**{**found, "task": TaskKey.of(arguments["task"]), "log": log, "events": events})


class Kind(StrEnum):
    """How a pod ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    OUT_OF_MEMORY = "out of memory"
    LOST = "lost"
    """With its machine, or because Kubernetes stopped it: nothing that the task did."""
    TIMED_OUT = "timed out"
    NOT_STARTED = "not started"
    """Another try may find a node, or the registry, in better health."""
    QUEUE_TIMED_OUT = "queue timed out"
    """The team's quota had no room for it in time."""
    CANNOT_START = "cannot start"
    """Another try would end the same way."""
    BEHIND = "behind"
    """It has not: it writes more log than the triggerer passes on."""
    UNKNOWN = "unknown"
    """Following it failed; the pod may still run."""

    @classmethod
    def _missing_(cls, value: object) -> "Kind":
        """Return what a newer version's kind is here: who knows no better looks at the pod."""
        return cls.UNKNOWN


@dataclass(frozen=True)
class Ending:
    """How a pod ended."""

    kind: Kind
    message: str = ""  # for a person
    output: str | None = None  # what the container left as its termination message
    node: str = ""
    log: LogPosition = field(default_factory=LogPosition)
    log_complete: bool = False  # the whole log is in the task's log

    def arguments(self) -> dict[str, Any]:
        """Return the ending as JSON values."""
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Ending":
        """Return the ending that `arguments` described; what a newer version has added is ignored."""
        found = known(cls, arguments)
        return cls(**{**found, "kind": Kind(found["kind"]), "log": LogPosition.of(found.get("log", {}))})


def known(cls: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the arguments that the class has."""
    return {name: arguments[name] for name in cls.__dataclass_fields__ if name in arguments}
