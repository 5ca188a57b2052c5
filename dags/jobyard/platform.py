"""What the builder needs to know of the platform: `platform.json`, beside this library in the bucket."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes.client import V1Toleration  # type: ignore[import-untyped]

from jobyard.errors import ReleaseError, UnknownNameError
from jobyard.release import read_json

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True)
class NodeGroup:
    """A named machine type."""

    node_selector: dict[str, str]
    tolerations: list[V1Toleration]
    startup_timeout: int  # seconds from no node at all to a running pod


@dataclass(frozen=True)
class Platform:
    """One environment, as a DAG sees it."""

    environment: str
    kubeconfig: str  # absolute path; one context for each team
    node_groups: dict[str, NodeGroup]

    def node_group(self, name: str) -> NodeGroup:
        """Return the node group.

        Raises:
            UnknownNameError: the environment has no such node group.
        """
        if name not in self.node_groups:
            raise UnknownNameError("node group", name, self.node_groups)
        return self.node_groups[name]


def read_platform(path: Path) -> Platform:
    """Return the platform described by the file at `path`.

    Raises:
        ReleaseError: the file is missing or lacks something.
    """
    data = read_json(path)
    try:
        environment = data["environment"]
        groups = {name: _node_group(group) for name, group in data["node_groups"].items()}
        kubeconfig = str(path.parent.absolute() / data["kubeconfig"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(path, f"is malformed: {type(error).__name__}: {error}") from error
    if not LABEL_VALUE.fullmatch(environment):
        raise ReleaseError(path, f"environment {environment!r} cannot be the value of a label")
    return Platform(environment=environment, kubeconfig=kubeconfig, node_groups=groups)


def _node_group(group: dict[str, Any]) -> NodeGroup:
    """Return the group with typed tolerations: a misspelt key fails here instead of tolerating everything."""
    return NodeGroup(
        node_selector=group["node_selector"],
        tolerations=[_toleration(toleration) for toleration in group["tolerations"]],
        startup_timeout=group["startup_timeout"],
    )


def _toleration(toleration: dict[str, str]) -> V1Toleration:
    """Return the toleration; all four keys are required, since each one left out tolerates more."""
    typed = V1Toleration(**toleration)
    missing = [key for key in ("key", "operator", "value", "effect") if not getattr(typed, key)]
    if missing:
        raise KeyError(f"toleration {toleration} lacks {', '.join(missing)}")
    return typed
