"""Watches the pods of a namespace: where each ran, for how long, and the most memory it held."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobyard_cli.system.programs import Running

from jobyard_local.cluster import Cluster

SAMPLE_SECONDS = 0.1
PAUSE_SECONDS = 1.0
WATCH = ("--watch", "--output=jsonpath={@}{'\\n'}")
"""One line of JSON for each pod there is and for each change."""


@dataclass
class PodUsage:
    """What one pod used; `peak_bytes` is the kernel's own high-water mark of its cgroup, file cache included."""

    uid: str
    name: str
    job: str
    task: str
    node: str = ""
    phase: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    peak_bytes: int = 0

    @property
    def seconds(self) -> float | None:
        """From the container's start to its end, as the kubelet reports them (whole seconds)."""
        if self.started is None or self.finished is None:
            return None
        return (self.finished - self.started).total_seconds()


class UsageWatcher:
    """Collects while it is entered; `pods` has the result, by pod UID."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.pods: dict[str, PodUsage] = {}
        self._cluster = cluster
        self._namespace = namespace
        self._process: Running | None = None
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._watch, self._sample)]

    def __enter__(self) -> UsageWatcher:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        if self._process:
            self._process.terminate()
        for thread in self._threads:
            thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._process = self._cluster.kubectl.start("get", "pods", "--namespace", self._namespace, *WATCH)
            if self._stop.is_set():
                self._process.terminate()
            # It ends when the API server ends it or is not reachable; the next one begins with every pod that exists.
            with self._process as watch:
                assert watch.stdout is not None
                for line in watch.stdout:
                    self._take(line)
            self._stop.wait(PAUSE_SECONDS)

    def _take(self, line: bytes) -> None:
        """One line of the watch: a pod, or where the API server ended the watch the reason, or a part of a line."""
        try:
            one = json.loads(line)
        except ValueError:
            return
        if "uid" in one.get("metadata", {}):
            self._note(one)

    def _note(self, pod: dict[str, Any]) -> None:
        metadata, status = pod["metadata"], pod.get("status", {})
        labels = metadata.get("labels", {})
        usage = self.pods.setdefault(
            metadata["uid"],
            PodUsage(
                metadata["uid"],
                metadata["name"],
                labels.get("jobyard.dev/job", ""),
                labels.get("jobyard.dev/task", ""),
            ),
        )
        usage.node = pod["spec"].get("nodeName", usage.node)
        usage.phase = status.get("phase", usage.phase)
        for container in status.get("containerStatuses", []):
            ended = container.get("state", {}).get("terminated")
            if ended:
                usage.started, usage.finished = _time(ended["startedAt"]), _time(ended["finishedAt"])

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            for uid, peak in self._cluster.memory_peaks():
                if usage := self.pods.get(uid):
                    usage.peak_bytes = max(usage.peak_bytes, peak)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
