"""Watches the machines that Karpenter makes: when each joined the cluster, and when it left."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobyard_cli.system.errors import ProgramError

from jobyard_local.cluster import NODE_GROUP
from jobyard_local.control_plane import Kubectl
from jobyard_local.karpenter import POOL_LABEL
from jobyard_local.nodes import TYPE_LABEL

LOOK_SECONDS = 1.0


@dataclass
class MachineTime:
    """One machine of Karpenter's; `left` is None while it is in the cluster."""

    name: str
    node_group: str
    instance_type: str
    joined: datetime
    left: datetime | None = None

    @property
    def seconds(self) -> float | None:
        """How long it was there, give or take `LOOK_SECONDS`; None while it still is."""
        return (self.left - self.joined).total_seconds() if self.left else None


class MachineWatcher:
    """Looks while it is entered; `machines` has the result, by name."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.machines: dict[str, MachineTime] = {}
        self._kubectl = kubectl
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MachineWatcher:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def present(self) -> list[str]:
        """The names of those that are in the cluster."""
        return [name for name, machine in self.machines.items() if machine.left is None]

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                nodes = self._kubectl.once.json("get", "nodes", f"--selector={POOL_LABEL}")["items"]
            except ProgramError:
                continue  # the API server is busy, or away
            self._note(nodes, datetime.now(UTC))

    def _note(self, nodes: list[dict[str, Any]], now: datetime) -> None:
        found = {node["metadata"]["name"]: node["metadata"] for node in nodes}
        for name, metadata in found.items():
            labels, joined = metadata["labels"], datetime.fromisoformat(metadata["creationTimestamp"])
            self.machines.setdefault(name, MachineTime(name, labels[NODE_GROUP], labels[TYPE_LABEL], joined))
        for name in self.present:
            if name not in found:
                self.machines[name].left = now
